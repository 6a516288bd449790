package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/systemd"
)

// Systemd is a systemd that makes cgroups, as scopes: a plain value, which LookSystemd finds.
type Systemd struct {
	Bus    string // the socket of the bus that it is on: "/run/dbus/system_bus_socket"
	User   bool   // it is a user's, and so are its scopes
	Cgroup string // what its slices are in: "/", or "/user.slice/user-1000.slice/user@1000.service"

	Controllers []string // of a user's: those that were delegated to it, sorted
}

// layout is where limits can be written: below a user's systemd with the controllers alone that it has.
func (c *compiler) layout() cgroup.Layout {
	l := c.host.Cgroups
	if s := c.host.Systemd; s != nil && s.User {
		l.V2Controllers, l.Below = s.Controllers, s.Cgroup
	}
	return l
}

// Scope is the unit that systemd makes around a container. Its cgroup is Program.CgroupPath.
type Scope struct {
	Bus        string
	Unit       systemd.Unit
	Properties []systemd.Property // limits, and what annotations name
}

// maker says in a listing who makes the cgroup.
func (s *Scope) maker() string {
	if s == nil {
		return ""
	}
	return ", made by systemd"
}

// scopePath plans the scope and is the path of its cgroup. Where config.json names none it is Host.DefaultCgroup.
func (c *compiler) scopePath() string {
	manager, path := c.host.Systemd, c.linux.CgroupsPath
	if path == "" {
		path = c.host.DefaultCgroup
	}
	unit, reason := systemd.ParsePath(path, "", manager.User)
	if reason != "" {
		c.problem("/linux/cgroupsPath", reason, systemdPathHint)
		return ""
	}
	if !c.host.Cgroups.Unified {
		c.problem("/linux/cgroupsPath", "systemd makes cgroups for containers on hosts with cgroup v2 only",
			"use the cgroup driver cgroupfs, or start the host with systemd.unified_cgroup_hierarchy=1")
	}
	slice, _ := systemd.SlicePath(unit.Slice)
	c.prog.Scope = &Scope{Bus: manager.Bus, Unit: unit}
	return joinCgroup(joinCgroup(manager.Cgroup, slice), "/"+unit.Name)
}

const systemdPathHint = `it is like "system.slice:locald:NAME"`

// joinCgroup joins two absolute paths.
func joinCgroup(a, b string) string {
	switch {
	case a == "/":
		return b
	case b == "/":
		return a
	}
	return a + b
}

// compileScope gives the scope the properties of the limits, which are written to its cgroup as well, and those that
// annotations name.
func (c *compiler) compileScope() {
	if c.prog.Scope == nil {
		return
	}
	all := propertiesOf(c.prog.CgroupWrites)
	more := systemd.Annotations(c.spec.Annotations, func(name, reason string) {
		c.problem("/annotations/"+escapePointer(name), reason, "")
	})
	c.prog.Scope.Properties = append(all, more...)
}

func propertiesOf(writes []cgroup.Write) []systemd.Property {
	limits := make([]systemd.Limit, len(writes))
	for i, w := range writes {
		limits[i] = systemd.Limit{File: w.File, Value: w.Value}
		if w.AltFile == "io.weight" {
			limits[i] = systemd.Limit{File: w.AltFile, Value: w.AltValue}
		}
	}
	return systemd.Properties(limits)
}
