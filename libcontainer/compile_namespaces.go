package libcontainer

import (
	"slices"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// namespaceFlag is the CLONE_NEW* of a namespace type of the runtime spec; 0 for an unknown one.
func namespaceFlag(t specs.LinuxNamespaceType) uint64 {
	switch t {
	case specs.PIDNamespace:
		return sys.CLONE_NEWPID
	case specs.NetworkNamespace:
		return sys.CLONE_NEWNET
	case specs.MountNamespace:
		return sys.CLONE_NEWNS
	case specs.IPCNamespace:
		return sys.CLONE_NEWIPC
	case specs.UTSNamespace:
		return sys.CLONE_NEWUTS
	case specs.UserNamespace:
		return sys.CLONE_NEWUSER
	case specs.CgroupNamespace:
		return sys.CLONE_NEWCGROUP
	case specs.TimeNamespace:
		return sys.CLONE_NEWTIME
	}
	return 0
}

func (c *compiler) namespaces() {
	for _, n := range c.linux.Namespaces {
		if n.Path == "" {
			c.fresh |= namespaceFlag(n.Type)
		} else {
			c.joined |= namespaceFlag(n.Type)
		}
	}
}

// userns says whether the container lives in a user namespace other than the caller's.
func (c *compiler) userns() bool { return (c.fresh|c.joined)&sys.CLONE_NEWUSER != 0 }

// compileClone decides what clone3(2) does. Only the user and the pid namespace have to be made by
// it; the others are made by the child (compileNamespaces).
//
// ShareVM (CLONE_VM|CLONE_VFORK) saves the copy of the page tables. The child then shares memory
// with the parent until it executes the user's program, so it must never have ids that anybody but
// root has, nor be seen by another container: only for root callers, no user namespace, a new pid namespace, and a
// process that runs as uid 0. The parent is suspended meanwhile, so nothing may wait for it. A time namespace is
// joined only by a process that shares its memory with no other (EUSERS: setns(2)).
func (c *compiler) compileClone() {
	p := c.prog
	p.CloneFlags = c.fresh & (sys.CLONE_NEWUSER | sys.CLONE_NEWPID)
	if c.joined&sys.CLONE_NEWUSER != 0 && c.fresh&sys.CLONE_NEWPID != 0 {
		// The new pid namespace has to belong to the user namespace that is joined. That takes a process to
		// join, and another to be born in the pid namespace.
		p.CloneFlags, p.Forks = 0, true
	}
	if c.fresh&sys.CLONE_NEWUSER != 0 {
		p.UIDMappings, p.GIDMappings = c.linux.UIDMappings, c.linux.GIDMappings
		// One extent of the caller's own gid may be written by the caller only after setgroups is
		// denied (user_namespaces(7)); a wider map needs CAP_SETGID of its writer, who has proved
		// the right to those gids, so dropping groups gives nothing away (CVE-2014-8989).
		p.DenySetgroups = c.host.UID != 0 && len(p.GIDMappings) == 1 && p.GIDMappings[0].Size == 1
	}
	for clock, o := range c.linux.TimeOffsets {
		p.TimeOffsets = append(p.TimeOffsets, TimeOffset{clock, o.Secs, o.Nanosecs})
	}
	if len(p.TimeOffsets) == 2 && p.TimeOffsets[0].Clock > p.TimeOffsets[1].Clock { // a map has no order; a listing has one
		p.TimeOffsets[0], p.TimeOffsets[1] = p.TimeOffsets[1], p.TimeOffsets[0]
	}
	if c.userns() {
		p.OOMScoreAdj = c.process().OOMScoreAdj
	}
	p.Gated = c.fresh&sys.CLONE_NEWUSER != 0 || len(p.TimeOffsets) > 0 || p.OOMScoreAdj != nil || len(c.linux.NetDevices) > 0
	u := c.process().User
	p.ShareVM = p.Mode == ModeRun && c.host.UID == 0 && !c.userns() && !p.Gated && !p.HookGate && !c.notifies() && u.UID == 0 && u.GID == 0 && (c.joined|c.fresh)&sys.CLONE_NEWTIME == 0 && c.fresh&sys.CLONE_NEWPID != 0
}

// process is that of config.json; one that does nothing when there is none.
func (c *compiler) process() *specs.Process {
	if c.spec.Process == nil {
		return &specs.Process{Cwd: "/"}
	}
	return c.spec.Process
}

// compileSession cuts the ties to the caller's session, signals and mask.
func (c *compiler) compileSession() {
	if !c.userns() || c.prog.Mode == ModeExec {
		c.compileUndumpable()
	}
	if c.prog.Gated || c.prog.Mode != ModeRun {
		// It is armed again when the ids have changed, which clears it. Here it ends a wait at the gate.
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_PDEATHSIG), num(sys.SIGKILL), num(0), num(0), num(0))
	}
	// A new session has no controlling terminal: TIOCSTI into the caller's terminal gets EPERM (CVE-2017-5226).
	c.do(sys.Setsid)
	c.do(sys.Umask, bits(flagsOctal, 0))
	c.resetSignals()
	c.compileKeyLabel()
	// The caller's keys stay the caller's (keyrings(7)). A seccomp filter around us may know no
	// keyctl, and a user's quota of keys may be used up: then the session keyring stays.
	if !c.host.KeepKeyring {
		c.do(sys.Keyctl, num(sys.KEYCTL_JOIN_SESSION_KEYRING), num(0)).ok(sys.ENOSYS, sys.EPERM, sys.EDQUOT)
	}
}

