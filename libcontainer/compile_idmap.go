package libcontainer

import (
	"slices"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// idMaps are the maps of an id-mapped mount: its own, or the container's.
func (c *compiler) idMaps(m *specs.Mount) (uids, gids []specs.LinuxIDMapping) {
	if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
		return m.UIDMappings, m.GIDMappings
	}
	return c.linux.UIDMappings, c.linux.GIDMappings
}

// isIDMapped says whether a mount has ids of its own. Maps without the option mean it too: a runtime that knows them is
// not to leave them out in silence (config.md, Mounts).
func isIDMapped(m *specs.Mount, o *mountOptions) bool {
	return o.idmap || len(m.UIDMappings)+len(m.GIDMappings) > 0
}

// mapIDs gives a detached mount its ids. The kernel takes them from a user namespace with such maps, which the parent has
// made for it (mount_setattr(2), MOUNT_ATTR_IDMAP).
func (c *compiler) mapIDs(mount Slot, dest string, m *specs.Mount, o *mountOptions) {
	uids, gids := c.idMaps(m)
	in := slices.IndexFunc(c.prog.Inputs, func(in Input) bool {
		return in.Kind == InputIDMap && slices.Equal(in.UIDs, uids) && slices.Equal(in.GIDs, gids)
	})
	if in < 0 {
		in = int(c.input(Input{Kind: InputIDMap, UIDs: uids, GIDs: gids, Origin: c.origin}).n)
	}
	flags := uint64(sys.AT_EMPTY_PATH)
	if o.idmapRec {
		flags |= sys.AT_RECURSIVE
	}
	attr := mountAttr(sys.MOUNT_ATTR_IDMAP, 0, 0)
	c.do(sys.MountSetattr, at(mount), str(""), bits(flagsAt, flags), Arg{kind: argIDMap, s: attr.s[:24], n: uint64(in)}, num(32)).about("map the ids of", dest)
}

// maxIDMapped bounds the mounts that are handed over: they have to fit into the buffer of a socket, and each map takes
// a process of the parent's.
const maxIDMapped = 64

// handOver has the parent map the ids of a mount, for a caller who is not root. The child opens it as it does any other
// bind, with the caller's rights and in its own mount namespace: so the kernel refuses a source that hides something
// beneath another mount, and the copy keeps the host's ro, nosuid, nodev and noexec locked (mount_namespaces(7)). Whoever has
// CAP_SYS_ADMIN over the file system may map the ids of a detached mount that another process has made.
func (c *compiler) handOver(mount Slot, dest string, m *specs.Mount, o *mountOptions) {
	if c.fresh&sys.CLONE_NEWUSER == 0 || c.fresh&sys.CLONE_NEWNS == 0 {
		c.problem(c.origin, "an idmapped mount needs a new user namespace and a new mount namespace, or root", "leave the maps and the option out")
	}
	if o.idmapRec {
		c.problem(c.origin+"/options", "ridmap needs root", "use idmap, which leaves what is mounted below it as it is")
	}
	if len(c.prog.IDMapped) == maxIDMapped {
		c.problem(c.origin, "more than "+strconv.Itoa(maxIDMapped)+" idmapped mounts", "use fewer")
	}
	uids, gids := c.idMaps(m)
	c.prog.IDMapped = append(c.prog.IDMapped, IDMapped{uids, gids, dest, c.origin})
	c.send(c.once(InputMounts), "m", mount).about("hand over", dest)
}
