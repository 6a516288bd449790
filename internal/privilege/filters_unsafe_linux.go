package privilege

import (
	"errors"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// query is the part of union bpf_attr (linux/bpf.h) for BPF_PROG_QUERY.
type query struct {
	target, kind, flags, attachFlags uint32
	ids                              uint64
	count, _                         uint32
}

// filterKinds are the kinds of program that are attached to cgroups. BPF_LSM_CGROUP is not among them: the kernel does
// not tell which of those are in force.
var filterKinds = [...]int{unix.BPF_CGROUP_INET_INGRESS, unix.BPF_CGROUP_INET_EGRESS, unix.BPF_CGROUP_INET_SOCK_CREATE, unix.BPF_CGROUP_SOCK_OPS,
	unix.BPF_CGROUP_DEVICE, unix.BPF_CGROUP_INET4_BIND, unix.BPF_CGROUP_INET6_BIND, unix.BPF_CGROUP_INET4_CONNECT, unix.BPF_CGROUP_INET6_CONNECT,
	unix.BPF_CGROUP_INET4_POST_BIND, unix.BPF_CGROUP_INET6_POST_BIND, unix.BPF_CGROUP_UDP4_SENDMSG, unix.BPF_CGROUP_UDP6_SENDMSG,
	unix.BPF_CGROUP_SYSCTL, unix.BPF_CGROUP_UDP4_RECVMSG, unix.BPF_CGROUP_UDP6_RECVMSG, unix.BPF_CGROUP_GETSOCKOPT, unix.BPF_CGROUP_SETSOCKOPT,
	unix.BPF_CGROUP_INET4_GETPEERNAME, unix.BPF_CGROUP_INET6_GETPEERNAME, unix.BPF_CGROUP_INET4_GETSOCKNAME, unix.BPF_CGROUP_INET6_GETSOCKNAME,
	unix.BPF_CGROUP_INET_SOCK_RELEASE, bpfUnixConnect, bpfUnixSendmsg, bpfUnixRecvmsg}

// Linux 6.7; not in x/sys yet.
const bpfUnixConnect, bpfUnixSendmsg, bpfUnixRecvmsg = 49, 50, 51

// sameFilters sees that no BPF program is in force for the caller's cgroup that is not for the base: a device filter or
// an IPAddressDeny= of systemd's would be left behind. To ask takes CAP_SYS_ADMIN, or before Linux
// 6.9 CAP_NET_ADMIN, for these calls.
func sameFilters(root, base int, path string) error {
	if path == "" {
		return nil // the root's programs are everybody's
	}
	own, err := openBelow(root, path)
	if err != nil {
		return fail("open your cgroup", err)
	}
	defer unix.Close(own)
	const usual, permitted = capSetuid | capSetgid | capChown, capSetuid | capSetgid | capChown | capDAC | capSysAdmin | capNetAdmin
	if err := setCaps(usual|capSysAdmin|capNetAdmin, permitted); err != nil {
		return err
	}
	found := -1
	for _, kind := range filterKinds {
		if n, err := filters(own, kind); err == nil && n > 0 {
			if m, err := filters(base, kind); err != nil || m < n {
				found = kind
			}
		} else if err != nil && err != unix.EINVAL && err != unix.ENOSYS {
			found = kind
		}
	}
	if e := setCaps(usual, permitted); e != nil {
		die(e.Error())
	}
	if found >= 0 {
		return errors.New("your cgroup has a BPF program (attach type " + strconv.Itoa(found) + ") that the base cgroup does not have")
	}
	return nil
}

// filters is how many programs of a kind are in force for a cgroup, its ancestors' included.
func filters(cgroup, kind int) (int, error) {
	q := query{target: uint32(cgroup), kind: uint32(kind), flags: unix.BPF_F_QUERY_EFFECTIVE}
	if _, _, e := syscall.Syscall(unix.SYS_BPF, unix.BPF_PROG_QUERY, uintptr(unsafe.Pointer(&q)), unsafe.Sizeof(q)); e != 0 {
		return 0, e
	}
	return int(q.count), nil
}
