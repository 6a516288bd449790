package libcontainer

import (
	"errors"
	"runtime"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// running is what Run, Create, Exec and Load leave for the methods after them.
type running struct {
	pid, pidfd int
	record     record    // of the container; of no use before it is made
	state      *stateDir // while it is locked
	birthplace
	helped
	inputs     []int // by index of Program.Inputs; -1 once closed
	gate       int   // write end; -1
	report     [2]int
	stopped    bool // killed before the user's program ran
	hookErrors int  // read end of what the child's hooks say; -1
	made       bool // all is made of the container that can be before its program runs
	image      *image
	listener   listening
	early      *childFailure // a record that came before its turn; nil
}

// birthplace is the cgroup that the child is born in.
type birthplace struct {
	cgroup  *cgroup.Cgroup
	scope   *heldScope // until the child is in it; nil without systemd
	outside bool       // the child was born in this process's cgroup, and is moved into that of its scope
}

// helped is what is made of mounts that the child cannot make by itself.
type helped struct {
	trees  []int   // by slot of Program.Trees
	mapper *mapper // of Program.IDMapped; nil without
}

// newRunning has nothing open.
func newRunning() running {
	return running{pidfd: -1, gate: -1, report: [2]int{-1, -1}, hookErrors: -1, listener: listening{-1, -1}}
}

// Run runs a Program of ModeRun up to and including the execution of the user's program. The container dies with
// the thread that called Run (PR_SET_PDEATHSIG): threads of a Go program end with the program, unless a goroutine
// that is locked to one ends. Errors: *OpError, ErrInUse, or an error of Privilege's; nothing is left behind then.
func (c *Container) Run() error { return c.attempt(c.runs) }

// Create runs a Program of ModeCreate up to the point where it waits for Start. The container is on its own then:
// it survives this process, Load finds it, and Delete removes it. Errors are those of Run.
func (c *Container) Create() error { return c.attempt(c.creates) }

// attempt undoes what an error left half-done.
func (c *Container) attempt(do func() error) error {
	r := &c.run
	*r = newRunning()
	err := do()
	var unsure error
	if err != nil {
		unsure = c.privilege().Renounce()
	}
	c.closeInputs()
	r.image = nil
	if err != nil {
		c.clean()
	}
	if unsure != nil {
		return unsure
	}
	if err != nil && r.made {
		c.poststop(c.Program.Hooks)
	}
	return err
}

func (c *Container) runs() error {
	if err := c.make(); err != nil {
		return err
	}
	if err := c.passChildHooks(HookStartContainer); err != nil {
		return err
	}
	// Only now: a record is that of a container, and its cost is hidden behind the child's work.
	rec, err := newRecord(c, c.run.pid)
	if err == nil {
		err = c.run.state.write(rec)
	}
	if err := c.passListener(specs.StateCreating); err != nil {
		return err
	}
	if err := c.awaitExec(); err != nil {
		return err
	}
	if err != nil {
		return stateError("record the container", err)
	}
	c.run.made = true
	c.observe(PhaseRunning)
	return c.runHooks(c.Program.Hooks, HookPoststart)
}

func (c *Container) creates() error {
	r := &c.run
	if err := c.make(); err != nil {
		return err
	}
	if f := c.readRecord(); f == nil {
		return c.lost()
	} else if f.Failed != recordReady {
		return c.opError(f)
	}
	var err error
	if r.record, err = newRecord(c, r.pid); err == nil {
		err = r.state.write(r.record)
	}
	if err == nil {
		_, err = unix.Write(r.gate, []byte{1})
	}
	if err != nil {
		return stateError("record the container", err)
	}
	r.state.drop()
	r.state = nil
	r.closeCgroup()
	c.observe(PhaseCreated)
	return nil
}

// make makes the container up to the work of its child.
func (c *Container) make() error {
	r := &c.run
	var err error
	if err = c.checkConsole(); err != nil {
		return err
	}
	if err = c.findListener(); err != nil {
		return err
	}
	if err = c.openNamespaces(); err != nil {
		return err
	}
	if r.state, err = claim(c.StateDir, c.ID, c.Program.CgroupPath, c.stale); err != nil {
		return err
	}
	if c.Notify {
		if err := unix.Mkdirat(r.state.root, c.ID+"/notify", 0o755); err != nil && err != unix.EEXIST {
			return stateError("make "+c.ID+"/notify", err)
		}
	}
	if err := r.state.put("config.json", c.Bundle.text); err != nil {
		return stateError("write "+c.ID+"/config.json", err)
	}
	if err := c.makeCgroup(); err != nil {
		return err
	}
	return c.begin()
}

// begin makes the child and does the parent's part.
func (c *Container) begin() error {
	if err := c.openInputs(); err != nil {
		return err
	}
	if err := c.clone(); err != nil {
		return err
	}
	exec := c.Program.Mode == ModeExec // whose gate comes first
	if c.Program.Forks && !exec {
		if err := c.succeed(); err != nil {
			return err
		}
	}
	c.observe(PhaseCloned)
	if c.Program.Gated {
		if err := c.passGate(); err != nil {
			return err
		}
	}
	c.run.releaseScope()
	if c.Program.Forks && exec {
		if err := c.succeed(); err != nil {
			return err
		}
	}
	c.observe(PhaseLimited)
	return c.passHooks()
}

func (c *Container) observe(p Phase) {
	if c.Observe != nil {
		c.Observe(p)
	}
}

// makeCgroup makes the cgroup with its limits and its device filter.
func (c *Container) makeCgroup() error {
	p := c.Program
	if p.CgroupPath == "" {
		return nil
	}
	if p.Scope != nil {
		if err := c.makeScope(); err != nil {
			return err
		}
	} else {
		cg, err := cgroup.Create(p.Cgroups, p.CgroupPath, p.CgroupWrites)
		if err != nil {
			return cgroupError(err, p.CgroupPath)
		}
		c.run.cgroup = cg
	}
	cg := c.run.cgroup
	if p.CgroupOwner != 0 {
		if err := cg.Delegate(p.CgroupOwner); err != nil {
			return cgroupError(err, p.CgroupPath)
		}
	}
	if err := cg.FilterDevices(p.DeviceRules); err != nil {
		return cgroupError(err, p.CgroupPath)
	}
	return nil
}

func cgroupError(err error, path string) error {
	var e *cgroup.Error
	if errors.As(err, &e) {
		origin := e.Pointer
		if origin == "" {
			origin = "/linux/cgroupsPath"
		}
		return &OpError{PhaseCompiled, -1, e.Op, origin, e.Err, e.Hint}
	}
	return &OpError{PhaseCompiled, -1, "make cgroup " + path, "/linux/cgroupsPath", errnoOf(err), ""}
}

// clone makes the child.
func (c *Container) clone() error {
	r, p := &c.run, c.Program
	if p.PIDNamespace >= 0 {
		// This concerns the thread's future children only; its own pid namespace never changes.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setns(r.inputs[p.PIDNamespace], unix.CLONE_NEWPID); err != nil {
			return &OpError{PhaseCompiled, -1, "join the pid namespace " + p.Inputs[p.PIDNamespace].Path, p.Inputs[p.PIDNamespace].Origin, errnoOf(err), ""}
		}
		defer restorePIDNamespace()
	}
	r.image = p.link(r.inputs)
	if !p.ShareVM {
		// Ends of pipes by which the child and others see that this process is dead, and its lock.
		r.image.closes = []int32{int32(r.gate), int32(r.report[0]), -1, -1}
		if r.scope != nil { // who waits at its gate would wait for ever, and this process for it
			r.image.closes = append(r.image.closes, int32(r.scope.gate))
		}
		if r.state != nil {
			r.image.closes[2], r.image.closes[3] = int32(r.state.lock), int32(r.state.root)
		}
		r.image.closes = append(r.image.closes, r.mapper.ends()...)
	}
	into := -1
	if r.cgroup != nil {
		into = r.cgroup.FD()
	}
	var failed *childFailure
	_, unit, _ := c.scope()
	do := func() (err error) {
		r.pid, r.pidfd, failed, err = r.image.start(p, into, r.report[1])
		if r.outside = err == unix.EACCES && unit != "" && p.Gated; r.outside {
			r.pid, r.pidfd, failed, err = r.image.start(p, -1, r.report[1])
		}
		return err
	}
	err := c.privilege().AroundClone(into >= 0, do)
	if err == nil && r.mapper != nil { // the container's child works meanwhile
		err = c.privilege().AroundClone(false, r.startMaps)
	}
	if err != nil {
		if e := errnoOf(err); errors.Is(err, e) {
			if unit != "" && e == unix.EACCES && !p.Gated { // root of a user namespace, whose child cannot be moved meanwhile
				return &OpError{PhaseCompiled, -1, "make a process in " + unit, "/linux/cgroupsPath", e,
					"start it from a cgroup that the user's systemd has made: systemd-run --user --scope"}
			}
			return &OpError{PhaseCompiled, -1, "clone3", "/linux/namespaces", e, hintFor("clone3", e)}
		}
		return err
	}
	closeFD(&r.report[1])
	if failed != nil {
		return c.opError(failed)
	}
	return nil
}

