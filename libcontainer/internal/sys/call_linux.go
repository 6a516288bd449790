package sys

import "golang.org/x/sys/unix"

// Numbers has the kernel's number of each Call on this architecture.
var Numbers = [Calls]uintptr{
	Accept4: unix.SYS_ACCEPT4, Capset: unix.SYS_CAPSET, Chdir: unix.SYS_CHDIR, Chroot: unix.SYS_CHROOT, Clone: unix.SYS_CLONE, CloseFD: unix.SYS_CLOSE,
	CloseRange: unix.SYS_CLOSE_RANGE, Dup3: unix.SYS_DUP3, Execve: unix.SYS_EXECVE, Faccessat2: unix.SYS_FACCESSAT2, Fchdir: unix.SYS_FCHDIR,
	Fchmodat: unix.SYS_FCHMODAT, Fchownat: unix.SYS_FCHOWNAT, Fcntl: unix.SYS_FCNTL, Fsconfig: unix.SYS_FSCONFIG, Fsmount: unix.SYS_FSMOUNT,
	Fsopen: unix.SYS_FSOPEN, Fspick: unix.SYS_FSPICK, Ioctl: unix.SYS_IOCTL, IoprioSet: unix.SYS_IOPRIO_SET, Keyctl: unix.SYS_KEYCTL, Lseek: unix.SYS_LSEEK, Mkdirat: unix.SYS_MKDIRAT,
	Mknodat: unix.SYS_MKNODAT, MountSetattr: unix.SYS_MOUNT_SETATTR, MoveMount: unix.SYS_MOVE_MOUNT,
	Openat: unix.SYS_OPENAT, Openat2: unix.SYS_OPENAT2, OpenTree: unix.SYS_OPEN_TREE, Personality: unix.SYS_PERSONALITY, PivotRoot: unix.SYS_PIVOT_ROOT,
	Ppoll: unix.SYS_PPOLL, Prctl: unix.SYS_PRCTL, Prlimit64: unix.SYS_PRLIMIT64, Read: unix.SYS_READ,
	RtSigaction: unix.SYS_RT_SIGACTION, RtSigprocmask: unix.SYS_RT_SIGPROCMASK,
	SchedSetaffinity: unix.SYS_SCHED_SETAFFINITY, SchedSetattr: unix.SYS_SCHED_SETATTR, Seccomp: unix.SYS_SECCOMP, Sendfile: unix.SYS_SENDFILE, Sendmsg: unix.SYS_SENDMSG, SetMempolicy: unix.SYS_SET_MEMPOLICY, Setdomainname: unix.SYS_SETDOMAINNAME,
	Setgroups: unix.SYS_SETGROUPS, Sethostname: unix.SYS_SETHOSTNAME, Setns: unix.SYS_SETNS,
	Setresgid: unix.SYS_SETRESGID, Setresuid: unix.SYS_SETRESUID, Setsid: unix.SYS_SETSID, Socket: unix.SYS_SOCKET,
	Symlinkat: unix.SYS_SYMLINKAT, Umask: unix.SYS_UMASK, Umount2: unix.SYS_UMOUNT2, Unshare: unix.SYS_UNSHARE,
	Wait4: unix.SYS_WAIT4, Write: unix.SYS_WRITE,
}
