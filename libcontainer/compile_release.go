package libcontainer

import (
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// held are the descriptors that the child keeps while it waits for Start or for hooks of startContainer, or until it has
// sent the listener of its filter, by their
// numbers: they are next to each other, so that two ranges are everything else. PATH is looked through with the last.
type held struct{ gate, report, start, listener, state, output, errors, found int }

// hold gives the descriptors of the wait numbers that are known, before the limits of the process can be in the
// way of such high ones.
func (c *compiler) hold(p *specs.Process) {
	create, hooks := c.prog.Mode == ModeCreate, c.startHooks()
	if !create && !hooks && !c.notifies() {
		return
	}
	c.held = held{c.number(), c.number(), c.number(), c.number(), c.number(), c.number(), c.number(), c.number()}
	c.prog.held = c.held.report
	if create || hooks {
		c.keep(c.once(InputGate), c.held.gate)
	}
	c.keep(c.once(InputReport), c.held.report)
	if c.notifies() {
		c.keep(c.once(InputListener), c.held.listener)
	}
	if create {
		c.keep(c.once(InputStart), c.held.start)
	}
	if hooks {
		c.keep(c.input(Input{Kind: InputHookState, Path: HookStartContainer.String()}), c.held.state)
		c.keep(c.hookOutput(InputHookOut, annotationHookStdout), c.held.output)
		if create && c.spec.Annotations[annotationHookStderr] == "" {
			c.keep(c.once(InputHookSay), c.held.errors) // it is another process that reads it
		} else {
			c.keep(c.hookOutput(InputHookErr, annotationHookStderr), c.held.errors)
		}
	}
	if create && len(p.Args) > 0 && !strings.Contains(p.Args[0], "/") {
		c.findInPath(p, p.Args[0])
	}
}

// startHooks says whether the child has hooks to run before its program. A process of exec has none.
func (c *compiler) startHooks() bool {
	return c.prog.Mode != ModeExec && len(hookList(c.spec.Hooks, HookStartContainer)) > 0
}

// keep gives an input one of the numbers.
func (c *compiler) keep(in Arg, n int) {
	c.do(sys.Dup3, in, fixed(n), bits(flagsOpen, sys.O_CLOEXEC)).about("hold", "a descriptor")
}

// closeRest closes everything but what is held and the process's own.
func (c *compiler) closeRest() {
	c.preserve()
	c.do(sys.CloseRange, num(3+uint64(c.host.Preserve)), fixed(c.held.gate-1), num(0))
	c.do(sys.CloseRange, fixed(c.held.errors+1), bits(flagsHex, 0xffffffff), num(0))
}

// findInPath sees that a program can be found by PATH, at creation: Start is not the time to learn that it cannot.
// faccessat2(2) answers 0 for each that is there, which is a descriptor; a copy of it shows that there was one.
func (c *compiler) findInPath(p *specs.Process, name string) {
	c.from("/process/args/0")
	for _, f := range pathFiles(lastWins(p.Env), name) {
		s := c.fd(c.do(sys.Faccessat2, neg(sys.AT_FDCWD), str(f), num(sys.X_OK), bits(flagsAt, sys.AT_EACCESS)).ok(sys.ENOENT, sys.ENOTDIR, sys.EACCES, sys.ELOOP).about("look for", f))
		c.do(sys.Dup3, at(s), fixed(c.held.found), bits(flagsOpen, sys.O_CLOEXEC)).ok(sys.EBADF).about("look for", f)
	}
	c.do(sys.Faccessat2, fixed(c.held.found), str(""), num(0), bits(flagsAt, sys.AT_EMPTY_PATH)).about("find", strconv.Quote(name)+" in PATH")
	c.from("")
}

// compileRelease cuts the last ties: to the parent, and to descriptors that are not the process's.
func (c *compiler) compileRelease(p *specs.Process) {
	c.from("")
	if c.prog.Mode == ModeCreate {
		c.compileWait(p)
		return
	}
	signal := uint64(sys.SIGKILL)
	if c.prog.Mode == ModeExec {
		signal = 0 // it may outlive who made it, once it is made
	}
	c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_PDEATHSIG), num(signal), num(0), num(0), num(0))
	parent := c.input(Input{Kind: InputParent})
	parent.kind = argPollfd
	c.do(sys.Ppoll, parent, num(1), Arg{kind: argZeros}, num(0), num(0)).must(0).about("find", "the parent alive")
	if c.startHooks() || c.notifies() {
		// They are programs of the image's: what is still open here would be a way out for one of them that finds a
		// way to look into this process (CVE-2016-9962), or whose path leads through it (CVE-2024-21626).
		c.closeRest()
		c.childHooks(HookStartContainer, fixed(c.held.report), fixed(c.held.gate))
	} else {
		c.preserve()
		c.closeAll()
	}
	c.do(sys.RtSigprocmask, num(sys.SIG_SETMASK), Arg{kind: argZeros}, num(0), num(8))
}

