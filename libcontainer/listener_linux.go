package libcontainer

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// listening is the way of a seccomp listener, from the child to who decides: two connected sockets.
type listening struct{ from, to int }

func (l *listening) close() {
	closeFD(&l.from)
	closeFD(&l.to)
}

// findListener connects to who decides on the process's system calls, with the rights of the moment and before
// anything is made. For a container that is created that is Start's: here it is enough that there is a socket. The
// specification wants one state for each connection, and who waits for it may have no time for others meanwhile.
func (c *Container) findListener() error {
	l := c.Program.Listener
	if l == nil {
		return nil
	}
	var err error
	var hint string
	if c.Program.Mode == ModeCreate {
		var fd int
		if fd, err = openSocket(l.Path); err == nil {
			unix.Close(fd)
		}
	} else {
		c.run.listener.to, hint, err = connectStream(l.Path)
	}
	if err != nil {
		return listenerError("connect to the seccomp listener "+l.Path, err, hint)
	}
	return nil
}

func listenerError(op string, err error, hint string) error {
	return &OpError{PhaseCompiled, -1, op, pointerListener, errnoOf(err), hint}
}

// openListener makes the socket on which the child hands the listener over. It is a pair with this process's, or one
// of the state directory, for Start to find.
func (r *running) openListener(m Mode) (int, error) {
	if m != ModeCreate {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		r.listener.from = fds[0]
		return fds[1], nil
	}
	name := r.state.id + "/seccomp"
	if err := unix.Unlinkat(r.state.root, name, 0); err != nil && err != unix.ENOENT { // of a dead owner
		return -1, err
	}
	return r.state.socket("seccomp", func(fd int, at *unix.SockaddrUnix) error {
		if err := unix.Bind(fd, at); err != nil {
			return err
		}
		return unix.Listen(fd, 1)
	})
}

// socket makes a stream socket and does something with it and the address of a name in the directory.
func (s *stateDir) socket(name string, do func(fd int, at *unix.SockaddrUnix) error) (int, error) {
	dir, err := unix.Openat(s.root, s.id, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// An address has room for 107 bytes (unix(7)), and the directory's path may be longer.
	if err := do(fd, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// passListener takes the listener from the child, which has got its filter, and sends it on. Without one, the child
// has ended, and the report says why.
func (c *Container) passListener(status specs.ContainerState) error {
	if c.Program.Listener == nil {
		return nil
	}
	for i := range c.Program.Inputs {
		if c.Program.Inputs[i].Kind == InputListener {
			closeFD(&c.run.inputs[i]) // the child's end
		}
	}
	pid := c.run.pid
	if c.Program.Mode == ModeExec {
		pid = c.run.record.Pid
	}
	return c.sendListener(c.Program.Listener, c.hookState(status, pid))
}

// sendListener takes the listener from the child and sends it on, with the state of the container.
func (c *Container) sendListener(l *Listener, state string) error {
	r := &c.run
	defer r.listener.close()
	c.pollStart(r.listener.from)
	control := make([]byte, unix.CmsgSpace(4))
	var text [16]byte
	n, used, _, _, err := unix.Recvmsg(r.listener.from, text[:], control, unix.MSG_CMSG_CLOEXEC)
	if n <= 0 || err != nil {
		return nil
	}
	defer closeRights(control[:used])
	rest := []byte(l.json(r.pid, state))
	for len(rest) > 0 {
		n, err := unix.SendmsgN(r.listener.to, rest, control[:used], nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			c.kill()
			return listenerError("send the listener of the seccomp filter to "+l.Path, err, "")
		}
		rest, used = rest[n:], 0
	}
	return nil
}

// closeRights closes descriptors that came with a message.
func closeRights(control []byte) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// findStartListener is findListener for Start.
func (c *Container) findStartListener() error {
	spec, err := c.Spec()
	if err != nil {
		return err
	}
	l := listenerOf(spec)
	if l == nil {
		return nil
	}
	var hint string
	if c.run.listener.to, hint, err = connectStream(l.Path); err != nil {
		return listenerError("connect to the seccomp listener "+l.Path, err, hint)
	}
	return nil
}

// passStartListener is passListener for Start, which comes to the child by a socket of the state directory.
func (c *Container) passStartListener(s *stateDir) error {
	if c.run.listener.to < 0 {
		return nil
	}
	var err error
	if c.run.listener.from, err = s.socket("seccomp", func(fd int, at *unix.SockaddrUnix) error { return unix.Connect(fd, at) }); err == unix.ECONNREFUSED {
		if c.alive() {
			// Another Start has been there, and has died before it was done. The process has no way to drop its own copy of
			// the listener but execve: if that is what is to be decided on, it waits until it is killed.
			return ErrStarted
		}
		return nil // the report says why
	} else if err != nil {
		return stateError("connect to "+c.ID+"/seccomp", err)
	}
	spec, err := c.Spec()
	if err != nil {
		return err
	}
	return c.sendListener(listenerOf(spec), c.hookState(specs.StateCreated, c.run.pid))
}
