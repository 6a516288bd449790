package libcontainer

import (
	"runtime"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/sys"
	"github.com/locald/locald/libcontainer/internal/systemd"
	"golang.org/x/sys/unix"
)

// LookSystemd finds the systemd that makes cgroups for this process, for Host.Systemd: the machine's for root, else the
// user's, also for root in a user namespace. session and runtimeDir are the values of DBUS_SESSION_BUS_ADDRESS and
// XDG_RUNTIME_DIR, which say where the user's bus is.
func LookSystemd(session, runtimeDir string) (*Systemd, error) {
	s := &Systemd{Bus: systemd.SystemBus, User: unix.Geteuid() != 0 || !InInitUserns()}
	if s.User {
		s.Bus = systemd.Address(session, runtimeDir)
	}
	if s.Bus == "" {
		return nil, &systemd.Error{Op: "reach the user's bus", Message: "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR says where it is",
			Hint: "set one of them, or use the cgroup driver cgroupfs"}
	}
	conn, err := systemd.Connect(s.Bus)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if s.Cgroup, err = conn.Root(); err != nil || !s.User {
		return s, err
	}
	if reason := cgroup.CheckPath(s.Cgroup); reason != "" { // the word of whoever listens there
		return nil, &systemd.Error{Op: "find the cgroup of the manager", Message: "it says " + strconv.Quote(s.Cgroup) + ", and " + reason}
	}
	s.Controllers = cgroup.Delegated(cgroup.LookV2("/sys/fs/cgroup"), s.Cgroup)
	return s, nil
}

// heldScope is the scope of a container that is being made. systemd makes a scope around a process, and the container's
// first one is to be born in it: until then a process is there that only waits.
type heldScope struct {
	pidfd int
	gate  int // write end of the pipe whose end it waits for, which comes with this process's own
}

// makeScope has systemd make the cgroup, with its limits, and opens it. The limits are written as well: systemd rounds
// some, and does not know all.
func (c *Container) makeScope() error {
	r, p := &c.run, c.Program
	conn, err := systemd.Connect(p.Scope.Bus)
	if err != nil {
		return err
	}
	defer conn.Close()
	pid, err := r.holdScope()
	if err != nil {
		return &OpError{PhaseCompiled, -1, "make a process for " + p.Scope.Unit.Name, "/linux/cgroupsPath", errnoOf(err), hintFor("clone3", errnoOf(err))}
	}
	path, err := conn.StartScope(p.Scope.Unit, "locald container "+c.ID, pid, p.Scope.Properties)
	if err != nil {
		return err
	}
	if path != p.CgroupPath {
		return &systemd.Error{Op: "start " + p.Scope.Unit.Name, Message: "its cgroup is " + path + " and not " + p.CgroupPath,
			Hint: "a unit of this name has been there before: end it, or use another name"}
	}
	if r.cgroup, err = cgroup.Open(p.Cgroups, path); err == nil {
		err = r.cgroup.Update(p.Cgroups, cgroup.Change{Writes: p.CgroupWrites})
	}
	if err != nil {
		return cgroupError(err, path)
	}
	return nil
}

// holdScope makes the process that waits. It is born on another thread than this one, and so without what this one alone
// may have: the power of a set-user-ID program is for the container's first process.
func (r *running) holdScope() (pid int, err error) {
	var gate [2]int
	if err := unix.Pipe2(gate[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	c := &compiler{prog: &Program{PIDNamespace: -1}}
	c.do(sys.Read, c.input(Input{Kind: InputGate}), Arg{kind: argScratch}, num(1))
	im := c.prog.link(gate[:1])
	im.closes = []int32{int32(gate[1]), int32(r.state.lock), int32(r.state.root)}
	var pidfd int
	born := make(chan struct{})
	runtime.LockOSThread()
	go func() {
		pid, pidfd, _, err = im.start(c.prog, -1, -1)
		close(born)
	}()
	<-born
	runtime.UnlockOSThread()
	runtime.KeepAlive(im)
	unix.Close(gate[0])
	if err != nil {
		unix.Close(gate[1])
		return 0, err
	}
	r.scope = &heldScope{pidfd, gate[1]}
	return pid, nil
}

// releaseScope ends it, also when its owner has stopped it.
func (r *running) releaseScope() {
	if r.scope != nil {
		unix.PidfdSendSignal(r.scope.pidfd, unix.SIGKILL, nil, 0)
		unix.Close(r.scope.gate)
		reap(r.scope.pidfd)
		r.scope = nil
	}
}

// scope is the unit that the process is to be in, and where its cgroup is.
func (c *Container) scope() (bus, unit, cgroup string) {
	if s := c.Program.Scope; s != nil {
		return s.Bus, s.Unit.Name, c.Program.CgroupPath
	}
	return c.run.record.Bus, c.run.record.Scope, c.run.record.Cgroup
}

// enterScope has the user's systemd move the child, which waits at its gate, to where this process could not have it born:
// it takes writing cgroup.procs of the cgroup above both, and that is root's where the caller logged in outside of the
// manager's cgroup.
func (c *Container) enterScope() error {
	bus, unit, root := c.scope()
	conn, err := systemd.Connect(bus)
	if err != nil {
		return err
	}
	defer conn.Close()
	path := c.Program.CgroupPath
	if err := conn.Attach(systemd.Unit{Name: unit}, strings.TrimPrefix(path, root), c.run.pid); err != nil {
		return err
	}
	if !strings.Contains("\n"+readText("/proc/"+strconv.Itoa(c.run.pid)+"/cgroup"), "\n0::"+path+"\n") {
		return &systemd.Error{Op: "move a process into " + unit, Message: "it is not in " + path + " afterwards"}
	}
	return nil
}

// stopScope ends a unit whose cgroup has been removed. systemd sees that too, but later: who makes a container of the
// same name now would find the unit still there.
func stopScope(bus, unit string) error {
	if unit == "" {
		return nil
	}
	conn, err := systemd.Connect(bus)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.StopScope(systemd.Unit{Name: unit})
}

// limitScope tells systemd of limits that have changed, or it would take them back at the next daemon-reload, and writes
// them again, because it rounds some.
func (c *Cgroup) limitScope(writes []cgroup.Write) error {
	properties := propertiesOf(writes)
	if c.unit == "" || len(properties) == 0 {
		return nil
	}
	conn, err := systemd.Connect(c.bus)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetProperties(systemd.Unit{Name: c.unit}, properties); err != nil {
		return err
	}
	return liveError(c.cgroup.Update(c.layout, cgroup.Change{Writes: writes}), c.path)
}
