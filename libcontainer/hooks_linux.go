package libcontainer

import (
	"strconv"
	"strings"
	"time"

	"github.com/locald/locald/libcontainer/internal/nofile"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// runHooks runs the hooks of a kind in this process's namespaces, one after the other, up to the first that fails:
// *HookError, or *OpError for one that could not even be executed.
func (c *Container) runHooks(hooks []Hook, k HookKind) error {
	for i := range hooks {
		if hooks[i].Kind != k {
			continue
		}
		if err := c.runHook(&hooks[i]); err != nil {
			return err
		}
	}
	return nil
}

// poststop runs the hooks that come when nothing is left of a container. What fails is told and changes nothing
// (runtime.md, Lifecycle, step 13).
func (c *Container) poststop(hooks []Hook) {
	for i := range hooks {
		if hooks[i].Kind != HookPoststop {
			continue
		}
		if err := c.runHook(&hooks[i]); err != nil && c.Warn != nil {
			c.Warn(err)
		}
	}
}

// passHooks does the parent's part while the child waits with all mounts made: it runs the hooks of prestart and
// createRuntime, writes what the child's own hooks will read, and sees those of createContainer through.
func (c *Container) passHooks() error {
	r, p := &c.run, c.Program
	if !p.HookGate {
		return nil
	}
	if f := c.readRecord(); f == nil {
		return c.lost()
	} else if f.Failed != recordReady {
		return c.opError(f)
	}
	r.made = true
	for _, k := range [...]HookKind{HookPrestart, HookCreateRuntime} {
		if err := c.runHooks(p.Hooks, k); err != nil {
			return err
		}
	}
	for i, in := range p.Inputs {
		if in.Kind != InputHookState {
			continue
		}
		status := specs.StateCreating
		if in.Path == HookStartContainer.String() {
			status = specs.StateCreated
		}
		if err := writeState(r.inputs[i], c.hookState(status, c.innerPid())); err != nil {
			return &OpError{PhaseLimited, -1, "write the state for hooks", in.Origin, errnoOf(err), ""}
		}
	}
	if err := c.release(); err != nil {
		return err
	}
	return c.passChildHooks(HookCreateContainer)
}

// passChildHooks sees the hooks of a kind through that the child runs.
func (c *Container) passChildHooks(k HookKind) error {
	for i := range c.Program.Hooks {
		if c.Program.Hooks[i].Kind != k {
			continue
		}
		if err := c.awaitHook(i); err != nil {
			return err
		}
		if err := c.release(); err != nil {
			return err
		}
	}
	return nil
}

// release lets the child go on.
func (c *Container) release() error {
	if _, err := unix.Write(c.run.gate, []byte{1}); err != nil {
		return &OpError{PhaseLimited, -1, "let the child go", "", errnoOf(err), ""}
	}
	return nil
}

// awaitHook waits until the child tells that a hook of its has ended.
func (c *Container) awaitHook(i int) error {
	r, h := &c.run, &c.Program.Hooks[i]
	w := newHookWatch(h, r.hookErrors)
	switch c.watchHook(w, r.report[0]) {
	case hookLate:
		c.kill() // the hook with it: by the cgroup, the pid namespace, or its parent's death
		return w.late()
	case hookStopped:
		return c.lost()
	}
	f := c.readRecord()
	if f == nil {
		return c.lost()
	}
	if f.Failed != recordHook || int(f.Index) != i {
		return c.opError(f)
	}
	return w.ended(unix.WaitStatus(f.Errno))
}

// runHook runs a hook as a process of this one's.
func (c *Container) runHook(h *Hook) error {
	in, report, err := c.openHook(h)
	defer func() {
		for i := range in.fds {
			closeFD(&in.fds[i])
		}
		closeFD(&in.errors)
		closeFD(&report[0])
		closeFD(&report[1])
	}()
	if err != nil {
		return err
	}
	im := h.Program.link(in.fds)
	pid, pidfd, _, err := im.start(h.Program, -1, report[1])
	if err != nil {
		return &OpError{PhaseLimited, -1, "start the hook " + h.Path, h.Pointer(), errnoOf(err), hintFor("clone3", errnoOf(err))}
	}
	defer unix.Close(pidfd)
	closeFD(&report[1])
	w := newHookWatch(h, in.errors)
	outcome := c.watchHook(w, pidfd)
	if outcome != hookEnded {
		// Also what it has started: the number of its process group is its own pid, which nobody else gets before
		// it is waited for.
		unix.Kill(-pid, unix.SIGKILL)
		unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
	}
	var info siginfo
	for waitid(pidfd, &info) == unix.EINTR {
	}
	switch outcome {
	case hookLate:
		return w.late()
	case hookStopped:
		return c.lost()
	}
	if f := readFailure(report[0]); f != nil {
		return h.Program.opError(f)
	}
	return w.ended(info.waitStatus())
}

// openHook opens what a hook of this process's gets.
func (c *Container) openHook(h *Hook) (in hookInputs, report [2]int, err error) {
	in.errors, report = -1, [2]int{-1, -1}
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return in, report, &OpError{PhaseLimited, -1, "open a pipe", h.Pointer(), errnoOf(err), ""}
	}
	for i := range h.Program.Inputs {
		fd, err := -1, error(nil)
		switch p := &h.Program.Inputs[i]; p.Kind {
		case InputBundle:
			fd, err = c.openBundle()
		case InputHookState:
			if fd, err = openState(); err == nil {
				err = writeState(fd, c.hookState(h.status(), c.run.pid))
			}
		default:
			fd, err = in.open(p)
		}
		in.fds = append(in.fds, fd)
		if err != nil {
			p := h.Program.Inputs[i]
			return in, report, &OpError{PhaseLimited, -1, "open " + p.String(), p.Origin, errnoOf(err), ""}
		}
	}
	return in, report, nil
}

