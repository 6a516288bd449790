package cgroup

import "slices"

// Layout says where a host's controllers are. It is a plain value: Look and LookAt fill it in, and a
// test or a dry run on another system may write it down.
type Layout struct {
	V2            string       // mount point of the cgroup2 tree: "/sys/fs/cgroup" or "/sys/fs/cgroup/unified"; "" when it is mounted nowhere
	Unified       bool         // V2 is all there is: no v1 hierarchies beside it
	V2Controllers []string     // controllers that the v2 tree can enable, sorted
	V1            []Controller // controllers mounted in v1 hierarchies, sorted by name
	Below         string       // what V2Controllers were delegated to: "/user.slice/user-1000.slice/user@1000.service"; "" for the whole tree
	Account       bool         // have what a new cgroup uses counted: enable every controller of the v2 tree, where that is possible, or join the v1 hierarchies of Counted
}

// countersV1 are the v1 controllers that count what a cgroup uses, sorted. cpu, where it has a hierarchy of its own,
// counts nothing that cpuacct does not, and takes real-time scheduling away from a cgroup without a share in it
// (CONFIG_RT_GROUP_SCHED, sched-rt-group.rst).
var countersV1 = [...]string{"blkio", "cpuacct", "memory", "pids"}

// Counted are the v1 controllers that a new cgroup is made for although nothing limits it there. One whose hierarchy
// cannot be used is passed over.
func (l Layout) Counted() []string {
	if !l.Account {
		return nil
	}
	var names []string
	for _, c := range l.V1 {
		if c.Dir != "" && slices.Contains(countersV1[:], c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
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
