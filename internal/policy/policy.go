// Package policy says what a caller who is not root may ask the set-user-ID helper locald-shim for.
//
// Check reads a config.json that libcontainer.Validate has nothing against and a Grant, which is what the
// machine's admin lets this caller do, and names everything in the one that the other does not cover. It
// refuses and never changes a value, it is pure, and it has finished before any namespace exists.
//
// Little of what it refuses could do harm: the container's user namespace is the caller's, the program runs
// with the caller's rights, and the kernel decides. There Check only says early, and in words, what would
// end in an EPERM. In four places it is the only barrier, because the helper uses root's power or lends it:
// the id maps (mapping), the cgroup path (CgroupAllowed), and the two files of /proc that are written with
// file-system uid 0, oom_score_adj and timens_offsets (oomScoreAdj, timeOffsets).
//
// Rows has a verdict for every property of the runtime specification, and a test that none is missing.
//
// The Parse functions read the root-owned files that a Grant is made from. They open nothing: that is for
// package privilege, with root's ids and before it looks at anything of the caller's.
package policy

import (
	"path"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Grant is what the machine's admin lets one caller do. It is made from root-owned files before any input
// of the caller's is touched.
type Grant struct {
	UID, GID             uint32   // real ids of the caller; the uid is never 0
	SubUIDs, SubGIDs     []Range  // the caller's ranges of /etc/subuid and /etc/subgid: sorted, apart from each other
	TakenUIDs, TakenGIDs []uint32 // ids inside these ranges that are another account's all the same
	UIDNote, GIDNote     string   // why the ranges are fewer than the file seems to have; "" when they are not
	Setuid               bool     // the helper runs set-user-ID: it may write maps of more than the caller's own id
	CgroupBase           string   // "/locald/u1000"; "" when the helper may not make cgroups
	Delegated            string   // the caller's own cgroup when its directory is the caller's; else ""
	Systemd              bool     // the caller's own systemd makes the cgroup, and decides

	HardLimits  [16]uint64 // RLIMIT_* hard limits at entry, by number (asm-generic/resource.h)
	OOMScoreAdj int        // the caller's own
	Helper
}

// Helper is what the set-user-ID helper does on this machine, and does not.
type Helper struct {
	IDMap      bool   // it maps the ids of mounts
	CgroupNote string // why there is no CgroupBase although the admin allows one; "" otherwise
}

// Check says everything in a config.json that the caller may not have.
func Check(spec *specs.Spec, g *Grant) []libcontainer.Problem {
	c := &checker{spec: spec, linux: spec.Linux, process: spec.Process, grant: g}
	if c.linux == nil {
		c.linux = &specs.Linux{}
	}
	if c.process == nil {
		c.process = &specs.Process{}
	}
	c.sections()
	c.root()
	c.hostnames()
	c.namespaces()
	c.maps()
	c.user()
	c.mounts()
	c.devices()
	c.sysctls()
	c.timeOffsets()
	c.cgroupsPath()
	c.resources()
	c.rlimits()
	c.oomScoreAdj()
	c.scheduler()
	c.ioPriority()
	c.hooks()
	c.annotations()
	return c.problems
}

// checker is the state of one Check.
type checker struct {
	spec     *specs.Spec
	linux    *specs.Linux   // never nil
	process  *specs.Process // never nil
	grant    *Grant
	problems []libcontainer.Problem
}

func (c *checker) problem(pointer, reason, hint string) {
	c.problems = append(c.problems, libcontainer.Problem{Pointer: pointer, Reason: reason, Hint: hint})
}

// sections refuses what is for another system, and what is the whole machine's.
func (c *checker) sections() {
	s, l := c.spec, c.linux
	for _, p := range [...]struct {
		set                   bool
		pointer, reason, hint string
	}{
		{s.Solaris != nil, "/solaris", "this is not a Linux bundle", "remove the section"},
		{s.Windows != nil, "/windows", "this is not a Linux bundle", "remove the section"},
		{s.VM != nil, "/vm", "this is not a Linux bundle", "remove the section"},
		{s.ZOS != nil, "/zos", "this is not a Linux bundle", "remove the section"},
		{s.FreeBSD != nil, "/freebsd", "this is not a Linux bundle", "remove the section"},
		{l.IntelRdt != nil, "/linux/intelRdt", "resctrl needs root", "remove the section"},
		{len(l.NetDevices) > 0, "/linux/netDevices", "moving host interfaces needs root", "remove the section"},
		{c.process.CommandLine != "", "/process/commandLine", "commandLine is for Windows", "use args"},
	} {
		if p.set {
			c.problem(p.pointer, p.reason, p.hint)
		}
	}
}

func (c *checker) root() {
	const hint = "name the directory of the container's file system"
	switch r := c.spec.Root; {
	case r == nil:
		c.problem("/root", "root is missing", hint)
	case r.Path == "":
		c.problem("/root/path", "root.path is empty", hint)
	case path.Clean(r.Path) == "/":
		c.problem("/root/path", "root.path must not be the host's root", hint)
	}
}

// hostnames would be the host's without a uts namespace. The kernel refuses that too.
func (c *checker) hostnames() {
	for _, h := range [...]struct{ pointer, name string }{{"/hostname", c.spec.Hostname}, {"/domainname", c.spec.Domainname}} {
		if h.name != "" && !c.isNew(specs.UTSNamespace) {
			c.problem(h.pointer, h.pointer[1:]+" needs a uts namespace", add(specs.UTSNamespace))
		}
	}
}

// hooks run as the caller, after the last of the helper's power is gone.
func (c *checker) hooks() {
	h := c.spec.Hooks
	if h == nil {
		return
	}
	for _, l := range [...]struct {
		name  string
		hooks []specs.Hook
	}{
		//lint:ignore SA1019 a deprecated hook is a hook
		{"prestart", h.Prestart},
		{"createRuntime", h.CreateRuntime},
		{"createContainer", h.CreateContainer},
		{"startContainer", h.StartContainer},
		{"poststart", h.Poststart},
		{"poststop", h.Poststop},
	} {
		for i := range l.hooks {
			p := at("/hooks/"+l.name, i)
			if s := l.hooks[i].Path; !path.IsAbs(s) || strings.IndexByte(s, 0) >= 0 {
				c.problem(p+"/path", "the path of a hook must be absolute", "")
			}
			if t := l.hooks[i].Timeout; t != nil && *t <= 0 {
				c.problem(p+"/timeout", "the timeout of a hook must be more than 0", "leave it out for none")
			}
		}
	}
}

// annotations are notes to others; one that this runtime obeys for root would be a second language for the policy
// (CVE-2024-3154).
func (c *checker) annotations() {
	for _, name := range [...]string{"run.oci.hooks.stderr", "run.oci.hooks.stdout"} {
		if c.spec.Annotations[name] != "" {
			c.problem(member("/annotations", name), "the file for the output of hooks needs root", "leave it out, or have the hook open it")
		}
	}
	if name := "run.oci.keep_original_groups"; c.spec.Annotations[name] == "1" {
		c.problem(member("/annotations", name), "it is obeyed for root only", "leave it out: where one gid is mapped, the groups are kept anyway")
	}
}

// namespace is the first namespace of a type, or nil.
func (c *checker) namespace(t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	for i := range c.linux.Namespaces {
		if c.linux.Namespaces[i].Type == t {
			return &c.linux.Namespaces[i]
		}
	}
	return nil
}

// isNew says whether the container gets a namespace of that type of its own.
func (c *checker) isNew(t specs.LinuxNamespaceType) bool {
	n := c.namespace(t)
	return n != nil && n.Path == ""
}

// add is the hint for a namespace that is missing.
func add(t specs.LinuxNamespaceType) string {
	return `add {"type": "` + string(t) + `"} to linux.namespaces`
}

// at is the pointer to an element of an array.
func at(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }

// member is the pointer to a member of an object, its key escaped (RFC 6901).
func member(pointer, key string) string {
	return pointer + "/" + strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
