package cgroup

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// progLoad and progAttach are the parts of union bpf_attr (linux/bpf.h) for the two commands, on a machine
// where a pointer has 64 bits. The kernel takes what is left out as zero.
type progLoad struct {
	kind        uint32
	count       uint32
	insns       *Insn
	licence     *byte
	logLevel    uint32
	logSize     uint32
	log         *byte
	kernVersion uint32
	flags       uint32
	name        [16]byte
}

type progAttach struct {
	target int32
	prog   int32
	kind   uint32
	flags  uint32
}

// loadDevices hands a device filter to the kernel, which checks it. insns is not empty.
func loadDevices(insns []Insn) (fd int, err error) {
	licence := []byte("Apache-2.0\x00") // it calls no function that is for GPL programs only
	attr := progLoad{
		kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(insns)), insns: &insns[0], licence: &licence[0],
		name: [16]byte{'l', 'o', 'c', 'a', 'l', 'd', '_', 'd', 'e', 'v', 'i', 'c', 'e', 's'},
	}
	for range 5 {
		n, _, e := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		switch e {
		case 0:
			return int(n), nil
		case unix.EAGAIN, unix.EINTR: // a signal came while the program was being checked
			err = e
		default:
			return -1, e
		}
	}
	return -1, err
}

// attachDevices puts a filter on a cgroup, beside those of its ancestors and before any that the
// container adds below: a request must pass all of them.
func attachDevices(cgroup, prog int) error {
	attr := progAttach{target: int32(cgroup), prog: int32(prog), kind: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI}
	return retry(func() error {
		_, _, e := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_ATTACH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if e != 0 {
			return e
		}
		return nil
	})
}
