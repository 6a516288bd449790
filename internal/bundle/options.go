package bundle

import (
	"math"
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/policy"
)

// Options is one container, before it has become a config.json.
type Options struct {
	Rootfs       string // root.path: absolute, or relative to the bundle
	Overlay      *Overlay
	ReadOnly     bool   // root.readonly
	ID           string // names the container and its cgroup; see ValidID
	Hostname     string // "" is the ID
	Process      Process
	Network      Network
	Mounts       []specs.Mount   // the caller's own, as ParseVolume and ParseTmpfs return them
	Owners       map[string]User // by destination of a volume: the container's user whose files are those of the caller's
	Limits       Limits
	Capabilities Capabilities
	Kernel       Kernel // what it reaches of the kernel, beside namespaces and capabilities
	Names        *Names // /etc/hosts and its like; nil leaves the image's own files
	Caller       Caller
	CgroupMount  bool // the rootfs has a directory at /sys/fs/cgroup, whatever is mounted on /sys
}

// Overlay is the root file system of an image: its layers, with what the container writes on top of them. It becomes
// the first mount, on "/", and hides the directory at Rootfs. Made inside the container's user namespace, by the
// caller's own right, it needs attributes that users may write: userxattr (Linux 5.11).
type Overlay struct {
	Lower       []string // from the top
	Upper, Work string   // on one file system, which is not an overlay itself; "" is for reading only
	Volatile    bool     // Upper goes with the container: nothing waits for the disk (overlayfs.rst, "Volatile mount")
}

// Process is what runs in the container.
type Process struct {
	Args []string
	Env  []string // KEY=VALUE, over the defaults
	Cwd  string   // "" is "/"
	Term string   // TERM, when the caller has a terminal
	User User

	Rlimits []specs.POSIXRlimit

	Init string // locald-init on this machine, which is to be the first process and start this one; "" for none

	Terminal      bool // the process gets a terminal of its own
	Height, Width uint // of it, in characters, before the process runs; 0 is unknown
}

// User is who the process runs as, in the ids of the container.
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups; kept only where the caller's maps allow setgroups(2)
	Home     string   // HOME; "" is "/"
}

// Network is the network that the process sees.
type Network string

// The networks of this version.
const (
	NetworkHost Network = "host" // the caller's own
	NetworkNone Network = "none" // a new one with loopback only
)

// Limits are the resources of the whole container. Zero is no limit.
type Limits struct {
	Memory   int64  // bytes
	Swap     int64  // bytes of memory and swap together, as in the specification; -1 is no limit
	CPUQuota int64  // microseconds of CPU time per CPUPeriod
	CPUs     string // those it may run on: "0-2,7"
	Pids     int64
}

// CPUPeriod is the period that Limits.CPUQuota counts in, in microseconds; the kernel's own default.
const CPUPeriod = 100_000

func (l Limits) none() bool { return l == Limits{} }

// Capabilities are changes to the default set, each a name with or without CAP_, or ALL.
type Capabilities struct {
	Add, Drop []string
}

// Caller is who asks for the container, and what the machine lets them have.
type Caller struct {
	UID, GID uint32
	SubUIDs  policy.Range // the caller's first range in /etc/subuid; Count 0 is none
	SubGIDs  policy.Range // and in /etc/subgid
	Setuid   bool         // the shim is set-user-ID root, so it can write a map of more than one id
}

// Root reports whether the caller is the real root, who needs no user namespace.
func (c Caller) Root() bool { return c.UID == 0 }

// Subordinate reports whether the container has more ids than the caller's own. Both files must give a
// range: a process with many uids and one gid could not even be "nobody".
func (c Caller) Subordinate() bool {
	return !c.Root() && c.Setuid && c.SubUIDs.Count > 0 && c.SubGIDs.Count > 0
}

// idMax is the highest id there is: 2^32-1 means "no id" to the kernel (chown(2)).
const idMax = math.MaxUint32 - 1

// subordinateMax is how many subordinate ids a container gets: with the caller's own as id 0 they fill
// the 16 bits that images are made for.
const subordinateMax = 65535