// succeed takes the second child, which the first one reports, in place of the first. Both are this process's
// children (CLONE_PARENT), so neither pid can have been given to another process. The second can be faster and say
// something before the first has reported it: that comes after.
func (c *Container) succeed() error {
	r := &c.run
	var early *childFailure
	f := c.readRecord()
	for f != nil && !c.isBirth(f) && early == nil {
		early, f = f, c.readRecord()
	}
	if f == nil || !c.isBirth(f) {
		if early == nil {
			return c.lost()
		}
		return c.opError(early)
	}
	r.early = early
	pidfd, err := unix.PidfdOpen(int(f.Result), 0)
	if err != nil {
		unix.Kill(int(f.Result), unix.SIGKILL)
		return &OpError{PhaseCompiled, -1, "open the process in the new pid namespace", "/linux/namespaces", errnoOf(err), ""}
	}
	var info siginfo
	for waitid(r.pidfd, &info) == unix.EINTR {
	}
	closeFD(&r.pidfd)
	r.pid, r.pidfd = int(f.Result), pidfd
	return nil
}

// isBirth says whether a record is that of the op which made the second child.
func (c *Container) isBirth(f *childFailure) bool {
	return f.Failed == 1 && f.Errno == 0 && int(f.Index) < len(c.Program.Ops) && c.Program.Ops[f.Index].Call == sys.Clone
}

