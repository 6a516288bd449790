// Package image keeps images: a store in the form of an OCI image layout, which other tools can read as well, with
// the file systems of the layers beside it, each unpacked once.
//
// Everything runs with the caller's own rights. Only Unpack and Remove touch the files of a layer, and they are made
// to run in a container: a layer's bytes and names are somebody else's.
package image