// resetSignals has the process ignore no signal. CLONE_CLEAR_SIGHAND resets handlers but not ignored signals. These
// are the ones for which the Go runtime keeps an ignore that it inherited (HUP, INT) or never installs a handler, and
// PIPE, which a program that must survive its readers ignores.
func (c *compiler) resetSignals() {
	for _, s := range [...]uint64{1, 2, 13, 18, 20, 21, 22, 32, 33, 34} {
		c.do(sys.RtSigaction, num(s), Arg{kind: argZeros}, num(0), num(8))
	}
}

// compileNamespaces joins namespaces by descriptor and makes the new ones.
func (c *compiler) compileNamespaces() {
	if c.joined&sys.CLONE_NEWNS == 0 {
		// Before the mount namespace is left: unshare(2) and a mount namespace's copy move the
		// working directory along, so that relative paths of config.json start at the bundle whose
		// directory the parent holds, and no path of the bundle is resolved again.
		c.enterBundle()
	}
	for _, user := range [...]bool{true, false} { // the user namespace first: it gives the right to join the others
		for i, n := range c.linux.Namespaces {
			if n.Path == "" || (n.Type == specs.UserNamespace) != user {
				continue
			}
			c.fromIndex("/linux/namespaces", i)
			in := c.input(Input{Kind: InputNamespace, Path: n.Path, Flag: namespaceFlag(n.Type), Origin: c.origin})
			if n.Type == specs.PIDNamespace {
				c.prog.PIDNamespace = int(in.n) // a process cannot move to another pid namespace: it is born there
				continue
			}
			c.do(sys.Setns, in, bits(flagsClone, namespaceFlag(n.Type))).about("join the "+string(n.Type)+" namespace", n.Path)
		}
	}
	c.from("/linux/namespaces")
	if c.prog.Forks {
		c.do(sys.Clone, bits(flagsClone, sys.CLONE_PARENT|sys.CLONE_NEWPID|17), num(0), num(0), num(0), num(0)).must(0).about("create", "the pid namespace")
		c.do(sys.Setsid) // the second child is in the session of the first, and does not lead it
	}
	if rest := c.fresh &^ (sys.CLONE_NEWUSER | sys.CLONE_NEWPID | sys.CLONE_NEWCGROUP); rest != 0 {
		c.do(sys.Unshare, bits(flagsClone, rest)).about("create", "namespaces")
	}
	c.from("")
}

