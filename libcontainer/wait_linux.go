package libcontainer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Pid is the process id of the container's first process as this process sees it; 0 before Run, Create or Exec.
func (c *Container) Pid() int { return c.run.pid }

// Wait waits for the end of the process that Run, Create or Exec has made. After Run it kills whatever is left of
// the container then and removes its cgroup and its state; an error says what could not be removed, and the Exit is
// valid all the same. A container that was created stays until Delete.
func (c *Container) Wait() (Exit, error) {
	c.watch()
	var info siginfo
	for {
		err := waitid(c.run.pidfd, &info)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return Exit{}, &OpError{PhaseRunning, -1, "wait for the process", "", errnoOf(err), "only its parent can"}
		}
	}
	exit := info.exit()
	if c.Program.Mode != ModeRun {
		c.run.pid = 0
		closeFD(&c.run.pidfd)
		return exit, nil
	}
	if c.run.cgroup != nil {
		exit.OOMKilled = c.run.cgroup.OOMKilled()
	}
	c.run.pid = 0
	err := c.clean()
	c.poststop(c.Program.Hooks)
	sweep(c.StateDir, c.stale)
	c.observe(PhaseExited)
	return exit, err
}

// watch waits until the process has ended. Meanwhile it sends the signals that come in, and ends the
// process when KillOnClose's reader is gone.
func (c *Container) watch() {
	if c.KillOnClose == nil && c.Signals == nil {
		return
	}
	fds := []unix.PollFd{{Fd: int32(c.run.pidfd), Events: unix.POLLIN}, {Fd: -1}, {Fd: -1, Events: unix.POLLIN}}
	if c.KillOnClose != nil {
		fds[1].Fd = int32(c.KillOnClose.Fd())
	}
	if c.Signals != nil {
		fds[2].Fd = int32(c.Signals.Fd())
	}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return
		}
		if fds[0].Revents != 0 {
			return
		}
		if fds[1].Revents != 0 { // POLLERR: no reader is left
			c.kill()
			return
		}
		if fds[2].Revents != 0 {
			c.sendSignals(&fds[2])
		}
	}
}

func (c *Container) sendSignals(from *unix.PollFd) {
	var buf [64]byte
	n, err := unix.Read(int(from.Fd), buf[:])
	if n <= 0 && err != unix.EAGAIN && err != unix.EINTR {
		from.Fd = -1 // closed
		return
	}
	for _, sig := range buf[:max(n, 0)] {
		if c.OnSignal != nil && c.OnSignal(int(sig)) {
			continue
		}
		c.Signal(int(sig))
	}
}

// kill ends everything in the container: through its cgroup, and its first process, whose death ends a
// pid namespace.
func (c *Container) kill() {
	if c.run.cgroup != nil {
		c.run.cgroup.Kill()
	}
	if c.run.pidfd >= 0 {
		unix.PidfdSendSignal(c.run.pidfd, unix.SIGKILL, nil, 0)
	}
	c.run.mapper.kill()
}

// clean removes everything that Run or Create made, in whatever state it is.
func (c *Container) clean() error {
	r := &c.run
	var first error
	if r.pid != 0 {
		c.kill()
		var info siginfo
		for waitid(r.pidfd, &info) == unix.EINTR {
		}
		r.pid = 0
	}
	closeFD(&r.pidfd)
	r.releaseScope()
	if r.cgroup != nil {
		// Without a pid namespace of its own, processes may have outlived the first one.
		r.cgroup.Kill()
		if err := r.cgroup.Remove(); err != nil {
			first = cgroupError(err, c.Program.CgroupPath)
		}
		r.cgroup = nil
		if s := c.Program.Scope; s != nil && first == nil {
			stopScope(s.Bus, s.Unit.Name)
		}
	}
	if r.state != nil && first == nil {
		first = r.state.release()
		r.state = nil
	}
	return first
}

// stale removes what a killed process left of a container: its processes and its cgroup.
func (c *Container) stale(path string) error {
	err := removeCgroup(lookCgroups(), path) // in all hierarchies: it need not have been in those of this Program
	if s := c.Program.Scope; s != nil && path == c.Program.CgroupPath && err == nil {
		stopScope(s.Bus, s.Unit.Name)
	}
	return err
}

// exit reads a siginfo of waitid(2).
func (i *siginfo) exit() Exit {
	const cldExited = 1
	if i.code == cldExited {
		return Exit{Code: int(i.status)}
	}
	return Exit{Code: 128 + int(i.status), Signal: int(i.status)}
}

// waitStatus is a siginfo of waitid(2) as wait4(2) would say it.
func (i *siginfo) waitStatus() unix.WaitStatus {
	if e := i.exit(); e.Signal == 0 {
		return unix.WaitStatus(e.Code << 8)
	}
	return unix.WaitStatus(i.status)
}

func errnoOrNil(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}
