package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether f is one.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// terminalSettings are a terminal's before the helper makes it raw.
type terminalSettings struct {
	fd int
	unix.Termios
}

// saveTerminal is nil when f is no terminal.
func saveTerminal(f *os.File) *terminalSettings {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil
	}
	return &terminalSettings{int(f.Fd()), *t}
}

// restore is for a helper that was killed before it could do this itself.
func (s *terminalSettings) restore() {
	if s != nil {
		unix.IoctlSetTermios(s.fd, unix.TCSETS, &s.Termios)
	}
}

// terminalSize is that of the first terminal among files, in characters; 0, 0 when there is none.
func terminalSize(files ...*os.File) (height, width uint) {
	for _, f := range files {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			return uint(size.Row), uint(size.Col)
		}
	}
	return 0, 0
}
