package libcontainer

import (
	"errors"
	"runtime"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// running is what Start leaves for Wait.
type running struct {
	pid, pidfd int
	state      *stateDir
	cgroup     *cgroup.Cgroup
	inputs     []int // by index of Program.Inputs; -1 once closed
	gate       int   // write end; -1
	report     [2]int
	stopped    bool // killed before the user's program ran
	image      *image
}

// Start runs the Program up to and including the execution of the user's program. The container dies with
// the thread that called Start (PR_SET_PDEATHSIG): threads of a Go program end with the program, unless a goroutine
// that is locked to one ends. Errors: *OpError, ErrInUse, or an error of AroundClone or AtGate; nothing is left
// behind then.
func (c *Container) Start() error {
	r := &c.run
	*r = running{pidfd: -1, gate: -1, report: [2]int{-1, -1}}
	err := c.start()
	r.closeInputs()
	r.image = nil
	if err != nil {
		c.clean()
	}
	return err
}

func (c *Container) start() error {
	r := &c.run
	var err error
	if err = c.checkConsole(); err != nil {
		return err
	}
	if r.state, err = claim(c.StateDir, c.ID, c.Program.CgroupPath, c.stale); err != nil {
		return err
	}
	if err := c.makeCgroup(); err != nil {
		return err
	}
	if err := c.openInputs(); err != nil {
		return err
	}
	if err := c.clone(); err != nil {
		return err
	}
	if c.Program.Forks {
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
	c.observe(PhaseLimited)
	if err := c.awaitExec(); err != nil {
		return err
	}
	c.observe(PhaseRunning)
	return nil
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
	cg, err := cgroup.Create(p.Cgroups, p.CgroupPath, p.CgroupWrites)
	if err != nil {
		return cgroupError(err, p.CgroupPath)
	}
	c.run.cgroup = cg
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

// openInputs opens what the child needs to have before it exists, with the rights of the moment.
func (c *Container) openInputs() error {
	r, p := &c.run, c.Program
	r.inputs = make([]int, len(p.Inputs))
	for i := range r.inputs {
		r.inputs[i] = -1
	}
	if !p.ShareVM {
		if err := unix.Pipe2(r.report[:], unix.O_CLOEXEC); err != nil {
			return &OpError{PhaseCompiled, -1, "open a pipe", "", errnoOf(err), ""}
		}
	}
	procs := 0
	for i := range p.Inputs {
		in := &p.Inputs[i]
		var err error
		switch in.Kind {
		case InputBundle:
			r.inputs[i] = c.Bundle.fd // not ours to close
		case InputReport:
			r.inputs[i] = r.report[1]
		case InputParent:
			r.inputs[i], err = unix.PidfdOpen(unix.Getpid(), 0)
		case InputGate:
			var fds [2]int
			err = unix.Pipe2(fds[:], unix.O_CLOEXEC)
			r.inputs[i], r.gate = fds[0], fds[1]
		case InputNamespace:
			r.inputs[i], err = openNamespace(in)
		case InputConsole:
			r.inputs[i] = int(c.Console.Fd()) // not ours to close
		case InputProcs:
			r.inputs[i] = r.cgroup.ProcsFDs()[procs]
			procs++
		}
		if err != nil {
			return &OpError{PhaseCompiled, -1, "open " + in.String(), in.Origin, errnoOf(err), hintFor("open", errnoOf(err))}
		}
	}
	return nil
}

// openNamespace opens a namespace file and makes sure that it is one, of the right type: a FIFO would
// block, and a path such as /etc/shadow must not be told apart from other non-namespaces.
func openNamespace(in *Input) (int, error) {
	fd, err := unix.Open(in.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Statfs_t
	if err = unix.Fstatfs(fd, &st); err == nil && int64(st.Type) != sys.NSFS_MAGIC {
		err = unix.EINVAL
	}
	if err == nil {
		var kind int
		if kind, err = unix.IoctlRetInt(fd, sys.NS_GET_NSTYPE); err == nil && uint64(kind) != in.Flag {
			err = unix.EINVAL
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
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
		r.image.closes = []int32{int32(r.gate), int32(r.report[0]), int32(r.state.lock), int32(r.state.root)}
	}
	into := -1
	if r.cgroup != nil {
		into = r.cgroup.FD()
	}
	var failed *childFailure
	do := func() (err error) {
		r.pid, r.pidfd, failed, err = r.image.start(p, into, r.report[1])
		return err
	}
	around := c.AroundClone
	if around == nil {
		around = func(clone func() error) error { return clone() }
	}
	if err := around(do); err != nil {
		if e := errnoOf(err); errors.Is(err, e) {
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
// children (CLONE_PARENT), so neither pid can have been given to another process.
func (c *Container) succeed() error {
	r := &c.run
	f := c.readRecord()
	if f == nil {
		return c.lost()
	}
	if c.Program.Ops[f.Index].Call != sys.Clone || f.Errno != 0 {
		return c.opError(f)
	}
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
	prepare := func() error { return c.Program.writeMaps(r.pid) }
	at := c.AtGate
	if at == nil {
		at = func(_ int, prepare func() error) error { return prepare() }
	}
	if err := at(r.pid, prepare); err != nil {
		return err
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

func closeFD(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

// closeInputs closes what only the child needed, also the gate: a child that still waits there exits.
func (r *running) closeInputs() {
	closeFD(&r.gate)
	closeFD(&r.report[0])
	closeFD(&r.report[1])
}
