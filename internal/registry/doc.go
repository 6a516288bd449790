// Package registry speaks with registries of images (distribution-spec): it pulls into a store and logs in and out.
// It is linked by locald-registry alone, which locald starts when it needs a registry: what this is built from takes
// longer to start than all of a container.
package registry
