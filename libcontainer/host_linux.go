package libcontainer

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/nofile"
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// errnoOf is the errno in an error of package unix.
func errnoOf(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return unix.EIO
}

// initUserns is the inode of the initial user namespace (include/linux/proc_ns.h, PROC_USER_INIT_INO).
const initUserns = 0xEFFFFFFD

// LookHost looks at this machine and this process. It is the only place that does: what it finds is a
// plain value for Compile. b may be nil; else the sources of its bind mounts are looked at, with the rights
// that the process has now.
func LookHost(b *Bundle) Host {
	h := Host{Arch: runtime.GOARCH, UID: uint32(unix.Geteuid()), GID: uint32(unix.Getegid()), Nofile: nofile.Limit, LastCap: 40}
	for h.LastCap < 62 {
		if _, err := unix.PrctlRetInt(sys.PR_CAPBSET_READ, uintptr(h.LastCap+1), 0, 0, 0); err != nil {
			break
		}
		h.LastCap++
	}
	h.Lacks = ^permittedCaps() & (1<<(h.LastCap+1) - 1)
	if h.UID == 0 {
		h.Mknod = h.Lacks&(1<<unix.CAP_MKNOD) == 0 && InInitUserns()
	}
	switch limited := b != nil && b.Spec.Linux != nil && b.Spec.Linux.Resources != nil; {
	case limited:
		h.Cgroups = cgroup.Look("/sys/fs/cgroup")
	case h.UID == 0:
		h.Cgroups = cgroup.LookCounted("/sys/fs/cgroup")
	default:
		h.Cgroups = cgroup.LookV2("/sys/fs/cgroup")
	}
	h.Cgroups.Account = h.UID == 0 // whoever watches containers reads memory.current and its like
	if h.UID != 0 {
		h.Cgroups = h.Cgroups.WithoutV1() // a v1 hierarchy is not delegated safely (cgroup_namespaces(7), CVE-2022-0492)
	}
	if b != nil {
		h.Bundle = b.Path
		h.Sources = lookSources(b)
		h.Targets = lookTargets(b)
		h.Masked = lookMasked(b)
		h.Home = lookHome(b)
		if h.UID == 0 && h.Lacks&(1<<unix.CAP_SYS_ADMIN) == 0 && hasUserNamespace(b.Spec.Linux) && ownsMounts() {
			h.Closed = lookClosed(b)
		}
		h.Own = lookOwn(b.Spec)
		h.JoinedMaps = lookJoinedMaps(b.Spec.Linux)
		h.AppArmor, h.SELinux = lookLabels(b.Spec.Process)
		h.SELinux = h.SELinux || b.Spec.Linux != nil && b.Spec.Linux.MountLabel != "" && isMagic("/sys/fs/selinux", sys.SELINUX_MAGIC)
		if p := b.Spec.Process; p != nil && p.Terminal && p.ConsoleSize == nil {
			h.Window = lookWindow()
		}
		h.HostRoot = b.Spec.Root != nil && isHostRoot(b.fd, b.Spec.Root.Path)
	}
	return h
}

// lookJoinedMaps reads the maps of a user namespace that is to be joined, which are files of the processes in it.
func lookJoinedMaps(l *specs.Linux) (maps [2]string) {
	if l == nil || len(l.UIDMappings)+len(l.GIDMappings) == 0 {
		return maps
	}
	for _, n := range l.Namespaces {
		if dir, is := strings.CutSuffix(n.Path, "/ns/user"); n.Type == specs.UserNamespace && is && strings.HasPrefix(dir, "/proc/") {
			for i, name := range [...]string{"/uid_map", "/gid_map"} {
				maps[i] = readText(dir + name)
			}
		}
	}
	return maps
}

// lookWindow is the size of this process's own terminal; zero without one.
func lookWindow() (size [2]uint16) {
	for fd := range 3 {
		if w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			return [2]uint16{w.Row, w.Col}
		}
	}
	return size
}

// isHostRoot: a path that is not "/" may lead there all the same, by links or "..".
func isHostRoot(dir int, path string) bool {
	var root, is unix.Stat_t
	return unix.Fstatat(dir, path, &is, 0) == nil && unix.Stat("/", &root) == nil && is.Dev == root.Dev && is.Ino == root.Ino
}

// InInitUserns says whether this process is in the machine's own user namespace. Its root is another's elsewhere: device
// nodes, for one, are made by CAP_MKNOD in the initial user namespace only (user_namespaces(7)).
func InInitUserns() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) == nil && st.Ino == initUserns
}

func hasUserNamespace(l *specs.Linux) bool {
	return l != nil && slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
}

