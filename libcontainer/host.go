package libcontainer

import "github.com/locald/locald/libcontainer/internal/cgroup"

// Host is what Compile has to know of the machine and of whoever starts the container: a plain
// value, so that the same config.json and the same Host give the same Program anywhere. LookHost
// fills it on Linux.
type Host struct {
	Arch       string        // GOARCH of the kernel
	UID, GID   uint32        // the effective ids that clone3 is called with; they own a new user namespace
	Mknod      bool          // may create device nodes: root with CAP_MKNOD in the initial user namespace
	Closed     Closed        // what root of a new user namespace cannot reach
	Lacks      uint64        // capabilities that this process does not have, and gives to none outside of a new user namespace
	Own        uint64        // CLONE_NEW* of namespaces to join that are this process's own, as far as something is to be changed there
	LastCap    int           // highest capability of this kernel: 40 since Linux 5.9
	Nofile     [2]uint64     // RLIMIT_NOFILE soft and hard as this process got it, before the Go runtime raised the soft one
	Cgroups    cgroup.Layout // where the controllers are
	Sources    []FileKind    // what mounts[i].source is, for bind mounts
	Targets    []Target      // what lies where mounts[i] goes
	Masked     []FileKind    // what linux.maskedPaths[i] is, as far as can be seen from outside
	Bundle     string        // absolute path of the bundle, for a mount namespace that is joined
	Home       string        // HOME for the process, when its environment has none: from the container's /etc/passwd, or "/"
	AppArmor   bool          // AppArmor is enabled, as far as config.json asks for a profile
	SELinux    bool          // SELinux is enabled, as far as config.json asks for a label
	Window     [2]uint16     // rows and columns of the terminal that this process has on descriptor 0, 1 or 2
	JoinedMaps [2]string     // uid_map and gid_map of the user namespace to join, where its path is of /proc/PID and tells; else ""
	HostRoot   bool          // root.path leads to this machine's own root directory

	NoPivot     bool // where the root is a ramfs pivot_root(2) is refused: the root is moved instead
	KeepKeyring bool // leave the caller's session keyring to the container

	// Systemd makes the cgroup; nil when it is made in the cgroup file system.
	Systemd *Systemd

	// DefaultCgroup is where a container goes that names no cgroup, "/locald/ID", or with Systemd ":locald:ID". ""
	// leaves it in the caller's.
	DefaultCgroup string

	// NoCgroup leaves the container in the caller's cgroup, whatever config.json names.
	NoCgroup bool

	Preserve int    // number of the caller's descriptors from 3 on that the process gets (LISTEN_FDS, --preserve-fds)
	Joins    uint64 // for exec: CLONE_NEW* of the namespaces in which the container is not ours

	Hierarchies []string // for exec: the cgroup v1 controllers in whose hierarchies the container has its cgroup
}

// Closed is what this process reaches and root of a container with a user namespace does not: a directory on the way belongs
// to another user than root, over whom that root has no capability, and lets nobody else in. It is looked for only where the
// mounts of this mount namespace can be copied.
type Closed struct {
	Bundle, Root bool
	Sources      []bool // of mounts[i], for bind mounts
}

// FileKind says what a path is. What covers it, or what it is mounted on, has to be of the same sort:
// if it turns out to be another, the kernel refuses the mount and the container does not start.
type FileKind uint8

// The kinds of source.
const (
	FileUnknown FileKind = iota // not looked at, or not there
	FileDirectory
	FileOther // anything that is mounted on a file
)
