package policy

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// namespaces wants a new user namespace, which is what makes the container the caller's, and a mount
// namespace in it. A namespace to join is opened with the caller's rights, and whether it is the caller's
// to join the kernel decides. Three types are not joined: a user namespace, because setns(2) into one
// gives all capabilities in it (CVE-2015-8709); a mount namespace, because the container's mounts would
// be made in it; a pid namespace, because the helper itself would have to enter it to be a parent there.
func (c *checker) namespaces() {
	for i, n := range c.linux.Namespaces {
		p := at("/linux/namespaces", i)
		switch n.Type {
		case specs.UserNamespace, specs.MountNamespace, specs.PIDNamespace:
			if n.Path != "" {
				c.problem(p+"/path", "joining a "+string(n.Type)+" namespace needs root", "leave path out: the container gets a new one")
			}
		case specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace, specs.TimeNamespace:
		default:
			c.problem(p+"/type", "unknown namespace "+strconv.Quote(string(n.Type)), "known are pid, network, mount, ipc, uts, user, cgroup and time")
		}
		if c.namespace(n.Type) != &c.linux.Namespaces[i] {
			c.problem(p, "namespace "+strconv.Quote(string(n.Type))+" is listed twice", "")
		}
	}
	for _, t := range [...]specs.LinuxNamespaceType{specs.UserNamespace, specs.MountNamespace} {
		if c.namespace(t) == nil {
			c.problem("/linux/namespaces", "a container that is not root's needs a new "+string(t)+" namespace", add(t))
		}
	}
}

// sysctls are written by the child in namespaces of its own. What is not in the list would be the host's
// (CVE-2022-0811).
func (c *checker) sysctls() {
	keys := make([]string, 0, len(c.linux.Sysctl))
	for k := range c.linux.Sysctl {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, key := range keys {
		p := member("/linux/sysctl", key)
		need := sysctlNamespace(key)
		switch {
		case strings.HasPrefix(sysctlFile(key), "user/"):
			c.problem(p, "sysctl "+strconv.Quote(key)+" limits namespaces and needs root", "leave it out")
		case need == "":
			c.problem(p, "sysctl "+strconv.Quote(key)+" is not namespaced", "it would change the host")
		case !c.isNew(need):
			c.problem(p, "sysctl "+strconv.Quote(key)+" needs a new "+string(need)+" namespace", add(need))
		}
	}
}

// sysctlFile is the file of a sysctl below /proc/sys, or "". The first separator, dot or slash, is the one between names
// (sysctl(8)); the other is a dot in a name.
func sysctlFile(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		key = strings.NewReplacer(".", "/", "/", ".").Replace(key)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
			return ""
		}
	}
	return key
}

// sysctlNamespace is the namespace that a sysctl belongs to, or "".
func sysctlNamespace(key string) specs.LinuxNamespaceType {
	switch file := sysctlFile(key); {
	case file == "kernel/domainname", file == "kernel/hostname":
		return specs.UTSNamespace
	case slices.Contains(ipcSysctls[:], file), strings.HasPrefix(file, "fs/mqueue/"):
		return specs.IPCNamespace
	case strings.HasPrefix(file, "net/"):
		return specs.NetworkNamespace
	}
	return ""
}

var ipcSysctls = [...]string{
	"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/msg_next_id", "kernel/sem", "kernel/sem_next_id",
	"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_next_id", "kernel/shm_rmid_forced",
}

// timeOffsets are written by the helper, with file-system uid 0.
func (c *checker) timeOffsets() {
	if len(c.linux.TimeOffsets) > 0 && !c.isNew(specs.TimeNamespace) {
		c.problem("/linux/timeOffsets", "time offsets need a new time namespace", add(specs.TimeNamespace))
	}
	clocks := make([]string, 0, len(c.linux.TimeOffsets))
	for clock := range c.linux.TimeOffsets {
		clocks = append(clocks, clock)
	}
	slices.Sort(clocks)
	for _, clock := range clocks {
		p := member("/linux/timeOffsets", clock)
		if clock != "monotonic" && clock != "boottime" {
			c.problem(p, "unknown clock", "known are monotonic and boottime")
		} else if c.linux.TimeOffsets[clock].Nanosecs > 999999999 {
			c.problem(p+"/nanosecs", "more than 999999999 nanoseconds", "")
		}
	}
}

// devices are never made for a caller who is not root: the child binds the host's node of the same path,
// which the caller can open in the container exactly when they can outside.
func (c *checker) devices() {
	for i := range c.linux.Devices {
		d := &c.linux.Devices[i]
		p := at("/linux/devices", i)
		if d.Type != "c" && d.Type != "u" && d.Type != "b" {
			c.problem(p+"/type", "making "+strconv.Quote(d.Path)+" of type "+strconv.Quote(d.Type)+" needs root", "nodes of the host's /dev, of type c or b, can be had without")
		}
		// A bind takes any file, so that what is no device would pass for one.
		if !strings.HasPrefix(path.Clean(d.Path), "/dev/") {
			c.problem(p+"/path", "making device "+strconv.Quote(d.Path)+" needs root", "nodes of the host's /dev can be had without, at the same path")
		}
		for _, f := range [...]struct {
			name string
			set  bool
		}{{"fileMode", d.FileMode != nil}, {"uid", d.UID != nil}, {"gid", d.GID != nil}} {
			if f.set {
				c.problem(p+"/"+f.name, "device "+strconv.Quote(d.Path)+" is the host's and keeps its owner and mode", "leave "+f.name+" out")
			}
		}
	}
}
