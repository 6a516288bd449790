package libcontainer

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// siginfo is siginfo_t as waitid(2) fills it, on 64-bit systems: 128 bytes.
type siginfo struct {
	signo, errno, code, _ int32
	pid                   int32
	uid                   uint32
	status                int32
	_                     [100]byte
}

// waitid waits for a child by its pidfd and reaps it.
func waitid(pidfd int, info *siginfo) error {
	const pPIDFD = 3
	_, _, e := syscall.Syscall6(unix.SYS_WAITID, pPIDFD, uintptr(pidfd), uintptr(unsafe.Pointer(info)), unix.WEXITED, 0, 0)
	return errnoOrNil(e)
}
