package cgroup

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterName marks a device filter as one of ours.
const filterName = "locald_devices"

// progLoad and those after it are the parts of union bpf_attr (linux/bpf.h) for the commands, on a machine
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
	target  int32
	prog    int32
	kind    uint32
	flags   uint32
	replace int32
}

type progQuery struct {
	target      int32
	kind        uint32
	flags       uint32
	attachFlags uint32
	ids         *uint32
	count       uint32
	_           uint32
}

type progInfo struct {
	fd   uint32
	size uint32
	info *progName
}

// progName is the start of struct bpf_prog_info, up to the name.
type progName struct {
	_    [64]byte
	name [16]byte
}

func bpf(command int, attr unsafe.Pointer, size uintptr) (n int, err error) {
	r, _, e := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}

// loadDevices hands a device filter to the kernel, which checks it. insns is not empty.
func loadDevices(insns []Insn) (fd int, err error) { return load(insns, filterName) }

func load(insns []Insn, name string) (fd int, err error) {
	licence := []byte("Apache-2.0\x00") // it calls no function that is for GPL programs only
	attr := progLoad{kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(insns)), insns: &insns[0], licence: &licence[0]}
	copy(attr.name[:len(attr.name)-1], name)
	for range 5 {
		fd, err = bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if err != unix.EAGAIN && err != unix.EINTR { // a signal came while the program was being checked
			break
		}
	}
	return fd, err
}

// attachDevices puts a filter on a cgroup, beside those of its ancestors and before any that the
// container adds below: a request must pass all of them.
func attachDevices(cgroup, prog int) error {
	return attach(progAttach{target: int32(cgroup), prog: int32(prog), kind: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI})
}

// replaceDevices puts a filter in the place of another (Linux 5.6).
func replaceDevices(cgroup, prog, old int) error {
	return attach(progAttach{
		target: int32(cgroup), prog: int32(prog), kind: unix.BPF_CGROUP_DEVICE,
		flags: unix.BPF_F_ALLOW_MULTI | unix.BPF_F_REPLACE, replace: int32(old),
	})
}

func attach(attr progAttach) error {
	return retry(func() error {
		_, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		return err
	})
}

func detachDevices(cgroup, prog int) error {
	attr := progAttach{target: int32(cgroup), prog: int32(prog), kind: unix.BPF_CGROUP_DEVICE}
	return retry(func() error {
		_, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		return err
	})
}

// queryDevices are the ids of the filters on the cgroup itself. The kernel takes 64 of a kind at most
// (kernel/bpf/cgroup.c, BPF_CGROUP_MAX_PROGS).
func queryDevices(cgroup int) ([]uint32, error) {
	ids := make([]uint32, 64)
	attr := progQuery{target: int32(cgroup), kind: unix.BPF_CGROUP_DEVICE, ids: &ids[0], count: uint32(len(ids))}
	err := retry(func() error {
		_, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids[:attr.count], nil
}

func openProgram(id uint32) (int, error) {
	attr := [3]uint32{id}
	return bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

func programName(fd int) (string, error) {
	var out progName
	attr := progInfo{fd: uint32(fd), size: uint32(unsafe.Sizeof(out)), info: &out}
	if _, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return "", err
	}
	name, _, _ := bytes.Cut(out.name[:], []byte{0})
	return string(name), nil
}
