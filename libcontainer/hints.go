package libcontainer

import "syscall"

// hintFor is the next step after a refusal; "" when the errno says all there is.
func hintFor(op string, e syscall.Errno) string {
	switch op {
	case "clone3", "unshare":
		switch e {
		case 1, 13: // EPERM, EACCES
			return "this host lets unprivileged users create no user namespaces: see locald doctor"
		case 28: // ENOSPC
			return "a limit of /proc/sys/user/max_*_namespaces is reached"
		case 38: // ENOSYS
			return "Linux 5.14 or newer is needed"
		}
	case "uid_map", "gid_map":
		if e == 1 {
			return "ranges of ids beyond your own need locald-shim installed set-user-ID root: see locald doctor"
		}
	case "open the child in /proc":
		return "is /proc mounted with hidepid?"
	case "openat2":
		if e == 40 { // ELOOP
			return "the path goes through a link of /proc, which could lead out of the container"
		}
	case "sched_setattr", "ioprio_set", "set_mempolicy":
		return schedulingHint(op, e)
	case "seccomp":
		if e == 22 { // EINVAL
			return "has this kernel filters (CONFIG_SECCOMP_FILTER), and all flags? WAIT_KILLABLE_RECV needs Linux 5.19"
		}
	case "fsopen":
		if e == 19 { // ENODEV
			return "does this kernel have that file system, and is its module loaded? /proc/filesystems lists them"
		}
	case "execve":
		if e == 8 { // ENOEXEC
			return "is the program for another architecture, or a script without #! line?"
		}
	}
	if e == 30 { // EROFS
		return "the directory to mount on must exist in a read-only rootfs"
	}
	return ""
}

// hintForOp is hintFor for a system call of the child.
func hintForOp(o *Op, e syscall.Errno) string {
	switch o.Origin {
	case "/root/path":
		if e == 20 { // ENOTDIR
			return "it must be a directory, and not a link to one"
		}
	case "/process/cwd":
		if e == 30 { // EROFS
			return "the working directory must exist in a read-only file system"
		}
	case "/process/apparmorProfile", "/process/selinuxLabel":
		switch e {
		case 1, 13: // EPERM, EACCES
			return "the security module lets this process not change to it"
		case 2: // ENOENT
			return "is the profile loaded?"
		case 22: // EINVAL
			return "does the security module's policy know it?"
		}
	}
	const perm, badf, inval = 1, 9, 22
	switch {
	case (e == perm || e == inval) && o.Verb == "map the ids of":
		return "does this kernel map ids on that file system? ext4, xfs and FAT do since Linux 5.12, btrfs 5.15, overlay 5.19, tmpfs 6.3"
	case e == perm && (o.Verb == "set the options of" || o.Verb == "set the recursive options of"):
		return "in a user namespace a mount keeps the ro, nosuid, nodev, noexec and access time mode that the host gave it (mount_namespaces(7)): leave the option out, or change the host's mount"
	case e == badf && o.Verb == "hold": // the new number is beyond RLIMIT_NOFILE
		return "the limit of open files is too low: a container is made with more than a hundred (ulimit -n)"
	case e == inval && (o.Verb == "set the options of" || o.Verb == "close" || o.Verb == "remount"):
		return "is anything mounted there?"
	}
	return hintFor(o.Call.String(), e)
}

// schedulingHint tells what the manual pages say about these errors.
func schedulingHint(op string, e syscall.Errno) string {
	switch {
	case op == "sched_setattr" && e == 1: // EPERM
		return "a realtime policy needs CAP_SYS_NICE outside of any user namespace or RLIMIT_RTPRIO, nice below the caller's CAP_SYS_NICE or RLIMIT_NICE; SCHED_DEADLINE also all CPUs"
	case op == "sched_setattr" && e == 16: // EBUSY
		return "the machine has not that much time left for SCHED_DEADLINE"
	case op == "sched_setattr" && e == 22: // EINVAL
		return "no kernel release has SCHED_ISO; see sched_setattr(2) for what goes together"
	case op == "sched_setattr" && e == 95: // EOPNOTSUPP
		return "this kernel has no utilization clamps"
	case op == "ioprio_set" && e == 1:
		return "IOPRIO_CLASS_RT needs CAP_SYS_NICE outside of any user namespace"
	case op == "set_mempolicy" && e == 22:
		return "are the nodes online and in the cpuset? MPOL_PREFERRED_MANY needs Linux 5.15, MPOL_WEIGHTED_INTERLEAVE 6.9"
	}
	return ""
}
