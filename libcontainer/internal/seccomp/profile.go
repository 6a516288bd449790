package seccomp

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Answers of a filter: an action in the upper half, from the least to the most permissive as a signed number, and
// data in the lower half (linux/seccomp.h).
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retNotify      = 0x7fc00000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000
	retAction      = 0xffff0000
)

const (
	eperm    = 1
	enosys   = 38
	maxErrno = 4095 // the kernel makes a larger one this one
)

// action is one SCMP_ACT_ of the specification.
type action struct {
	name specs.LinuxSeccompAction
	ret  uint32
	data uint // the largest errnoRet; 0 when the action takes none
}

var actions = [...]action{
	{specs.ActKill, retKillThread, 0}, // libseccomp's header: the same as KILL_THREAD
	{specs.ActKillProcess, retKillProcess, 0},
	{specs.ActKillThread, retKillThread, 0},
	{specs.ActTrap, retTrap, 0},
	{specs.ActErrno, retErrno, maxErrno},
	{specs.ActTrace, retTrace, 0xffff},
	{specs.ActAllow, retAllow, 0},
	{specs.ActLog, retLog, 0},
	{specs.ActNotify, retNotify, 0},
}

func findAction(name specs.LinuxSeccompAction) *action {
	for i := range actions {
		if actions[i].name == name {
			return &actions[i]
		}
	}
	return nil
}

// answer is what a filter returns for an action of a profile that Check has nothing against.
func answer(name specs.LinuxSeccompAction, errno *uint) uint32 {
	a := findAction(name)
	switch {
	case a == nil:
		return retKillProcess
	case a.data == 0:
		return a.ret
	case errno == nil:
		return a.ret | eperm
	}
	return a.ret | uint32(*errno&0xffff)
}

// permissive is the rank of an answer: of two, the lower is the less permissive (seccomp(2)).
func permissive(ret uint32) int32 { return int32(ret & retAction) }

var operators = [...]specs.LinuxSeccompOperator{specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual,
	specs.OpGreaterThan, specs.OpMaskedEqual}

// Flags of SECCOMP_SET_MODE_FILTER (linux/seccomp.h).
const (
	FlagLog              = 1 << 1
	FlagSpecAllow        = 1 << 2
	FlagNewListener      = 1 << 3
	FlagWaitKillableRecv = 1 << 5 // Linux 5.19
)

const flagTSYNC specs.LinuxSeccompFlag = "SECCOMP_FILTER_FLAG_TSYNC" // in the specification, but not in its Go types

var flags = [...]specs.LinuxSeccompFlag{flagTSYNC, specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv}

// Notifies says whether calls are handed to a listener.
func Notifies(p *specs.LinuxSeccomp) bool {
	for i := range p.Syscalls {
		if p.Syscalls[i].Action == specs.ActNotify {
			return true
		}
	}
	return p.DefaultAction == specs.ActNotify
}

// Flags are the flags with which the filter of a profile is loaded.
func Flags(p *specs.LinuxSeccomp) uint64 {
	var n uint64
	if p.Flags == nil {
		// Kernels before 5.16 turn on mitigations of speculation for every process with a filter, at a price that
		// their own developers no longer think worth it. Whoever lists flags decides about this one as well.
		n = FlagSpecAllow
	}
	notifies := Notifies(p)
	if notifies {
		n |= FlagNewListener
	}
	for _, f := range p.Flags {
		switch {
		case f == specs.LinuxSeccompFlagLog:
			n |= FlagLog
		case f == specs.LinuxSeccompFlagSpecAllow:
			n |= FlagSpecAllow
		case f == specs.LinuxSeccompFlagWaitKillableRecv && notifies: // the kernel takes it together with a listener only
			n |= FlagWaitKillableRecv
		}
		// TSYNC gives the filter to all threads of the process, which has one thread then. The kernel refuses it
		// together with a listener.
	}
	return n
}

// checker collects what is wrong with a profile.
type checker struct {
	problem func(pointer, reason, hint string)
}

// Check says everything that is wrong with a profile. Pointers are below /linux/seccomp.
func Check(p *specs.LinuxSeccomp, problem func(pointer, reason, hint string)) {
	c := checker{problem}
	const at = "/linux/seccomp"
	c.action(at+"/defaultAction", at+"/defaultErrnoRet", p.DefaultAction, p.DefaultErrnoRet)
	for i, a := range p.Architectures {
		if find(a) == nil {
			problem(at+"/architectures/"+strconv.Itoa(i), "unknown architecture "+strconv.Quote(string(a)), `it is like "SCMP_ARCH_X86_64"`)
		}
	}
	for i, f := range p.Flags {
		known := false
		for _, k := range flags {
			known = known || f == k
		}
		if !known {
			problem(at+"/flags/"+strconv.Itoa(i), "unknown flag "+strconv.Quote(string(f)), "known are SECCOMP_FILTER_FLAG_TSYNC, _LOG, _SPEC_ALLOW and _WAIT_KILLABLE_RECV")
		}
	}
	for i := range p.Syscalls {
		c.rule(at+"/syscalls/"+strconv.Itoa(i), &p.Syscalls[i])
	}
	c.listener(p)
}

