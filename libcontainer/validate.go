package libcontainer

import (
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Validate says everything that is wrong with a config.json, and everything in it that this runtime
// cannot do: nothing that it asks for is silently left out. It is pure and looks at no host.
func Validate(spec *specs.Spec) []Problem { return validate(spec, true) }

// ValidateCreate is Validate for a container that is created and not started: process may be missing, which only the
// start of it needs (config.md, Process).
func ValidateCreate(spec *specs.Spec) []Problem { return validate(spec, false) }

func validate(spec *specs.Spec, start bool) []Problem {
	v := &validator{spec: spec, linux: spec.Linux}
	if v.linux == nil {
		v.linux = &specs.Linux{}
	}
	v.version()
	v.platforms()
	v.root()
	v.namespaces()
	v.mappings()
	v.hostnames()
	v.mounts()
	v.devices()
	v.paths()
	v.sysctls()
	v.linuxRest()
	if start || spec.Process != nil {
		v.process()
	}
	v.hooks()
	return v.problems
}

type validator struct {
	spec     *specs.Spec
	linux    *specs.Linux // never nil
	problems []Problem
}

//go:noinline
func (v *validator) problem(pointer, reason, hint string) {
	v.problems = append(v.problems, Problem{pointer, reason, hint})
}

// version accepts 1.x.y: the spec promises that minor versions only add (config.md, Specification version).
func (v *validator) version() {
	s := v.spec.Version
	major, rest, ok := strings.Cut(s, ".")
	if s == "" {
		v.problem("/ociVersion", "ociVersion is missing", `set it to "1.3.0"`)
	} else if !ok || major != "1" || rest == "" || rest[0] < '0' || rest[0] > '9' {
		v.problem("/ociVersion", "version "+strconv.Quote(s)+" is not supported", "this runtime knows 1.0.0 to "+specs.Version)
	}
}

func (v *validator) platforms() {
	s := v.spec
	for _, p := range [...]struct {
		set  bool
		name string
	}{{s.Solaris != nil, "solaris"}, {s.Windows != nil, "windows"}, {s.VM != nil, "vm"}, {s.ZOS != nil, "zos"}, {s.FreeBSD != nil, "freebsd"}} {
		if p.set {
			v.problem("/"+p.name, "this is not a Linux bundle", "remove the section")
		}
	}
}

func (v *validator) root() {
	r := v.spec.Root
	if m := v.find(specs.MountNamespace); m != nil && m.Path != "" {
		v.joinedRoot()
		return
	}
	if r == nil {
		v.problem("/root", "root is missing", "name the directory of the container's file system in root.path")
		return
	}
	switch {
	case r.Path == "":
		v.problem("/root/path", "root.path is empty", "name the directory of the container's file system")
	case hasNUL(r.Path):
		v.problem("/root/path", "a path has no NUL byte", "")
	case path.Clean(r.Path) == "/":
		v.problem("/root/path", "root.path must not be the host's root", "name a directory of its own")
	}
	if !v.has(specs.MountNamespace) {
		v.sharedMounts()
	}
}

// joinedRoot is for a mount namespace that is joined: it has its processes and its root already, and to change
// either would change them for everybody in it.
func (v *validator) joinedRoot() {
	if v.spec.Root != nil {
		v.problem("/root", "a mount namespace that is joined has its own root", "leave root out")
	}
	if len(v.spec.Mounts) > 0 {
		v.problem("/mounts", "a mount namespace that is joined has its own mounts", "leave mounts out, or make the mount namespace new")
	}
	if len(v.linux.Devices)+len(v.linux.MaskedPaths)+len(v.linux.ReadonlyPaths) > 0 || v.linux.RootfsPropagation != "" {
		v.problem("/linux", "a mount namespace that is joined is left as it is", "leave out devices, maskedPaths, readonlyPaths and rootfsPropagation")
	}
}

// find is the namespace of a type, or nil.
func (v *validator) find(t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	for i := range v.linux.Namespaces {
		if v.linux.Namespaces[i].Type == t {
			return &v.linux.Namespaces[i]
		}
	}
	return nil
}

func (v *validator) has(t specs.LinuxNamespaceType) bool { return v.find(t) != nil }

// isNew says whether the container gets a namespace of that type of its own.
func (v *validator) isNew(t specs.LinuxNamespaceType) bool {
	n := v.find(t)
	return n != nil && n.Path == ""
}

func (v *validator) namespaces() {
	for i, n := range v.linux.Namespaces {
		p := "/linux/namespaces/" + strconv.Itoa(i)
		if namespaceFlag(n.Type) == 0 {
			v.problem(p+"/type", "unknown namespace "+strconv.Quote(string(n.Type)), "known are pid, network, mount, ipc, uts, user, cgroup and time")
		}
		if n.Path != "" && (!path.IsAbs(n.Path) || hasNUL(n.Path)) {
			v.problem(p+"/path", "the path of a namespace must be absolute", "")
		}
		for _, o := range v.linux.Namespaces[:i] {
			if o.Type == n.Type {
				v.problem(p, "namespace "+string(n.Type)+" is listed twice", "")
			}
		}
	}
	v.timeOffsets()
}

func (v *validator) timeOffsets() {
	if len(v.linux.TimeOffsets) > 0 && !v.isNew(specs.TimeNamespace) {
		v.problem("/linux/timeOffsets", "time offsets need a new time namespace", `add {"type": "time"} to linux.namespaces`)
	}
	for _, clock := range sortedKeys(v.linux.TimeOffsets) {
		if clock != "monotonic" && clock != "boottime" {
			v.problem("/linux/timeOffsets/"+escapePointer(clock), "unknown clock", "known are monotonic and boottime")
		} else if v.linux.TimeOffsets[clock].Nanosecs > 999999999 {
			v.problem("/linux/timeOffsets/"+clock+"/nanosecs", "more than 999999999 nanoseconds", "")
		}
	}
}

func (v *validator) mappings() {
	isNew := v.isNew(specs.UserNamespace)
	v.mapping("/linux/uidMappings", v.linux.UIDMappings, isNew)
	v.mapping("/linux/gidMappings", v.linux.GIDMappings, isNew)
	if u := v.user(); isNew && u != nil {
		if len(v.linux.UIDMappings) > 0 && !mapped(v.linux.UIDMappings, u.UID) {
			v.problem("/process/user/uid", "uid "+utoa(u.UID)+" is not mapped", "add it to linux.uidMappings")
		}
		if len(v.linux.GIDMappings) > 0 && !mapped(v.linux.GIDMappings, u.GID) {
			v.problem("/process/user/gid", "gid "+utoa(u.GID)+" is not mapped", "add it to linux.gidMappings")
		}
		for i, g := range u.AdditionalGids {
			if !mapped(v.linux.GIDMappings, g) {
				v.problem("/process/user/additionalGids/"+strconv.Itoa(i), "gid "+utoa(g)+" is not mapped", "add it to linux.gidMappings")
			}
		}
	}
}

func (v *validator) user() *specs.User {
	if v.spec.Process == nil {
		return nil
	}
	return &v.spec.Process.User
}

// mapping checks one map against user_namespaces(7): at most 340 extents, none empty, past the end or
// overlapping on either side. The last id, 2^32-1, means "no id" and is never mapped.
func (v *validator) mapping(pointer string, maps []specs.LinuxIDMapping, isNew bool) {
	if !isNew {
		if len(maps) > 0 && v.find(specs.UserNamespace) == nil { // of one that is joined: compareMaps
			v.problem(pointer, "mappings need a new user namespace", `add {"type": "user"} to linux.namespaces`)
		}
		return
	}
	if len(maps) == 0 {
		v.problem(pointer, "a new user namespace needs at least one mapping", "")
	}
	if len(maps) > 340 {
		v.problem(pointer, "more than 340 ranges", "the kernel takes no more")
		return
	}
	for i, m := range maps {
		p := pointer + "/" + strconv.Itoa(i)
		c, h, n := uint64(m.ContainerID), uint64(m.HostID), uint64(m.Size)
		if n == 0 {
			v.problem(p+"/size", "an empty range", "")
		}
		if c+n > 1<<32-1 || h+n > 1<<32-1 {
			v.problem(p, "the range ends past id 4294967294", "")
		}
		for _, o := range maps[:i] {
			if c < uint64(o.ContainerID)+uint64(o.Size) && uint64(o.ContainerID) < c+n || h < uint64(o.HostID)+uint64(o.Size) && uint64(o.HostID) < h+n {
				v.problem(p, "overlaps an earlier range", "")
				break
			}
		}
	}
}

func mapped(maps []specs.LinuxIDMapping, id uint32) bool {
	for _, m := range maps {
		if id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size) {
			return true
		}
	}
	return false
}

