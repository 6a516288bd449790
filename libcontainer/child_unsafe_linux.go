package libcontainer

//lint:file-ignore U1000 childMain is called in assembly, and the kernel reads every field of cloneArgs

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file is all the code that runs between clone3 and execve. It obeys the law of
// syscall.forkAndExecInChild: no allocation, no new stack, no lock, no other goroutine; only raw calls.

// rawOp is an Op as the child uses it.
type rawOp struct {
	number   uintptr
	args     [6]uintptr
	slots    uint8 // bit i: args[i] is a slot
	out      int16 // slot for the result, or -1
	exact    bool  // the result must be want
	want     uint8
	child    uint32 // index of the op at which a process that this op makes goes on; 0 when it makes none
	tolerate [4]uint16
}

// openat2Tries bounds the answer to EAGAIN, with which openat2(2) says that something was renamed while it
// made sure not to leave the root, and that it is to be called again.
const openat2Tries = 1000

// childState is what parent and child share (CLONE_VM) or the child inherits.
type childState struct {
	ops    *rawOp
	n      int
	slots  *uintptr
	report int    // pipe for the failure; -1 when memory is shared
	held   int    // what the pipe is called once report is closed, for a wait for Start
	closes *int32 // descriptors to close first
	nclose int
	failed childFailure
}

// childFailure says which op failed and how: errno, or 0 and a result that was not the exact one.
type childFailure struct {
	Failed uint32
	Index  uint32
	Errno  uint32
	Result uint32
}

// cloneArgs is struct clone_args (clone3(2)), version 2.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:noescape
func clone3(args *cloneArgs, size uintptr, state *childState) (result uintptr)

// forkChild blocks all signals, makes the child and lets signals through again in the parent. The child
// keeps them blocked until its Program empties the mask: a Go signal handler must not run in it.
//
//go:noinline
//go:norace
func forkChild(args *cloneArgs, state *childState) (pid int, err syscall.Errno) {
	runtimeBeforeFork()
	r := clone3(args, unsafe.Sizeof(*args), state)
	runtimeAfterFork()
	if int(r) < 0 {
		return 0, syscall.Errno(-int(r))
	}
	return int(r), 0
}

// childMain makes the system calls of the Program. It returns only when a seccomp filter keeps the child from
// exiting; it was called by an instruction behind which there is a trap.
//
//go:nosplit
//go:norace
//go:nocheckptr
func childMain(state *childState) {
	for i := 0; i < state.nclose; i++ {
		syscall.RawSyscall(unix.SYS_CLOSE, uintptr(*(*int32)(unsafe.Add(unsafe.Pointer(state.closes), uintptr(i)*4))), 0, 0)
	}
	for i := 0; i < state.n; i++ {
		op := (*rawOp)(unsafe.Add(unsafe.Pointer(state.ops), uintptr(i)*unsafe.Sizeof(rawOp{})))
		a0, a1, a2, a3 := op.args[0], op.args[1], op.args[2], op.args[3]
		if op.slots != 0 { // descriptors are among the first four arguments of every call
			if op.slots&1 != 0 {
				a0 = *slotAt(state, a0)
			}
			if op.slots&2 != 0 {
				a1 = *slotAt(state, a1)
			}
			if op.slots&4 != 0 {
				a2 = *slotAt(state, a2)
			}
			if op.slots&8 != 0 {
				a3 = *slotAt(state, a3)
			}
		}
		r, _, e := syscall.RawSyscall6(op.number, a0, a1, a2, a3, op.args[4], op.args[5])
		for tries := 0; e == unix.EAGAIN && op.number == unix.SYS_OPENAT2 && tries < openat2Tries; tries++ {
			r, _, e = syscall.RawSyscall6(op.number, a0, a1, a2, a3, op.args[4], op.args[5])
		}
		if e != 0 {
			t := uint16(e)
			if t != op.tolerate[0] && t != op.tolerate[1] && t != op.tolerate[2] && t != op.tolerate[3] {
				childFail(state, i, e, 0)
				return
			}
			r = ^uintptr(0)
		} else if op.exact && r != uintptr(op.want) {
			childFail(state, i, 0, r)
			return
		} else if op.child != 0 && r == 0 {
			i = int(op.child) - 1
			continue
		}
		if op.out >= 0 {
			*slotAt(state, uintptr(op.out)) = r
		}
	}
	childFail(state, state.n, 0, 0)
}

//go:nosplit
//go:norace
//go:nocheckptr
func slotAt(state *childState, i uintptr) *uintptr {
	return (*uintptr)(unsafe.Add(unsafe.Pointer(state.slots), i*unsafe.Sizeof(uintptr(0))))
}

// childFail reports and exits.
//
//go:nosplit
//go:norace
//go:nocheckptr
func childFail(state *childState, i int, e syscall.Errno, result uintptr) {
	state.failed.Failed, state.failed.Index = 1, uint32(i)
	state.failed.Errno, state.failed.Result = uint32(e), uint32(result)
	if state.report >= 0 {
		// The second number is a small one, and another descriptor's once it was closed.
		_, _, e := syscall.RawSyscall(unix.SYS_WRITE, uintptr(state.held), uintptr(unsafe.Pointer(&state.failed)), unsafe.Sizeof(state.failed))
		if e != 0 {
			syscall.RawSyscall(unix.SYS_WRITE, uintptr(state.report), uintptr(unsafe.Pointer(&state.failed)), unsafe.Sizeof(state.failed))
		}
	}
	syscall.RawSyscall(unix.SYS_EXIT_GROUP, 127, 0, 0)
}
