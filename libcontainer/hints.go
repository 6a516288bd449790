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
