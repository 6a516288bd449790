package libcontainer

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ConnectConsole connects to the socket at a path, with the rights that the process has now, for Container.Console.
// The socket is opened first: what is found to be a socket is what is connected to, and its path may be longer than the
// 107 bytes that an address takes (unix(7)). An error is an *OpError. It does not wait for a listener that has no room.
func ConnectConsole(path string) (*os.File, error) {
	fd, hint, err := connectStream(path)
	if err != nil {
		return nil, &OpError{PhaseCompiled, -1, "connect to the console socket " + path, "/process/terminal", errnoOf(err), hint}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// ConnectSocket is ConnectConsole for a socket that something else than the terminal goes to. op says what, for an error.
func ConnectSocket(path, op string) (*os.File, error) {
	fd, hint, err := connectStream(path)
	if err != nil {
		return nil, &OpError{PhaseCompiled, -1, op + " " + path, "", errnoOf(err), hint}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openSocket opens a file that has to be a socket, to be connected to.
func openSocket(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		err = unix.ENOTSOCK
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// connectStream connects to the stream socket at a path. An error comes with a hint.
func connectStream(path string) (fd int, hint string, err error) {
	file, err := openSocket(path)
	if err == unix.ENOTSOCK {
		hint = "name a socket that somebody listens on"
	}
	if err != nil {
		return -1, hint, err
	}
	defer unix.Close(file)
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return -1, "", err
	}
	if err = unix.Connect(fd, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(file)}); err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return -1, socketHint(errnoOf(err)), err
	}
	return fd, "", nil
}

func socketHint(e syscall.Errno) string {
	switch e {
	case unix.ECONNREFUSED:
		return "nobody listens on it"
	case unix.EPROTOTYPE:
		return "it is not a stream socket"
	}
	return ""
}

// checkConsole: a terminal without a socket would be nobody's, and a socket without a terminal would wait for ever.
func (c *Container) checkConsole() error {
	wanted := false
	for i := range c.Program.Inputs {
		wanted = wanted || c.Program.Inputs[i].Kind == InputConsole
	}
	switch {
	case wanted && c.Console == nil:
		return &ProblemError{[]Problem{{"/process/terminal", "a terminal needs a socket to send it to", "give a console socket, or set terminal to false"}}}
	case !wanted && c.Console != nil:
		return &ProblemError{[]Problem{{"/process/terminal", "there is no terminal to send to the console socket", "set terminal to true, or give no console socket"}}}
	case !wanted:
		return nil
	}
	domain, err := unix.GetsockoptInt(int(c.Console.Fd()), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err == nil && domain != unix.AF_UNIX {
		err = unix.EAFNOSUPPORT
	}
	if err != nil {
		return &OpError{PhaseCompiled, -1, "send the terminal to the console socket", "/process/terminal", errnoOf(err), "it has to be a connected AF_UNIX socket"}
	}
	return nil
}
