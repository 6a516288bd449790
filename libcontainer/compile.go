package libcontainer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Compile turns a config.json that Validate has nothing against into a Program for this host. It
// is pure: no file, environment or clock is read. The error is a *ProblemError: things that only the
// host decides, such as a limit whose controller is not there.
func Compile(spec *specs.Spec, host Host) (*Program, error) { return compile(spec, host, ModeRun) }

// CompileCreate is Compile for Container.Create.
func CompileCreate(spec *specs.Spec, host Host) (*Program, error) {
	return compile(spec, host, ModeCreate)
}

func compile(spec *specs.Spec, host Host, m Mode) (*Program, error) {
	c := newCompiler(spec, host, m)
	c.namespaces()
	c.compareMaps()
	c.hooks()
	if host.HostRoot {
		c.problem("/root/path", "root.path must not be the host's root", "name a directory of its own")
	}

	// The order is the program. What breaks when a line is moved is said at the step itself.
	c.compileClone()
	c.compileCgroup()
	c.compileScope()
	c.compileNetDevices()
	c.compileSession()
	c.compileProc()
	c.compileNamespaces()
	c.compileShown()
	c.compileMountLabel()
	c.compileSources()
	c.compileGate()
	c.compileIdentity()
	c.compileKernel()
	c.compileMounts()
	c.compileDevices()
	c.compileConsole()
	c.compileMissingCwd()
	c.compileSeals()
	c.compileHookGate()
	c.compileLabels() // a hook that was made with them would execute with the label of the user's program
	c.compilePivot()
	c.compileProcess()
	return c.done()
}

func newCompiler(spec *specs.Spec, host Host, m Mode) *compiler {
	c := &compiler{spec: spec, host: &host, linux: spec.Linux, prog: &Program{PIDNamespace: -1, Mode: m}, root: noSlot, mask: noSlot, proc: noSlot, pts: noSlot}
	if c.linux == nil {
		c.linux = &specs.Linux{}
	}
	// Room for what engines ask for, hooks aside: to grow would copy all of it, and what is not used costs no page.
	c.prog.Ops = make([]Op, 0, 384)
	c.args = make([]Arg, 0, 1536)
	return c
}

// done is the Program, unless there were problems.
func (c *compiler) done() (*Program, error) {
	c.compileHookEnds()
	c.prog.Slots = c.slots
	if c.slots > maxSlots {
		c.problem("/mounts", "this container takes more than "+strconv.Itoa(maxSlots)+" descriptors to set up", "use fewer mounts")
	}
	if len(c.problems) > 0 {
		return nil, &ProblemError{c.problems}
	}
	return c.prog, nil
}

// maxSlots bounds the descriptors of a Program, far below what a Slot can count.
const maxSlots = 16384

// compiler is the state of one Compile.
type compiler struct {
	spec  *specs.Spec
	linux *specs.Linux // never nil
	host  *Host
	prog  *Program

	args     []Arg // all arguments lie in one slice
	slots    int
	numbers  int    // descriptor numbers given out by number
	held     held   // those of the wait for Start
	origin   string // JSON pointer for the ops to come
	forked   []childHook
	problems []Problem

	fresh  uint64        // CLONE_NEW* of namespaces that are created
	joined uint64        // CLONE_NEW* of namespaces that are joined by path
	root   Slot          // root directory of the container's file system
	under  Slot          // what the root is mounted on
	proc   Slot          // the host's /proc, when its path will not do
	mask   Slot          // tmpfs with what covers masked paths
	pts    Slot          // the devpts that is mounted on /dev/pts
	bound  []boundSource // sources opened before the root changes, for mounts and devices
	placed []placedMount // file systems made afresh, below which no link can lead astray
	strict bool          // resolve without following any link

	closing []closingMount // to be made read-only at the end
	shown   []bool         // mounts that are binds of the host's, in place of file systems that cannot be made
}

// do appends an op. Inlined, its two hundred calls would be a twentieth of the program's size, and of the pages that it
// touches at its start; the same goes for the others that are not.
//
//go:noinline
func (c *compiler) do(call sys.Call, args ...Arg) *Op {
	start := len(c.args)
	c.args = append(c.args, args...)
	c.prog.Ops = append(c.prog.Ops, Op{Call: call, Slot: noSlot, Args: c.args[start:len(c.args):len(c.args)], Origin: c.origin})
	return &c.prog.Ops[len(c.prog.Ops)-1]
}