// maps are the uid and gid mappings of the container; nil for root.
func (c Caller) maps() (uid, gid []specs.LinuxIDMapping) {
	if c.Root() {
		return nil, nil
	}
	uid = []specs.LinuxIDMapping{{ContainerID: 0, HostID: c.UID, Size: 1}}
	gid = []specs.LinuxIDMapping{{ContainerID: 0, HostID: c.GID, Size: 1}}
	if c.Subordinate() {
		uid = append(uid, specs.LinuxIDMapping{ContainerID: 1, HostID: c.SubUIDs.First, Size: min(c.SubUIDs.Count, subordinateMax)})
		gid = append(gid, specs.LinuxIDMapping{ContainerID: 1, HostID: c.SubGIDs.First, Size: min(c.SubGIDs.Count, subordinateMax)})
	}
	return uid, gid
}

// lastGID is the highest gid that exists in the container.
func (c Caller) lastGID() uint32 {
	switch {
	case c.Root():
		return idMax
	case c.Subordinate():
		return min(c.SubGIDs.Count, subordinateMax)
	}
	return 0
}

func (c Caller) lastUID() uint32 {
	switch {
	case c.Root():
		return idMax
	case c.Subordinate():
		return min(c.SubUIDs.Count, subordinateMax)
	}
	return 0
}

// Error is an option that cannot become part of a bundle.
type Error struct {
	Flag   string // as it is typed: "--memory"
	Value  string // what was given; "" when that says nothing
	Reason string // lower case, no full stop
	Fix    string // what to type instead; "" when there is no one answer
}

// Error is "--memory 12q: reason".
func (e *Error) Error() string {
	s := e.Flag
	if e.Value != "" {
		s += " " + e.Value
	}
	return s + ": " + e.Reason
}

// ValidID reports whether s can name a container: lower case letters, digits, and _ . - after the first.
func ValidID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// hostnameMax is the kernel's __NEW_UTS_LEN (sethostname(2)).
const hostnameMax = 64

func (o *Options) check() error {
	p := &o.Process
	switch {
	case o.Rootfs == "":
		return &Error{Flag: "IMAGE", Reason: "no root file system was given"}
	case !ValidID(o.ID):
		return &Error{Flag: "--name", Value: o.ID, Reason: "a name is made of a-z, 0-9 and, after the first character, _ . -"}
	case len(p.Args) == 0 || p.Args[0] == "":
		return &Error{Flag: "CMD", Reason: "no program was given"}
	case !path.IsAbs(p.Cwd):
		return &Error{Flag: "--workdir", Value: p.Cwd, Reason: "a working directory in the container starts with /", Fix: "-w /" + p.Cwd}
	case len(o.Hostname) > hostnameMax:
		return &Error{Flag: "--hostname", Value: o.Hostname, Reason: "a host name has at most 64 bytes"}
	case o.Network != NetworkHost && o.Network != NetworkNone:
		return &Error{Flag: "--network", Value: string(o.Network), Reason: "this version knows host and none", Fix: "--network none"}
	}
	if err := checkNUL(o); err != nil {
		return err
	}
	return o.checkUser()
}

func (o *Options) checkUser() error {
	u, c := o.Process.User, o.Caller
	id, last := u.UID, c.lastUID()
	if id <= last {
		id, last = u.GID, c.lastGID()
	}
	if id <= last {
		return nil
	}
	value := strconv.FormatUint(uint64(u.UID), 10) + ":" + strconv.FormatUint(uint64(u.GID), 10)
	if last == 0 {
		return &Error{
			Flag: "--user", Value: value,
			Reason: "only id 0 exists in the container, since you have no subordinate ids that could be used",
			Fix:    "sudo locald setup",
		}
	}
	return &Error{Flag: "--user", Value: value, Reason: "the highest id in the container is " + strconv.FormatUint(uint64(last), 10)}
}

// checkNUL refuses the one byte that no path, argument or variable can hold (execve(2)).
func checkNUL(o *Options) error {
	p := &o.Process
	for _, s := range [][]string{p.Args, p.Env, {o.Rootfs, o.Hostname, p.Cwd, p.User.Home}} {
		for _, v := range s {
			if strings.IndexByte(v, 0) >= 0 {
				return &Error{Flag: "argument", Value: strconv.Quote(v), Reason: "contains a NUL byte"}
			}
		}
	}
	return nil
}