func restorePIDNamespace() {
	if fd, err := unix.Open("/proc/thread-self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		unix.Setns(fd, unix.CLONE_NEWPID)
		unix.Close(fd)
	}
}

// passGate does the parent's part while the child waits, then lets it through.
func (c *Container) passGate() error {
	r := &c.run
	if f := c.readRecord(); f == nil {
		return c.lost()
	} else if f.Failed != recordReady {
		return c.opError(f)
	}
	if err := c.receiveMounts(); err != nil {
		return err
	}
	prepare := func() error {
		if err := r.mapper.writeMaps(); err != nil {
			return err
		}
		return c.Program.writeMaps(r.pid)
	}
	var mapIDs func() error
	if r.mapper != nil {
		mapIDs = c.mapMounts
	}
	err := c.privilege().AtGate(r.pid, prepare, mapIDs)
	r.mapper.close()
	if err != nil {
		return err
	}
	if r.outside { // with no privilege any more: it is the caller's word
		if err := c.enterScope(); err != nil {
			return err
		}
	}
	if err := c.Program.moveNetDevices(r.pid); err != nil {
		return err
	}
	if _, err := unix.Write(r.gate, []byte{1}); err != nil {
		return &OpError{PhaseCloned, -1, "let the child go", "", errnoOf(err), ""}
	}
	return nil
}

// writeMaps writes the id maps and what else the kernel takes from the parent (user_namespaces(7)):
// setgroups before gid_map, since a single-extent gid map is taken only then. Opener and writer are the same thread.
func (p *Program) writeMaps(pid int) error {
	proc, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &OpError{PhaseCloned, -1, "open /proc/" + strconv.Itoa(pid), "", errnoOf(err), hintFor("open the child in /proc", 0)}
	}
	defer unix.Close(proc)
	if p.DenySetgroups {
		if err := writeProc(proc, "setgroups", "deny", "/linux/gidMappings"); err != nil {
			return err
		}
	}
	text := ""
	for _, m := range p.GIDMappings {
		text += mapLine(m.ContainerID, m.HostID, m.Size) + "\n"
	}
	if text != "" {
		if err := writeProc(proc, "gid_map", text, "/linux/gidMappings"); err != nil {
			return err
		}
	}
	text = ""
	for _, m := range p.UIDMappings {
		text += mapLine(m.ContainerID, m.HostID, m.Size) + "\n"
	}
	if text != "" {
		if err := writeProc(proc, "uid_map", text, "/linux/uidMappings"); err != nil {
			return err
		}
	}
	text = ""
	for _, t := range p.TimeOffsets {
		text += t.String() + "\n"
	}
	if text != "" {
		if err := writeProc(proc, "timens_offsets", text, "/linux/timeOffsets"); err != nil {
			return err
		}
	}
	if p.OOMScoreAdj != nil {
		return writeProc(proc, "oom_score_adj", strconv.Itoa(*p.OOMScoreAdj), "/process/oomScoreAdj")
	}
	return nil
}

// writeProc writes one file of /proc/PID in one write, as id maps demand.
func writeProc(proc int, name, text, origin string) error {
	fd, err := unix.Openat(proc, name, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(text))
		unix.Close(fd)
	}
	if err != nil {
		return &OpError{PhaseCloned, -1, "write " + name, origin, errnoOf(err), hintFor(name, errnoOf(err))}
	}
	return nil
}
