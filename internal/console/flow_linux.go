package console

import (
	"os"

	"golang.org/x/sys/unix"
)

// flow is both directions of a Relay, and what is between reading and writing in each.
type flow struct {
	file     *os.File // the master
	master   int      // its descriptor; -1 when the container's terminal is hung up
	peer     int      // the other end of the master, held open
	in       int      // -1 when nothing more comes
	out      int
	terminal bool // in is a terminal

	toPty, toOut buffer
	last         byte // of the input, unless there was none

	ended bool // the container has
	left  int  // how much may come after that
}

// The places of descriptors in poll(2).
const (
	pollIn = iota
	pollMaster
	pollOut
	pollEnd
	pollSignals
)

// buffer holds what was read and not yet written. Its size is PIPE_BUF: a pipe that can be written to takes that much
// without waiting (pipe(7)).
type buffer struct {
	bytes    [4096]byte
	from, to int
}

func (b *buffer) empty() bool { return b.from == b.to }

func (b *buffer) drop() { b.from, b.to = 0, 0 }

// read fills an empty buffer.
func (b *buffer) read(fd int) (n int, err error) {
	b.from, b.to = 0, 0
	n, err = unix.Read(fd, b.bytes[:])
	b.to = max(n, 0)
	return n, err
}

// write writes as much as goes at once.
func (b *buffer) write(fd int) error {
	n, err := unix.Write(fd, b.bytes[b.from:b.to])
	b.from += max(n, 0)
	return err
}

// maxLeft is how much is copied after the container has ended: more than a terminal holds (8 KiB and a line discipline's
// 4 KiB; drivers/tty/pty.c). A process that survived it, which has the terminal open, may write for ever.
const maxLeft = 64 << 10

// wants says what can be waited for. A descriptor from which nothing is wanted is left out: a hang-up is always told.
func (f *flow) wants() []unix.PollFd {
	fds := make([]unix.PollFd, pollOut+1, pollSignals+1)
	for i := range fds {
		fds[i].Fd = -1
	}
	if f.master < 0 {
		return fds
	}
	want := func(i, fd int, events int16) {
		fds[i].Fd = int32(fd)
		fds[i].Events |= events
	}
	if f.toOut.empty() {
		want(pollMaster, f.master, unix.POLLIN)
	} else {
		want(pollOut, f.out, unix.POLLOUT)
	}
	switch {
	case f.ended:
	case !f.toPty.empty():
		want(pollMaster, f.master, unix.POLLOUT)
	case f.in >= 0:
		want(pollIn, f.in, unix.POLLIN)
	}
	return fds
}

// move does what poll(2) says can be done.
func (f *flow) move(fds []unix.PollFd) {
	if fds[pollOut].Revents != 0 && !passing(f.toOut.write(f.out)) {
		f.hangUp() // nobody looks any more: what a terminal emulator does then
		return
	}
	if fds[pollMaster].Revents&unix.POLLOUT != 0 && !passing(f.toPty.write(f.master)) {
		f.toPty.drop()
	}
	if fds[pollMaster].Revents&(unix.POLLIN|unix.POLLHUP|unix.POLLERR) != 0 && f.toOut.empty() {
		f.readMaster()
	}
	if fds[pollIn].Revents != 0 {
		f.readIn()
	}
}

// passing errors are those after which the same is tried again.
func passing(err error) bool { return err == nil || err == unix.EAGAIN || err == unix.EINTR }

// readMaster reads what the container wrote. EIO means that nobody has the other end open, which the peer makes sure
// of, unless a process in the container has hung up its terminal (vhangup(2)): getty does so and opens it again.
func (f *flow) readMaster() {
	n, err := f.toOut.read(f.master)
	if f.ended {
		f.left -= max(n, 0)
	}
	if (n == 0 || !passing(err)) && (f.ended || f.holdPeer() != nil) {
		f.hangUp()
	}
}

// holdPeer opens the other end of the master, so that the master is not at its end whenever no process in the container
// has the terminal open: systemd opens /dev/console for each message.
func (f *flow) holdPeer() error {
	if f.peer >= 0 {
		unix.Close(f.peer)
	}
	fd, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(f.master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if f.peer = int(fd); e != 0 {
		f.peer = -1
		return e
	}
	return nil
}

// readIn reads what was typed. A terminal that has gone is the end of the container's as well; the end of anything else
// is one that the container's program reads.
func (f *flow) readIn() {
	n, err := f.toPty.read(f.in)
	switch {
	case n > 0:
		f.last = f.toPty.bytes[n-1]
	case n == 0 || !passing(err):
		f.in = -1
		if f.terminal {
			f.hangUp()
			return
		}
		f.typeEnd()
	}
}

// typeEnd types what the container's terminal takes for the end of the input, which it is at the beginning of a line
// only: in the middle it ends the line (termios(3), VEOF). A program that reads single keys is told nothing: for it
// there is no end.
func (f *flow) typeEnd() {
	t, err := unix.IoctlGetTermios(f.master, unix.TCGETS)
	if err != nil || t.Lflag&unix.ICANON == 0 || t.Cc[unix.VEOF] == 0 {
		return
	}
	eof := t.Cc[unix.VEOF]
	f.toPty.bytes[0], f.toPty.bytes[1] = eof, eof
	f.toPty.from, f.toPty.to = 0, 1
	if f.last != 0 && f.last != '\n' {
		f.toPty.to = 2
	}
}

// hangUp lets go of the container's terminal: its processes get SIGHUP.
func (f *flow) hangUp() {
	f.file.Close()
	f.master, f.in = -1, -1
	f.toPty.drop()
	f.toOut.drop()
	if f.peer >= 0 {
		unix.Close(f.peer)
		f.peer = -1
	}
}