// ownsMounts says whether this mount namespace belongs to this process's user namespace, or one below: the kernel tells of
// no other (ioctl_ns(2)).
func ownsMounts() bool {
	fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err == nil {
		unix.Close(owner)
	}
	return err == nil
}

// permittedCaps are the capabilities that this process has, or can take up.
func permittedCaps() uint64 {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return 0
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
}

func lookSources(b *Bundle) []FileKind {
	kinds := make([]FileKind, len(b.Spec.Mounts))
	for i, m := range b.Spec.Mounts {
		if o := parseMountOptions(m.Type, m.Options); o.bind && !o.remount {
			kinds[i] = kindAt(b.fd, m.Source)
		}
	}
	return kinds
}

// lookMasked looks at paths in a new proc or sysfs on the host's own, where the same files are, and at others inside
// the rootfs, as the child will resolve them.
func lookMasked(b *Bundle) []FileKind {
	if b.Spec.Linux == nil || b.Spec.Root == nil || len(b.Spec.Linux.MaskedPaths) == 0 {
		return nil
	}
	root := -1
	defer func() { closeFD(&root) }()
	kinds := make([]FileKind, len(b.Spec.Linux.MaskedPaths))
	for i, p := range b.Spec.Linux.MaskedPaths {
		if underKernelMount(b, p) {
			kinds[i] = kindAt(b.fd, p)
			continue
		}
		if root < 0 {
			fd, err := unix.Openat(b.fd, b.Spec.Root.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			root = fd
		}
		fd, err := unix.Openat2(root, p, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		if err == nil {
			kinds[i] = kindOf(fd)
			unix.Close(fd)
		}
	}
	return kinds
}

// kindOf is the kind of an open file.
func kindOf(fd int) FileKind {
	var st unix.Stat_t
	switch {
	case unix.Fstat(fd, &st) != nil:
		return FileUnknown
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return FileDirectory
	}
	return FileOther
}

func underKernelMount(b *Bundle, p string) bool {
	for _, m := range b.Spec.Mounts {
		if (m.Type == "proc" && m.Destination == "/proc" || m.Type == "sysfs" && m.Destination == "/sys") && strings.HasPrefix(p, m.Destination+"/") {
			return true
		}
	}
	return false
}

// kindAt is the kind of a path, relative to the bundle unless it is absolute.
func kindAt(dir int, p string) FileKind {
	var st unix.Stat_t
	switch {
	case unix.Fstatat(dir, p, &st, 0) != nil:
		return FileUnknown
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return FileDirectory
	}
	return FileOther
}

// lookLabels says which security modules are enabled, when a process asks for one of their labels. They are told
// through /proc, which has to be one.
func lookLabels(p *specs.Process) (appArmor, seLinux bool) {
	if p == nil || p.ApparmorProfile == "" && p.SelinuxLabel == "" || !isMagic("/proc", sys.PROC_SUPER_MAGIC) {
		return false, false
	}
	if p.ApparmorProfile != "" {
		var b [1]byte
		if fd, err := unix.Open("/sys/module/apparmor/parameters/enabled", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			n, _ := unix.Read(fd, b[:])
			appArmor = n == 1 && b[0] == 'Y'
			unix.Close(fd)
		}
	}
	return appArmor, p.SelinuxLabel != "" && isMagic("/sys/fs/selinux", sys.SELINUX_MAGIC)
}

func isMagic(path string, magic int64) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == magic
}

// lookOwn says which of the namespaces that are joined this process is in, when something is to be changed there: sysctls,
// names or network devices.
func lookOwn(s *specs.Spec) (own uint64) {
	if s.Linux == nil || len(s.Linux.Sysctl)+len(s.Linux.NetDevices)+len(s.Hostname)+len(s.Domainname) == 0 {
		return 0
	}
	for _, n := range s.Linux.Namespaces {
		var joined, ours unix.Stat_t
		if file := namespaceFile(n.Type); n.Path != "" && file != "" && unix.Stat(n.Path, &joined) == nil && unix.Stat("/proc/self/ns/"+file, &ours) == nil && joined.Dev == ours.Dev && joined.Ino == ours.Ino {
			own |= namespaceFlag(n.Type)
		}
	}
	return own
}

// namespaceFile is the name below /proc/PID/ns of the namespaces that sysctls belong to; "" for others.
func namespaceFile(t specs.LinuxNamespaceType) string {
	switch t {
	case specs.NetworkNamespace:
		return "net"
	case specs.IPCNamespace:
		return "ipc"
	case specs.UTSNamespace:
		return "uts"
	case specs.UserNamespace:
		return "user"
	}
	return ""
}