func (v *validator) hostnames() {
	for _, h := range [...]struct{ pointer, name string }{{"/hostname", v.spec.Hostname}, {"/domainname", v.spec.Domainname}} {
		switch {
		case h.name == "":
		case !v.has(specs.UTSNamespace): // whether one that is joined is the host's, Compile asks
			v.problem(h.pointer, h.pointer[1:]+" needs a uts namespace", `add {"type": "uts"} to linux.namespaces`)
		case len(h.name) > 64:
			v.problem(h.pointer, "longer than 64 bytes", "")
		case hasNUL(h.name):
			v.problem(h.pointer, "a name has no NUL byte", "")
		}
	}
}

// sysctls are written only where the kernel keeps them per namespace, and only when that namespace is not the
// host's (CVE-2022-0811). Whether one that is joined is the host's, only the host knows: Compile asks.
func (v *validator) sysctls() {
	for _, key := range sortedKeys(v.linux.Sysctl) {
		p := "/linux/sysctl/" + escapePointer(key)
		need, ok := sysctlNamespace(key)
		file, _ := sysctlPath(key)
		switch {
		case !ok:
			v.problem(p, "sysctl "+strconv.Quote(key)+" is not namespaced", "it would change the host")
		case file == "kernel/hostname":
			v.problem(p, "sysctl kernel.hostname says the same as hostname", "set hostname")
		case !v.has(need):
			v.problem(p, "sysctl "+key+" needs a "+string(need)+" namespace", "it would change the host")
		case hasNUL(v.linux.Sysctl[key]):
			v.problem(p, "a value has no NUL byte", "")
		}
	}
}

