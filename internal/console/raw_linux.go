package console

import (
	"os"

	"golang.org/x/sys/unix"
)

// Raw is a terminal of the caller's on which every key is a byte. A nil *Raw is no terminal, and does nothing.
type Raw struct {
	file  *os.File
	saved unix.Termios
}

// NewRaw remembers how a terminal is set, and changes nothing. It is nil when the file is none.
func NewRaw(f *os.File) *Raw {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil
	}
	return &Raw{f, *t}
}

// Make is cfmakeraw(3).
func (r *Raw) Make() {
	if r == nil {
		return
	}
	t := r.saved
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	unix.IoctlSetTermios(int(r.file.Fd()), unix.TCSETS, &t)
}

// Restore leaves a terminal alone that has gone to another process group: its settings are theirs by now, and the
// kernel would stop this program (SIGTTOU).
func (r *Raw) Restore() {
	if r == nil {
		return
	}
	in := int(r.file.Fd())
	if group, err := unix.IoctlGetInt(in, unix.TIOCGPGRP); err == nil && group != unix.Getpgrp() {
		return
	}
	unix.IoctlSetTermios(in, unix.TCSETS, &r.saved)
}
