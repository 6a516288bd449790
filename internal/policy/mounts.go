package policy

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mounts are made by the child with the caller's rights. The list of types keeps the kernel's parsers of
// disk formats, and whatever else a module may bring, out of reach.
func (c *checker) mounts() {
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		p := at("/mounts", i)
		if !slices.Contains(m.Options, "remount") { // which changes a mount of the container's own
			c.destination(p, i, m)
			c.mountType(p, m)
		}
		c.mountOptions(p, m)
		// The mount's owner must own the file system for an id map (mount_setattr(2)): that is root.
		if len(m.UIDMappings) > 0 {
			c.problem(p+"/uidMappings", "idmapped mounts need root", "leave it out")
		}
		if len(m.GIDMappings) > 0 {
			c.problem(p+"/gidMappings", "idmapped mounts need root", "leave it out")
		}
	}
}

// isBind says whether a mount is a bind mount, as libcontainer reads its type and options.
func isBind(m *specs.Mount) bool {
	return m.Type == "bind" || m.Type == "rbind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// destination keeps two places: the root is root.path's or an overlay's on top of it, and /proc is a proc
// file system, because the runtime itself writes to files in it and what lies there must be the kernel's
// (CVE-2019-16884).
func (c *checker) destination(p string, i int, m *specs.Mount) {
	switch path.Clean("/" + m.Destination) {
	case "/":
		if i > 0 || m.Type != "overlay" || isBind(m) {
			c.problem(p+"/destination", "only the first mount may be the root, and only as an overlay", "use root.path for the container's file system")
		}
	case "/proc":
		if m.Type != "proc" || isBind(m) {
			c.problem(p+"/destination", "only a proc file system can be mounted on /proc", "choose another destination")
		}
	}
}

// mountType also says which namespace a file system shows. To mount one takes CAP_SYS_ADMIN in the user
// namespace that owns what it shows, and the container's owns only what is made together with it.
func (c *checker) mountType(p string, m *specs.Mount) {
	need := specs.LinuxNamespaceType("")
	switch m.Type {
	case "bind", "rbind", "tmpfs", "devpts", "overlay":
	case "proc":
		need = specs.PIDNamespace
	case "sysfs":
		if c.namespace(specs.NetworkNamespace) != nil { // without one it is a bind of the host's /sys
			need = specs.NetworkNamespace
		}
	case "mqueue":
		need = specs.IPCNamespace
	case "cgroup", "cgroup2": // CVE-2023-25809: without a namespace it shows, and lets write, the host's
		need = specs.CgroupNamespace
	case "", "none":
		if !isBind(m) {
			c.problem(p+"/type", "the type is missing", `"bind" needs the option bind or rbind; others are tmpfs, proc, …`)
		}
	default:
		c.problem(p+"/type", "file system type "+strconv.Quote(m.Type)+" needs root", "without are bind, tmpfs, overlay, proc, sysfs, devpts, mqueue, cgroup and cgroup2")
	}
	if need != "" && !c.isNew(need) {
		c.problem(p+"/type", m.Type+" needs a new "+string(need)+" namespace", add(need))
	}
}

func (c *checker) mountOptions(p string, m *specs.Mount) {
	for i, o := range m.Options {
		name, value, _ := strings.Cut(o, "=")
		maps, word := c.linux.UIDMappings, "uid"
		switch name {
		case "idmap", "ridmap":
			c.problem(at(p+"/options", i), "idmapped mounts need root", "leave it out")
			continue
		case "uid":
		case "gid":
			maps, word = c.linux.GIDMappings, "gid"
		default:
			continue
		}
		if id, ok := decimal(value, idEnd-1); !ok {
			c.problem(at(p+"/options", i), strconv.Quote(o)+" is not a decimal "+word, "")
		} else if !mapped(maps, uint32(id)) {
			c.problem(at(p+"/options", i), o+" is not mapped", "add it to linux."+word+"Mappings, or leave the option out")
		}
	}
}
