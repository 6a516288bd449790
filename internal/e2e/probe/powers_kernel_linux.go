package probe

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// settings opens files of /proc/sys and of the cgroup trees for writing. Whose a setting is follows from the namespace
// that the kernel keeps it in.
func (t *trial) settings() {
	for key, kind := range map[string]string{
		"kernel/core_pattern": "", "kernel/modprobe": "", "kernel/sysrq": "", "kernel/printk": "", "kernel/panic": "", "kernel/yama/ptrace_scope": "", "kernel/unprivileged_bpf_disabled": "",
		"vm/overcommit_memory": "", "vm/drop_caches": "", "fs/suid_dumpable": "", "fs/protected_symlinks": "", "fs/file-max": "", "fs/binfmt_misc/register": "",
		"kernel/hostname": "uts", "kernel/domainname": "uts", "kernel/shmmax": "ipc", "kernel/msgmax": "ipc", "kernel/sem": "ipc", "fs/mqueue/msg_max": "ipc",
		"net/ipv4/ip_forward": "net", "net/ipv4/ip_unprivileged_port_start": "net", "net/core/somaxconn": "net", "kernel/pid_max": "pid", "kernel/ns_last_pid": "pid", "user/max_user_namespaces": "user",
	} {
		whose := " of the machine"
		if kind != "" {
			whose = t.whose(kind)
		}
		for _, root := range []string{"/proc/sys/", t.Prefix + "/proc/sys/"} {
			t.open("write sysctl "+key+whose, root+key, unix.O_WRONLY)
		}
	}
	t.open("write /proc/sysrq-trigger", t.Prefix+"/proc/sysrq-trigger", unix.O_WRONLY)
	t.open("read /proc/kcore", t.Prefix+"/proc/kcore", unix.O_RDONLY)
	for who, dir := range t.Cgroup {
		dir = t.Prefix + dir
		for _, name := range []string{"cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.max.descendants", "memory.max", "pids.max", "memory.limit_in_bytes", "cgroup.clone_children", "release_agent"} {
			t.open("write "+name+" of "+who+" cgroup", filepath.Join(dir, name), unix.O_WRONLY)
		}
		made := filepath.Join(dir, "made-"+filepath.Base(t.Bait)) // others try at the same time
		if t.try("make a cgroup of "+who, unix.Mkdir(made, 0o755)) {
			unix.Rmdir(made)
		}
	}
}

// processes tries what can be done to processes of the machine.
func (t *trial) processes() {
	for who, pid := range t.Pids {
		dir := t.Prefix + "/proc/" + strconv.Itoa(pid) + "/"
		for _, name := range []string{"mem", "environ", "root", "cwd", "fd", "exe", "ns/net", "ns/mnt", "ns/user", "auxv"} {
			t.open("open "+name+" of "+who+" process", dir+name, unix.O_RDONLY)
		}
		t.open("write oom_score_adj of "+who+" process", dir+"oom_score_adj", unix.O_WRONLY)
		if t.own["pid"] {
			continue // the number is another process's, or nobody's
		}
		t.try("signal "+who+" process", unix.Kill(pid, 0))
		nice, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
		if err == nil {
			t.try("renice "+who+" process", unix.Setpriority(unix.PRIO_PROCESS, pid, 20-nice))
		}
		var l unix.Rlimit
		t.try("read limits of "+who+" process", unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &l))
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			got, err := unix.PidfdGetfd(fd, 0, 0)
			if t.try("take a descriptor of "+who+" process", err) {
				unix.Close(got)
			}
			t.try("signal by pidfd "+who+" process", unix.PidfdSendSignal(fd, 0, nil, 0))
			unix.Close(fd)
		}
		if t.try("trace "+who+" process", unix.PtraceSeize(pid)) {
			t.detach(pid)
		}
	}
}