// fd gives the op a slot for the descriptor that it returns.
func (c *compiler) fd(o *Op) Slot {
	o.Slot = Slot(c.slots)
	c.slots++
	return o.Slot
}

// rights gives the op a slot whose descriptor can be sent away with send: the two slots before it are the
// header of a control message (cmsg(3)), so that the descriptor lies where the kernel looks for it.
func (c *compiler) rights(o *Op) Slot {
	c.slots += 2
	return c.fd(o)
}

// send sends a text and the descriptor in a slot of rights over a connected socket. It does not wait: the other
// end may read whenever it likes, and a socket that is full is an error.
func (c *compiler) send(socket Arg, text string, fd Slot) *Op {
	return c.do(sys.Sendmsg, socket, Arg{kind: argMessage, n: uint64(fd), s: text}, bits(flagsMessage, sys.MSG_DONTWAIT|sys.MSG_NOSIGNAL)).must(uint8(len(text)))
}

// input appends a descriptor that the parent opens, as an argument.
//
//go:noinline
func (c *compiler) input(in Input) Arg {
	c.prog.Inputs = append(c.prog.Inputs, in)
	return Arg{kind: argInput, n: uint64(len(c.prog.Inputs) - 1)}
}

// once is an input of which there is one.
func (c *compiler) once(kind InputKind) Arg {
	for i, in := range c.prog.Inputs {
		if in.Kind == kind {
			return Arg{kind: argInput, n: uint64(i)}
		}
	}
	return c.input(Input{Kind: kind})
}

// list appends an argv or envp, as an argument.
func (c *compiler) list(l []string) Arg {
	c.prog.lists = append(c.prog.lists, l)
	return Arg{kind: argStrings, n: uint64(len(c.prog.lists) - 1)}
}

func (c *compiler) problem(pointer, reason, hint string) {
	c.problems = append(c.problems, Problem{pointer, reason, hint})
}

// warn notes what is left out.
func (c *compiler) warn(pointer, reason, hint string) {
	c.prog.Warnings = append(c.prog.Warnings, Problem{pointer, reason, hint})
}

// from sets the origin of the ops to come: a pointer, or a pointer and an index.
//
//go:noinline
func (c *compiler) from(pointer string) { c.origin = pointer }

func (c *compiler) fromIndex(pointer string, i int) { c.origin = pointer + "/" + strconv.Itoa(i) }

// compileCgroup plans what the parent does before the child exists: limits come first, so that no
// instruction of the container runs outside them.
func (c *compiler) compileCgroup() {
	c.prog.Cgroups = c.host.Cgroups
	if c.prog.Mode != ModeCreate && !c.host.Cgroups.Unified {
		c.prog.Cgroups.Account = false // nobody asks how much it uses, and four hierarchies are a tenth of a run
	}
	c.prog.CgroupPath = c.cgroupPath()
	if c.prog.CgroupPath != "" {
		c.prog.CgroupOwner = c.cgroupOwner()
	}
	res := c.linux.Resources
	if res == nil {
		return
	}
	res, left := withoutKernelMemory(res)
	if left {
		c.warn("/linux/resources/memory/kernel", "the kernel does not limit its own memory apart from the container's", "it is left out: memory.limit counts the kernel's memory too")
	}
	if version := c.spec.Version; strings.HasPrefix(version, "1.0.") || strings.HasPrefix(version, "1.1.") || strings.HasPrefix(version, "1.2.") {
		res = withoutPidsZero(res)
	}
	if c.host.NoCgroup && len(res.Devices) == 1 && denyAll(res.Devices[0]) { // engines write it for every container
		c.warn("/linux/resources/devices", "no cgroup, no device filter", "CAP_MKNOD is what makes devices: leave it out")
		r := *res
		r.Devices, res = nil, &r
	}
	c.prog.CgroupWrites = cgroup.Compile(res, c.layout(), c.problem)
	switch {
	case c.host.Mknod:
		c.prog.DeviceRules = cgroup.CompileDevices(res.Devices, c.problem)
	case len(res.Devices) > 1 || len(res.Devices) == 1 && !denyAll(res.Devices[0]):
		c.problem("/linux/resources/devices", "device rules need root outside of any user namespace", "leave them out: no device can be made in a user namespace")
	}
	if c.prog.CgroupPath == "" && (len(c.prog.CgroupWrites) > 0 || len(c.prog.DeviceRules) > 0) {
		hint := "set linux.cgroupsPath"
		if c.host.NoCgroup {
			hint = "leave them out, or have the container get a cgroup"
		}
		c.problem("/linux/resources", "resources need a cgroup of their own", hint)
	}
}

