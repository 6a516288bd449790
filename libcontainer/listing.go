package libcontainer

import (
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/seccomp"
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// String is the listing: what the parent does, then one line for each system call of the child, with
// the part of config.json that asked for it.
func (p *Program) String() string {
	var b strings.Builder
	if p.Trees != nil {
		b.WriteString(p.Trees.String() + "\n")
	}
	p.listParent(&b)
	p.listOps(&b)
	for i := range p.Hooks {
		if h := &p.Hooks[i]; h.Program != nil {
			b.WriteString(h.Pointer() + "\n")
			h.Program.listOps(&b)
		}
	}
	return b.String()
}

func (p *Program) listOps(b *strings.Builder) {
	for i := range p.Ops {
		line := pad(strconv.Itoa(i), -4) + " " + p.listOp(&p.Ops[i])
		if p.Ops[i].Origin != "" {
			line = pad(line, 78) + " # " + p.Ops[i].Origin
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func (p *Program) listParent(b *strings.Builder) {
	line := func(text, origin string) {
		text = "   . " + text
		if origin != "" {
			text = pad(text, 78) + " # " + origin
		}
		b.WriteString(text + "\n")
	}
	for _, w := range p.Warnings {
		line("warning: "+w.Reason+"; "+w.Hint, w.Pointer)
	}
	if p.CgroupPath != "" {
		line("cgroup "+p.CgroupPath+p.Scope.maker(), "/linux/cgroupsPath")
	}
	if p.CgroupOwner != 0 {
		line("delegate the cgroup to uid "+strconv.Itoa(p.CgroupOwner), "/linux/cgroupsPath")
	}
	for _, w := range p.CgroupWrites {
		line("cgroup "+w.File+" = "+w.Value, w.Pointer)
	}
	if len(p.DeviceRules) > 0 {
		line("cgroup device filter, "+strconv.Itoa(len(p.DeviceRules))+" instructions", "/linux/resources/devices")
	}
	for _, in := range p.Inputs {
		if in.Kind == InputNamespace {
			line("open "+in.Path, in.Origin)
		}
	}
	if p.PIDNamespace >= 0 {
		line("setns "+p.Inputs[p.PIDNamespace].String()+" for the child", p.Inputs[p.PIDNamespace].Origin)
	}
	flags := flagsClone.text(p.CloneFlags)
	if p.ShareVM {
		flags += "|vm|vfork"
	}
	line("clone3 "+strings.TrimPrefix(flags, "0|"), "/linux/namespaces")
	p.listGate(line)
	for _, d := range p.NetDevices {
		line(d.String(), "/linux/netDevices/"+escapePointer(d.Name))
	}
	for i := range p.Hooks {
		line(p.Hooks[i].String(), p.Hooks[i].Pointer())
	}
}

// listGate is what the parent does while the child waits.
func (p *Program) listGate(line func(text, origin string)) {
	if p.DenySetgroups {
		line("setgroups = deny", "/linux/gidMappings")
	}
	for i, m := range p.GIDMappings {
		line("gid_map "+mapLine(m.ContainerID, m.HostID, m.Size), "/linux/gidMappings/"+strconv.Itoa(i))
	}
	for i, m := range p.UIDMappings {
		line("uid_map "+mapLine(m.ContainerID, m.HostID, m.Size), "/linux/uidMappings/"+strconv.Itoa(i))
	}
	for _, t := range p.TimeOffsets {
		line("timens_offsets "+t.String(), "/linux/timeOffsets/"+t.Clock)
	}
	if p.OOMScoreAdj != nil {
		line("oom_score_adj = "+strconv.Itoa(*p.OOMScoreAdj), "/process/oomScoreAdj")
	}
	for _, m := range p.IDMapped {
		line("mount_setattr idmap{"+mapText(m.UIDs)+" / "+mapText(m.GIDs)+"} for "+m.Destination, m.Origin)
	}
}

// String is one line of timens_offsets.
func (t TimeOffset) String() string {
	return t.Clock + " " + strconv.FormatInt(t.Secs, 10) + " " + strconv.FormatUint(uint64(t.Nanos), 10)
}

func mapText(maps []specs.LinuxIDMapping) string {
	s := make([]string, len(maps))
	for i, m := range maps {
		s[i] = mapLine(m.ContainerID, m.HostID, m.Size)
	}
	return strings.Join(s, ", ")
}

func mapLine(container, host, size uint32) string {
	return strconv.FormatUint(uint64(container), 10) + " " + strconv.FormatUint(uint64(host), 10) + " " + strconv.FormatUint(uint64(size), 10)
}

func (p *Program) listOp(o *Op) string {
	s := o.Call.String() + "("
	for i, a := range o.Args {
		if i > 0 {
			s += ", "
		}
		s += p.listArg(a)
	}
	s += ")"
	if o.child != 0 {
		s += ", its child at " + strconv.Itoa(o.child)
	}
	if o.exact {
		s += " must be " + strconv.Itoa(int(o.want))
	}
	if o.Slot != noSlot {
		s += " = s" + strconv.Itoa(int(o.Slot))
	}
	for i, e := range o.Tolerate {
		if e != 0 {
			s += map[bool]string{true: " or ", false: ", "}[i == 0] + e.Name()
		}
	}
	return s
}

func (p *Program) listArg(a Arg) string {
	switch a.kind {
	case argString:
		return strconv.Quote(a.s)
	case argBytes:
		return a.set.structure(a.s)
	case argSlot:
		return "s" + strconv.Itoa(int(a.n))
	case argInput:
		return p.Inputs[a.n].String()
	case argStrings:
		q := make([]string, len(p.lists[a.n]))
		for i, s := range p.lists[a.n] {
			q[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(q, " ") + "]"
	case argScratch:
		return "byte"
	case argPollfd:
		return "{" + p.Inputs[a.n].String() + " in}"
	case argBelow:
		return p.Inputs[a.n].String() + "-1"
	case argAbove:
		return p.Inputs[a.n].String() + "+1"
	case argLayer:
		if a.s != "" {
			return a.s + strconv.Itoa(int(int64(a.n)))
		}
		return "layer" + strconv.Itoa(int(a.n))
	case argLayers:
		return strconv.Quote(layerNames(a, func(n int) string { return "layer" + strconv.Itoa(n) }))
	case argMessage:
		return "{" + strconv.Quote(a.s) + " s" + strconv.Itoa(int(a.n)) + "}"
	case argStatus:
		return "status" + strconv.Itoa(int(a.n))
	case argEnded:
		return "ended" + strconv.Itoa(int(a.n))
	case argIDMap:
		return "{set " + join(mountAttrFlags[:], word(a.s, 0)) + " " + p.Inputs[a.n].String() + "}"
	case argZeros:
		return "zeros"
	case argFilter:
		return strconv.Itoa(len(a.s)/8) + " instructions"
	}
	return a.set.text(a.n)
}

// pad fills s with spaces to n columns; to the left when n is negative.
func pad(s string, n int) string {
	left := n < 0
	if left {
		n = -n
	}
	if len(s) >= n {
		return s
	}
	if left {
		return strings.Repeat(" ", n-len(s)) + s
	}
	return s + strings.Repeat(" ", n-len(s))
}

// flagSet says how a number or a structure is printed.
type flagSet uint8

const (
	flagsDecimal flagSet = iota
	flagsSigned
	flagsOctal
	flagsDev
	flagsClone
	flagsOpen
	flagsOpenTree
	flagsMoveMount
	flagsMountAttr
	flagsAt
	flagsFsconfig
	flagsFspick
	flagsPrctl
	flagsCap
	flagsRlimit
	flagsOpenHow
	flagsSetattr
	flagsCapset
	flagsLimit
	flagsIDs
	flagsIfreq
	flagsSched
	flagsIoprio
	flagsMempolicy
	flagsPersonality
	flagsMask
	flagsHex
	flagsMessage
	flagsIoctl
	flagsWinsize
	flagsSeccomp
	flagsFilter
)

type flagName struct {
	bit  uint64
	name string
}

func (f flagSet) names() []flagName {
	switch f {
	case flagsClone:
		return cloneFlags[:]
	case flagsOpen:
		return openFlags[:]
	case flagsOpenTree:
		return openTreeFlags[:]
	case flagsMoveMount:
		return moveMountFlags[:]
	case flagsMountAttr:
		return mountAttrFlags[:]
	case flagsAt:
		return atFlags[:]
	case flagsFspick:
		return fspickFlags[:]
	case flagsMessage:
		return messageFlags[:]
	case flagsSeccomp:
		return seccompOps[:]
	case flagsFilter:
		return filterFlags[:]
	}
	return nil
}

var (
	cloneFlags = [...]flagName{{sys.CLONE_NEWUSER, "user"}, {sys.CLONE_NEWPID, "pid"}, {sys.CLONE_NEWNS, "mount"}, {sys.CLONE_NEWNET, "network"},
		{sys.CLONE_NEWIPC, "ipc"}, {sys.CLONE_NEWUTS, "uts"}, {sys.CLONE_NEWCGROUP, "cgroup"}, {sys.CLONE_PARENT, "parent"}, {sys.CLONE_NEWTIME, "time"}}
	openFlags = [...]flagName{{sys.O_WRONLY, "wronly"}, {sys.O_RDWR, "rdwr"}, {sys.O_CREAT, "creat"}, {sys.O_EXCL, "excl"}, {sys.O_NOCTTY, "noctty"},
		{sys.O_NONBLOCK, "nonblock"}, {sys.O_CLOEXEC, "cloexec"}, {sys.O_PATH, "path"}, {sys.O_DIRECTORY, "directory"}, {sys.O_NOFOLLOW, "nofollow"}}
	openTreeFlags  = [...]flagName{{sys.OPEN_TREE_CLONE, "clone"}, {sys.OPEN_TREE_CLOEXEC, "cloexec"}, {sys.AT_EMPTY_PATH, "empty"}, {sys.AT_RECURSIVE, "recursive"}}
	moveMountFlags = [...]flagName{{sys.MOVE_MOUNT_F_EMPTY, "from_empty"}, {sys.MOVE_MOUNT_T_EMPTY, "to_empty"}}
	mountAttrFlags = [...]flagName{{sys.MOUNT_ATTR_RDONLY, "ro"}, {sys.MOUNT_ATTR_NOSUID, "nosuid"}, {sys.MOUNT_ATTR_NODEV, "nodev"}, {sys.MOUNT_ATTR_NOEXEC, "noexec"},
		{sys.MOUNT_ATTR_NOATIME, "noatime"}, {sys.MOUNT_ATTR_STRICTATIME, "strictatime"}, {sys.MOUNT_ATTR_NODIRATIME, "nodiratime"}, {sys.MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"}, {sys.MOUNT_ATTR_IDMAP, "idmap"}}
	messageFlags     = [...]flagName{{sys.MSG_DONTWAIT, "dontwait"}, {sys.MSG_NOSIGNAL, "nosignal"}}
	atFlags          = [...]flagName{{sys.AT_EMPTY_PATH, "empty"}, {sys.AT_RECURSIVE, "recursive"}, {sys.AT_SYMLINK_NOFOLLOW, "nofollow"}, {sys.AT_EACCESS, "effective"}}
	seccompOps       = [...]flagName{{sys.SECCOMP_SET_MODE_FILTER, "filter"}}
	filterFlags      = [...]flagName{{seccomp.FlagLog, "log"}, {seccomp.FlagSpecAllow, "spec_allow"}, {seccomp.FlagNewListener, "new_listener"}, {seccomp.FlagWaitKillableRecv, "wait_killable_recv"}}
	fspickFlags      = [...]flagName{{sys.FSPICK_CLOEXEC, "cloexec"}, {sys.FSPICK_EMPTY_PATH, "empty"}}
	propagationFlags = [...]flagName{{sys.MS_PRIVATE, "private"}, {sys.MS_SLAVE, "slave"}, {sys.MS_SHARED, "shared"}, {sys.MS_UNBINDABLE, "unbindable"}}
	resolveFlags     = [...]flagName{{sys.RESOLVE_NO_XDEV, "no_xdev"}, {sys.RESOLVE_NO_MAGICLINK, "no_magiclinks"}, {sys.RESOLVE_NO_SYMLINKS, "no_symlinks"},
		{sys.RESOLVE_BENEATH, "beneath"}, {sys.RESOLVE_IN_ROOT, "in_root"}}
)

func join(flags []flagName, n uint64) string {
	s := ""
	for _, f := range flags {
		if n&f.bit != 0 {
			n &^= f.bit
			s += "|" + f.name
		}
	}
	if n != 0 || s == "" {
		s += "|" + strconv.FormatUint(n, 10)
	}
	return s[1:]
}

func (f flagSet) text(n uint64) string {
	switch f {
	case flagsSigned:
		if n == int64AtFDCWD {
			return "cwd"
		}
		return strconv.FormatInt(int64(n), 10)
	case flagsOctal:
		return "0" + strconv.FormatUint(n, 8)
	case flagsHex:
		return "0x" + strconv.FormatUint(n, 16)
	case flagsDev:
		return strconv.FormatUint(n>>8&0xfff, 10) + ":" + strconv.FormatUint(n&0xff|n>>12&0xfff00, 10)
	case flagsFsconfig:
		switch n {
		case sys.FSCONFIG_SET_FLAG:
			return "flag"
		case sys.FSCONFIG_SET_STRING:
			return "string"
		case sys.FSCONFIG_CREATE:
			return "create"
		case sys.FSCONFIG_RECONFIGURE:
			return "reconfigure"
		}
	case flagsPrctl:
		return prctlName(n)
	case flagsIoctl:
		return ioctlName(n)
	case flagsCap:
		return capabilityName(int(n))
	case flagsRlimit:
		return rlimitName(int(n))
	case flagsIoprio, flagsMempolicy, flagsPersonality:
		return schedulingText(f, n)
	}
	if names := f.names(); names != nil {
		return join(names, n)
	}
	return strconv.FormatUint(n, 10)
}

func ioctlName(n uint64) string {
	switch n {
	case sys.TIOCSCTTY:
		return "tiocsctty"
	case sys.TIOCSWINSZ:
		return "tiocswinsz"
	case sys.TIOCSPTLCK:
		return "tiocsptlck"
	case sys.TIOCGPTPEER:
		return "tiocgptpeer"
	}
	return "0x" + strconv.FormatUint(n, 16)
}

func prctlName(n uint64) string {
	switch n {
	case sys.PR_SET_PDEATHSIG:
		return "pdeathsig"
	case sys.PR_SET_DUMPABLE:
		return "dumpable"
	case sys.PR_SET_KEEPCAPS:
		return "keepcaps"
	case sys.PR_CAPBSET_DROP:
		return "capbset_drop"
	case sys.PR_SET_NO_NEW_PRIVS:
		return "no_new_privs"
	case sys.PR_CAP_AMBIENT:
		return "cap_ambient"
	}
	return strconv.FormatUint(n, 10)
}
