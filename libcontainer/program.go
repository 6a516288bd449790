package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Program is a compiled container: what the parent prepares and the system calls that the child
// makes, in order, until it has become the user's program. It is a plain value. Its String is the
// listing that --dry-run prints, that the golden tests compare and that a reviewer reads.
type Program struct {
	CloneFlags uint64 // namespaces that clone3(2) itself makes: user and pid
	ShareVM    bool   // CLONE_VM|CLONE_VFORK: see compileClone for when that is safe

	UIDMappings   []specs.LinuxIDMapping // written to the child's uid_map while it waits at the gate
	GIDMappings   []specs.LinuxIDMapping
	DenySetgroups bool           // write "deny" to /proc/PID/setgroups before gid_map (user_namespaces(7))
	TimeOffsets   []TimeOffset   // written to the child's timens_offsets while it waits at the gate
	OOMScoreAdj   *int           // written by the parent; nil when the child does it or nobody
	PIDNamespace  int            // index in Inputs of a pid namespace to be born in; -1 when none
	CgroupPath    string         // "/locald/x"; "" leaves the child in the caller's cgroup
	Scope         *Scope         // the unit of CgroupPath, when systemd makes it; else nil
	CgroupOwner   int            // host's uid that the cgroup is delegated to; 0 when it stays the caller's
	CgroupWrites  []cgroup.Write // limits, in force before the child exists
	DeviceRules   []cgroup.Insn  // device filter of the cgroup (BPF); nil when none
	Cgroups       cgroup.Layout  // the host whose cgroups are meant
	Inputs        []Input        // descriptors that the parent opens and the child uses
	Ops           []Op           // the child's system calls
	Trees         *Program       // run before, outside of the container's user namespace; nil when there is nothing for it
	IDMapped      []IDMapped     // mounts that the child hands over, in this order: the parent maps their ids at the gate
	Slots         int            // number of slots for descriptors that ops return
	Gated         bool           // an op waits for the parent
	Mode          Mode           // what it is for
	Forks         bool           // an op makes a second child, which carries on in place of the first
	NetDevices    []NetDevice    // moved to the child's network namespace while it waits at the gate
	Warnings      []Problem      // what is left out, because it cannot be given or means nothing
	held          int            // for ModeCreate: the number of the report pipe while the child waits
	Hooks         []Hook         // in the order in which they are run
	Listener      *Listener      // who decides on system calls of the process; nil when nobody does
	HookGate      bool           // the child waits for the parent's hooks, before the root is changed
	lists         [][]string     // argv and envp, referred to by Arg
}

// Mode is what a Program is for.
type Mode uint8

// The modes.
const (
	ModeRun    Mode = iota // Container.Run: the container dies with who made it
	ModeCreate             // Container.Create: it waits for Start, and outlives who made it
	ModeExec               // Container.Exec: one more process in a container that is there
)

// TimeOffset is one line of timens_offsets (time_namespaces(7)).
type TimeOffset struct {
	Clock string // "monotonic" or "boottime"
	Secs  int64
	Nanos uint32
}

// IDMapped is a mount whose ids the parent maps.
type IDMapped struct {
	UIDs, GIDs          []specs.LinuxIDMapping // containerID is an id on the disk, hostID whose it seems to be on the host
	Destination, Origin string
}

// InputKind says what an Input is.
type InputKind uint8

// The kinds of Input.
const (
	InputGate      InputKind = iota + 1 // pipe: one byte arrives when the parent has done its part
	InputReport                         // pipe to the parent: ready, or what failed
	InputParent                         // pidfd of the parent: readable once it is dead
	InputBundle                         // the bundle directory
	InputNamespace                      // a namespace file to join: Path, Flag
	InputTasks                          // tasks of the cgroup in the hierarchy of a v1 controller that limits it
	InputCount                          // the same of one that only counts; not there where its hierarchy cannot be used
	InputConsole                        // the socket that the terminal goes to
	InputStart                          // FIFO of the state directory: one byte arrives when the program is to run
	InputProcess                        // pidfd of the container's first process
	InputIDMap                          // a user namespace that is made for its maps: UIDs, GIDs
	InputTree                           // a detached mount: Slot of Program.Trees
	InputHookState                      // file with the state that a hook reads; Path is the kind of the hook
	InputHookOut                        // where hooks write: Path, or nowhere
	InputHookErr                        // where hooks write errors: Path, or a pipe to the parent
	InputListener                       // socket on which the child hands over the listener of its seccomp filter
	InputMounts                         // socket on which the child hands over mounts whose ids the parent maps
	InputHookSay                        // FIFO of the state directory: what hooks of Start write errors to
)

// Input is a descriptor that exists before the child does.
type Input struct {
	Kind   InputKind
	Path   string // of a namespace; name of the controller for InputTasks and InputCount
	Flag   uint64 // CLONE_NEW* of a namespace
	Origin string // JSON pointer

	UIDs, GIDs []specs.LinuxIDMapping // of an InputIDMap
	Slot       Slot                   // of an InputTree
}

