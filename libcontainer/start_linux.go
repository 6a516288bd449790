package libcontainer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Start lets a created container execute its program, and waits until it has. Of two Starts one gets ErrStarted.
// Errors: ErrStarted, ErrEnded, ErrInUse when another process is at work on the container, *OpError.
func (c *Container) Start() error {
	s, err := lookup(c.StateDir, c.ID)
	if err != nil {
		return err
	}
	defer s.drop()
	if again, err := s.take(0); err != nil {
		return err
	} else if again {
		return ErrNotExist
	}
	if !c.alive() {
		return ErrEnded
	}
	start, err := s.openStart()
	if err == unix.ENXIO || err == unix.ENOENT {
		return ErrStarted
	}
	if err != nil {
		return stateError("open "+c.ID+"/start", err)
	}
	defer unix.Close(start)
	report, err := s.reader("report")
	if err != nil {
		return stateError("open "+c.ID+"/report", err)
	}
	if c.run.hookErrors, err = s.reader("hooks"); err != nil {
		c.run.hookErrors = -1 // there are no hooks, or what they say goes to a file
	}
	defer closeFD(&c.run.hookErrors)
	defer c.run.listener.close()
	if err = c.findStartListener(); err != nil {
		unix.Close(report)
		return err
	}
	if _, err = unix.Write(start, []byte{1}); err != nil {
		unix.Close(report)
		return stateError("write "+c.ID+"/start", err)
	}
	c.run.report[0] = report
	defer closeFD(&c.run.report[0])
	hooks := c.hooks()
	if err = c.judgeHooks(hooks, start); err == nil {
		err = c.passStartListener(s)
	}
	if err == nil {
		err = c.awaitStart(s)
	}
	if err == nil {
		err = c.runHooks(hooks, HookPoststart)
	}
	if err != nil && err != ErrStarted {
		c.end()
	}
	return err
}

// judgeHooks sees the hooks of startContainer through, which the child runs: it lets the child go on after each.
func (c *Container) judgeHooks(hooks []Hook, start int) error {
	for i := range hooks {
		if hooks[i].Kind != HookStartContainer {
			continue
		}
		w := newHookWatch(&hooks[i], c.run.hookErrors)
		switch c.watchHook(w, c.run.report[0]) {
		case hookLate:
			return w.late()
		case hookStopped:
			return c.lost()
		}
		f := readFailure(c.run.report[0])
		if f == nil {
			return c.lost()
		}
		if f.Failed != recordHook || int(f.Index) != i {
			return &OpError{PhaseCreated, int(f.Index), "execute the hook " + hooks[i].Path, hooks[i].Pointer(), syscall.Errno(f.Errno), ""}
		}
		if err := w.ended(unix.WaitStatus(f.Errno)); err != nil {
			return err
		}
		if _, err := unix.Write(start, []byte{1}); err != nil {
			return stateError("write "+c.ID+"/start", err)
		}
	}
	return nil
}

// awaitStart reads how it went: an end of the pipe when the program was executed or the container was killed.
func (c *Container) awaitStart(s *stateDir) error {
	f := c.readRecord()
	for _, name := range [...]string{"/start", "/report", "/seccomp", "/hooks"} {
		unix.Unlinkat(s.root, s.id+name, 0) // Status looks for a reader, not for the name
	}
	if f == nil {
		return nil
	}
	// The Program may be another process's. After the wait it does nothing but execute.
	e := syscall.Errno(f.Errno)
	spec, err := c.Spec()
	if err != nil {
		return err
	}
	if spec.Process == nil || len(spec.Process.Args) == 0 {
		return &OpError{PhaseCreated, int(f.Index), "start a container whose config.json has no process", "/process", e, ""}
	}
	program := spec.Process.Args[0]
	return &OpError{PhaseCreated, int(f.Index), "execute " + program, "/process/args/0", e, hintFor("execve", e)}
}
