// Package sys holds the Linux constants and raw structures that the Program is made of, without a
// build tag, so that everything pure compiles and is tested on any system. Values are those of the
// generic ABI shared by amd64 and arm64 (include/uapi/linux); where the two differ, the value is in
// a file of its own.
//
// It is no replacement for golang.org/x/sys/unix: the parent's ordinary system calls use that.
package sys

// Errno is a Linux error number. It is not syscall.Errno, whose values are those of the build's system.
type Errno uint16

// Error numbers that an op can tolerate (asm-generic/errno-base.h).
const (
	EPERM   Errno = 1
	ENOENT  Errno = 2
	EBADF   Errno = 9
	EACCES  Errno = 13
	EEXIST  Errno = 17
	ENOTDIR Errno = 20
	EINVAL  Errno = 22
	ENOSYS  Errno = 38
	ELOOP   Errno = 40
	EDQUOT  Errno = 122
)

// Name is the symbol of e; "" when it has none here.
func (e Errno) Name() string {
	switch e {
	case EPERM:
		return "EPERM"
	case ENOENT:
		return "ENOENT"
	case EBADF:
		return "EBADF"
	case EACCES:
		return "EACCES"
	case EEXIST:
		return "EEXIST"
	case ENOTDIR:
		return "ENOTDIR"
	case EINVAL:
		return "EINVAL"
	case ENOSYS:
		return "ENOSYS"
	case ELOOP:
		return "ELOOP"
	case EDQUOT:
		return "EDQUOT"
	}
	return ""
}

// Namespaces (linux/sched.h).
const (
	CLONE_NEWTIME        = 0x00000080
	CLONE_VM             = 0x00000100
	CLONE_FILES          = 0x00000400
	CLONE_PIDFD          = 0x00001000
	CLONE_VFORK          = 0x00004000
	CLONE_PARENT         = 0x00008000
	CLONE_NEWNS          = 0x00020000
	CLONE_NEWCGROUP      = 0x02000000
	CLONE_NEWUTS         = 0x04000000
	CLONE_NEWIPC         = 0x08000000
	CLONE_NEWUSER        = 0x10000000
	CLONE_NEWPID         = 0x20000000
	CLONE_NEWNET         = 0x40000000
	CLONE_CLEAR_SIGHAND  = 0x100000000 // Linux 5.5
	CLONE_INTO_CGROUP    = 0x200000000 // Linux 5.7
	CLOSE_RANGE_CLOEXEC  = 4
	PIDFD_NONBLOCK       = 0x800
	NS_GET_NSTYPE        = 0xb703
	NSFS_MAGIC           = 0x6e736673
	PROC_SUPER_MAGIC     = 0x9fa0
	SELINUX_MAGIC        = 0xf97cff8c
	CGROUP2_SUPER_MAGIC  = 0x63677270
	AT_FDCWD             = -100
	AT_SYMLINK_NOFOLLOW  = 0x100
	AT_EACCESS           = 0x200
	AT_EMPTY_PATH        = 0x1000
	AT_RECURSIVE         = 0x8000
	OPEN_TREE_CLONE      = 1
	OPEN_TREE_CLOEXEC    = 0x80000
	RESOLVE_NO_XDEV      = 0x01
	RESOLVE_NO_MAGICLINK = 0x02
	RESOLVE_NO_SYMLINKS  = 0x04
	RESOLVE_BENEATH      = 0x08
	RESOLVE_IN_ROOT      = 0x10
	FSOPEN_CLOEXEC       = 1
	FSMOUNT_CLOEXEC      = 1
	MOVE_MOUNT_F_EMPTY   = 0x04
	MOVE_MOUNT_T_EMPTY   = 0x40
	FSCONFIG_SET_FLAG    = 0
	FSCONFIG_SET_STRING  = 1
	FSCONFIG_CREATE      = 6
	FSCONFIG_RECONFIGURE = 7
	FSPICK_CLOEXEC       = 1
	FSPICK_EMPTY_PATH    = 8
)

// open(2) flags that are the same on every architecture we build for.
const (
	O_RDONLY   = 0
	O_WRONLY   = 1
	O_RDWR     = 2
	O_CREAT    = 0x40
	O_EXCL     = 0x80
	O_NOCTTY   = 0x100
	O_NONBLOCK = 0x800
	O_CLOEXEC  = 0x80000
	O_PATH     = 0x200000
)

// File types (stat.h).
const (
	S_IFIFO = 0x1000
	S_IFCHR = 0x2000
	S_IFBLK = 0x6000
	S_IFDIR = 0x4000
	S_IFREG = 0x8000
	S_IFLNK = 0xa000
)

// Mount attributes (linux/mount.h) and the propagation bits that mount_setattr(2) takes.
const (
	MOUNT_ATTR_RDONLY      = 0x1
	MOUNT_ATTR_NOSUID      = 0x2
	MOUNT_ATTR_NODEV       = 0x4
	MOUNT_ATTR_NOEXEC      = 0x8
	MOUNT_ATTR_ATIME       = 0x70
	MOUNT_ATTR_RELATIME    = 0x0
	MOUNT_ATTR_NOATIME     = 0x10
	MOUNT_ATTR_STRICTATIME = 0x20
	MOUNT_ATTR_NODIRATIME  = 0x80
	MOUNT_ATTR_NOSYMFOLLOW = 0x200000
	MOUNT_ATTR_IDMAP       = 0x100000 // Linux 5.12

	MS_REC        = 0x4000
	MS_UNBINDABLE = 1 << 17
	MS_PRIVATE    = 1 << 18
	MS_SLAVE      = 1 << 19
	MS_SHARED     = 1 << 20
	MNT_DETACH    = 2
)

// prctl(2) and friends.
const (
	F_SETFD              = 2 // not of prctl
	X_OK                 = 1
	PR_SET_PDEATHSIG     = 1
	PR_SET_DUMPABLE      = 4
	PR_SET_KEEPCAPS      = 8
	PR_CAPBSET_READ      = 23
	PR_CAPBSET_DROP      = 24
	PR_SET_NO_NEW_PRIVS  = 38
	PR_CAP_AMBIENT       = 47
	PR_CAP_AMBIENT_RAISE = 2
	PR_CAP_AMBIENT_CLEAR = 4

	SIGKILL = 9
	SIGCHLD = 17

	SIG_SETMASK = 2

	KEYCTL_JOIN_SESSION_KEYRING = 1

	AF_INET       = 2
	SOCK_DGRAM    = 2
	SOCK_CLOEXEC  = 0x80000
	SIOCSIFFLAGS  = 0x8914
	IFF_UP        = 1
	IFF_RUNNING   = 0x40
	POLLIN        = 1
	SOL_SOCKET    = 1
	SCM_RIGHTS    = 1
	MSG_DONTWAIT  = 0x40
	MSG_NOSIGNAL  = 0x4000
	TIOCSCTTY     = 0x540e
	TIOCSWINSZ    = 0x5414
	TIOCSPTLCK    = 0x40045431
	TIOCGPTPEER   = 0x5441 // Linux 4.13
	RLIMIT_NOFILE = 7

	SECCOMP_SET_MODE_FILTER = 1
)

// Scheduling and memory (linux/ioprio.h, linux/sched.h, linux/mempolicy.h, linux/personality.h).
const (
	IOPRIO_WHO_PGRP    = 2
	IOPRIO_CLASS_SHIFT = 13

	SCHED_FLAG_UTIL_CLAMP = 0x60
	SCHED_ATTR_SIZE       = 56 // with the two utilization clamps, Linux 5.3

	PER_LINUX   = 0
	PER_LINUX32 = 8
)
