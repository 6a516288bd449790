//go:build !linux

package main

import (
	"os"
	"syscall"

	"github.com/locald/locald/libcontainer"
)

func run(args []string) int {
	r, err := parse(args[min(1, len(args)):])
	s := &status{phase: "started"}
	switch {
	case err != nil:
		return s.failed(err)
	case r.version:
		write(1, "locald-shim version "+version+"\n")
		return 0
	}
	return s.failed(libcontainer.ErrPlatform)
}

func write(fd int, s string) error {
	_, err := os.NewFile(uintptr(fd), "").WriteString(s)
	return err
}

func errnoName(e syscall.Errno) string { return "" }