// String names the input in a listing.
func (in Input) String() string {
	switch in.Kind {
	case InputGate:
		return "gate"
	case InputReport:
		return "report"
	case InputParent:
		return "parent"
	case InputIDMap:
		return "idmap{" + mapText(in.UIDs) + " / " + mapText(in.GIDs) + "}"
	case InputTree:
		return "tree:" + in.Path
	case InputBundle:
		return "bundle"
	case InputTasks, InputCount:
		return "tasks:" + in.Path
	case InputConsole:
		return "console"
	case InputStart:
		return "start"
	case InputProcess:
		return "process"
	case InputHookState:
		return "state:" + in.Path
	case InputListener:
		return "listener"
	case InputMounts:
		return "mounts"
	case InputHookSay:
		return "hooks"
	case InputHookOut, InputHookErr:
		if in.Path != "" {
			return in.Path
		}
		return map[bool]string{true: "output", false: "errors"}[in.Kind == InputHookOut]
	}
	return in.Path
}

// Slot is a place for a descriptor that one op returns and later ops use. An op whose error is
// tolerated leaves -1 there, which later ops meet as EBADF.
type Slot int16

const noSlot Slot = -1

// Op is one system call of the child. There are no branches: an op succeeds, or fails with an errno
// that it tolerates, or the child reports its index and the errno and exits.
type Op struct {
	Call     sys.Call
	exact    bool         // the result must be want
	want     uint8        // the exact result that is needed
	child    int          // index of the op at which a process that this op makes goes on; 0 when it makes none
	Slot     Slot         // where the result goes, or noSlot
	Tolerate [4]sys.Errno // errors that are as good as success; unused places are 0
	Args     []Arg        // at most 6
	Verb     string       // "mount proc on": what the op is for, in an error
	Object   string       // "/proc"
	Origin   string       // JSON pointer of what asked for it; "" when every container needs it
}

type argKind uint8

const (
	argInt     argKind = iota // a number
	argString                 // a C string
	argBytes                  // a structure, laid out little-endian
	argSlot                   // the descriptor in a slot
	argInput                  // the descriptor of an input
	argStrings                // an argv or envp: index into Program.lists
	argScratch                // a writable byte
	argPollfd                 // struct pollfd of an input, waiting for POLLIN
	argLayer                  // a descriptor number that is known before the child exists: overlay layer n, or another
	argLayers                 // the names of n&0xffff layers from n>>16 on, each after the prefix s
	argStatus                 // where wait4(2) puts how hook n ended: inside of argEnded
	argEnded                  // the record of the end of hook n
	argIDMap                  // struct mount_attr, whose last word is the descriptor of an input
	argZeros                  // 64 zero bytes: an empty mask, a zero timespec, SIG_DFL
	argMessage                // struct msghdr with the text s and the descriptor in slot n
	argFilter                 // struct sock_fprog of the instructions s
	argBelow                  // the number before the descriptor of an input
	argAbove                  // the number behind it
)

// Arg is one argument of an op.
type Arg struct {
	kind argKind
	set  flagSet // how a number is printed
	n    uint64
	s    string
}

func num(n uint64) Arg                { return Arg{n: n} }
func neg(n int) Arg                   { return Arg{n: uint64(int64(n)), set: flagsSigned} }
func bits(s flagSet, n uint64) Arg    { return Arg{n: n, set: s} }
func str(s string) Arg                { return Arg{kind: argString, s: s} }
func raw(s flagSet, bytes string) Arg { return Arg{kind: argBytes, set: s, s: bytes} }
func at(s Slot) Arg {
	if s == noSlot {
		return Arg{n: uint64(int64AtFDCWD), set: flagsSigned}
	}
	return Arg{kind: argSlot, n: uint64(s)}
}

const int64AtFDCWD = ^uint64(99) // AT_FDCWD, -100, as a register

// ok marks errors as good as success.
func (o *Op) ok(errs ...sys.Errno) *Op {
	i := 0
	for o.Tolerate[i] != 0 {
		i++
	}
	copy(o.Tolerate[i:], errs)
	return o
}

// must demands an exact result.
func (o *Op) must(result uint8) *Op {
	o.exact, o.want = true, result
	return o
}

// about says what the op is for.
//
//go:noinline
func (o *Op) about(verb, object string) *Op {
	o.Verb, o.Object = verb, object
	return o
}

// Describe is what the op tries to do, for an error: "mount proc on /proc", or the call and its first name.
func (o *Op) Describe() string {
	if o.Verb != "" {
		return o.Verb + " " + o.Object
	}
	for _, a := range o.Args {
		if a.kind == argString && a.s != "" {
			return o.Call.String() + " " + a.s
		}
	}
	return o.Call.String()
}
