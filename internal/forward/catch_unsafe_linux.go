package forward

//lint:file-ignore U1000 the handler and its pipe are used in assembly

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pipe is the write end, as the handler finds it.
var pipe uintptr

// onSignal and restore are the handler and its return, in assembly. They are never called from Go.
func onSignal()
func restore()

// handlerAddress and restoreAddress are where they lie.
func handlerAddress() uintptr
func restoreAddress() uintptr

// sigaction is struct sigaction of the kernel (not the C library's).
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
	saRestorer = 0x04000000 // x86: the handler returns there
)

// Ignore ignores signals. A container resets them: execve(2) keeps what is ignored.
func Ignore(signals ...unix.Signal) error {
	const sigIgn = 1
	return set(&sigaction{handler: sigIgn, flags: saRestorer, restorer: restoreAddress()}, signals)
}

// Catch makes each of the signals a byte, its number, on the pipe whose read end is returned. Writing
// does not block: a signal that comes while 64 KiB of them are unread is lost. To be called once.
func Catch(signals ...unix.Signal) (fd int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETFL, unix.O_WRONLY|unix.O_NONBLOCK); err != nil {
		return -1, err
	}
	pipe = uintptr(fds[1])
	act := sigaction{handler: handlerAddress(), flags: saOnStack | saRestart | saRestorer, restorer: restoreAddress()}
	return fds[0], set(&act, signals)
}

func set(act *sigaction, signals []unix.Signal) error {
	for _, s := range signals {
		if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(act)), 0, 8, 0, 0); e != 0 {
			return e
		}
	}
	return nil
}
