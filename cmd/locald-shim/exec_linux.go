package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// exec runs one more process in a container. Without --detach its exit status is ours.
func (v *verb) exec() (int, error) {
	c, err := libcontainer.Load(v.stateDir, v.args[0])
	if err != nil {
		return exitExec, err
	}
	defer c.Close()
	if c.Status() == specs.StateStopped {
		return exitExec, libcontainer.ErrStopped
	}
	spec, err := c.Spec()
	if err != nil {
		return exitExec, err
	}
	process, err := v.process(spec)
	if err != nil {
		return exitExec, err
	}
	if err := seal(v.caller, spec, process, v.kept()); err != nil {
		return exitExec, err
	}
	if err := v.compileExec(c, spec, process); err != nil {
		return exitExec, err
	}
	return v.executes(c, process)
}

// executes is exec of what has been compiled.
func (v *verb) executes(c *libcontainer.Container, process *specs.Process) (int, error) {
	t, err := v.terminal(process, !v.has("detach"))
	if err != nil {
		return exitExec, err
	}
	pidfd, err := v.connectPidfd()
	if err != nil {
		return exitExec, err
	}
	c.Console, c.IgnorePaused = t.socket, v.has("ignore-paused")
	if !v.has("detach") {
		if c.Signals, err = catchSignals(t); err != nil {
			return exitExec, err
		}
	}
	c.Observe = v.use.reached
	if err := c.Exec(); err != nil {
		return exitExec, err
	}
	if err = t.lend(c); err == nil {
		err = v.tell(c, pidfd)
	}
	if err != nil {
		c.Signal(int(unix.SIGKILL))
		c.Wait()
		t.giveBack(c.Signals)
		return exitExec, err
	}
	if v.has("detach") {
		return 0, nil
	}
	exit, err := c.Wait()
	t.giveBack(c.Signals)
	if err != nil {
		return exitExec, err
	}
	return exit.Code, nil
}

// compileExec checks the process as that of a config.json is checked, and compiles it.
func (v *verb) compileExec(c *libcontainer.Container, spec *specs.Spec, process *specs.Process) error {
	with := *spec
	with.Process = process
	var problems []libcontainer.Problem
	for _, p := range libcontainer.Validate(&with) {
		if strings.HasPrefix(p.Pointer, "/process") { // the rest was good enough for the container
			problems = append(problems, p)
		}
	}
	if !v.caller.Root {
		for _, p := range policy.Check(&with, v.caller.Grant) {
			if strings.HasPrefix(p.Pointer, "/process") {
				problems = append(problems, p)
			}
		}
	}
	if len(problems) > 0 {
		return &libcontainer.ProblemError{Problems: problems}
	}
	host, err := c.LookExec(process)
	if err != nil {
		return err
	}
	if !v.caller.Root {
		if host.Joins&unix.CLONE_NEWUSER == 0 {
			return errors.New("the container has no user namespace of its own")
		}
	}
	if sub := v.value("cgroup"); sub != "" {
		if err := c.ExecInto(&host, sub); err != nil {
			return err
		}
	}
	host.Preserve = v.preserve
	if c.Program, err = libcontainer.CompileExec(spec, process, host); err != nil {
		return err
	}
	v.logWarnings(c.Program)
	if v.caller.Setuid() {
		c.Privilege = v.caller
		return v.caller.IntoCgroup(c.Program.CgroupPath)
	}
	return nil
}

// process is what to run: that of --process, or the container's own with what the flags change.
func (v *verb) process(spec *specs.Spec) (*specs.Process, error) {
	if path := v.value("process"); path != "" {
		if len(v.args) > 1 {
			return nil, errors.New("exec: --process names the command: unexpected argument " + quote(v.args[1]))
		}
		p, unknown, err := libcontainer.ReadProcess(path)
		v.logUnknown(unknown)
		return p, err
	}
	p := specs.Process{Cwd: "/"}
	if spec.Process != nil {
		p = *spec.Process
	}
	p.Args = v.args[1:]
	if len(p.Args) > 0 && p.Args[0] == "--" {
		p.Args = p.Args[1:]
	}
	if len(p.Args) == 0 {
		return nil, errors.New("exec: the command to run is needed")
	}
	p.Terminal, p.ConsoleSize = v.has("tty"), nil // the size in config.json is that of another terminal
	if cwd := v.value("cwd"); cwd != "" {
		p.Cwd = cwd
	}
	p.Env = append(p.Env[:len(p.Env):len(p.Env)], v.flags["env"]...)
	p.NoNewPrivileges = p.NoNewPrivileges || v.has("no-new-privs")
	if a := v.value("apparmor"); a != "" {
		p.ApparmorProfile = a
	}
	if l := v.value("process-label"); l != "" {
		p.SelinuxLabel = l
	}
	if err := v.user(&p); err != nil {
		return nil, err
	}
	v.capabilities(&p)
	return &p, nil
}

// user reads --user UID[:GID] and --additional-gids: numbers only, and nothing but numbers (CVE-2026-30892).
func (v *verb) user(p *specs.Process) error {
	if text := v.value("user"); v.has("user") {
		u, g, hasGroup := strings.Cut(text, ":")
		uid, err := strconv.ParseUint(u, 10, 32)
		if err != nil {
			return errors.New("--user " + quote(text) + " is not UID[:GID], in numbers")
		}
		p.User = specs.User{UID: uint32(uid), Umask: p.User.Umask}
		if hasGroup {
			gid, err := strconv.ParseUint(g, 10, 32)
			if err != nil {
				return errors.New("--user " + quote(text) + " is not UID[:GID], in numbers")
			}
			p.User.GID = uint32(gid)
		}
	}
	for _, text := range v.flags["additional-gids"] {
		for one := range strings.SplitSeq(text, ",") {
			gid, err := strconv.ParseUint(one, 10, 32)
			if err != nil {
				return errors.New("--additional-gids " + quote(text) + " is not a list of numbers")
			}
			p.User.AdditionalGids = append(p.User.AdditionalGids[:len(p.User.AdditionalGids):len(p.User.AdditionalGids)], uint32(gid))
		}
	}
	return nil
}

// capabilities adds those of --cap to what the process has anyway.
func (v *verb) capabilities(p *specs.Process) {
	more := v.flags["cap"]
	if len(more) == 0 {
		return
	}
	caps := specs.LinuxCapabilities{}
	if p.Capabilities != nil {
		caps = *p.Capabilities
	}
	add := func(list []string) []string { return append(list[:len(list):len(list)], more...) }
	caps.Bounding, caps.Effective, caps.Permitted = add(caps.Bounding), add(caps.Effective), add(caps.Permitted)
	p.Capabilities = &caps
}
