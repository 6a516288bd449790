// Package nofile knows RLIMIT_NOFILE as the process got it.
//
// The Go runtime raises the soft limit for itself when package syscall is initialised (Go 1.19), and
// keeps the old value to itself. A container must get its caller's limit, so it is read before that:
// packages are initialised in the order of their import paths as soon as their imports are (Go 1.21), this
// one imports nothing, and "github.com/…" comes before the "internal/…" that syscall waits for. A test
// compares with what the shell says.
package nofile

// Limit is the soft and the hard limit at the start of the process; zeros where it is not known.
var Limit = read()
