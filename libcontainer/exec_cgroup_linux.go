package libcontainer

import (
	"slices"
	"strings"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"golang.org/x/sys/unix"
)

// hierarchies are the cgroup v1 controllers in whose hierarchies a container has its cgroup: those that limited it when
// it was made, and those that have since. text is /proc/PID/cgroup of its first process (cgroups(7)), which is in all of
// them, or below.
func hierarchies(l cgroup.Layout, path, text string) []string {
	if l.Unified || path == "" {
		return nil
	}
	var names []string
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, at, _ := strings.Cut(rest, ":")
		name, _, _ := strings.Cut(controllers, ",")
		if at != path && !strings.HasPrefix(at, path+"/") {
			continue
		}
		if slices.ContainsFunc(l.V1, func(c cgroup.Controller) bool { return c.Name == name && c.Dir != "" }) {
			names = append(names, name)
		}
	}
	return names
}

// ExecInto has a process that is to join go into a cgroup below the container's, which is there already: "/sub", or
// "/" for the container's own, also when its first process has moved on from there. h is what LookExec said. In a
// cgroup v1 hierarchy that has no such cgroup, the process is in the container's own, with its limits. Errors: *OpError.
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
		defer cg.Close()
		if cg.FD() < 0 {
			return fail(unix.ENOENT, "there is none of this name in the cgroup2 tree")
		}
	}
	h.DefaultCgroup = path
	return nil
}

// openExecCgroup opens the cgroups that the process of an exec goes into.
func (c *Container) openExecCgroup(path string) error {
	cg, err := cgroup.Open(c.Program.Cgroups, path)
	if err != nil {
		return cgroupError(err, path)
	}
	c.run.cgroup = cg
	if own := c.run.record.Cgroup; path != own && !c.Program.Cgroups.Unified {
		all, err := cgroup.Open(c.Program.Cgroups, own)
		if err != nil {
			return cgroupError(err, own)
		}
		cg.Complete(all)
	}
	return nil
}