// action checks an action and its errno.
func (c *checker) action(at, errnoAt string, name specs.LinuxSeccompAction, errno *uint) {
	a := findAction(name)
	switch {
	case name == "":
		c.problem(at, "the action is missing", `it is like "SCMP_ACT_ERRNO"`)
	case a == nil:
		c.problem(at, "unknown action "+strconv.Quote(string(name)), "known are SCMP_ACT_KILL, _KILL_PROCESS, _KILL_THREAD, _TRAP, _ERRNO, _TRACE, _ALLOW, _LOG and _NOTIFY")
	case errno == nil:
	case a.data == 0:
		c.problem(errnoAt, string(name)+" returns no errno", "leave it out, or use SCMP_ACT_ERRNO")
	case *errno > a.data:
		c.problem(errnoAt, "out of range", "0 to "+strconv.FormatUint(uint64(a.data), 10))
	}
}

func (c *checker) rule(at string, s *specs.LinuxSyscall) {
	if len(s.Names) == 0 {
		c.problem(at+"/names", "no names", "name a system call")
	}
	for i, n := range s.Names {
		if n == "" {
			c.problem(at+"/names/"+strconv.Itoa(i), "the name is empty", "")
		}
	}
	c.action(at+"/action", at+"/errnoRet", s.Action, s.ErrnoRet)
	for i := range s.Args {
		a, at := &s.Args[i], at+"/args/"+strconv.Itoa(i)
		if a.Index > 5 {
			c.problem(at+"/index", "a system call has no more than 6 arguments", "0 to 5")
		}
		if operator(a.Op) < 0 {
			c.problem(at+"/op", "unknown operator "+strconv.Quote(string(a.Op)), "known are SCMP_CMP_NE, _LT, _LE, _EQ, _GE, _GT and _MASKED_EQ")
		}
	}
}

// operator is the index of an operator; -1 for an unknown one.
func operator(op specs.LinuxSeccompOperator) int {
	for i := range operators {
		if operators[i] == op {
			return i
		}
	}
	return -1
}

// listener checks SCMP_ACT_NOTIFY and where its listener goes.
func (c *checker) listener(p *specs.LinuxSeccomp) {
	const at = "/linux/seccomp"
	if p.ListenerMetadata != "" && p.ListenerPath == "" {
		c.problem(at+"/listenerMetadata", "listenerMetadata needs listenerPath", "leave it out")
	}
	if !Notifies(p) {
		return
	}
	switch {
	case p.ListenerPath == "":
		c.problem(at+"/listenerPath", "SCMP_ACT_NOTIFY needs a listener", "name the socket of one")
	case p.ListenerPath[0] != '/' || strings.IndexByte(p.ListenerPath, 0) >= 0:
		c.problem(at+"/listenerPath", "the path of a socket must be absolute", "")
	}
	c.sendmsg(p)
}

// sendmsg sees that the process that gets the filter can hand the listener over. It does so by sendmsg(2), under the
// filter already. Were that call notified, it would wait for an answer of whoever has not got the listener yet.
func (c *checker) sendmsg(p *specs.LinuxSeccomp) {
	const at, reason, hint = "/linux/seccomp", "SCMP_ACT_NOTIFY needs sendmsg, by which the listener gets its descriptor", "allow sendmsg"
	lets := func(a specs.LinuxSeccompAction) bool { return a == specs.ActAllow || a == specs.ActLog }
	byDefault, perhaps := true, false
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		k := slices.Index(s.Names, "sendmsg")
		switch {
		case k < 0:
		case s.Action == specs.ActNotify || len(s.Args) == 0 && !lets(s.Action):
			c.problem(at+"/syscalls/"+strconv.Itoa(i)+"/names/"+strconv.Itoa(k), reason, hint)
			byDefault = false
		case len(s.Args) == 0:
			byDefault = false
		default:
			perhaps = perhaps || lets(s.Action) // the kernel will say
		}
	}
	if byDefault && !lets(p.DefaultAction) && (p.DefaultAction == specs.ActNotify || !perhaps) {
		c.problem(at+"/defaultAction", reason, hint)
	}
}
