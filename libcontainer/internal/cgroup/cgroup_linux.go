package cgroup

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroup is a container's cgroup: a directory in the cgroup2 tree, and one of the same path in each v1
// hierarchy that limits it or counts for it. It holds descriptors, all close-on-exec. Its methods are not
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
	tasks       int      // tasks of a v1 hierarchy, for writing, once it is asked for, else -1
	added       bool     // by an Update that is under way
}

func (p *place) close() {
	for _, fd := range []*int{&p.parent, &p.dir, &p.tasks} {
		if *fd >= 0 {
			unix.Close(*fd)
		}
		*fd = -1
	}
}

func nothing() place { return place{parent: -1, dir: -1, tasks: -1} }

// FD is the directory in the cgroup2 tree, for CLONE_INTO_CGROUP; -1 after Close and Remove.
func (c *Cgroup) FD() int { return c.v2.dir }

// TasksFD is the file tasks of the v1 hierarchy with a controller, open for writing until Close. ENOENT says that the
// cgroup is in no such hierarchy. The container's first process writes "0" into it, and is in the cgroup. The kernel
// checks such a write with the rights of the one who opened the file, so the descriptor must not outlive the start: it
// is closed by execve.
//
// What is written to cgroup.procs moves all threads of a process, for which the kernel first waits until every processor
// has seen that none is made (cgroup_threadgroup_rwsem): after a quiet moment that took 11 ms, and of tasks, which
// moves the one thread that there is, 0.1 ms.
func (c *Cgroup) TasksFD(controller string) (fd int, err error) {
	p := c.placeOf(controller)
	if p == nil || p.dir < 0 {
		return -1, unix.ENOENT
	}
	if p.tasks < 0 {
		p.tasks, err = openat2(p.dir, "tasks", unix.O_WRONLY)
	}
	return p.tasks, err
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
func (c *Cgroup) isGone() bool { return !isThere(c.v2.dir) }

func isThere(dir int) bool {
	fd, err := openat2(dir, "cgroup.procs", unix.O_PATH)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil || !gone(err)
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
