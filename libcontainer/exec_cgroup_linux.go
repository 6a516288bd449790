package libcontainer

import (
	"slices"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"golang.org/x/sys/unix"
)

// hierarchies are the cgroup v1 controllers in whose hierarchies there is a cgroup: those that limited it when it was
// made, and those that have since.
func hierarchies(l cgroup.Layout, path string) []string {
	if l.Unified || path == "" {
		return nil
	}
	cg, err := cgroup.Open(l, path)
	if err != nil {
		return nil // execs says so
	}
	defer cg.Close()
	return cg.Hierarchies()
}

// ExecInto has a process that is to join go into a cgroup below the container's, which is there already: "/sub", or
// "/" for the container's own, also when its first process has moved on from there. h is what LookExec said. Where
// limits are cgroup v1's, the cgroup must be in every hierarchy that has the container's: the limits hold in all of it.
// Errors: *OpError.
func (c *Container) ExecInto(h *Host, below string) error {
	path := c.run.record.Cgroup
	fail := func(err error, hint string) error {
		return &OpError{PhaseCompiled, -1, "enter the cgroup " + below + " of the container", "/linux/cgroupsPath", errnoOf(err), hint}
	}
	if path == "" {
		return fail(unix.ENOENT, "the container has no cgroup of its own")
	}
	if below != "/" {
		if reason := cgroup.CheckPath(below); reason != "" {
			return fail(unix.EINVAL, reason)
		}
		path += below
		cg, err := cgroup.Open(h.Cgroups, path)
		if err != nil {
			return cgroupError(err, path)
		}
		in := cg.Hierarchies()
		cg.Close()
		for _, name := range h.Hierarchies {
			if !slices.Contains(in, name) {
				return fail(unix.ENOENT, "the limits of "+name+" are cgroup v1's: there must be one in that hierarchy too")
			}
		}
	}
	h.DefaultCgroup = path
	return nil
}
