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
		c.idMap(p, m)
	}
}

// AsksIDMap says whether any mount of a config.json asks for ids of its own: by its maps, or by the option idmap, which
// means those of the container.
func AsksIDMap(spec *specs.Spec) bool {
	return slices.ContainsFunc(spec.Mounts, func(m specs.Mount) bool {
		return len(m.UIDMappings)+len(m.GIDMappings) > 0 || slices.Contains(m.Options, "idmap")
	})
}

// idMap checks the maps of an idmapped mount, where containerID is an id on the disk and hostID whose it seems to be. The
// helper maps ids with CAP_SYS_ADMIN, so that the kernel takes any map: neither may a file on the disk become somebody else's,
// nor a process get the rights of another's. The ids of everybody else are not in the maps and belong to nobody
// there, for whom permissions of "others" hold: so who is denied something as a member of a group must be able to
// leave it anyway (CVE-2014-8989), with a range of /etc/subgid.
func (c *checker) idMap(p string, m *specs.Mount) {
	pointer := p + "/uidMappings"
	uids, gids := m.UIDMappings, m.GIDMappings
	if len(uids)+len(gids) == 0 {
		i := slices.IndexFunc(m.Options, func(o string) bool { return o == "idmap" })
		if i < 0 {
			return
		}
		pointer = at(p+"/options", i) // by itself it means the container's maps
		uids, gids = c.linux.UIDMappings, c.linux.GIDMappings
	}
	switch g := c.grant; {
	case !g.Setuid:
		c.problem(pointer, "an idmapped mount needs root or the set-user-ID helper", "leave the map out; sudo locald setup installs the helper")
	case !g.IDMap:
		c.problem(pointer, "idmapped mounts are switched off for this machine's users", "leave the map out, or have idmap = no taken out of /etc/locald/shim.conf")
	case !isBind(m):
		c.problem(p+"/type", "only a bind is idmapped for a caller who is not root", "leave the map out")
	case c.setgroupsDenied():
		c.problem(pointer, "an idmapped mount needs a range of /etc/subgid in linux.gidMappings", "map one, or leave the map of the mount out")
	case pointer != p+"/uidMappings":
		for _, ids := range [...]struct {
			maps []specs.LinuxIDMapping
			kind *idKind
		}{{uids, c.uidKind()}, {gids, c.gidKind()}} {
			if i := slices.IndexFunc(ids.maps, func(m specs.LinuxIDMapping) bool { return ids.kind.onDisk(m) != "" }); i >= 0 {
				c.problem(pointer, "idmap means linux."+ids.kind.word+"Mappings, and "+ids.kind.onDisk(ids.maps[i]), "set uidMappings and gidMappings of the mount: containerID is the id on the disk")
				return
			}
		}
	default:
		c.diskMap(p+"/uidMappings", uids, c.uidKind())
		c.diskMap(p+"/gidMappings", gids, c.gidKind())
	}
}

// diskMap checks both sides of a map of a mount.
func (c *checker) diskMap(pointer string, maps []specs.LinuxIDMapping, k *idKind) {
	c.mapping(pointer, maps, k)
	for i, m := range maps {
		if reason := k.onDisk(m); reason != "" {
			c.problem(at(pointer, i)+"/containerID", reason, "files on the disk may become your own "+k.word+"'s and those that "+k.file+" gives you")
		}
	}
}

// onDisk says why the ids of a map that are on the disk are not the caller's, or returns "".
func (k *idKind) onDisk(m specs.LinuxIDMapping) string {
	reason, _ := k.refuse(specs.LinuxIDMapping{HostID: m.ContainerID, Size: m.Size})
	if reason == "" {
		return ""
	}
	return "on the disk " + reason
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
		case "ridmap": // also what is mounted below, which may be on other file systems
			c.problem(at(p+"/options", i), "ridmap needs root", "use idmap: what is mounted below keeps its ids")
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
