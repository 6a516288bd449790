package libcontainer

import (
	"encoding/binary"
	"unsafe"

	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// image is a Program laid out for the child: ops with addresses in place of names. Everything that an
// address points to lies in memory, which must be kept alive until the child has executed or failed.
type image struct {
	ops    []rawOp
	slots  []uintptr
	memory []byte
	stack  []byte
	layer  int       // number of the first overlay layer
	ended  []uintptr // records of the ends of hooks, by index of Program.Hooks
	closes []int32   // descriptors that the child closes first; -1 is none
	pidfd  int32     // here and not on a stack, which may move
}

const childStack = 32 << 10

// link lays p out. fds are the descriptors of p.Inputs.
func (p *Program) link(fds []int) *image {
	im := &image{ops: make([]rawOp, len(p.Ops)), slots: make([]uintptr, p.Slots+1), memory: make([]byte, 128, p.memorySize())}
	// Layers get numbers above every descriptor that there is and that the Program opens.
	im.layer = p.Slots + 64
	for _, fd := range fds {
		im.layer = max(im.layer, fd+p.Slots+64)
	}
	lists := make([]uintptr, len(p.lists))
	for i, l := range p.lists {
		lists[i] = im.list(l)
	}
	for i := range im.slots {
		im.slots[i] = ^uintptr(0)
	}
	for i := range p.Hooks {
		im.ended = append(im.ended, im.put(le32(recordHook, uint32(i), 0)))
	}
	for i := range p.Ops {
		o, r := &p.Ops[i], &im.ops[i]
		r.number, r.out, r.exact, r.want, r.child = sys.Numbers[o.Call], int16(o.Slot), o.exact, o.want, uint32(o.child)
		for k, e := range o.Tolerate {
			r.tolerate[k] = uint16(e)
		}
		for k, a := range o.Args {
			r.args[k] = im.arg(a, fds, lists)
			if a.kind == argSlot {
				r.slots |= 1 << k
			}
		}
	}
	if p.ShareVM {
		im.stack = make([]byte, childStack)
	}
	return im
}

// memorySize is how much memory the arguments take.
func (p *Program) memorySize() int {
	size := 128 + 16*len(p.Hooks)
	for i := range p.Ops {
		for _, a := range p.Ops[i].Args {
			size += (len(a.s) + 8) &^ 7
			if a.kind == argIDMap {
				size += 8
			}
			switch a.kind {
			case argMessage:
				size += messageSize
			case argFilter:
				size += fprogSize
			}
			if a.kind == argLayers {
				size += int(a.n&0xffff) * (len(a.s) + 8)
			}
		}
	}
	for _, l := range p.lists {
		size += 8 * (len(l) + 1)
		for _, s := range l {
			size += (len(s) + 8) &^ 7
		}
	}
	for _, in := range p.Inputs {
		if in.Kind == InputParent {
			size += 8
		}
	}
	return size
}

// arg is the register for an argument.
func (im *image) arg(a Arg, fds []int, lists []uintptr) uintptr {
	switch a.kind {
	case argString:
		return im.put(a.s)
	case argBytes:
		return im.put(a.s)
	case argInput:
		return uintptr(fds[a.n])
	case argBelow:
		return uintptr(fds[a.n] - 1)
	case argAbove:
		return uintptr(fds[a.n] + 1)
	case argStrings:
		return lists[a.n]
	case argLayer:
		return uintptr(im.layer + int(a.n))
	case argLayers:
		return im.put(layerNames(a, func(n int) string { return itoa(im.layer + n) }))
	case argMessage:
		return im.message(a)
	case argFilter:
		return im.filter(a.s)
	case argScratch:
		return im.address(64)
	case argStatus:
		return im.ended[a.n] + 8
	case argEnded:
		return im.ended[a.n]
	case argIDMap:
		return im.put(a.s + le(uint64(fds[a.n])))
	case argZeros:
		return im.address(0)
	case argPollfd:
		return im.put(string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(fds[a.n])), unix.POLLIN)))
	}
	return uintptr(a.n)
}

// address is where an offset of memory lies. Memory has its full capacity from the start: it does not move.
func (im *image) address(offset int) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(im.memory))) + uintptr(offset)
}

// put appends s, a NUL and padding.
func (im *image) put(s string) uintptr {
	at := len(im.memory)
	im.memory = append(im.memory, s...)
	im.memory = im.memory[:at+(len(s)+8)&^7]
	return im.address(at)
}

const messageSize = 56 + 16 // struct msghdr and struct iovec

// message lays out what sendmsg(2) takes. The control message (cmsg(3)) lies in the slots, where the child finds
// its descriptor: a descriptor within a structure is no register that could be filled in.
func (im *image) message(a Arg) uintptr {
	const header, rights = 16, sys.SOL_SOCKET | sys.SCM_RIGHTS<<32
	im.slots[a.n-2], im.slots[a.n-1] = header+4, rights
	control := uint64(uintptr(unsafe.Pointer(&im.slots[a.n-2])))
	text := uint64(im.put(a.s))
	at := len(im.memory)
	im.memory = im.memory[:at+messageSize]
	for i, w := range [...]uint64{0, 0, uint64(im.address(at + 56)), 1, control, header + 8, 0, text, uint64(len(a.s))} {
		binary.LittleEndian.PutUint64(im.memory[at+8*i:], w)
	}
	return im.address(at)
}

const fprogSize = 16 // struct sock_fprog

// filter lays out what seccomp(2) takes.
func (im *image) filter(insns string) uintptr {
	program := uint64(im.put(insns))
	at := len(im.memory)
	im.memory = im.memory[:at+fprogSize]
	binary.LittleEndian.PutUint16(im.memory[at:], uint16(len(insns)/8))
	binary.LittleEndian.PutUint64(im.memory[at+8:], program)
	return im.address(at)
}

// list appends a NULL-terminated array of strings.
func (im *image) list(l []string) uintptr {
	at := len(im.memory)
	im.memory = im.memory[:at+8*(len(l)+1)]
	for i, s := range l {
		binary.LittleEndian.PutUint64(im.memory[at+8*i:], uint64(im.put(s)))
	}
	return im.address(at)
}

// start makes the child. cgroup is a descriptor to be born in, or -1.
func (im *image) start(p *Program, cgroup, report int) (pid, pidfd int, failed *childFailure, err error) {
	im.pidfd = -1
	state := &childState{ops: unsafe.SliceData(im.ops), n: len(im.ops), slots: unsafe.SliceData(im.slots), report: report, held: im.layer + p.held, closes: unsafe.SliceData(im.closes), nclose: len(im.closes)}
	args := &cloneArgs{flags: p.CloneFlags | sys.CLONE_PIDFD | sys.CLONE_CLEAR_SIGHAND, pidfd: uint64(uintptr(unsafe.Pointer(&im.pidfd))), exitSignal: uint64(unix.SIGCHLD)}
	if cgroup >= 0 {
		args.flags |= sys.CLONE_INTO_CGROUP
		args.cgroup = uint64(cgroup)
	}
	if p.ShareVM {
		args.flags |= sys.CLONE_VM | sys.CLONE_VFORK
		args.stack, args.stackSize = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(im.stack)))), childStack
	}
	pid, errno := forkChild(args, state)
	if errno != 0 {
		return 0, -1, nil, errno
	}
	if state.failed.Failed != 0 {
		failed = &state.failed
	}
	return pid, int(im.pidfd), failed, nil
}