// status is that of the container when a hook of the kind runs (runtime.md, State and Lifecycle).
func (h *Hook) status() specs.ContainerState {
	switch h.Kind {
	case HookStartContainer:
		return specs.StateCreated
	case HookPoststart:
		return specs.StateRunning
	case HookPoststop:
		return specs.StateStopped
	}
	return specs.StateCreating
}

func (c *Container) hookState(status specs.ContainerState, pid int) string {
	return StateJSON(specs.State{Version: specs.Version, ID: c.ID, Status: status, Pid: pid, Bundle: c.Bundle.Path, Annotations: c.Bundle.Spec.Annotations})
}

// openBundle is the directory that a hook starts in. The bundle may be gone by the time its container is deleted.
func (c *Container) openBundle() (int, error) {
	if c.Bundle.fd >= 0 {
		return unix.FcntlInt(uintptr(c.Bundle.fd), unix.F_DUPFD_CLOEXEC, 3)
	}
	fd, err := unix.Open(c.Bundle.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	return fd, err
}

// innerPid is the pid of the first process as it sees itself.
func (c *Container) innerPid() int {
	p := c.Program
	if p.CloneFlags&unix.CLONE_NEWPID != 0 || p.Forks && p.PIDNamespace < 0 {
		return 1
	}
	if p.PIDNamespace < 0 {
		return c.run.pid
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(c.run.pid)+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var buf [4096]byte
	n, _ := unix.Read(fd, buf[:])
	_, line, _ := strings.Cut(string(buf[:max(n, 0)]), "\nNSpid:")
	line, _, _ = strings.Cut(line, "\n")
	pids := strings.Fields(line) // from the outermost namespace to its own
	if len(pids) == 0 {
		return 0
	}
	inner, _ := strconv.Atoi(pids[len(pids)-1])
	return inner
}

// hooks are those of the container's config.json, for a process that has not compiled it.
func (c *Container) hooks() []Hook {
	spec, err := c.Spec()
	if err != nil || spec.Hooks == nil {
		return nil
	}
	return CompileHooks(spec, hookHost())
}

// hookHost is what CompileHooks has to know where no Program was compiled.
func hookHost() Host { return Host{UID: uint32(unix.Geteuid()), Nofile: nofile.Limit} }

// hookInputs are the open files of one hook's process.
type hookInputs struct {
	fds    []int // by index of Program.Inputs
	errors int   // read end of the pipe for errors; -1 when they go to a file
}

// open opens a place for output: a file of the caller's, with the rights of the moment, or nowhere, or for errors
// a pipe.
func (in *hookInputs) open(p *Input) (int, error) {
	if p.Kind == InputHookErr && p.Path == "" {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return -1, err
		}
		in.errors = fds[0]
		return fds[1], unix.SetNonblock(fds[0], true)
	}
	name := p.Path
	if name == "" {
		name = "/dev/null"
	}
	// A FIFO without a reader must not be waited for.
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	return fd, err
}

// openState makes the file that a hook reads: in memory, where it has no name, and of any length, so that a hook that
// does not read it keeps nobody waiting.
func openState() (int, error) {
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("state", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	return fd, err
}

// writeState writes the file without moving its offset, which its readers share, and seals it.
func writeState(fd int, text string) error {
	for at := 0; at < len(text); {
		n, err := unix.Pwrite(fd, []byte(text[at:]), int64(at))
		if err != nil && err != unix.EINTR {
			return err
		}
		at += max(n, 0)
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return err
}

// hookWatch is the watch over one hook.
type hookWatch struct {
	hook     *Hook
	errors   int       // what it says; -1
	text     []byte    // the end of that
	deadline time.Time // zero for none
}

const (
	hookTextMax   = 1024 // what is kept of it
	hookTextReads = 64   // what is read of it after the end: something that the hook has left behind may go on for ever
)

func newHookWatch(h *Hook, errors int) *hookWatch {
	w := &hookWatch{hook: h, errors: errors}
	if h.Timeout > 0 && h.Timeout <= 1<<31 { // more seconds than the machine will see are none
		w.deadline = time.Now().Add(time.Duration(h.Timeout) * time.Second)
	}
	return w
}

// hookOutcome says why watchHook has returned.
type hookOutcome uint8

const (
	hookEnded   hookOutcome = iota // the descriptor can be read
	hookLate                       // the time is up
	hookStopped                    // a signal, or the end of KillOnClose, asked to end
)

// watchHook waits until fd can be read and keeps the end of what the hook says meanwhile: a full pipe would stop it.
func (c *Container) watchHook(w *hookWatch, fd int) hookOutcome {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: -1}, {Fd: -1, Events: unix.POLLIN}, {Fd: int32(w.errors), Events: unix.POLLIN}}
	if c.KillOnClose != nil {
		fds[1].Fd = int32(c.KillOnClose.Fd())
	}
	if c.Signals != nil {
		fds[2].Fd = int32(c.Signals.Fd())
	}
	c.run.stopped = false
	for {
		left := w.left()
		if n, err := unix.Poll(fds, left); err == unix.EINTR {
			continue
		} else if n == 0 && left == 0 {
			return hookLate
		}
		if fds[3].Revents != 0 && !w.read() {
			fds[3].Fd = -1
		}
		if fds[1].Revents != 0 {
			c.stop(&fds[1])
		}
		if fds[2].Revents != 0 {
			c.startSignals(&fds[2])
		}
		if c.run.stopped {
			return hookStopped
		}
		if fds[0].Revents != 0 {
			for range hookTextReads {
				if !w.read() {
					break
				}
			}
			return hookEnded
		}
	}
}

// left is the time that is left, in milliseconds and rounded up; -1 for ever.
func (w *hookWatch) left() int {
	if w.deadline.IsZero() {
		return -1
	}
	return int(max(0, min((time.Until(w.deadline)+time.Millisecond-1)/time.Millisecond, 1<<30)))
}

// read reads some of what the hook says; false when there is no more.
func (w *hookWatch) read() bool {
	if w.errors < 0 {
		return false
	}
	var buf [4096]byte
	n, err := unix.Read(w.errors, buf[:])
	if err == unix.EINTR {
		return true
	}
	if n <= 0 {
		return false
	}
	w.text = append(w.text, buf[:n]...)
	if len(w.text) > hookTextMax {
		w.text = append(w.text[:0], w.text[len(w.text)-hookTextMax:]...)
	}
	return true
}

func (w *hookWatch) late() error {
	return &HookError{Pointer: w.hook.Pointer(), Path: w.hook.Path, Timeout: w.hook.Timeout, Stderr: string(w.text)}
}

func (w *hookWatch) ended(s unix.WaitStatus) error {
	if s == 0 {
		return nil
	}
	e := &HookError{Pointer: w.hook.Pointer(), Path: w.hook.Path, Code: s.ExitStatus(), Stderr: string(w.text)}
	if s.Signaled() {
		e.Code, e.Signal = 0, int(s.Signal())
	}
	return e
}
