package libcontainer

import (
	"encoding/binary"
	"syscall"

	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// awaitExec waits until the child has executed the user's program, which closes the report pipe, or has failed.
func (c *Container) awaitExec() error {
	if c.run.report[0] < 0 {
		return nil
	}
	f := c.readRecord()
	closeFD(&c.run.report[0])
	switch {
	case f != nil:
		return c.opError(f)
	case c.run.stopped:
		return c.lost()
	}
	return nil
}

// readRecord reads one record of the report pipe; nil at its end, which comes at the latest when the child is
// dead. Meanwhile signals and the end of KillOnClose are heeded: a source on a file system that does not answer can keep
// the child for ever.
func (c *Container) readRecord() *childFailure {
	if f := c.run.early; f != nil {
		c.run.early = nil
		return f
	}
	c.pollStart(c.run.report[0])
	return readFailure(c.run.report[0])
}

// readFailure reads one record of a pipe; nil at its end.
func readFailure(fd int) *childFailure {
	var buf [16]byte
	for {
		n, err := unix.Read(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if n < len(buf) {
			return nil
		}
		word := func(i int) uint32 { return binary.LittleEndian.Uint32(buf[4*i:]) }
		return &childFailure{word(0), word(1), word(2), word(3)}
	}
}

// pollStart returns when the report pipe, or what else the child says something on, can be read. A signal that asks to end kills the child, which has no
// handler yet; others wait for the user's program.
//
// What the child says comes first: after its last word a signal is for the program, which has perhaps asked for it. The
// kernel looks at the descriptors in their order, so one that was sent after that word is never seen without it.
func (c *Container) pollStart(from int) {
	fds := []unix.PollFd{{Fd: -1}, {Fd: -1, Events: unix.POLLIN}, {Fd: int32(from), Events: unix.POLLIN}}
	if c.KillOnClose != nil {
		fds[0].Fd = int32(c.KillOnClose.Fd())
	}
	if c.Signals != nil {
		fds[1].Fd = int32(c.Signals.Fd())
	}
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		}
		if fds[2].Revents != 0 || fds[0].Revents|fds[1].Revents == 0 {
			return
		}
		if fds[0].Revents != 0 {
			c.stop(&fds[0])
		}
		if fds[1].Revents != 0 {
			c.startSignals(&fds[1])
		}
	}
}

func (c *Container) startSignals(from *unix.PollFd) {
	var buf [64]byte
	n, _ := unix.Read(int(from.Fd), buf[:])
	if n <= 0 {
		from.Fd = -1
		return
	}
	for _, sig := range buf[:n] {
		switch unix.Signal(sig) {
		case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP:
			c.stop(from)
		default:
			c.Signal(int(sig))
		}
	}
}

func (c *Container) stop(fd *unix.PollFd) {
	c.kill()
	c.run.stopped = true
	fd.Fd = -1
}

// lost is the error for a child that ended without a word.
func (c *Container) lost() error {
	if c.run.stopped {
		return &OpError{PhaseCloned, -1, "start the container", "", unix.EINTR, "it was stopped before its program ran"}
	}
	if cg := c.run.cgroup; cg != nil && c.Program.Mode != ModeExec && cg.OOMKilled() { // of one that runs others may have been
		return &OpError{PhaseCloned, -1, "start the container: its first process was OOM-killed", "/linux/resources/memory/limit", unix.ENOMEM, "is the limit too low?"}
	}
	return &OpError{PhaseCloned, -1, "start the container", "", unix.ESRCH, "its process was killed before its program ran"}
}

// opError is what the child reported, in the words of the op.
func (c *Container) opError(f *childFailure) error {
	ops := c.Program.Ops
	c.run.made = c.run.made || int(f.Index) < len(ops) && ops[f.Index].Call == sys.Execve // all before it was done
	return c.Program.opError(f)
}

func (p *Program) opError(f *childFailure) error {
	if int(f.Index) >= len(p.Ops) {
		return &OpError{PhaseLimited, int(f.Index), "execute the program", "", unix.EIO, ""}
	}
	o := &p.Ops[f.Index]
	e := syscall.Errno(f.Errno)
	return &OpError{PhaseLimited, int(f.Index), o.Describe(), o.Origin, e, hintForOp(o, e)}
}
