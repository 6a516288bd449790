package libcontainer

import (
	"time"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"golang.org/x/sys/unix"
)

// endWait bounds how long a killed process may take to end.
const endWait = 10 * time.Second

// Delete removes a container that Create made and everything that it left behind: processes, cgroup, state. One that
// has not ended is ErrRunning, unless force says to kill it. With force, a container that was only half made or half
// deleted goes too, and one that another process runs (Run) is killed, which makes that process remove it. warn,
// unless it is nil, is told of poststop hooks that failed.
//
// When it returns, no process is in the cgroup: the kernel takes one out once its memory, files and namespaces are given
// back (do_exit). Its pid may be seen for a moment longer, until its parent has waited for it.
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
	path, err := s.text()
	if err == nil {
		err = removeCgroup(lookCgroups(), path)
	}
	if err != nil {
		return stateError("remove what is left of "+id, err)
	}
	if c == nil {
		return s.release()
	}
	if err := stopScope(c.run.record.Bus, c.run.record.Scope); err != nil && warn != nil {
		warn(err)
	}
	hooks := c.hooks()
	if err := s.release(); err != nil {
		return err
	}
	c.Warn = warn
	c.poststop(hooks)
	return nil
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
		switch {
		case err == nil && !again:
			return nil
		case err != nil && (err != ErrInUse || !wait):
			return err
		case time.Now().After(deadline):
			return ErrInUse
		}
	}
}

// endLook is how long a killed process may take before end looks at the others.
const endLook = 100 // ms

// end kills everything in the container and waits for the end of its first process. In a pid namespace that waits for
// all others, and those of exec are waited for by their callers (pid_namespaces(7)): one that is stopped keeps it as
// long as it likes. A cgroup without processes says that all have ended.
func (c *Container) end() error {
	cg := c.openCgroup()
	if cg != nil {
		defer cg.Close()
		cg.Signal(int(unix.SIGKILL))
	}
	unix.PidfdSendSignal(c.run.pidfd, unix.SIGKILL, nil, 0)
	fds := []unix.PollFd{{Fd: int32(c.run.pidfd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(endWait); ; {
		n, err := unix.Poll(fds, endLook)
		if n > 0 || n == 0 && cg != nil && !cg.cgroup.Populated() {
			return nil
		}
		if err != nil && err != unix.EINTR || time.Now().After(deadline) {
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
	if e, ok := err.(*cgroup.Error); ok && (e.Err == unix.ENOENT || e.Err == unix.ENODEV) {
		return nil // it is gone already
	}
	if err != nil {
		return err // it may be there: who forgot it now would leave it for ever
	}
	cg.Kill()
	return cg.Remove()
}
