// Package first looks at the process before package os does: os raises the soft limit of open files as it
// is initialised. Packages are initialised in the order of their import paths as soon as what they import
// is (Go specification, "Program initialization"), and this one imports syscall only.
package first

import "syscall"

// Nofile is RLIMIT_NOFILE as the program got it, soft and hard.
var Nofile = nofile()

func nofile() [2]uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return [2]uint64{}
	}
	return [2]uint64{uint64(l.Cur), uint64(l.Max)}
}
