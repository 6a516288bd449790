package main

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"github.com/locald/locald/internal/forward"
	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/internal/privilege"
	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// run is the program. privilege.Enter comes before anything that the caller has a say in; after it the
// process has the caller's ids.
func run(args []string) int {
	s := &status{phase: "started"}
	if len(args) == 0 { // execve with no argv at all (CVE-2021-4034)
		args = []string{"locald-shim"}
	}
	caller, err := privilege.Enter()
	// From here on the process is the caller's, also after an error.
	if err != nil {
		refusedAtOnce()
	}
	if len(args) > 1 && args[1] != "bundle" && args[1] != "--version" {
		return oci(caller, err, args[1:])
	}
	r, wrong := parse(args[1:])
	if r.statusFD >= 0 {
		if flags, e := unix.FcntlInt(uintptr(r.statusFD), unix.F_GETFL, 0); e != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
			wrong = errors.New("--status-fd " + strconv.Itoa(r.statusFD) + " is not open for writing")
		} else {
			s.w = os.NewFile(uintptr(r.statusFD), "status")
			s.fd = r.statusFD
		}
	}
	if err == nil {
		err = wrong
	}
	if err != nil {
		return s.failed(err)
	}
	if r.version {
		return only(caller, s, versionText())
	}
	return bundleRun(caller, r, s)
}

// only prints text, with no privilege left, and starts nothing.
func only(caller *privilege.Caller, s *status, text string) int {
	if err := caller.Renounce(); err != nil {
		return s.failed(err)
	}
	if err := output(text); err != nil {
		return s.failed(err)
	}
	return 0
}

// bundleRun is "bundle run": the container is in the foreground and dies with this process.
func bundleRun(caller *privilege.Caller, r *request, s *status) int {
	p := plan{bundle: r.bundle, dryRun: r.dryRun}
	if s.w != nil {
		p.keep = []int{s.fd}
	}
	if !r.dryRun {
		p.use = &use{caller: caller, verb: "bundle-run"}
	}
	b, program, err := compile(caller, p, s.reached)
	if err == nil && r.dryRun {
		return only(caller, s, program.String())
	}
	code := 0
	if err == nil {
		code, err = runBundle(caller, r, s, b, program, p.use)
	}
	if err != nil {
		p.use.ended(err)
		return s.failed(err)
	}
	return code
}

// runBundle is "bundle run" of what has been compiled.
func runBundle(caller *privilege.Caller, r *request, s *status, b *libcontainer.Bundle, program *libcontainer.Program, u *use) (int, error) {
	s.warn(program.Warnings)
	t, err := prepare(caller, r, b.Spec.Process)
	if err != nil {
		return 0, err
	}
	c := &libcontainer.Container{ID: r.id, Bundle: b, Program: program, StateDir: caller.StateDir, Console: t.socket, KillOnClose: s.w}
	if caller.Setuid() {
		c.Privilege = caller
		if err := caller.IntoCgroup(program.CgroupPath); err != nil {
			return 0, err
		}
	}
	c.Observe = func(p libcontainer.Phase) {
		u.reached(p)
		switch p {
		case libcontainer.PhaseCloned:
			s.reached(p, `,"pid":`+strconv.Itoa(c.Pid()))
		case libcontainer.PhaseExited: // told below, with the exit status
		default:
			s.reached(p, "")
		}
	}
	c.Warn = s.warnOf
	if c.Signals, err = catchSignals(t); err != nil {
		return 0, err
	}
	if err := c.Run(); err != nil {
		return 0, inUse(err, r.id)
	}
	err = t.lend(c)
	if err == nil && r.pidFile != "" {
		err = writePidFile(r.pidFile, c.Pid())
	}
	if err != nil {
		c.Signal(int(unix.SIGKILL))
	}
	exit, left := c.Wait()
	t.giveBack(c.Signals)
	if err != nil {
		return 0, err
	}
	s.reached(libcontainer.PhaseExited, exited(exit))
	return exit.Code, left
}

// prepare makes the place for the container's state, and connects to where its terminal goes.
func prepare(caller *privilege.Caller, r *request, p *specs.Process) (*terminal, error) {
	if err := caller.MakeState(); err != nil {
		return nil, err
	}
	return connectTerminal(r.console, p)
}

// catchSignals makes a pipe of the signals that are passed on, and, for a terminal that is relayed, of SIGCONT.
func catchSignals(t *terminal) (*os.File, error) {
	// A reader of ours that goes away must not end us before the container is cleaned up.
	if err := forward.Ignore(unix.SIGPIPE); err != nil {
		return nil, err
	}
	signals := []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}
	if t.ours != nil {
		signals = append(signals, unix.SIGCONT)
	}
	fd, err := forward.Catch(signals...)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "signals"), nil
}

