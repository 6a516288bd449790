package libcontainer

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestConsoleOfContainer: a terminal needs a socket of the right kind, and a socket a terminal.
func TestConsoleOfContainer(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	inet := os.NewFile(uintptr(fd), "inet")
	defer inet.Close()
	without, with := &Program{}, &Program{Inputs: []Input{{Kind: InputConsole}}}
	for _, c := range []struct {
		name    string
		program *Program
		console *os.File
		errno   syscall.Errno // 0: a *ProblemError
	}{
		{"terminal without socket", with, nil, 0},
		{"socket without terminal", without, inet, 0},
		{"pipe", with, r, unix.ENOTSOCK},
		{"network socket", with, inet, unix.EAFNOSUPPORT},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&Container{ID: "x", Program: c.program, Console: c.console, StateDir: t.TempDir()}).Run()
			var problem *ProblemError
			if c.errno == 0 && (!errors.As(err, &problem) || problem.Problems[0].Pointer != "/process/terminal") || c.errno != 0 && !errors.Is(err, c.errno) {
				t.Errorf("error: %v", err)
			}
		})
	}
}
