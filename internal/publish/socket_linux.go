package publish

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// sockets makes n stream sockets in the network namespace of the process that pidfd names. A socket belongs to the
// namespace in which it was made, whoever connects it.
//
// A process with more than one thread joins no user namespace (setns(2)), and this one has many. So a child does it,
// which shares the table of descriptors: it joins, makes the sockets where null devices were, and ends. It executes
// nothing, no process of the container can see it, and the network needs no right of root's: the caller owns the
// container's user namespace.
func sockets(pidfd, domain, n int) ([]int, error) {
	flags, err := joins(pidfd)
	if err != nil {
		return nil, err
	}
	places := make([]int, 0, n)
	for range n {
		fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			closeAll(places)
			return nil, err
		}
		places = append(places, fd)
	}
	pid, errno := fork(pidfd, flags, domain, places)
	if errno != 0 {
		closeAll(places)
		return nil, os.NewSyscallError("clone", errno)
	}
	var status unix.WaitStatus
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Wait4(pid, &status, unix.WALL, nil)
	}
	switch {
	case err != nil:
	case !status.Exited():
		err = unix.EIO
	case status.ExitStatus() != 0:
		err = os.NewSyscallError("setns", syscall.Errno(status.ExitStatus()))
	}
	if err != nil {
		closeAll(places)
		return nil, err
	}
	return places, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// fork makes the child. It ends with 0 or the number of the error. What runs in it between clone(2) and exit is raw
// system calls and nothing that could grow the stack or wait for another thread, of which the child has none; no signal
// handler runs, because all signals are blocked meanwhile, and its end sends none.
func fork(pidfd, flags, domain int, places []int) (pid int, errno syscall.Errno) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err.(syscall.Errno)
	}
	child, errno := forkChild(uintptr(pidfd), uintptr(flags), uintptr(domain), places)
	unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return int(child), errno
}

//go:noinline
//go:norace
func forkChild(pidfd, flags, domain uintptr, places []int) (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_FILES, 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	if flags != 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_SETNS, pidfd, flags, 0)
	}
	for i := 0; i < len(places) && errno == 0; i++ {
		var fd uintptr
		fd, _, errno = syscall.RawSyscall(unix.SYS_SOCKET, domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if errno == 0 {
			_, _, errno = syscall.RawSyscall(unix.SYS_DUP3, fd, uintptr(places[i]), unix.O_CLOEXEC)
			syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		}
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	}
}

// joins are the namespaces of the process that are not this one's own: who is in a user namespace cannot join it again.
func joins(pidfd int) (flags int, err error) {
	pid, err := pidOf(pidfd)
	if err != nil {
		return 0, err
	}
	for _, n := range []struct {
		name string
		flag int
	}{{"user", unix.CLONE_NEWUSER}, {"net", unix.CLONE_NEWNET}} {
		its, err := os.Readlink("/proc/" + pid + "/ns/" + n.name)
		if err != nil {
			return 0, err
		}
		own, err := os.Readlink("/proc/self/ns/" + n.name)
		if err != nil {
			return 0, err
		}
		if its != own {
			flags |= n.flag
		}
	}
	return flags, nil
}

// pidOf reads the pid of a pidfd. It is -1 for a process that has ended (proc_pid_fdinfo(5)).
func pidOf(pidfd int) (string, error) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if pid, ok := strings.CutPrefix(line, "Pid:"); ok && strings.TrimSpace(pid) != "-1" {
			return strings.TrimSpace(pid), nil
		}
	}
	return "", unix.ESRCH
}