// plan is what a command line says about a container, beside its bundle.
type plan struct {
	bundle    string
	config    string                  // "" for the bundle's config.json
	create    bool                    // it is to wait for start
	cgroup    string                  // where it goes when config.json does not say
	systemd   bool                    // systemd makes the cgroup
	noCgroup  bool                    // nobody does
	preserve  int                     // descriptors from 3 on that the process gets
	amend     func(*specs.Spec) error // what the environment adds to config.json; may be nil
	keep      []int                   // descriptors that are needed by this program if it is executed once more
	use       *use                    // for the log; nil for a dry run
	dryRun    bool
	noPivot   bool
	noKeyring bool
}

// compile opens, checks and compiles the bundle, with the caller's ids. reached is told of each phase.
func compile(caller *privilege.Caller, p plan, reached func(libcontainer.Phase, string)) (*libcontainer.Bundle, *libcontainer.Program, error) {
	b, err := libcontainer.OpenWith(p.bundle, p.config)
	var program *libcontainer.Program
	if err == nil {
		p.use.of(b)
		program, err = p.compile(caller, b, reached)
	}
	if err != nil {
		return nil, nil, err
	}
	return b, program, nil
}

func (p *plan) compile(caller *privilege.Caller, b *libcontainer.Bundle, reached func(libcontainer.Phase, string)) (*libcontainer.Program, error) {
	if !p.dryRun {
		if err := seal(caller, b.Spec, b.Spec.Process, p.keep); err != nil {
			return nil, err
		}
	}
	configured := len(b.Spec.Mounts)
	if p.amend != nil {
		if err := p.amend(b.Spec); err != nil {
			return nil, err
		}
	}
	reached(libcontainer.PhaseOpened, "")
	problems := p.check(caller, b.Spec)
	if len(problems) > 0 {
		return nil, &libcontainer.ProblemError{Problems: problems}
	}
	if err := caller.MapsIDs(policy.AsksIDMap(b.Spec)); err != nil { // what comes now can take as long as a bus likes
		return nil, err
	}
	reached(libcontainer.PhaseValidated, "")
	host, err := p.look(caller, b)
	if err != nil {
		return nil, err
	}
	for i := configured; i < len(b.Spec.Mounts); i++ {
		host.Sources[i] = libcontainer.FileDirectory // it will be one
	}
	compileFor := libcontainer.Compile
	if p.create {
		compileFor = libcontainer.CompileCreate
	}
	program, err := compileFor(b.Spec, host)
	if err == nil {
		err = caller.MapsIDs(len(program.IDMapped) > 0)
	}
	if err != nil {
		return nil, err
	}
	reached(libcontainer.PhaseCompiled, "")
	return program, nil
}

// check is what is wrong with a config.json, for this caller.
func (p *plan) check(caller *privilege.Caller, spec *specs.Spec) []libcontainer.Problem {
	validate := libcontainer.Validate
	if p.create {
		validate = libcontainer.ValidateCreate // a container without a process can be created, and not started
	}
	problems := validate(spec)
	if caller.Root && spec.Linux != nil && policy.UserCgroup(spec.Linux.CgroupsPath) {
		problems = append(problems, libcontainer.Problem{Pointer: "/linux/cgroupsPath", Reason: "the cgroup is, or will be, a user's", Hint: "root's are /locald/NAME"})
	}
	if !caller.Root {
		grant := *caller.Grant
		grant.Systemd = p.systemd
		for _, q := range policy.Check(spec, &grant) {
			if !slices.ContainsFunc(problems, func(p libcontainer.Problem) bool { return p.Pointer == q.Pointer }) {
				problems = append(problems, q)
			}
		}
	}
	return problems
}

// look is the host, as the command line wants it. A set-user-ID program has no environment: there the bus is where
// pam_systemd(8) has it.
func (p *plan) look(caller *privilege.Caller, b *libcontainer.Bundle) (libcontainer.Host, error) {
	host := libcontainer.LookHost(b)
	host.DefaultCgroup, host.Preserve, host.NoPivot, host.KeepKeyring = p.cgroup, p.preserve, p.noPivot, p.noKeyring
	host.NoCgroup = p.noCgroup
	if !p.systemd {
		return host, nil
	}
	runtimeDir := os.Getenv("XDG_RUNTIME_DIR")
	if runtimeDir == "" && !caller.Root {
		runtimeDir = "/run/user/" + strconv.Itoa(caller.UID)
	}
	var err error
	host.Systemd, err = libcontainer.LookSystemd(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), runtimeDir)
	return host, err
}

func inUse(err error, id string) error {
	if errors.Is(err, libcontainer.ErrInUse) {
		return errors.New("container id " + quote(id) + " is in use")
	}
	return err
}
