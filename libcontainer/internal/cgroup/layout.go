package cgroup

import "slices"

// Layout says where a host's controllers are. It is a plain value: Look and LookAt fill it in, and a
// test or a dry run on another system may write it down.
type Layout struct {
	V2            string       // mount point of the cgroup2 tree: "/sys/fs/cgroup" or "/sys/fs/cgroup/unified"; "" when it is mounted nowhere
	Unified       bool         // V2 is all there is: no v1 hierarchies beside it
	V2Controllers []string     // controllers that the v2 tree can enable, sorted
	V1            []Controller // controllers mounted in v1 hierarchies, sorted by name
	Account       bool         // enable every controller of the v2 tree for a new cgroup, where that is possible, so that all is counted
}

// Controller is a cgroup v1 controller and the mount point of its hierarchy.
type Controller struct {
	Name string
	Dir  string // "" when the caller may not use it, see Layout.WithoutV1
}

// WithoutV1 is the layout for a caller who is not root. A v1 cgroup cannot be given away safely
// (cgroups(7), and CVE-2022-0492), so a limit that needs one is reported and not written.
func (l Layout) WithoutV1() Layout {
	l.V1 = slices.Clone(l.V1)
	for i := range l.V1 {
		l.V1[i].Dir = ""
	}
	return l
}

// tree is one of the two kinds of hierarchy.
type tree int

const (
	nowhere tree = iota
	v1
	v2
)

// find says in which tree a limit can be written, given the controller's names in both: the io
// controller of v2 was called blkio. A name that is "" is no controller of that tree.
func (l Layout) find(name1, name2 string) tree {
	if name1 != "" && l.dir(name1) != "" {
		return v1
	}
	if name2 != "" && slices.Contains(l.V2Controllers, name2) {
		return v2
	}
	return nowhere
}

// dir is the mount point of a v1 controller, or "" when there is none for this caller.
func (l Layout) dir(name string) string {
	for _, c := range l.V1 {
		if c.Name == name {
			return c.Dir
		}
	}
	return ""
}

// forbidden reports whether the host has the v1 controller but the caller may not use it.
func (l Layout) forbidden(name string) bool {
	return slices.Contains(l.V1, Controller{Name: name})
}
