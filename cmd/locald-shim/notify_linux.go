package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Where a container finds the socket on which it says that it is ready (sd_notify(3)), as with runc.
const notifyDir, notifyName = "/run/notify", "notify.sock"

// wantsNotify says whether the container is to have such a socket: when this program has one, which a set-user-ID
// program never has, its environment being empty, and config.json names no other.
func (v *verb) wantsNotify(spec *specs.Spec) bool {
	if os.Getenv("NOTIFY_SOCKET") == "" || spec.Process == nil {
		return false
	}
	if slices.ContainsFunc(spec.Process.Env, func(e string) bool { return strings.HasPrefix(e, "NOTIFY_SOCKET=") }) {
		return false
	}
	if spec.Linux == nil || !slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.MountNamespace }) {
		v.log.line("warning", "NOTIFY_SOCKET is not handed on: a container without a mount namespace has no place for it")
		return false
	}
	return true
}

// tellNotify mounts the directory of the socket. start makes the socket there; create, which cannot wait for what a
// container says, does not.
func (v *verb) tellNotify(spec *specs.Spec) error {
	if v.notify = v.wantsNotify(spec); !v.notify {
		return nil
	}
	dir := v.stateDir
	if !strings.HasPrefix(dir, "/") {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		dir = here + "/" + dir
	}
	env, mounts := spec.Process.Env, spec.Mounts
	spec.Process.Env = append(env[:len(env):len(env)], "NOTIFY_SOCKET="+notifyDir+"/"+notifyName)
	spec.Mounts = append(mounts[:len(mounts):len(mounts)], specs.Mount{Destination: notifyDir, Type: "bind", Source: dir + "/" + v.args[0] + "/notify",
		Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"}})
	return nil
}

// starts starts a container that was created. When it has a socket to say that it is ready on, and this program has
// one to hand that on to, it waits until that was said or the container has ended; with wait false, in the background.
func (v *verb) starts(c *libcontainer.Container, wait bool) error {
	to := os.Getenv("NOTIFY_SOCKET")
	if to == "" {
		return c.Start()
	}
	from, err := v.listenNotify()
	if err != nil {
		return &os.PathError{Op: "make the socket of", Path: v.args[0], Err: err}
	}
	if err := c.Start(); err != nil || from < 0 {
		unix.Close(from)
		return err
	}
	pid := c.Pid()
	pidfd, err := unix.FcntlInt(uintptr(c.FD()), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		unix.Close(from)
		return os.NewSyscallError("dup", err)
	}
	pass := func() {
		if awaitReady(from, pidfd) {
			if err := sendReady(to, pid); err != nil {
				v.warn(&os.PathError{Op: "notify", Path: to, Err: err})
			}
		}
		unix.Close(from)
		unix.Close(pidfd)
	}
	if wait {
		pass()
	} else {
		go pass()
	}
	return nil
}

// listenNotify makes the socket; -1 for a container that has no place for it. What a start that was killed has left is
// replaced.
func (v *verb) listenNotify() (int, error) {
	dir, err := unix.Open(v.stateDir+"/"+v.args[0]+"/notify", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	if err := unix.Unlinkat(dir, notifyName, 0); err != nil && err != unix.ENOENT {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	mask := unix.Umask(0) // the container's users are not this one
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + notifyName})
	unix.Umask(mask)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// awaitReady waits until the container has said that it is ready; false when it has ended. Descriptors that come along
// are closed, which is what the sender of one waits for (sd_notify_barrier(3)).
func awaitReady(from, pidfd int) bool {
	text, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*64))
	for {
		fds := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return false
		}
		if fds[0].Revents == 0 {
			return false
		}
		n, used, _, _, err := unix.Recvmsg(from, text, control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		} else if err != nil {
			return false
		}
		closeReceived(control[:used])
		if slices.Contains(strings.Split(string(text[:n]), "\n"), "READY=1") {
			return true
		}
	}
}

// closeReceived closes descriptors that came with a message.
func closeReceived(control []byte) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// sendReady says that the container is ready, and which process it is. Nothing else that a container says goes out.
func sendReady(to string, pid int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("MAINPID="+strconv.Itoa(pid)+"\nREADY=1\n"), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: to})
}
