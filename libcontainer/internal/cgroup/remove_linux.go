package cgroup

import (
	"time"

	"golang.org/x/sys/unix"
)

// removeWait bounds how long Remove waits for killed processes to end. The memory of a large one takes
// seconds to give back; one that hangs in the kernel would take for ever.
const removeWait = 10 * time.Second

// Remove removes the cgroup from every hierarchy, with the cgroups that the container made below it,
// and closes it. It waits for processes that are ending, not for ones that live on: with those in it
// the error is EBUSY, once the wait is over. A cgroup that is gone is no error, so Remove may be
// called again. The parents stay.
func (c *Cgroup) Remove() error { return c.remove(removeWait) }

func (c *Cgroup) remove(wait time.Duration) error {
	deadline := time.Now().Add(wait)
	// The one with the processes first: when it is empty, they are out of the others as well.
	if err := c.removeFrom(&c.v2, deadline); err != nil {
		return err
	}
	for i := range c.v1 {
		if err := c.removeFrom(&c.v1[i], deadline); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cgroup) removeFrom(p *place, deadline time.Time) error {
	if p.parent < 0 || p.dir < 0 {
		p.close()
		return nil
	}
	err := rmdir(p.parent, c.name)
	if err == unix.EBUSY {
		if p == &c.v2 {
			if err := waitEmpty(p.dir, deadline); err != nil && !gone(err) {
				return c.cannotRemove(err)
			}
		}
		if err = removeBelow(p.dir); err == nil || gone(err) {
			err = rmdir(p.parent, c.name)
		}
	}
	if err != nil && !gone(err) {
		return c.cannotRemove(err)
	}
	p.close()
	return nil
}

func (c *Cgroup) cannotRemove(err error) error {
	e := &Error{Op: "remove cgroup " + c.path, Err: errno(err)}
	if err == unix.EBUSY {
		e.Hint = "processes run in it"
	}
	return e
}

// waitEmpty waits until no process is in a cgroup of the cgroup2 tree or below it.
func waitEmpty(dir int, deadline time.Time) error { return waitEvent(dir, "populated", "0", deadline) }

// waitEvent waits until a key of cgroup.events has a value. The kernel wakes whoever polls the file
// at each change. After the deadline the error is EBUSY.
func waitEvent(dir int, key, want string, deadline time.Time) error {
	fd, err := openat2(dir, "cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		text, err := readFD(fd)
		if err != nil {
			return err
		}
		if value(text, key) == want {
			return nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return unix.EBUSY
		}
		// A signal ends the call early; the loop has its own idea of when to stop.
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(left/time.Millisecond)+1)
		if err != nil && err != unix.EINTR {
			return err
		}
	}
}

// vacate removes a cgroup without processes, so that a new one can have its name. EEXIST says that it
// has processes.
func vacate(parent int, name string) error {
	err := rmdir(parent, name)
	if err == unix.EBUSY {
		dir, openErr := openDir(parent, name)
		if openErr != nil {
			return openErr
		}
		if !populated(dir) {
			if err = removeBelow(dir); err == nil {
				err = rmdir(parent, name)
			}
		}
		unix.Close(dir)
	}
	switch {
	case gone(err):
		return nil
	case err == unix.EBUSY || err == unix.ENOTDIR:
		return unix.EEXIST
	}
	return err
}

// Populated reports whether processes are in the cgroup or below it. Those that have ended and that nobody has waited
// for are not. Without a directory in the cgroup2 tree nobody knows, and the answer is yes.
func (c *Cgroup) Populated() bool { return c.v2.dir < 0 || populated(c.v2.dir) }

// populated reports whether processes are in a cgroup or, in the cgroup2 tree, below it.
func populated(dir int) bool {
	text, err := readFile(dir, "cgroup.events")
	if err == nil {
		return value(text, "populated") != "0"
	}
	text, err = readFile(dir, "cgroup.procs") // v1 has nothing better
	return err == nil && text != ""
}

// removeBelow removes every cgroup below dir, from the bottom up.
func removeBelow(dir int) error {
	return descend(dir, removeChildren, func(parent int, name string) error {
		if err := rmdir(parent, name); !gone(err) {
			return err
		}
		return nil
	})
}

// removeChildren removes the cgroups in dir that have none below them and returns the names of the
// others. It tries every name: on a file rmdir says ENOTDIR.
func removeChildren(dir int) (left []string, err error) {
	names, err := entries(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch err := rmdir(dir, name); {
		case err == nil || err == unix.ENOTDIR || gone(err):
		case err == unix.EBUSY:
			left = append(left, name)
		default:
			return left, err
		}
	}
	return left, nil
}
