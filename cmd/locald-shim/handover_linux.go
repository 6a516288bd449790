package main

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// activated are the descriptors from 3 on that systemd has opened for this program, and what the process of a
// container is told of them (sd_listen_fds(3)): they are the first that it gets. The environment of a set-user-ID
// program is empty by now, so that it has none.
func activated(c *command) (n int, env []string, err error) {
	if c.verb != "create" && c.verb != "run" || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return 0, nil, nil
	}
	text := os.Getenv("LISTEN_FDS")
	k, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, nil, errors.New("LISTEN_FDS " + quote(text) + " is not a number")
	}
	if env = []string{"LISTEN_FDS=" + text}; k == 0 {
		return 0, nil, nil
	}
	if names := os.Getenv("LISTEN_FDNAMES"); names != "" {
		env = append(env, "LISTEN_FDNAMES="+names)
	}
	return int(k), env, nil
}

// amend adds to a config.json what this program's environment asks for.
func (v *verb) amend(spec *specs.Spec) error {
	if err := v.tellActivated(spec); err != nil {
		return err
	}
	return v.tellNotify(spec)
}

// tellActivated gives the environment of a process what activated has found. Its own pid is known in a new pid
// namespace only, and by that it tells that the descriptors are meant for it.
func (v *verb) tellActivated(spec *specs.Spec) error {
	if len(v.listen) == 0 || spec.Process == nil {
		return nil
	}
	first := false
	if spec.Linux != nil {
		for _, n := range spec.Linux.Namespaces {
			first = first || n.Type == specs.PIDNamespace && n.Path == ""
		}
	}
	if !first {
		return &libcontainer.ProblemError{Problems: []libcontainer.Problem{{Pointer: "/linux/namespaces", Reason: "LISTEN_FDS needs a new pid namespace, in which the process knows that it is meant", Hint: "add one, or hand the descriptors on with --preserve-fds"}}}
	}
	env := spec.Process.Env
	spec.Process.Env = append(append(env[:len(env):len(env)], v.listen...), "LISTEN_PID=1")
	return nil
}

// connectPidfd connects to who wants the pidfd of the process; nil when nobody does.
func (v *verb) connectPidfd() (*os.File, error) {
	path := v.value("pidfd-socket")
	if path == "" {
		return nil, nil
	}
	return libcontainer.ConnectSocket(path, "connect to the pidfd socket")
}

// tell says which process was made: by its pid in a file, and by its pidfd over a socket.
func (v *verb) tell(c *libcontainer.Container, socket *os.File) error {
	if socket != nil {
		defer socket.Close()
		// Receivers take the text for the descriptor's name.
		if err := unix.Sendmsg(int(socket.Fd()), []byte("pidfd"), unix.UnixRights(c.FD()), nil, unix.MSG_NOSIGNAL); err != nil {
			var errno syscall.Errno
			errors.As(err, &errno)
			return &libcontainer.OpError{Phase: libcontainer.PhaseRunning, Index: -1, Op: "send the pidfd to " + socket.Name(), Err: errno}
		}
	}
	path := v.value("pid-file")
	if path == "" {
		return nil
	}
	return writePidFile(path, c.Pid())
}