// detach stops a traced process, as one must to let go of it.
func (t *trial) detach(pid int) {
	var ws unix.WaitStatus
	if unix.PtraceInterrupt(pid) == nil {
		unix.Wait4(pid, &ws, unix.WALL, nil)
		unix.PtraceDetach(pid)
	}
}

func (t *trial) network() {
	whose := t.whose("net")
	for name, kind := range map[string][3]int{"raw": {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP}, "packet": {unix.AF_PACKET, unix.SOCK_RAW, 0}} {
		fd, err := unix.Socket(kind[0], kind[1]|unix.SOCK_CLOEXEC, kind[2])
		if t.try("a "+name+" socket in the network"+whose, err) {
			unix.Close(fd)
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if ifr, err := unix.NewIfreq("lo"); err == nil && unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr) == nil {
		t.try("set the flags of lo in the network"+whose, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr))
	}
	t.try("mark packets in the network"+whose, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1))
	t.try("force a buffer in the network"+whose, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4096))
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // others try at the same time
	t.try("bind port 79 in the network"+whose, unix.Bind(fd, &unix.SockaddrInet4{Port: 79, Addr: [4]byte{127, 0, 0, 1}}))
}

// kernel makes calls that ask for a capability before they look at arguments that cannot be.
func (t *trial) kernel() {
	allowed := func(what string, err error) {
		if err == unix.EPERM || err == unix.ENOSYS || err == unix.EACCES {
			return
		}
		t.can[what] = true
	}
	allowed("load a module", unix.InitModule(nil, ""))
	_, _, e := unix.Syscall6(unix.SYS_SWAPOFF, 0, 0, 0, 0, 0, 0)
	allowed("swapoff", errno(e))
	_, _, e = unix.Syscall(unix.SYS_REBOOT, 0, 0, 0) // no magic numbers: EINVAL for who may
	allowed("reboot"+t.whose("pid"), errno(e))
	_, _, e = unix.Syscall(unix.SYS_KEXEC_LOAD, 0, 0, 0)
	if t.own["user"] || e != unix.EINVAL { // nothing to load
		allowed("kexec", errno(e))
	}
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, 0)
	if t.try("watch file systems", err) {
		unix.Close(fd)
	}
	_, err = unix.Klogctl(10, nil) // SYSLOG_ACTION_SIZE_BUFFER
	t.try("read the kernel's log", err)
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		host := unix.ByteSliceToString(name.Nodename[:])
		t.try("set the host name"+t.whose("uts"), unix.Sethostname([]byte(host)))
	}
	t.try("write the clock's adjustment", adjust())
}

// adjust sets the clock's estimated error to what it is (adjtimex(2)).
func adjust() error {
	var x unix.Timex
	if _, err := unix.Adjtimex(&x); err != nil {
		return nil
	}
	x = unix.Timex{Modes: unix.ADJ_ESTERROR, Esterror: x.Esterror}
	_, err := unix.Adjtimex(&x)
	return err
}

func errno(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// self tries to get further than it is.
func (t *trial) self() {
	for _, adj := range []string{"0", "-1", "-500", "-1000"} {
		t.try("set oom_score_adj to "+adj, os.WriteFile("/proc/self/oom_score_adj", []byte(adj), 0))
	}
	if n, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		t.try("lower nice", unix.Setpriority(unix.PRIO_PROCESS, 0, 20-n-1))
	}
	_, _, e := unix.RawSyscall(unix.SYS_IOPRIO_SET, 1, 0, 1<<13|4)
	t.try("real time of disks", errno(e))
	t.try("real time", unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0))
	for i, name := range Rlimits {
		var l unix.Rlimit
		if unix.Prlimit(0, i, nil, &l) == nil && l.Max < 1<<63 {
			t.try("raise "+name, unix.Prlimit(0, i, &unix.Rlimit{Cur: l.Cur, Max: l.Max + 1}, nil))
		}
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); t.try("drop groups", errno(e)) {
		t.open("read negative", t.bait("negative"), unix.O_RDONLY)
	}
}
