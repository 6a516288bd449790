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
	report, err := unix.Openat(s.root, s.id+"/report", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return stateError("open "+c.ID+"/report", err)
	}
	if _, err = unix.Write(start, []byte{1}); err != nil {
		unix.Close(report)
		return stateError("write "+c.ID+"/start", err)
	}
	c.run.report[0] = report
	return c.awaitStart(s)
}

// awaitStart reads how it went: an end of the pipe when the program was executed or the container was killed.
func (c *Container) awaitStart(s *stateDir) error {
	defer closeFD(&c.run.report[0])
	f := c.readRecord()
	for _, name := range [...]string{"/start", "/report"} {
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
