package sys

// Call is a system call that an op can make: our own numbering, so that a Program is the same on
// every architecture. Numbers has the kernel's.
type Call uint8

// The calls, in the order of their names.
const (
	Accept4 Call = iota + 1
	Capset
	Chdir
	Chroot
	Clone
	CloseFD
	CloseRange
	Dup3
	Execve
	Faccessat2
	Fchdir
	Fchmodat
	Fchownat
	Fcntl
	Fsconfig
	Fsmount
	Fsopen
	Fspick
	Ioctl
	IoprioSet
	Keyctl
	Lseek
	Mkdirat
	Mknodat
	MountSetattr
	MoveMount
	Openat
	Openat2
	OpenTree
	Personality
	PivotRoot
	Ppoll
	Prctl
	Prlimit64
	Read
	RtSigaction
	RtSigprocmask
	SchedSetaffinity
	SchedSetattr
	Seccomp
	Sendfile
	Sendmsg
	SetMempolicy
	Setdomainname
	Setgroups
	Sethostname
	Setns
	Setresgid
	Setresuid
	Setsid
	Socket
	Symlinkat
	Umask
	Umount2
	Unshare
	Wait4
	Write
	calls
)

// Calls is the number of calls plus one: the length of a table indexed by Call.
const Calls = int(calls)

var callNames = [Calls]string{
	Accept4: "accept4", Capset: "capset", Chdir: "chdir", Chroot: "chroot", Clone: "clone", CloseFD: "close", CloseRange: "close_range", Dup3: "dup3",
	Execve: "execve", Faccessat2: "faccessat2", Fchdir: "fchdir", Fchmodat: "fchmodat", Fchownat: "fchownat", Fcntl: "fcntl", Fsconfig: "fsconfig", Fsmount: "fsmount",
	Fsopen: "fsopen", Fspick: "fspick", Ioctl: "ioctl", IoprioSet: "ioprio_set", Keyctl: "keyctl", Lseek: "lseek", Mkdirat: "mkdirat", Mknodat: "mknodat",
	MountSetattr: "mount_setattr", MoveMount: "move_mount", Openat: "openat", Openat2: "openat2", OpenTree: "open_tree",
	Personality: "personality", PivotRoot: "pivot_root", Ppoll: "ppoll", Prctl: "prctl", Prlimit64: "prlimit64", Read: "read",
	RtSigaction: "rt_sigaction", RtSigprocmask: "rt_sigprocmask",
	SchedSetaffinity: "sched_setaffinity", SchedSetattr: "sched_setattr", Seccomp: "seccomp", Sendfile: "sendfile", Sendmsg: "sendmsg", SetMempolicy: "set_mempolicy", Setdomainname: "setdomainname", Setgroups: "setgroups",
	Sethostname: "sethostname", Setns: "setns", Setresgid: "setresgid", Setresuid: "setresuid", Setsid: "setsid",
	Socket: "socket", Symlinkat: "symlinkat", Umask: "umask", Umount2: "umount2", Unshare: "unshare", Wait4: "wait4", Write: "write",
}

// String is the name of the system call, as in its man page.
func (c Call) String() string {
	if int(c) < len(callNames) {
		return callNames[c]
	}
	return "?"
}
