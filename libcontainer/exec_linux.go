package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/cgroup"
	"golang.org/x/sys/unix"
)

// Exec runs a Program of CompileExec in a container that Load found: one more process in its namespaces and its
// cgroup. From here on Pid, Signal and Wait are about that process. It lives on when this process ends, once Exec has
// returned. Errors: ErrStopped, ErrPaused, *OpError, or an error of AroundClone or AtGate.
func (c *Container) Exec() error {
	if !c.alive() {
		return ErrStopped
	}
	if c.frozen() {
		return ErrPaused
	}
	if err := c.checkConsole(); err != nil {
		return err
	}
	closeFD(&c.run.pidfd)
	c.run = running{record: c.run.record, pidfd: -1, gate: -1, report: [2]int{-1, -1}, hookErrors: -1}
	err := c.execs()
	c.closeInputs()
	c.run.closeCgroup() // it is the container's
	c.run.image = nil
	if err != nil {
		c.clean()
	}
	return err
}

func (c *Container) execs() error {
	if path := c.Program.CgroupPath; path != "" {
		cg, err := cgroup.Open(c.Program.Cgroups, path)
		if err != nil {
			return cgroupError(err, path)
		}
		c.run.cgroup = cg
	}
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.awaitExec(); err != nil {
		return err
	}
	c.observe(PhaseRunning)
	return nil
}

// FD is a pidfd of the process that this Container is about: it can be read (POLLIN) once that has ended. -1 for one
// that had ended before.
func (c *Container) FD() int { return c.run.pidfd }

// Signal sends a signal to the process that this Container is about: the first one, or that of Exec. It uses a
// pidfd: it never reaches another process. A first process in a pid namespace of its own ignores signals that it has
// no handler for, other than SIGKILL and SIGSTOP (pid_namespaces(7)).
func (c *Container) Signal(sig int) error {
	if c.run.pidfd < 0 {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(c.run.pidfd, unix.Signal(sig), nil, 0)
}
