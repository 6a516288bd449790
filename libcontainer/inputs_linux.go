package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// openNamespaces opens the inputs that are namespaces: before anything is made, because a path may be of another kind.
func (c *Container) openNamespaces() (err error) {
	r, p := &c.run, c.Program
	r.inputs = make([]int, len(p.Inputs))
	for i := range r.inputs {
		r.inputs[i] = -1
	}
	for i := range p.Inputs {
		if in := &p.Inputs[i]; in.Kind == InputNamespace {
			if r.inputs[i], err = openNamespace(in); err != nil {
				return in.failed(err)
			}
		}
	}
	return nil
}

// openInputs opens the rest of what the child needs to have before it exists, with the rights of the moment.
func (c *Container) openInputs() error {
	r, p := &c.run, c.Program
	if err := c.openReport(); err != nil {
		return &OpError{PhaseCompiled, -1, "open a pipe", "", errnoOf(err), ""}
	}
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
		case InputIDMap:
			r.inputs[i], err = openIDMap(in)
		case InputTree:
			if err := c.openTrees(); err != nil {
				return err
			}
			r.inputs[i] = r.trees[in.Slot]
		case InputConsole:
			r.inputs[i] = int(c.Console.Fd()) // not ours to close
		case InputTasks:
			r.inputs[i], err = r.cgroup.TasksFD(in.Path)
		case InputCount:
			if r.inputs[i], err = r.cgroup.TasksFD(in.Path); err != nil {
				r.inputs[i], err = -1, nil
			}
		case InputHookState:
			r.inputs[i], err = openState()
		case InputHookOut, InputHookErr:
			h := hookInputs{errors: -1}
			r.inputs[i], err = h.open(in)
			r.hookErrors = max(r.hookErrors, h.errors)
		case InputListener:
			r.inputs[i], err = r.openListener(p.Mode)
		case InputMounts:
			r.inputs[i], err = r.openMapper(p)
		case InputHookSay:
			r.inputs[i], err = r.state.writer("hooks")
		case InputStart:
			// For writing too: so it is open at once, and never at its end.
			r.inputs[i], err = r.state.fifo("start", unix.O_RDWR)
		case InputProcess:
			r.inputs[i], err = openProcess(&r.record)
		}
		if err != nil {
			return in.failed(err)
		}
	}
	return nil
}

// failed is the error of an input that could not be opened.
func (in *Input) failed(err error) error {
	e := &OpError{PhaseCompiled, -1, "open " + in.String(), in.Origin, errnoOf(err), hintFor("open", errnoOf(err))}
	if in.Kind == InputNamespace {
		e.Op = "open the " + flagsClone.text(in.Flag) + " namespace " + in.Path
		if e.Err == unix.EINVAL {
			e.Hint = "the path leads to something else"
		}
	}
	return e
}

// openReport opens the pipe on which the child reports. That of a created container has a name, because it is
// another process that reads how its start went.
func (c *Container) openReport() error {
	r := &c.run
	switch c.Program.Mode {
	case ModeCreate:
		var err error
		if r.report[0], err = r.state.fifo("report", unix.O_RDONLY|unix.O_NONBLOCK); err != nil {
			return err
		}
		if r.report[1], err = r.state.fifo("report", unix.O_WRONLY); err != nil {
			return err
		}
		_, err = unix.FcntlInt(uintptr(r.report[0]), unix.F_SETFL, unix.O_RDONLY)
		return err
	case ModeRun:
		if c.Program.ShareVM {
			return nil
		}
	}
	return unix.Pipe2(r.report[:], unix.O_CLOEXEC)
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

// openProcess opens the first process of a container as a pidfd, and makes sure that it is the one of the record:
// a pid is given out again.
func openProcess(r *record) (int, error) {
	if r.Pid <= 0 {
		return -1, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(r.Pid, 0)
	if err != nil {
		return -1, err
	}
	if start, err := startTime(r.Pid); err != nil || start != r.Start {
		unix.Close(fd)
		return -1, unix.ESRCH
	}
	return fd, nil
}

// closeInputs closes what only the child needed, also the gate: a child that still waits there exits.
func (c *Container) closeInputs() {
	r := &c.run
	closeFD(&r.gate)
	closeFD(&r.report[0])
	closeFD(&r.report[1])
	closeFD(&r.hookErrors)
	r.listener.close()
	r.mapper.close()
	for i := range r.trees {
		closeFD(&r.trees[i])
	}
	for i := range r.inputs {
		switch c.Program.Inputs[i].Kind {
		case InputBundle, InputReport, InputTasks, InputCount, InputConsole, InputTree: // somebody else's to close
		default:
			closeFD(&r.inputs[i])
		}
	}
	r.inputs = nil
}

func closeFD(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

func (r *running) closeCgroup() {
	if r.cgroup != nil {
		r.cgroup.Close()
		r.cgroup = nil
	}
}
