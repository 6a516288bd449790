package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/locald/locald/internal/privilege"
	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Exit status of the OCI verbs for an error: 1, and 255 for exec, where every smaller number is the process's.
const (
	exitError = 1
	exitExec  = 255
)

// oci is the OCI command line. err is what Enter said.
func oci(caller *privilege.Caller, err error, args []string) int {
	c, wrong := parseCommand(args)
	log := &talk{fd: -1}
	code := exitError
	if c.verb == "exec" {
		code = exitExec
	}
	if err != nil {
		return log.failed(err, code)
	}
	var u *use
	if usesPower(c.verb) && wrong == nil && !c.has("help") {
		u = &use{caller: caller, verb: c.verb}
		if c.verb == "exec" {
			err = caller.Joins()
		}
	} else {
		err = caller.Renounce()
	}
	if err != nil {
		u.ended(err)
		return log.failed(err, code)
	}
	preserve, listen := 0, []string(nil)
	if wrong == nil {
		preserve, listen, wrong = preserved(c) // before anything is opened
	}
	if wrong == nil {
		log, wrong = openLog(c)
	}
	if wrong != nil {
		u.ended(wrong)
		return log.failed(wrong, code)
	}
	if c.has("version") || c.has("help") {
		if err := output(map[bool]string{true: versionText(), false: help}[c.has("version")]); err != nil {
			return log.failed(err, code)
		}
		return 0
	}
	v := &verb{command: c, caller: caller, log: log, use: u, preserve: preserve, listen: listen}
	status, err := v.run()
	if err != nil {
		u.ended(err)
		return log.failed(explain(err, c.args), code)
	}
	return status
}

// versionText has the three lines that clients read.
func versionText() string {
	return "locald-shim version " + version + "\ncommit: " + version + "\nspec: " + specVersion() + "\n"
}

// verb is one verb at work.
type verb struct {
	*command
	caller   *privilege.Caller
	log      *talk
	use      *use
	stateDir string
	preserve int      // descriptors from 3 on that the process gets
	notify   bool     // the container gets a place for a socket to notify us by
	listen   []string // what its environment says of the first of them
}

func (v *verb) run() (status int, err error) {
	v.stateDir = v.caller.StateDir
	if root := v.value("root"); root != "" {
		v.stateDir = root
	}
	switch v.verb {
	case "create":
		return 0, v.create()
	case "run":
		return v.createAndRun()
	case "start":
		return 0, v.with(func(c *libcontainer.Container) error { return v.starts(c, true) })
	case "state":
		return 0, v.with(printState)
	case "kill":
		return 0, v.kill()
	case "delete":
		return 0, v.delete()
	case "pause":
		return 0, v.with((*libcontainer.Container).Pause)
	case "resume":
		return 0, v.with((*libcontainer.Container).Resume)
	case "exec":
		return v.exec()
	case "events":
		return 0, v.events()
	case "features":
		return 0, output(libcontainer.Features() + "\n")
	case "spec":
		return 0, v.spec()
	case "update":
		return 0, v.update()
	case "list":
		return 0, v.list()
	case "ps":
		return 0, v.ps()
	}
	return exitError, errors.New("unknown command " + quote(v.verb))
}

// with loads the container that the command line names.
func (v *verb) with(do func(*libcontainer.Container) error) error {
	c, err := libcontainer.Load(v.stateDir, v.args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// explain puts the container's id into errors about it, in words that clients look for.
func explain(err error, args []string) error {
	if len(args) == 0 {
		return err
	}
	id := strconv.Quote(args[0])
	switch err {
	case libcontainer.ErrNotExist:
		return errors.New("container " + id + " does not exist")
	case libcontainer.ErrInUse:
		return errors.New("container id " + id + " is in use: a container with this id already exists")
	case libcontainer.ErrStopped:
		return errors.New("container " + id + ": container not running")
	case libcontainer.ErrRunning:
		return errors.New("container " + id + " is not stopped: kill it first, or use --force")
	case libcontainer.ErrPaused:
		return errors.New("container " + id + " is paused: resume it first")
	case libcontainer.ErrStarted, libcontainer.ErrEnded:
		return errors.New("container " + id + ": " + err.Error())
	}
	return err
}

// makeStateDir sees that the state directory exists, with the ids that the process has: the caller's.
func (v *verb) makeStateDir() error {
	if v.value("root") == "" {
		return v.caller.MakeState()
	}
	return os.MkdirAll(v.stateDir, 0o700)
}

// plan reads the flags of create and run.
func (v *verb) plan() plan {
	p := plan{bundle: v.value("bundle"), config: v.value("config"), create: true, preserve: v.preserve, keep: v.kept(), use: v.use, amend: v.amend, noPivot: v.has("no-pivot"), noKeyring: v.has("no-new-keyring")}
	if p.bundle == "" {
		p.bundle = "."
	}
	if p.noCgroup = v.value("cgroup-manager") == "disabled"; p.noCgroup {
		return p
	}
	if p.systemd = v.systemd(); p.systemd {
		p.cgroup = ":locald:" + v.args[0]
	} else if v.caller.Root {
		if privilege.MakesCgroups() {
			p.cgroup = "/locald/" + v.args[0]
		}
	} else if base := v.caller.Grant.CgroupBase; base != "" {
		p.cgroup = base + "/" + v.args[0]
	}
	return p
}

// kept are the descriptors that the process gets.
func (v *verb) kept() []int {
	fds := make([]int, v.preserve)
	for i := range fds {
		fds[i] = 3 + i
	}
	return fds
}

// preserved is how many descriptors from 3 on the process gets: those of systemd, which its environment tells of, and
// then those that --preserve-fds counts. Each must be open: what this program opens later must not be taken for one of
// them.
func preserved(c *command) (n int, listen []string, err error) {
	if n, listen, err = activated(c); err != nil {
		return 0, nil, err
	}
	if text := c.value("preserve-fds"); text != "" {
		k, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 0, nil, errors.New("--preserve-fds " + quote(text) + " is not a number")
		}
		n += int(k)
	}
	for fd := 3; fd < 3+n; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return 0, nil, errors.New("descriptor " + strconv.Itoa(fd) + " is to be handed on and is not open")
		}
	}
	return n, listen, nil
}

