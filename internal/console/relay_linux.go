package console

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Relay copies between a container's terminal and this program's own, in a goroutine of its own.
type Relay struct {
	out     *os.File
	raw     *Raw          // in; nil when it is no terminal
	own     int           // the descriptor of this program's terminal, whose size is taken over; -1 without one
	end     [2]int        // pipe: its write end is closed when the container has ended
	signals atomic.Int32  // of End; -1 without
	done    chan struct{} // closed by the goroutine when it has nothing left to copy
	flow    flow          // the goroutine's, but for the master
}

// Start makes the terminal at in raw, gives the container's terminal the size of the one at in or out, and begins to
// copy. in and out need not be terminals: at the end of an in that is none, the container's program reads the end of its
// input. The master belongs to the Relay from here on, also after an error.
func Start(master, in, out *os.File) (*Relay, error) {
	r := &Relay{out: out, own: -1, done: make(chan struct{})}
	r.flow = flow{file: master, master: int(master.Fd()), peer: -1, in: int(in.Fd()), out: int(out.Fd())}
	r.signals.Store(-1)
	// The open file of the master is nobody else's: that it does not wait any more disturbs nobody.
	err := unix.SetNonblock(r.flow.master, true)
	if err == nil {
		err = r.flow.holdPeer()
	}
	if err == nil {
		err = unix.Pipe2(r.end[:], unix.O_CLOEXEC)
	}
	if err != nil {
		r.flow.hangUp()
		return nil, os.NewSyscallError("take over the container's terminal", err)
	}
	for _, fd := range [...]int{r.flow.out, r.flow.in} {
		if _, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			r.own = fd
		}
	}
	r.raw = NewRaw(in)
	r.flow.terminal = r.raw != nil
	r.raw.Make()
	r.resize()
	go r.copy()
	return r, nil
}

// Signal is for libcontainer.Container.OnSignal: it heeds the signals that are about this program's own terminal, and
// says whether that was all there is to one.
func (r *Relay) Signal(sig int) bool {
	switch unix.Signal(sig) {
	case unix.SIGWINCH:
		// The kernel tells those who are in the foreground of the container's terminal (ioctl_tty(2), TIOCSWINSZ).
		r.resize()
		return true
	case unix.SIGCONT:
		// It is this program that had stopped, and a shell has had the terminal in between.
		r.raw.Make()
		r.resize()
		return true
	}
	return false
}

// End copies what the container wrote last, hangs up its terminal, and makes the caller's as it was. It is to be called
// when the container has ended, or is to hear no more. signals may be nil, or the pipe that Container.Signals is: a
// signal that asks to end ends the wait for somebody who does not read what is written to out.
func (r *Relay) End(signals *os.File) {
	if signals != nil {
		r.signals.Store(int32(signals.Fd()))
	}
	unix.Close(r.end[1])
	<-r.done
	unix.Close(r.end[0])
	r.raw.Restore()
}

func (r *Relay) resize() {
	if r.own < 0 {
		return
	}
	size, err := unix.IoctlGetWinsize(r.own, unix.TIOCGWINSZ)
	if err != nil {
		return
	}
	if c, err := r.flow.file.SyscallConn(); err == nil { // the goroutine may close it
		c.Control(func(fd uintptr) { unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	}
}

// copy waits for whatever can go on.
func (r *Relay) copy() {
	defer close(r.done)
	defer r.flow.hangUp()
	f := &r.flow
	for {
		fds := append(f.wants(), unix.PollFd{Fd: int32(r.end[0])}, unix.PollFd{Fd: -1, Events: unix.POLLIN})
		wait := -1
		if f.ended {
			if fds[pollEnd].Fd = -1; !f.toOut.empty() {
				fds[pollSignals].Fd = r.signals.Load()
			} else {
				wait = 0 // what the container wrote is there by now, or never comes
			}
		}
		n, err := unix.Poll(fds, wait)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || fds[pollSignals].Revents != 0 && r.askedToEnd() {
			return
		}
		if fds[pollEnd].Revents != 0 { // POLLHUP
			f.ended, f.left = true, maxLeft
		}
		f.move(fds)
		if f.ended && f.left <= 0 && f.toOut.empty() {
			return
		}
	}
}

func (r *Relay) askedToEnd() bool {
	var buf [64]byte
	n, err := unix.Read(int(r.signals.Load()), buf[:])
	if n <= 0 && err != unix.EAGAIN && err != unix.EINTR {
		r.signals.Store(-1) // closed
	}
	for _, sig := range buf[:max(n, 0)] {
		switch unix.Signal(sig) {
		case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP:
			return true
		}
	}
	return false
}
