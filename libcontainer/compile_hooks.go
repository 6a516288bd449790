package libcontainer

import (
	"strconv"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// HookKind is one of the lists of hooks in a config.json (config.md, POSIX-platform Hooks).
type HookKind uint8

// The kinds, in the order in which they come in the life of a container.
const (
	HookPrestart        HookKind = iota // once the mounts are made, before the root is changed; deprecated
	HookCreateRuntime                   // after prestart
	HookCreateContainer                 // after createRuntime, in the container's namespaces and the runtime's root
	HookStartContainer                  // just before the user's program, as its process and in its root
	HookPoststart                       // when the user's program has been executed
	HookPoststop                        // when nothing is left of the container
	hookKinds
)

var hookNames = [hookKinds]string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// String is the name in config.json.
func (k HookKind) String() string {
	if k < hookKinds {
		return hookNames[k]
	}
	return "?"
}

// inChild says whether the container's child starts the hooks of this kind. It is by birth in the container's
// namespaces and cgroup then, and has the rights that the container has at that moment: more than a process that
// joined from outside could be trusted to give up again.
func (k HookKind) inChild() bool { return k == HookCreateContainer || k == HookStartContainer }

// atGate says whether hooks of this kind have the child wait for the parent before the root is changed. That of
// startContainer wait later, but what they are to read has to be there by then.
func (k HookKind) atGate() bool { return k <= HookStartContainer }

// Hook is one hook of a config.json.
type Hook struct {
	Kind    HookKind
	Index   int
	Path    string
	Timeout int      // seconds; 0 for none
	Program *Program // of its process; nil for one that the container's child starts
}

// Pointer is the place in config.json: "/hooks/createRuntime/0".
func (h *Hook) Pointer() string { return "/hooks/" + h.Kind.String() + "/" + strconv.Itoa(h.Index) }

// String is the hook's line in a listing.
func (h *Hook) String() string {
	if h.Timeout == 0 {
		return "hook " + h.Path
	}
	return "hook " + h.Path + ", at most " + strconv.Itoa(h.Timeout) + " s"
}

// hookList is one of the lists.
func hookList(h *specs.Hooks, k HookKind) []specs.Hook {
	if h == nil {
		return nil
	}
	switch k {
	case HookPrestart:
		//lint:ignore SA1019 deprecated, but still part of the specification
		return h.Prestart
	case HookCreateRuntime:
		return h.CreateRuntime
	case HookCreateContainer:
		return h.CreateContainer
	case HookStartContainer:
		return h.StartContainer
	case HookPoststart:
		return h.Poststart
	case HookPoststop:
		return h.Poststop
	}
	return nil
}

// CompileHooks compiles the hooks of a config.json, in the order in which they are run.
func CompileHooks(spec *specs.Spec, host Host) []Hook {
	var list []Hook
	for k := range hookKinds {
		for i := range hookList(spec.Hooks, k) {
			s := &hookList(spec.Hooks, k)[i]
			h := Hook{Kind: k, Index: i, Path: s.Path}
			if s.Timeout != nil {
				h.Timeout = *s.Timeout
			}
			if !k.inChild() {
				h.Program = compileHook(spec, &host, &h, s)
			}
			list = append(list, h)
		}
	}
	return list
}

// compileHook is the Program of a hook in the runtime's namespaces, a process of the parent's.
func compileHook(spec *specs.Spec, host *Host, h *Hook, s *specs.Hook) *Program {
	c := &compiler{spec: spec, host: host, prog: &Program{PIDNamespace: -1}, origin: h.Pointer()}
	c.resetSignals()
	c.do(sys.Fchdir, c.once(InputBundle)).about("enter", "the bundle directory")
	c.hookEnd(h, s)
	return c.prog
}

// hooks notes the hooks, and that the child waits for some of them.
func (c *compiler) hooks() {
	c.prog.Hooks = CompileHooks(c.spec, *c.host)
	for i := range c.prog.Hooks {
		c.prog.HookGate = c.prog.HookGate || c.prog.Hooks[i].Kind.atGate()
	}
}

// compileHookGate stops before the root is changed, with all mounts made, until the parent has run its hooks. Those
// of createContainer follow, in this mount namespace and with the host's root.
func (c *compiler) compileHookGate() {
	if !c.prog.HookGate {
		return
	}
	// Hooks can take their time: without the parent's death signal, which a change of ids has cleared, a hook would
	// keep this process waiting for nobody.
	c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_PDEATHSIG), num(sys.SIGKILL), num(0), num(0), num(0))
	// The hooks of a caller without privilege must be able to join these namespaces (setns(2)). Nobody else could
	// trace this process: its user namespace is new, and nothing else is in it yet.
	open := c.host.UID != 0 && c.fresh&sys.CLONE_NEWUSER != 0 && c.joined&sys.CLONE_NEWPID == 0
	if open {
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_DUMPABLE), num(1), num(0), num(0), num(0))
	}
	c.from("/hooks")
	c.do(sys.Write, c.once(InputReport), raw(flagsHex, le32(recordReady, 0, 0, 0)), num(16)).must(16).about("tell", "the parent")
	c.do(sys.Read, c.once(InputGate), Arg{kind: argScratch}, num(1)).must(1).about("wait for", "the parent's hooks")
	c.childHooks(HookCreateContainer, c.once(InputReport), c.once(InputGate))
	c.from("")
	if open {
		c.compileUndumpable()
	}
}

