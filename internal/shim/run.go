package shim

import (
	"os"
	"time"
)

// Request is one run.
type Request struct {
	Bundle                string // the directory
	ID                    string
	DryRun                bool          // print the program's listing and start nothing
	Running               func(pid int) // called once, when the program has been executed; nil is nothing to do
	Foreground            bool          // the helper shares the terminal: it stays in locald's process group
	Timeout               time.Duration // after which the container is ended; 0 is no limit
	Stdin, Stdout, Stderr *os.File      // the program's own
}

// Result is how a run ended.
type Result struct {
	Status
	ExitCode     int  // for locald to exit with
	HelperSignal int  // the signal that ended the helper itself
	Killed       bool // two quick interrupts did
	Late         bool // Request.Timeout did

	// Reap waits until the helper is gone, which nothing of the container's waits for any more. It has to be called once.
	Reap func()
}
