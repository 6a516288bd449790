package probe

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func look() *Report {
	r := &Report{
		Fds: fds(), // first
		Pid: os.Getpid(), Ppid: os.Getppid(),
		Args: os.Args, Env: os.Environ(),
		Status: status(), Rlimits: rlimits(), Namespaces: namespaces(), Mounts: Mounts("/proc/self/mountinfo"),
	}
	r.Uid[0], r.Uid[1], r.Uid[2] = unix.Getresuid()
	r.Gid[0], r.Gid[1], r.Gid[2] = unix.Getresgid()
	r.Groups, _ = os.Getgroups()
	r.Cwd, _ = unix.Getwd()
	for _, set := range []struct {
		name string
		bits *uint64
	}{{"CapInh", &r.Caps.Inheritable}, {"CapPrm", &r.Caps.Permitted}, {"CapEff", &r.Caps.Effective}, {"CapBnd", &r.Caps.Bounding}, {"CapAmb", &r.Caps.Ambient}} {
		*set.bits, _ = strconv.ParseUint(r.Status[set.name], 16, 64)
	}
	if text, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		r.Cgroup = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		r.Hostname = unix.ByteSliceToString(name.Nodename[:])
		r.Domainname = unix.ByteSliceToString(name.Domainname[:])
	}
	return r
}

func status() map[string]string {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return nil
	}
	s := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			s[key] = strings.TrimSpace(value)
		}
	}
	return s
}

// Rlimits are the names of getrlimit(2), by number.
var Rlimits = [...]string{
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
}

func rlimits() map[string][2]uint64 {
	all := map[string][2]uint64{}
	for i, name := range Rlimits {
		var l unix.Rlimit
		if unix.Prlimit(0, i, nil, &l) == nil {
			all[name] = [2]uint64{l.Cur, l.Max}
		}
	}
	return all
}

func namespaces() map[string]string {
	all := map[string]string{}
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		if link, err := os.Readlink("/proc/thread-self/ns/" + name); err == nil {
			all[name] = link
		}
	}
	return all
}

// Mounts reads a mountinfo file; nil when there is none.
func Mounts(path string) []Mount {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var all []Mount
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		head, tail := strings.Split(before, " "), strings.SplitN(after, " ", 3)
		if !ok || len(head) < 6 || len(tail) < 3 {
			continue
		}
		all = append(all, Mount{Root: head[3], Point: head[4], Options: head[5], Tags: strings.Join(head[6:], " "), Type: tail[0], Source: tail[1], Super: tail[2]})
	}
	return all
}

// fds are the open descriptors apart from those with which this is found out and those that the Go
// runtime keeps to follow a cpu quota. No file of package os is opened for it, which would add the runtime's poller.
func fds() map[string]string {
	dir, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	all := map[string]string{}
	buf := make([]byte, 8192)
	for {
		n, err := unix.Getdents(dir, buf)
		if err != nil || n <= 0 {
			return all
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			link, err := os.Readlink("/proc/self/fd/" + name)
			if err == nil && name != strconv.Itoa(dir) && !strings.HasPrefix(link, "/sys/fs/cgroup/") {
				all[name] = link
			}
		}
	}
}
