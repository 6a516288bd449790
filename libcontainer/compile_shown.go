package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// compileShown puts binds of the host's in place of two kinds of file systems that show a namespace which the
// container has not of its own:
//
//   - sysfs shows a network namespace, and is refused to a user namespace that does not own it (sysfs(5)). What the
//     container is shown is the same as it would be.
//   - cgroup2 shows all cgroups without a cgroup namespace, and lets them be written (CVE-2023-25809). The container is
//     shown its own.
//
// The mount's attributes hold for all that comes along.
func (c *compiler) compileShown() {
	has := c.fresh | c.joined
	for i, m := range c.spec.Mounts {
		o := parseMountOptions(m.Type, m.Options)
		if o.bind || o.remount {
			continue
		}
		switch {
		case m.Type == "sysfs" && c.userns() && has&sys.CLONE_NEWNET == 0:
			c.show(i, "/sys", o)
		case (m.Type == "cgroup" || m.Type == "cgroup2") && has&sys.CLONE_NEWCGROUP == 0:
			c.fromIndex("/mounts", i)
			switch v2 := c.host.Cgroups.V2; {
			case c.prog.CgroupPath == "":
				c.problem(c.origin+"/type", "without a cgroup namespace a cgroup mount shows the container's own cgroup, and it has none", `set linux.cgroupsPath, or add {"type": "cgroup"} to linux.namespaces`)
			case v2 == "":
				c.problem(c.origin+"/type", "the cgroup2 file system is mounted nowhere on this machine", `add {"type": "cgroup"} to linux.namespaces`)
			default:
				c.show(i, v2+c.prog.CgroupPath, o)
			}
		}
	}
	c.from("")
}

// show replaces mount i by a bind, in a copy of config.json.
func (c *compiler) show(i int, source string, o mountOptions) {
	if c.shown == nil {
		spec := *c.spec
		spec.Mounts = append([]specs.Mount(nil), spec.Mounts...)
		c.spec, c.shown = &spec, make([]bool, len(spec.Mounts))
	}
	m := &c.spec.Mounts[i]
	options := []string{"rbind"}
	for _, word := range m.Options {
		if one := parseMountOptions("bind", []string{word}); one.set|one.clear != 0 {
			word = "r" + word
		} else if len(one.superblock)+len(one.data) > 0 {
			continue // of a file system that is made already
		}
		options = append(options, word)
	}
	m.Type, m.Source, m.Options = "bind", source, options
	c.shown[i] = true
}

// isShown says whether a mount is a bind that compileShown has put there.
func (c *compiler) isShown(i int) bool { return i < len(c.shown) && c.shown[i] }

// label gives a new file system the label of linux.mountLabel, where SELinux knows one for it.
func (c *compiler) label(f Slot, typ, dest string) {
	if l := c.linux.MountLabel; l != "" && (typ == "tmpfs" || typ == "devpts" || typ == "overlay") {
		c.fsString(f, "context", l, dest)
	}
}

func (c *compiler) compileMountLabel() {
	if c.linux.MountLabel != "" && !c.host.SELinux {
		c.problem("/linux/mountLabel", "SELinux is not enabled on this machine", "leave it out")
	}
}