// sysctlPath is the file of a sysctl below /proc/sys. As with sysctl(8), the first separator that occurs, dot or slash, is
// the one between names; the other then is a dot in a name, as that of a VLAN has. ok is false for what is no such name.
func sysctlPath(key string) (file string, ok bool) {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		swapped := []byte(key)
		for i, c := range swapped {
			switch c {
			case '.':
				swapped[i] = '/'
			case '/':
				swapped[i] = '.'
			}
		}
		key = string(swapped)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
			return "", false
		}
	}
	return key, true
}

// sysctlNamespace is the namespace that a sysctl belongs to; ok is false when it is the host's.
func sysctlNamespace(key string) (t specs.LinuxNamespaceType, ok bool) {
	file, ok := sysctlPath(key)
	if !ok {
		return "", false
	}
	switch file {
	case "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
		"kernel/msg_next_id", "kernel/sem_next_id", "kernel/shm_next_id":
		return specs.IPCNamespace, true
	case "kernel/domainname", "kernel/hostname":
		return specs.UTSNamespace, true
	}
	switch {
	case strings.HasPrefix(file, "fs/mqueue/"):
		return specs.IPCNamespace, true
	case strings.HasPrefix(file, "user/"): // limits for the namespaces below, user_namespaces(7)
		return specs.UserNamespace, true
	}
	return specs.NetworkNamespace, strings.HasPrefix(file, "net/")
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