// logUnknown names members of a document that count for nothing.
func (v *verb) logUnknown(pointers []string) {
	if !v.log.debug {
		return
	}
	for _, pointer := range pointers {
		v.log.line("debug", "config.json: "+pointer+": the specification knows no such member; it is ignored")
	}
}

// make creates the container. Its terminal goes to the console socket, or to us when the container is in the
// foreground.
func (v *verb) make(foreground bool) (*libcontainer.Container, *terminal, error) {
	p := v.plan()
	b, program, err := compile(v.caller, p, func(libcontainer.Phase, string) {})
	if err != nil {
		return nil, nil, err
	}
	v.logUnknown(b.Unknown)
	v.logWarnings(program)
	if err := v.makeStateDir(); err != nil {
		return nil, nil, err
	}
	t, err := v.terminal(b.Spec.Process, foreground)
	if err != nil {
		return nil, nil, err
	}
	pidfd, err := v.connectPidfd()
	if err != nil {
		return nil, nil, err
	}
	c := &libcontainer.Container{ID: v.args[0], Bundle: b, Program: program, StateDir: v.stateDir, Console: t.socket, Notify: v.notify}
	if v.caller.Setuid() {
		c.Privilege = v.caller
		into := program.CgroupPath
		if program.Scope != nil { // systemd's word for where it is takes no help
			into = ""
		}
		if err := v.caller.IntoCgroup(into); err != nil {
			return nil, nil, err
		}
	}
	c.Observe = v.use.reached
	if err := c.Create(); err != nil {
		return nil, nil, err
	}
	if err := v.tell(c, pidfd); err != nil {
		libcontainer.Delete(v.stateDir, c.ID, true, v.warn)
		return nil, nil, err
	}
	return c, t, nil
}

// logWarnings tells what the process is to do without.
func (v *verb) logWarnings(p *libcontainer.Program) {
	for _, w := range p.Warnings {
		v.log.line("warning", w.String())
	}
}

// terminal connects to where the terminal of a process goes. One that is not in the foreground needs a console socket,
// which libcontainer says.
func (v *verb) terminal(p *specs.Process, foreground bool) (*terminal, error) {
	if !foreground {
		p = nil
	}
	return connectTerminal(v.value("console-socket"), p)
}

func (v *verb) create() error {
	_, _, err := v.make(false)
	return err
}

// createAndRun is run: create, start, wait, delete.
func (v *verb) createAndRun() (int, error) {
	c, t, err := v.make(!v.has("detach"))
	if err != nil {
		return exitError, err
	}
	if v.has("detach") {
		if err = v.starts(c, true); err != nil {
			libcontainer.Delete(v.stateDir, c.ID, true, v.warn)
		}
		return 0, err
	}
	if c.Signals, err = catchSignals(t); err == nil {
		err = t.lend(c)
	}
	if err == nil {
		err = v.starts(c, false)
	}
	if err != nil {
		t.giveBack(c.Signals)
		libcontainer.Delete(v.stateDir, c.ID, true, v.warn)
		return exitError, err
	}
	exit, err := c.Wait()
	t.giveBack(c.Signals)
	if err == nil && !v.has("keep") {
		err = libcontainer.Delete(v.stateDir, c.ID, true, v.warn)
	}
	if err != nil {
		return exitError, err
	}
	return exit.Code, nil
}

// kill: with --all a container that has stopped may have processes left, and one that is gone has none.
func (v *verb) kill() error {
	sig := unix.SIGTERM
	if len(v.args) > 1 {
		var err error
		if sig, err = signalNumber(v.args[1]); err != nil {
			return err
		}
	}
	return v.with(func(c *libcontainer.Container) error {
		if v.has("all") {
			return c.KillAll(int(sig))
		}
		return c.Kill(int(sig))
	})
}

// signalNumber reads "9", "KILL", "SIGKILL", "sigkill", "RTMIN+3" (signal(7)).
func signalNumber(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > 64 {
			return 0, errors.New("signal " + quote(s) + " is not one of 1 to 64, nor 0, which only asks whether the process is there")
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if rest, ok := strings.CutPrefix(name, "RTMIN"); ok {
		if n, err := strconv.Atoi(strings.TrimPrefix(rest, "+")); rest == "" || err == nil && n >= 0 && n <= 30 {
			return syscall.Signal(34 + n), nil
		}
	}
	if n := unix.SignalNum("SIG" + name); n != 0 {
		return n, nil
	}
	return 0, errors.New("unknown signal " + quote(s))
}

// warn is told of what went wrong and changes nothing.
func (v *verb) warn(err error) {
	v.log.line("warning", err.Error())
	write(2, "locald-shim: warning: "+visible(err.Error())+"\n")
}

func (v *verb) delete() error {
	err := libcontainer.Delete(v.stateDir, v.args[0], v.has("force"), v.warn)
	if err == libcontainer.ErrNotExist && v.has("force") {
		return nil
	}
	return err
}