// compileGate waits until the parent has written the maps, placed the child in its cgroup and, when
// it runs set-user-ID, given up its power. End of file means that the parent died: the child exits.
func (c *compiler) compileGate() {
	if c.prog.Gated {
		// The parent starts when everything before this is done: a time namespace must exist before its offsets
		// are written, and whether sources are opened before or after the maps are there must not be chance.
		c.do(sys.Write, c.once(InputReport), raw(flagsHex, le32(recordReady, 0, 0, 0)), num(16)).must(16).about("tell", "the parent")
		c.do(sys.Read, c.once(InputGate), Arg{kind: argScratch}, num(1)).must(1).about("wait for", "the parent")
	}
}

// compileUndumpable keeps the child from being traced and its descriptors from being opened through /proc, by
// root in a container whose pid namespace it joins (CVE-2016-9962). execve(2) undoes it. In a new user namespace it
// waits until the maps are written: a caller without privilege could not write them otherwise (proc(5)).
func (c *compiler) compileUndumpable() {
	c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_DUMPABLE), num(0), num(0), num(0), num(0))
}

// setupID is the container id with which the file system is set up: 0 where it is mapped, because the
// files that are made (mount points, /dev) are root's in every image. ok is false when the child has it already.
func (c *compiler) setupID(maps []specs.LinuxIDMapping, own uint32) (id uint32, change bool) {
	for _, m := range maps {
		if m.ContainerID == 0 {
			return 0, m.HostID != own
		}
	}
	for _, m := range maps {
		if own >= m.HostID && own-m.HostID < m.Size {
			return own - m.HostID + m.ContainerID, false
		}
	}
	if len(maps) > 0 {
		return maps[0].ContainerID, true
	}
	return 0, own != 0
}

// compileIdentity takes an id of the new user namespace: an unmapped id can create no file (EOVERFLOW).
// After the sources were opened: they were looked up with the caller's rights.
func (c *compiler) compileIdentity() {
	if !c.userns() {
		return
	}
	c.compileUndumpable()
	uid, changeUID := c.setupID(c.prog.UIDMappings, c.host.UID)
	gid, changeGID := c.setupID(c.prog.GIDMappings, c.host.GID)
	if c.joined&sys.CLONE_NEWUSER != 0 {
		changeUID, changeGID = true, true
	}
	if changeGID {
		c.from("/linux/gidMappings")
		if !c.prog.DenySetgroups && !keepsGroups(c.spec) {
			// A namespace that is joined, or lies in another, may have setgroups denied; the caller's groups mean nothing in
			// it then.
			o := c.do(sys.Setgroups, num(0), num(0))
			if c.joined&sys.CLONE_NEWUSER != 0 || c.nested() {
				o.ok(sys.EPERM)
			}
		}
		c.do(sys.Setresgid, num(uint64(gid)), num(uint64(gid)), num(uint64(gid))).about("become", "gid "+strconv.FormatUint(uint64(gid), 10))
	}
	if changeUID {
		c.from("/linux/uidMappings")
		c.do(sys.Setresuid, num(uint64(uid)), num(uint64(uid)), num(uint64(uid))).about("become", "uid "+strconv.FormatUint(uint64(uid), 10))
	}
	c.from("")
}