// closeAll closes everything but the process's own descriptors and the pipe on which execve(2) may have to report. To
// leave it to close-on-exec is too late: the program, and the interpreter that its first line names, are looked up before
// that, and a link of the image's to /proc/self/fd/N/../.. leads out by any directory that is still open
// (CVE-2024-21626).
func (c *compiler) closeAll() {
	first := num(3 + uint64(c.host.Preserve))
	if c.prog.ShareVM {
		c.do(sys.CloseRange, first, bits(flagsHex, 0xffffffff), num(0))
		return
	}
	report := c.once(InputReport)
	below, above := report, report
	below.kind, above.kind = argBelow, argAbove
	c.do(sys.CloseRange, first, below, num(0)).ok(sys.EINVAL) // it may be the first there is
	c.do(sys.CloseRange, above, bits(flagsHex, 0xffffffff), num(0))
}

// preserve hands on the caller's descriptors from 3 on that it asked to have handed on.
func (c *compiler) preserve() {
	for i := range c.host.Preserve {
		c.do(sys.Fcntl, num(uint64(3+i)), num(sys.F_SETFD), num(0)).about("hand on descriptor", strconv.Itoa(3+i))
	}
}

// compileWait is the end of a container that is created and waits. Everything is done that can be done before the
// program runs. What it holds while it waits, for days perhaps, is no way out for a process that comes to share
// its namespaces (CVE-2016-9962): no descriptor of a directory, only the pipes.
//   - The parent's death ends it up to the gate, at which the parent has written down what it has made: a signal
//     at first, then the end of the pipe, because the parent is expected to end once it is through.
//   - The second read is that of Start, of a FIFO that this process holds open for writing too: it has no end.
//   - Signals get through while it waits, all with their default action.
func (c *compiler) compileWait(p *specs.Process) {
	if len(p.Args) > 0 && strings.Contains(p.Args[0], "/") {
		name := p.Args[0]
		c.from("/process/args/0")
		f := c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str(name), bits(flagsOpen, sys.O_PATH|sys.O_CLOEXEC)).about("execute", name))
		c.do(sys.Faccessat2, at(f), str(""), num(sys.X_OK), bits(flagsAt, sys.AT_EMPTY_PATH|sys.AT_EACCESS)).about("execute", name)
		c.from("")
	}
	c.closeRest()
	if c.host.UID != 0 && c.userns() {
		// The caller's own, so that its other processes can join (setns(2)). Another user's cannot; what is in the
		// container and has its ids could, and finds nothing here that it does not have.
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_DUMPABLE), num(1), num(0), num(0), num(0))
	}
	c.do(sys.RtSigprocmask, num(sys.SIG_SETMASK), Arg{kind: argZeros}, num(0), num(8))
	c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_PDEATHSIG), num(0), num(0), num(0), num(0))
	c.do(sys.Write, fixed(c.held.report), raw(flagsHex, le32(recordReady, 0, 0, 0)), num(16)).must(16).about("tell", "the parent")
	c.do(sys.Read, fixed(c.held.gate), Arg{kind: argScratch}, num(1)).must(1).about("wait for", "the parent")
	c.do(sys.Read, fixed(c.held.start), Arg{kind: argScratch}, num(1)).must(1).about("wait for", "start")
	c.childHooks(HookStartContainer, fixed(c.held.report), fixed(c.held.start))
}

// number is a descriptor number that is known before the child exists.
func (c *compiler) number() int {
	c.numbers++
	return c.numbers - 1
}

func fixed(n int) Arg { return Arg{kind: argLayer, s: "number", n: uint64(int64(n))} }

// pathFiles are the files that execvp(3) would try.
func pathFiles(env []string, name string) []string {
	var files []string
	for _, dir := range strings.Split(searchPath(env), ":") {
		if strings.HasPrefix(dir, "/") { // a relative directory would run what lies in the working directory
			files = append(files, strings.TrimRight(dir, "/")+"/"+name)
		}
	}
	return files
}
