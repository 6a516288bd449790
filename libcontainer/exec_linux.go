package libcontainer

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Exec runs a Program of CompileExec in a container that Load found: one more process in its namespaces and its
// cgroup. From here on Pid, Signal and Wait are about that process. It lives on when this process ends, once Exec has
// returned. Errors: ErrStopped, ErrPaused, *OpError, or an error of Privilege's.
func (c *Container) Exec() error {
	if !c.alive() {
		return ErrStopped
	}
	if !c.IgnorePaused && c.frozen() {
		return ErrPaused
	}
	if err := c.checkConsole(); err != nil {
		return err
	}
	var status specs.ContainerState
	if c.Program.Listener != nil {
		status = c.Status()
	}
	closeFD(&c.run.pidfd)
	rec := c.run.record
	c.run = newRunning()
	c.run.record = rec
	err := c.execs(status)
	var unsure error
	if err != nil {
		unsure = c.privilege().Renounce()
	}
	c.closeInputs()
	c.run.closeCgroup() // it is the container's
	c.run.image = nil
	if err != nil {
		c.clean()
	}
	if unsure != nil {
		return unsure
	}
	return err
}

func (c *Container) execs(status specs.ContainerState) error {
	if err := c.findListener(); err != nil {
		return err
	}
	if path := c.Program.CgroupPath; path != "" {
		if err := c.openExecCgroup(path); err != nil {
			return err
		}
	}
	if err := c.openNamespaces(); err != nil {
		return err
	}
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.passListener(status); err != nil {
		return err
	}
	if err := c.awaitExec(); err != nil {
		return err
	}
	c.observe(PhaseRunning)
	return nil
}