// compileKernel sets what belongs to the new namespaces and to the process, while the host's /proc
// is still in reach: it is trusted, the image's is not (CVE-2019-19921).
func (c *compiler) compileKernel() {
	var counted []string
	if c.prog.CgroupPath != "" {
		counted = c.prog.Cgroups.Counted()
	}
	c.compilePlacement(c.v1Controllers(), counted)
	if c.fresh&sys.CLONE_NEWTIME != 0 {
		// Before Linux 6.2 execve(2) did not enter the time namespace that unshare(2) had made: the program kept
		// the caller's clocks and could make no thread (clone(2): EINVAL).
		f := c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str("/proc/self/ns/time_for_children"), bits(flagsOpen, sys.O_CLOEXEC)).about("enter", "the time namespace"))
		c.do(sys.Setns, at(f), bits(flagsClone, sys.CLONE_NEWTIME)).about("enter", "the time namespace")
	}
	if c.fresh&sys.CLONE_NEWNET != 0 {
		s := c.fd(c.do(sys.Socket, num(sys.AF_INET), num(sys.SOCK_DGRAM|sys.SOCK_CLOEXEC), num(0)).about("open a socket for", "lo"))
		c.do(sys.Ioctl, at(s), bits(flagsHex, sys.SIOCSIFFLAGS), ifreq("lo", sys.IFF_UP|sys.IFF_RUNNING)).about("set up", "lo")
	}
	c.compileNames()
	c.compileSysctls()
	if adj := c.process().OOMScoreAdj; adj != nil && !c.userns() {
		c.from("/process/oomScoreAdj")
		c.write("/proc/self/oom_score_adj", strconv.Itoa(*adj), "set oom_score_adj to", strconv.Itoa(*adj))
	}
	c.from("")
}

// compileNames sets the host and the domain name of the uts namespace that the child is in.
func (c *compiler) compileNames() {
	for _, h := range [...]struct {
		pointer, name string
		call          sys.Call
	}{{"/hostname", c.spec.Hostname, sys.Sethostname}, {"/domainname", c.spec.Domainname, sys.Setdomainname}} {
		if h.name == "" {
			continue
		}
		c.from(h.pointer)
		if c.joined&c.host.Own&sys.CLONE_NEWUTS != 0 {
			c.problem(c.origin, h.pointer[1:]+" would change the host, whose uts namespace is joined", "leave it out")
		}
		c.do(h.call, str(h.name), num(uint64(len(h.name))))
	}
	c.from("")
}

// compileSysctls writes what the kernel keeps per namespace: the files of /proc/sys are those of the namespaces that
// the child is in.
func (c *compiler) compileSysctls() {
	for _, key := range sortedKeys(c.linux.Sysctl) {
		c.from("/linux/sysctl/" + escapePointer(key))
		if need, _ := sysctlNamespace(key); c.joined&c.host.Own&namespaceFlag(need) != 0 {
			c.problem(c.origin, "sysctl "+key+" would change the host, whose "+string(need)+" namespace is joined", "leave it out")
		}
		file, _ := sysctlPath(key)
		c.write("/proc/sys/"+file, c.linux.Sysctl[key], "set sysctl", key)
	}
	c.from("")
}

// compilePlacement puts the child into the cgroups of v1 controllers, those that limit it and those that only count,
// and makes its cgroup the root of a new cgroup namespace, which is whatever cgroup the process is in at that moment.
func (c *compiler) compilePlacement(limits, counts []string) {
	c.from("/linux/cgroupsPath")
	for _, name := range limits {
		c.do(sys.Write, c.input(Input{Kind: InputTasks, Path: name, Origin: c.origin}), str("0"), num(1)).about("enter the cgroup of", name)
	}
	for _, name := range counts {
		if !slices.Contains(limits, name) {
			c.do(sys.Write, c.input(Input{Kind: InputCount, Path: name, Origin: c.origin}), str("0"), num(1)).ok(sys.EBADF).about("enter the cgroup of", name)
		}
	}
	c.from("/linux/namespaces")
	if c.fresh&sys.CLONE_NEWCGROUP != 0 {
		c.do(sys.Unshare, bits(flagsClone, sys.CLONE_NEWCGROUP)).about("create", "the cgroup namespace")
	}
	c.from("")
}

// v1Controllers are the v1 hierarchies in which the cgroup has limits, sorted: the child enters them by
// itself, while it is born into the cgroup2 tree.
func (c *compiler) v1Controllers() []string {
	var names []string
	for _, ctrl := range c.host.Cgroups.V1 {
		for _, w := range c.prog.CgroupWrites {
			if w.Controller == ctrl.Name && ctrl.Dir != "" {
				names = append(names, ctrl.Name)
				break
			}
		}
	}
	return names
}
