// Package bundle makes OCI bundles: a config.json and the root file system it names.
//
// It is the caller's half of the border between the two programs. Everything that says what a workload is
// (its program, environment, mounts, limits, user) is decided here, with no privilege, and written down in
// the words of the OCI runtime specification. What comes out is an ordinary bundle that any OCI runtime can
// run; locald-shim is one of them and adds nothing to it.
//
// Generate is pure: the same Options give the same Spec on any system. The parsers beside it turn the words
// of the command line (64m, ./src:/app:ro, node:node) into the values it takes. What has to look at the
// machine (open a file of the root file system, read /etc/subuid, copy a binary) is in files of its own.
package bundle
