package cgroup

import (
	"time"

	"golang.org/x/sys/unix"
)

// freezeWait bounds how long Freeze waits for the processes to stop. Each stops when it next leaves the
// kernel, so one in an uninterruptible sleep, on a dead NFS server say, keeps the cgroup from freezing.
const freezeWait = 10 * time.Second

// Freeze stops every process in the cgroup and in those below it, and returns when all have stopped.
// What cannot be stopped in time is EBUSY, and then everything runs on. The cgroup2 tree does it
// on every kind of host (cgroup.freeze, Linux 5.2): all processes of a container are in it, so no v1
// freezer is needed. Frozen processes can be killed, moved and traced.
func (c *Cgroup) Freeze() error { return c.freeze(freezeWait) }

func (c *Cgroup) freeze(wait time.Duration) error {
	err := c.setFreeze("1")
	if err == nil {
		if err = waitEvent(c.v2.dir, "frozen", "1", time.Now().Add(wait)); err == nil {
			return nil
		}
		c.setFreeze("0")
	}
	e := &Error{Op: "freeze cgroup " + c.path, Err: errno(err)}
	if err == unix.EBUSY {
		e.Hint = "a process in it does not stop: it is in the kernel, in a sleep that cannot be interrupted"
	}
	return e
}

// Thaw lets the processes run again that Freeze has stopped, and returns when they do.
func (c *Cgroup) Thaw() error {
	err := c.setFreeze("0")
	if err == nil {
		if err = waitEvent(c.v2.dir, "frozen", "0", time.Now().Add(time.Second)); err == nil {
			return nil
		}
	}
	e := &Error{Op: "thaw cgroup " + c.path, Err: errno(err)}
	if err == unix.EBUSY {
		e.Hint = "a cgroup above it is frozen"
	}
	return e
}

func (c *Cgroup) setFreeze(value string) error {
	if c.v2.dir < 0 {
		return unix.ENOENT
	}
	err := writeFile(c.v2.dir, "cgroup.freeze", value)
	if err != nil && c.isGone() {
		return unix.ENOENT
	}
	return err
}

// Frozen reports whether every process in the cgroup has been stopped, by a freeze of it or of one above it. A
// cgroup that is gone is not frozen.
func (c *Cgroup) Frozen() bool { return c.v2.dir >= 0 && frozen(c.v2.dir, "") }

// frozen is Frozen for a directory below dir: "", or a path with a slash at its end.
func frozen(dir int, below string) bool {
	fd, err := openat2(dir, below+"cgroup.events", unix.O_RDONLY)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var buf [256]byte // two short lines, which the kernel gives in one read
	n := 0
	err = retry(func() (err error) {
		n, err = unix.Pread(fd, buf[:], 0)
		return err
	})
	return err == nil && value(string(buf[:n]), "frozen") == "1"
}
