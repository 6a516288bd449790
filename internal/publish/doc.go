// Package publish makes ports of a container's own network reachable on this machine, with no right that its caller
// does not have: it listens here, and connects there with sockets that were made in the container's network namespace.
package publish
