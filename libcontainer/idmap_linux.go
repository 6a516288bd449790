package libcontainer

import (
	"errors"
	"runtime"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// openIDMap makes a user namespace with the maps of an Input, and opens it. A child is born in it that only waits, until
// its maps are written and the namespace is held by a descriptor.
func openIDMap(in *Input) (int, error) {
	var gate [2]int
	if err := unix.Pipe2(gate[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	c := &compiler{prog: &Program{CloneFlags: sys.CLONE_NEWUSER, UIDMappings: in.UIDs, GIDMappings: in.GIDs, PIDNamespace: -1}}
	c.do(sys.Read, c.input(Input{Kind: InputGate}), Arg{kind: argScratch}, num(1)).must(1)
	im := c.prog.link([]int{gate[0]})
	im.closes = []int32{int32(gate[1])} // so that it ends when this process does
	pid, pidfd, _, err := im.start(c.prog, -1, -1)
	runtime.KeepAlive(im)
	unix.Close(gate[0])
	defer closeFD(&gate[1])
	if err != nil {
		return -1, err
	}
	defer reap(pidfd)
	defer closeFD(&gate[1]) // before it is waited for
	if err := c.prog.writeMaps(pid); err != nil {
		var e *OpError
		if errors.As(err, &e) {
			return -1, e.Err
		}
		return -1, err
	}
	return unix.Open("/proc/"+strconv.Itoa(pid)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

func reap(pidfd int) {
	var info siginfo
	for waitid(pidfd, &info) == unix.EINTR {
	}
	unix.Close(pidfd)
}

// openTrees runs the Program for mounts that are made outside of the container's user namespace. Its child shares the
// descriptors of this process and ends; what is in the slots then is open here.
func (c *Container) openTrees() error {
	p := c.Program.Trees
	if p == nil || c.run.trees != nil {
		return nil
	}
	fds := make([]int, len(p.Inputs))
	for i := range p.Inputs {
		fds[i] = c.Bundle.fd
		if in := &p.Inputs[i]; in.Kind == InputIDMap {
			fd, err := openIDMap(in)
			if err != nil {
				return &OpError{PhaseCompiled, -1, "open " + in.String(), in.Origin, errnoOf(err), hintFor("open", errnoOf(err))}
			}
			defer unix.Close(fd)
			fds[i] = fd
		}
	}
	im := p.link(fds)
	_, pidfd, failed, err := im.start(p, -1, -1)
	runtime.KeepAlive(im)
	if err != nil {
		return &OpError{PhaseCompiled, -1, "clone3", "/mounts", errnoOf(err), hintFor("clone3", errnoOf(err))}
	}
	reap(pidfd)
	c.run.trees = make([]int, p.Slots)
	for i := range c.run.trees {
		c.run.trees[i] = int(im.slots[i])
	}
	if failed != nil && int(failed.Index) < len(p.Ops) {
		for i := range c.run.trees {
			closeFD(&c.run.trees[i])
		}
		o, e := &p.Ops[failed.Index], unix.Errno(failed.Errno)
		return &OpError{PhaseCompiled, int(failed.Index), o.Describe(), o.Origin, e, hintForOp(o, e)}
	}
	return nil
}