// cgroupOwner is the host's uid that the cgroup is given to, 0 when to nobody: to the container's user, if
// there is a cgroup namespace for it to be the root of and a mount to write it by (runtime spec, "Cgroup
// ownership"). Only root can, and no v1 hierarchy is given away.
func (c *compiler) cgroupOwner() int {
	if c.host.UID != 0 || !c.host.Cgroups.Unified || c.fresh&sys.CLONE_NEWCGROUP == 0 || c.spec.Process == nil {
		return 0
	}
	writable := slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool {
		o := parseMountOptions(m.Type, m.Options)
		return destination(m.Destination) == "/sys/fs/cgroup" && !o.remount && (m.Type == "cgroup" || m.Type == "cgroup2") && !o.bind && !slices.Contains(m.Options, "ro")
	})
	if !writable {
		return 0
	}
	uid := c.spec.Process.User.UID
	if !c.userns() {
		return int(uid)
	}
	for _, m := range c.linux.UIDMappings {
		if uid >= m.ContainerID && uid-m.ContainerID < m.Size {
			return int(m.HostID + (uid - m.ContainerID))
		}
	}
	return 0
}

// withoutKernelMemory leaves out a limit that the specification does not recommend and that no kernel has any more (since
// Linux 5.16 on v1; v2 never had it). left says that there was one.
func withoutKernelMemory(res *specs.LinuxResources) (_ *specs.LinuxResources, left bool) {
	//lint:ignore SA1019 a deprecated limit that is asked for is left out, and said
	if m := res.Memory; m == nil || m.Kernel == nil || *m.Kernel == -1 {
		return res, false
	}
	r, without := *res, *res.Memory
	//lint:ignore SA1019 as above
	without.Kernel = nil
	r.Memory = &without
	return &r, true
}

// withoutPidsZero leaves out a pids limit of 0, which is a limit since version 1.3 of the runtime spec. Before, runtimes
// took it for none (runc up to 1.3, crun), and engines write it for that: podman 4.3 for --pids-limit -1.
func withoutPidsZero(res *specs.LinuxResources) *specs.LinuxResources {
	if res.Pids == nil || res.Pids.Limit == nil || *res.Pids.Limit != 0 {
		return res
	}
	r := *res
	r.Pids = nil
	return &r
}

// cgroupPath is the container's cgroup; where config.json names none it is for the runtime to say (config-linux.md,
// Cgroups Path).
func (c *compiler) cgroupPath() string {
	if c.host.NoCgroup {
		if c.linux.CgroupsPath != "" {
			c.warn("/linux/cgroupsPath", "the container is to have no cgroup", "it stays in the caller's")
		}
		return ""
	}
	if c.host.Systemd != nil {
		return c.scopePath()
	}
	if c.linux.CgroupsPath == "" {
		return c.host.DefaultCgroup
	}
	p, reason, hint := cgroup.Resolve(c.linux.CgroupsPath)
	if reason != "" {
		c.problem("/linux/cgroupsPath", reason, hint)
	}
	return p
}

// denyAll says whether a device rule forbids everything, which holds in a user namespace anyway: no node can
// be made there, and those that are bound are the ones that config.json names.
func denyAll(d specs.LinuxDeviceCgroup) bool {
	return !d.Allow && (d.Type == "" || d.Type == "a") && (d.Access == "" || d.Access == "rwm") && d.Major == nil && d.Minor == nil
}
