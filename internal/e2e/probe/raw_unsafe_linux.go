package probe

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tiocsti simulates one byte of terminal input (TIOCSTI, ioctl_tty(2)).
func tiocsti(fd int, b *byte) error {
	if _, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(b))); e != 0 {
		return e
	}
	return nil
}

// defaultAction takes away whatever handler the Go runtime has for a signal: struct sigaction of zeros is SIG_DFL.
func defaultAction(s syscall.Signal) error {
	var none [64]byte
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0); e != 0 {
		return e
	}
	return nil
}

// allocate touches every page of n MiB.
func allocate(n int) error {
	b, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return unix.Munmap(b)
}

// forkMany makes up to n children, that do nothing, until the kernel refuses one, and ends them all. It uses
// raw calls from the first child to the last: where no process may be made, no thread may either, and
// the Go runtime does not survive that.
func forkMany(n int) (made int, refused error) {
	n = min(n, 40)
	var pids [40]uintptr
	var failed syscall.Errno
	for made < n && failed == 0 {
		var pid uintptr
		pid, failed = forkOne()
		if failed == 0 {
			pids[made] = pid
			made++
		}
	}
	for _, pid := range pids[:made] {
		syscall.RawSyscall(unix.SYS_KILL, pid, uintptr(unix.SIGKILL), 0)
		syscall.RawSyscall6(unix.SYS_WAIT4, pid, 0, 0, 0, 0, 0)
	}
	if failed != 0 {
		return made, failed
	}
	return made, nil
}

// forkOne makes a child that sleeps. The child runs no Go code beyond this function.
//
//go:nosplit
//go:norace
func forkOne() (uintptr, syscall.Errno) {
	pid, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		return pid, e
	}
	for {
		syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 8, 0)
	}
}
