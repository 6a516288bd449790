package cgroup

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroup is a container's cgroup: a directory in the cgroup2 tree, and one of the same path in each v1
// hierarchy that carries a limit of it. It holds descriptors, all close-on-exec. Its methods are not
// for use from several goroutines at once.
type Cgroup struct {
	path string
	name string // the last name in path
	v2   place
	v1   []place
}

// place is the cgroup in one hierarchy.
type place struct {
	controllers []string // of a v1 hierarchy
	dev         uint64   // tells hierarchies apart
	parent      int      // O_PATH
	dir         int      // O_PATH; -1 when the directory is not there
	procs       int      // cgroup.procs of a v1 hierarchy, for writing, else -1
	added       bool     // by an Update that is under way
}

func (p *place) close() {
	for _, fd := range []*int{&p.parent, &p.dir, &p.procs} {
		if *fd >= 0 {
			unix.Close(*fd)
		}
		*fd = -1
	}
}

func nothing() place { return place{parent: -1, dir: -1, procs: -1} }

// FD is the directory in the cgroup2 tree, for CLONE_INTO_CGROUP; -1 after Close and Remove.
func (c *Cgroup) FD() int { return c.v2.dir }

// ProcsFDs are the cgroup.procs files of the v1 hierarchies that carry limits, open for writing. The
// container's first process writes "0" into each and is then in all of them. The kernel checks such a
// write with the rights of the one who opened the file, so the descriptors must not outlive the
// start: they are closed by its execve.
func (c *Cgroup) ProcsFDs() []int {
	var fds []int
	for _, p := range c.v1 {
		if p.procs >= 0 {
			fds = append(fds, p.procs)
		}
	}
	return fds
}

// ProcsFD is the cgroup.procs file of the v1 hierarchy with a controller, open for writing: one of ProcsFDs, or, of a
// cgroup that was there before, one that is opened now. ENOENT says that the cgroup is in no such hierarchy.
func (c *Cgroup) ProcsFD(controller string) (fd int, err error) {
	for i := range c.v1 {
		p := &c.v1[i]
		if p.dir < 0 || !slices.Contains(p.controllers, controller) {
			continue
		}
		if p.procs < 0 {
			p.procs, err = openat2(p.dir, "cgroup.procs", unix.O_WRONLY)
		}
		return p.procs, err
	}
	return -1, unix.ENOENT
}

// Hierarchies names a controller of each v1 hierarchy that the cgroup is in, in the order of Layout.V1.
func (c *Cgroup) Hierarchies() []string {
	var names []string
	for i := range c.v1 {
		if c.v1[i].dir >= 0 {
			names = append(names, c.v1[i].controllers[0])
		}
	}
	return names
}

// Close lets go of the descriptors and leaves the cgroup as it is. Remove does it too.
func (c *Cgroup) Close() {
	c.v2.close()
	for i := range c.v1 {
		c.v1[i].close()
	}
}

// Kill sends SIGKILL to every process in the cgroup and in those below it, also to one that is just
// being forked (cgroup.kill, Linux 5.14). It does not wait for them to end; Remove does. A cgroup
// that is gone is no error.
func (c *Cgroup) Kill() error {
	if c.v2.dir < 0 {
		return nil
	}
	err := writeFile(c.v2.dir, "cgroup.kill", "1")
	if err == nil || c.isGone() {
		return nil
	}
	e := &Error{Op: "kill the processes in cgroup " + c.path, Err: errno(err)}
	if err == unix.ENOENT {
		e.Hint = "cgroup.kill needs Linux 5.14"
	}
	return e
}

// isGone reports whether someone removed the directory in the cgroup2 tree, which every cgroup has
// a cgroup.procs in until then.
func (c *Cgroup) isGone() bool {
	fd, err := openat2(c.v2.dir, "cgroup.procs", unix.O_PATH)
	if err == nil {
		unix.Close(fd)
	}
	return err != nil && gone(err)
}

// OOMKilled reports whether the kernel killed a process of the cgroup for want of memory. It counts
// where the memory controller is on for the cgroup, which a memory limit sees to, and until Remove.
func (c *Cgroup) OOMKilled() bool {
	dir, file := c.v2.dir, "memory.events"
	if p := c.placeOf("memory"); p != nil {
		dir, file = p.dir, "memory.oom_control"
	}
	if dir < 0 {
		return false
	}
	text, err := readFile(dir, file)
	if err != nil {
		return false
	}
	n := value(text, "oom_kill")
	return n != "" && n != "0"
}

// value finds "key value" among lines of such pairs.
func value(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, key+" "); found {
			return strings.TrimSuffix(rest, "\n")
		}
	}
	return ""
}
