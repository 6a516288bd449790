package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/registry"
)

// progress shows on a terminal what comes; nil where there is none, or one on which lines cannot be written again.
func progress(to *os.File) registry.Progress {
	size, err := unix.IoctlGetWinsize(int(to.Fd()), unix.TIOCGWINSZ)
	if err != nil || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return (&screen{to: to, rows: int(size.Row), columns: int(size.Col)}).show
}
