package console

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Pair makes two sockets that are connected: ours for Receive, theirs for libcontainer.Container.Console, to be closed
// once the container is started.
func Pair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "console"), os.NewFile(uintptr(fds[1]), "console"), nil
}

// Receive takes the master from our end of a Pair. It does not wait: the master was sent before the container's
// program began.
func Receive(ours *os.File) (*os.File, error) {
	fail := func(err error) (*os.File, error) {
		return nil, errors.New("receive the container's terminal: " + err.Error())
	}
	var name [64]byte
	control := make([]byte, unix.CmsgSpace(4))
	_, n, flags, _, err := unix.Recvmsg(int(ours.Fd()), name[:], control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return fail(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return fail(err)
	}
	var all []int
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		all = append(all, fds...)
	}
	if len(all) == 1 && flags&unix.MSG_CTRUNC == 0 {
		// Only a master has a number to ask for (ioctl_tty(2)).
		if _, err = unix.IoctlGetInt(all[0], unix.TIOCGPTN); err == nil {
			return os.NewFile(uintptr(all[0]), "terminal"), nil
		}
	} else {
		err = errors.New("not one descriptor came")
	}
	for _, fd := range all {
		unix.Close(fd)
	}
	return fail(err)
}
