package container

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/console"
)

// makeTerminal creates the container and logs what comes out of its terminal. The terminal is this process's: when it
// goes, the container gets SIGHUP.
func (m *monitor) makeTerminal(null *os.File) (pid int, err error) {
	const name = "console"
	os.Remove(name)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	defer os.Remove(name)
	if err := unix.Listen(fd, 1); err != nil {
		return 0, os.NewSyscallError("listen", err)
	}
	if pid, err = m.create(null, null, null, "--console-socket", name); err != nil {
		return 0, err
	}
	one, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, os.NewSyscallError("accept4", err)
	}
	socket := os.NewFile(uintptr(one), name)
	defer socket.Close()
	master, err := console.Receive(socket)
	if err != nil {
		return 0, err
	}
	if err := unix.SetNonblock(int(master.Fd()), true); err != nil {
		return 0, err
	}
	// Anew, for the runtime's poller.
	fd, err = unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	master.Close()
	if err != nil {
		return 0, err
	}
	input, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return 0, err
	}
	m.audience.begin(input, false)
	terminal := os.NewFile(uintptr(fd), "terminal")
	m.pumps.Add(1)
	go func() {
		defer m.pumps.Done()
		defer terminal.Close()
		m.log.copy("stdout", terminal)
	}()
	return pid, nil
}
