package policy

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// CgroupAllowed says why a container of this caller cannot have the cgroup, or returns "". Paths are compared
// component by component: "/locald/u1000" is not below "/locald/u10".
func CgroupAllowed(path string, g *Grant) (reason, hint string) {
	if reason := badCgroupPath(path); reason != "" {
		return reason, g.cgroupHint()
	}
	if _, ok := below(path, g.CgroupBase); ok {
		return "", ""
	}
	if _, ok := below(path, g.Delegated); ok {
		return "", ""
	}
	return "cgroupsPath " + strconv.Quote(path) + " is not yours", g.cgroupHint()
}

// UserCgroup says whether a path is the base of some user's, "/locald/u1000", or below one. The helper gives such a
// directory to that user: nothing of root's may lie there.
func UserCgroup(path string) bool {
	name, ok := strings.CutPrefix(path, "/locald/u")
	name, _, _ = strings.Cut(name, "/")
	return ok && name != "" && strings.Trim(name, "0123456789") == ""
}

// InBase says whether a cgroup lies below CgroupBase: of a config.json, which CgroupAllowed has nothing against, or of a
// record, which is the caller's to change. Only then does a process leave its caller's cgroup, which takes the helper's
// power: what lies below Delegated the caller reaches alone.
func (g *Grant) InBase(path string) bool {
	_, ok := below(path, g.CgroupBase)
	return ok && badCgroupPath(path) == ""
}

func (g *Grant) cgroupHint() string {
	switch {
	case g.CgroupBase != "":
		return "yours are " + g.CgroupBase + "/NAME"
	case g.Delegated != "":
		return "yours are " + g.Delegated + "/NAME"
	}
	if g.CgroupNote != "" {
		return "you have none here, because " + g.CgroupNote + "; leave it out, and the container stays in your own cgroup"
	}
	return "you have none here: leave it out, and the container stays in your own cgroup"
}

// below is the part of a path below base.
func below(path, base string) (rest string, ok bool) {
	if len(base) < 2 || base[0] != '/' || !strings.HasPrefix(path, base) {
		return "", false
	}
	rest, ok = strings.CutPrefix(path[len(base):], "/")
	return rest, ok && rest != ""
}

// badCgroupPath wants names that lead down, and that are not the kernel's (cgroup-v2.rst, "Avoid Name
// Collisions").
func badCgroupPath(path string) string {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok && strings.Count(path, ":") == 2 {
		return "cgroupsPath " + strconv.Quote(path) + " is for a cgroup that systemd makes"
	}
	if !ok {
		return "cgroupsPath " + strconv.Quote(path) + " is not absolute"
	}
	if len(path) >= 4096 { // PATH_MAX
		return "cgroupsPath is too long"
	}
	for name := range strings.SplitSeq(rest, "/") {
		if name == "" || name == "." || name == ".." || len(name) > 255 || strings.HasPrefix(name, "cgroup.") || strings.ContainsAny(name, "\x00\n") {
			return "cgroupsPath has the component " + strconv.Quote(name)
		}
	}
	return ""
}

func (c *checker) cgroupsPath() {
	if c.grant.Systemd {
		return // asked with the caller's rights alone, it makes a scope where the caller might have had it made anyway
	}
	if c.linux.CgroupsPath == "" {
		return // the container stays in its caller's cgroup, with the caller's limits
	}
	if reason, hint := CgroupAllowed(c.linux.CgroupsPath, c.grant); reason != "" {
		c.problem("/linux/cgroupsPath", reason, hint)
	}
}

// resources are written with the caller's rights into a cgroup of the caller's, below limits that are not.
// Whether a controller is there at all the compiler knows.
func (c *checker) resources() {
	r := c.linux.Resources
	if r == nil {
		return
	}
	if c.linux.CgroupsPath == "" && !c.grant.Systemd && (r.Memory != nil || r.CPU != nil || r.Pids != nil || r.BlockIO != nil ||
		len(r.HugepageLimits) > 0 || r.Network != nil || len(r.Rdma) > 0 || len(r.Unified) > 0) {
		c.problem("/linux/resources", "resources need cgroupsPath", "set linux.cgroupsPath; "+c.grant.cgroupHint())
	}
	c.deviceRules(r.Devices)
	if r.Network != nil {
		c.problem("/linux/resources/network", "network classes and priorities are cgroup v1's and need root", "remove the section")
	}
	c.memory(r.Memory)
	c.cpu(r.CPU)
	c.unified(r.Unified)
}

// deviceRules of a device filter need root's eBPF. One that denies everything is what a user namespace is
// anyway: nobody in it can make a node, and a node that is bound is the host's, with the host's mode.
func (c *checker) deviceRules(rules []specs.LinuxDeviceCgroup) {
	for i := range rules {
		d := &rules[i]
		if i > 0 || d.Allow || d.Type != "" && d.Type != "a" || d.Major != nil && *d.Major != -1 || d.Minor != nil && *d.Minor != -1 || !allAccess(d.Access) {
			c.problem(at("/linux/resources/devices", i), "device rules need root", "leave devices empty, or give the one rule that denies everything")
		}
	}
}

// allAccess says whether access is read, write and mknod in any order. Left out, it is all of them.
func allAccess(access string) bool {
	return access == "" || strings.Trim(access, "rwm") == "" && strings.Contains(access, "r") && strings.Contains(access, "w") && strings.Contains(access, "m")
}

// memory refuses what cgroup v2 has not. A value that asks for what is so anyway is no request.
func (c *checker) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		//lint:ignore SA1019 a setting that is asked for is answered, also a deprecated one
		{"kernel", m.Kernel != nil && *m.Kernel != -1},
		{"kernelTCP", m.KernelTCP != nil && *m.KernelTCP != -1},
		{"swappiness", m.Swappiness != nil},
		{"disableOOMKiller", m.DisableOOMKiller != nil && *m.DisableOOMKiller},
		{"useHierarchy", m.UseHierarchy != nil && !*m.UseHierarchy},
	} {
		if f.set {
			c.problem("/linux/resources/memory/"+f.name, "memory."+f.name+" is cgroup v1's and needs root", "leave it out")
		}
	}
}

func (c *checker) cpu(r *specs.LinuxCPU) {
	if r == nil {
		return
	}
	const reason, hint = "realtime budgets are cgroup v1's and need root", "leave it out"
	if r.RealtimeRuntime != nil && *r.RealtimeRuntime != 0 {
		c.problem("/linux/resources/cpu/realtimeRuntime", reason, hint)
	}
	if r.RealtimePeriod != nil && *r.RealtimePeriod != 0 {
		c.problem("/linux/resources/cpu/realtimePeriod", reason, hint)
	}
}

// unified names files. They are those of the controllers that limit; the cgroup.* files are the runtime's.
func (c *checker) unified(files map[string]string) {
	keys := make([]string, 0, len(files))
	for k := range files {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, key := range keys {
		p := member("/linux/resources/unified", key)
		controller, file, _ := strings.Cut(key, ".")
		switch controller {
		case "memory", "cpu", "cpuset", "pids", "io", "hugetlb", "misc", "rdma":
		default:
			file = ""
		}
		if file == "" || strings.Trim(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
			c.problem(p, strconv.Quote(key)+" is not a file that you may write", `it is like "memory.high"; the cgroup.* files are the runtime's`)
		}
		if v := files[key]; len(v) > 4096 || strings.IndexByte(v, 0) >= 0 {
			c.problem(p, "the value is longer than 4096 bytes or has a NUL byte", "")
		}
	}
}
