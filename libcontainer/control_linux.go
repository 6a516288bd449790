package libcontainer

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

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

// Kill sends a signal to the first process; SIGKILL goes to everything in a container that has no pid namespace of
// its own.
func (c *Container) Kill(sig int) error {
	if !c.alive() {
		return ErrStopped
	}
	if unix.Signal(sig) == unix.SIGKILL && !c.ownPIDs() {
		return c.KillAll(sig)
	}
	if err := c.Signal(sig); err != nil {
		if err == unix.ESRCH {
			return ErrStopped
		}
		return &OpError{PhaseRunning, -1, "send signal " + itoa(sig), "", errnoOf(err), ""}
	}
	return nil
}

// KillAll sends a signal to every process of the container: those in its cgroup, also when its first process has
// ended. Without a cgroup it is the first process alone, whose death ends a pid namespace.
func (c *Container) KillAll(sig int) error {
	cg := c.openCgroup()
	if cg == nil {
		return c.Signal(sig)
	}
	defer cg.Close()
	return cg.Signal(sig)
}

// ownPIDs says whether the container has a pid namespace of its own, which ends with its first process.
func (c *Container) ownPIDs() bool {
	spec, err := c.Spec()
	if err != nil || spec.Linux == nil {
		return false
	}
	for _, n := range spec.Linux.Namespaces {
		if n.Type == specs.PIDNamespace {
			return n.Path == ""
		}
	}
	return false
}

// Pause freezes all processes of the container.
func (c *Container) Pause() error { return c.withCgroup((*Cgroup).Pause) }

// Resume lets a paused container go on.
func (c *Container) Resume() error { return c.withCgroup((*Cgroup).Resume) }

// withCgroup is for what is done to the cgroup of a container that has not ended.
func (c *Container) withCgroup(do func(*Cgroup) error) error {
	cg, err := c.Cgroup()
	if err != nil {
		return err
	}
	defer cg.Close()
	return do(cg)
}

// Processes are the pids of all processes of the container, as this process sees them, sorted.
func (c *Container) Processes() ([]int, error) {
	cg := c.openCgroup()
	if cg == nil {
		if c.alive() {
			return []int{c.run.pid}, nil
		}
		return nil, nil
	}
	defer cg.Close()
	return cg.Processes()
}

// Update changes the limits of the container, of which it must have a cgroup: see Cgroup.Update.
func (c *Container) Update(res *specs.LinuxResources, devices bool) error {
	return c.withCgroup(func(cg *Cgroup) error { return cg.Update(res, devices) })
}

// Cgroup opens the cgroup of a container that has not ended. Errors: ErrStopped, *OpError when it has none.
func (c *Container) Cgroup() (*Cgroup, error) {
	if !c.alive() {
		return nil, ErrStopped
	}
	cg := c.openCgroup()
	if cg == nil {
		return nil, &OpError{PhaseRunning, -1, "find the cgroup of the container", "/linux/cgroupsPath", unix.ENOENT, "it has none of its own"}
	}
	return cg, nil
}
