package libcontainer

import (
	"time"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// endWait bounds how long a killed process may take to end.
const endWait = 10 * time.Second

// Delete removes a container that Create made and everything that it left behind: processes, cgroup, state. One that
// has not ended is ErrRunning, unless force says to kill it. With force, a container that was only half made or half
// deleted goes too, and one that another process runs (Run) is killed, which makes that process remove it. warn, unless it is nil, is told of
// poststop hooks that failed.
func Delete(stateDir, id string, force bool, warn func(error)) error {
	if !ValidID(id) {
		return ErrNotExist
	}
	c, err := Load(stateDir, id)
	if err == nil {
		defer c.Close()
		if c.alive() {
			if !force {
				return ErrRunning
			}
			if err := c.end(); err != nil {
				return err
			}
		}
	} else if !force {
		return err
	} else {
		c = nil
	}
	s, err := lookup(stateDir, id)
	if err != nil {
		return err
	}
	defer s.drop()
	if err := s.acquire(force); err != nil {
		return err
	}
	if err := removeCgroup(lookCgroups(), s.text()); err != nil {
		return stateError("remove what is left of "+id, err)
	}
	if c == nil {
		return s.release()
	}
	hooks := c.hooks()
	if err := s.release(); err != nil {
		return err
	}
	c.Warn = warn
	c.poststop(hooks)
	return nil
}

// hooks are those of the container's config.json, for a process that has not compiled it.
func (c *Container) hooks() []Hook {
	spec, err := c.Spec()
	if err != nil || spec.Hooks == nil {
		return nil
	}
	return CompileHooks(spec, hookHost())
}

// acquire locks the directory. Where its holder is at its end, because it was killed or what it waited for was, it
// waits for that.
func (s *stateDir) acquire(wait bool) error {
	for deadline := time.Now().Add(endWait); ; time.Sleep(time.Millisecond) {
		var st unix.Stat_t
		if unix.Fstatat(s.root, s.id, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			return ErrNotExist
		}
		again, err := s.take(unix.O_CREAT)
		if err == nil && !again {
			return nil
		}
		if err != nil && err != ErrInUse || !wait || time.Now().After(deadline) {
			return err
		}
	}
}

// end kills everything in the container and waits for the end of its first process.
func (c *Container) end() error {
	cg := c.openCgroup()
	if cg != nil {
		defer cg.Close()
		cg.Signal(int(unix.SIGKILL))
	}
	unix.PidfdSendSignal(c.run.pidfd, unix.SIGKILL, nil, 0)
	fds := []unix.PollFd{{Fd: int32(c.run.pidfd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(endWait); ; {
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != unix.EINTR || time.Now().After(deadline) {
			return &OpError{PhaseExited, -1, "kill the container", "", unix.ETIMEDOUT, "its first process hangs in the kernel"}
		}
	}
}

// removeCgroup kills what is in a cgroup and removes it.
func removeCgroup(l cgroup.Layout, path string) error {
	if path == "" {
		return nil
	}
	cg, err := cgroup.Open(l, path)
	if err != nil {
		return nil // it is gone already
	}
	cg.Kill()
	return cg.Remove()
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

func (c *Container) frozen() bool {
	cg := c.openCgroup()
	if cg == nil {
		return false
	}
	defer cg.Close()
	return cg.Paused()
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
