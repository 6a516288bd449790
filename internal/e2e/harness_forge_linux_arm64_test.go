package e2e

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// forge makes the kernel leave a system call out at its beginning, with result 0, and gives it its result at its end.
// Here the number of the call is a register set of its own (NT_ARM_SYSTEM_CALL, linux/elf.h).
func forge(pid, result int) {
	if result == 0 {
		none := int32(-1)
		v := unix.Iovec{Base: (*byte)(unsafe.Pointer(&none)), Len: 4}
		unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(pid), 0x404, uintptr(unsafe.Pointer(&v)), 0, 0)
		return
	}
	var regs unix.PtraceRegs
	v := unix.Iovec{Base: (*byte)(unsafe.Pointer(&regs)), Len: uint64(unsafe.Sizeof(regs))}
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(pid), 1, uintptr(unsafe.Pointer(&v)), 0, 0); e != 0 {
		return // killed meanwhile
	}
	regs.Regs[0] = uint64(result)
	unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(pid), 1, uintptr(unsafe.Pointer(&v)), 0, 0)
}