// childHook is a hook that the child starts: its process goes on behind the end of the child's Program.
type childHook struct {
	fork int // index of the op that makes its process
	hook int // index in Program.Hooks
}

// childHooks runs the hooks of a kind one by one: a process is made, its end is waited for and told to the parent,
// which judges it and lets the child go on.
func (c *compiler) childHooks(k HookKind, report, gate Arg) {
	if k == HookStartContainer && c.startHooks() {
		// By now the process has the ids of the image's programs, and some power that they do not get.
		c.compileUndumpable()
	}
	for i := range c.prog.Hooks {
		h := &c.prog.Hooks[i]
		if h.Kind != k {
			continue
		}
		c.from(h.Pointer())
		n := uint64(i)
		c.forked = append(c.forked, childHook{len(c.prog.Ops), i})
		pid := c.fd(c.do(sys.Clone, num(sys.SIGCHLD), num(0), num(0), num(0), num(0)).about("start", "the hook "+h.Path))
		c.do(sys.Wait4, at(pid), Arg{kind: argStatus, n: n}, num(0), num(0)).about("wait for", "the hook "+h.Path)
		c.do(sys.Write, report, Arg{kind: argEnded, n: n}, num(16)).must(16).about("tell", "the parent")
		c.do(sys.Read, gate, Arg{kind: argScratch}, num(1)).must(1).about("wait for", "the parent")
	}
	c.from("")
}

// compileHookEnds appends the ops of the processes that childHooks makes.
func (c *compiler) compileHookEnds() {
	for _, f := range c.forked {
		h := &c.prog.Hooks[f.hook]
		c.from(h.Pointer())
		c.prog.Ops[f.fork].child = len(c.prog.Ops)
		if h.Kind == HookStartContainer {
			c.do(sys.Chdir, str("/"))
		}
		c.hookEnd(h, &hookList(c.spec.Hooks, h.Kind)[h.Index])
	}
	c.from("")
}

// hookEnd turns the process into the hook. It reads the state of the container and has no descriptor but that and the
// places of its output; it leads a process group and a session of its own, so that it has no terminal to write to
// (CVE-2017-5226) and what it starts can be killed with it; it ends with whoever waits for it.
func (c *compiler) hookEnd(h *Hook, s *specs.Hook) {
	c.do(sys.Setsid)
	if h.Kind == HookStartContainer {
		c.do(sys.Dup3, fixed(c.held.state), num(0), num(0))
		c.do(sys.Lseek, num(0), num(0), num(0)) // the hook before has read it
		c.do(sys.Dup3, fixed(c.held.output), num(1), num(0))
		c.do(sys.Dup3, fixed(c.held.errors), num(2), num(0))
	} else {
		c.do(sys.Dup3, c.input(Input{Kind: InputHookState, Path: h.Kind.String(), Origin: c.origin}), num(0), num(0))
		c.do(sys.Dup3, c.hookOutput(InputHookOut, annotationHookStdout), num(1), num(0))
		c.do(sys.Dup3, c.hookOutput(InputHookErr, annotationHookStderr), num(2), num(0))
		c.do(sys.Umask, bits(flagsOctal, 0o022))
		if n := c.host.Nofile; n[1] != 0 {
			c.do(sys.Prlimit64, num(0), bits(flagsRlimit, sys.RLIMIT_NOFILE), rlimit64(n[0], n[1]), num(0)).about("restore", "RLIMIT_NOFILE")
		}
	}
	c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_PDEATHSIG), num(sys.SIGKILL), num(0), num(0), num(0))
	c.do(sys.CloseRange, num(3), bits(flagsHex, 0xffffffff), num(sys.CLOSE_RANGE_CLOEXEC))
	c.do(sys.RtSigprocmask, num(sys.SIG_SETMASK), Arg{kind: argZeros}, num(0), num(8))
	if h.Kind == HookStartContainer {
		c.loadFilter(false)
		c.from(h.Pointer())
	}
	args := s.Args
	if len(args) == 0 {
		args = []string{s.Path}
	}
	c.do(sys.Execve, str(s.Path), c.list(args), c.list(s.Env)).about("execute", "the hook "+s.Path)
}

// Where hooks write to, by annotation of the container; crun knows the same names.
const (
	annotationHookStdout = "run.oci.hooks.stdout"
	annotationHookStderr = "run.oci.hooks.stderr"
)

// hookOutput is the file for the output of hooks, of which there is one.
func (c *compiler) hookOutput(kind InputKind, annotation string) Arg {
	a := c.once(kind)
	if in := &c.prog.Inputs[a.n]; c.spec.Annotations[annotation] != "" {
		in.Path, in.Origin = c.spec.Annotations[annotation], "/annotations/"+annotation
	}
	return a
}
