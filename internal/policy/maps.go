package policy

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Range is a run of host ids, never empty.
type Range struct {
	First, Count uint32
}

func (r Range) end() uint64 { return uint64(r.First) + uint64(r.Count) }

func (r Range) String() string {
	if r.Count == 1 {
		return utoa(uint64(r.First))
	}
	return utoa(uint64(r.First)) + "-" + utoa(r.end()-1)
}

// idEnd is where ids end: 2^32-1 means "no id" to the kernel and is never mapped.
const idEnd = 1<<32 - 1

// What the kernel takes at most (user_namespaces(7)): extents, and bytes of text, which must be less
// than a page.
const (
	maxExtents = 340
	maxMapText = 4095
)

// idKind is everything about uids or gids that a map of them is checked against.
type idKind struct {
	word   string // "uid" or "gid"
	file   string // where ranges come from
	own    uint32
	ranges []Range
	taken  []uint32
	note   string
	setuid bool
}

func (c *checker) maps() {
	c.mapping("/linux/uidMappings", c.linux.UIDMappings, c.uidKind())
	c.mapping("/linux/gidMappings", c.linux.GIDMappings, c.gidKind())
}

func (c *checker) uidKind() *idKind {
	g := c.grant
	return &idKind{"uid", "/etc/subuid", g.UID, g.SubUIDs, g.TakenUIDs, g.UIDNote, g.Setuid}
}

func (c *checker) gidKind() *idKind {
	g := c.grant
	return &idKind{"gid", "/etc/subgid", g.GID, g.SubGIDs, g.TakenGIDs, g.GIDNote, g.Setuid}
}

// setgroupsDenied: with one gid there is no range of /etc/subgid in the map, so setgroups(2) stays denied. The caller must not
// get rid of a group that a file's mode denies something to (CVE-2014-8989, CVE-2018-7169).
func (c *checker) setgroupsDenied() bool {
	m := c.linux.GIDMappings
	return len(m) == 0 || len(m) == 1 && m[0].Size == 1
}

// mapping checks one map. The helper writes it with CAP_SETUID or CAP_SETGID, so that the kernel takes
// every host id that is written: what is not refused here, the caller owns.
func (c *checker) mapping(pointer string, maps []specs.LinuxIDMapping, k *idKind) {
	if len(maps) == 0 {
		c.problem(pointer, "a new user namespace needs at least one mapping", "the host "+k.word+" "+utoa(uint64(k.own))+" is yours")
	}
	if len(maps) > maxExtents {
		c.problem(pointer, "more than 340 ranges", "the kernel takes no more")
		return
	}
	if mapText(maps) > maxMapText {
		c.problem(pointer, "the ranges are more than 4095 bytes of text", "the kernel takes no more: use fewer ranges")
	}
	for i, m := range maps {
		if reason, hint := k.refuse(m); reason != "" {
			c.problem(at(pointer, i), reason, hint)
		}
		for _, o := range maps[:i] {
			if overlap(m.ContainerID, m.Size, o.ContainerID, o.Size) || overlap(m.HostID, m.Size, o.HostID, o.Size) {
				c.problem(at(pointer, i), "overlaps an earlier range", "")
				break
			}
		}
	}
}

// overlap says whether two runs of ids share one.
func overlap(a, an, b, bn uint32) bool {
	return uint64(a) < uint64(b)+uint64(bn) && uint64(b) < uint64(a)+uint64(an)
}

// refuse says why a range cannot be mapped, or returns "". These are the rules of newuidmap(1) and
// newgidmap(1), and two more: host id 0 stays out whatever the files say, and so do ids that are in use by
// another account.
func (k *idKind) refuse(m specs.LinuxIDMapping) (reason, hint string) {
	host := Range{m.HostID, m.Size}
	name := "host " + k.word + " " + host.String()
	if m.Size > 1 {
		name = "host " + k.word + "s " + host.String()
	}
	switch {
	case m.Size == 0:
		return "an empty range", ""
	case host.end() > idEnd || uint64(m.ContainerID)+uint64(m.Size) > idEnd:
		return "the range ends past id 4294967294", ""
	case m.HostID == 0:
		return "host " + k.word + " 0 cannot be mapped", "it stays out of every container that is not root's"
	case m.HostID == k.own && m.Size == 1:
		return "", ""
	case !k.setuid:
		return name + " can be mapped only by the set-user-ID helper", "your own " + k.word + " " + utoa(uint64(k.own)) + " needs no helper; sudo locald setup installs it"
	case !inside(k.ranges, host):
		return name + " " + be(m.Size) + " not yours", k.yours()
	}
	for _, id := range k.taken {
		if uint64(id) >= uint64(host.First) && uint64(id) < host.end() && id != k.own {
			return name + " cannot be mapped: " + k.word + " " + utoa(uint64(id)) + " is another account's", "map the ids around it, or have " + k.file + " corrected"
		}
	}
	return "", ""
}

func be(n uint32) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// inside says whether r lies in one of the ranges.
func inside(ranges []Range, r Range) bool {
	return slices.ContainsFunc(ranges, func(o Range) bool { return r.First >= o.First && r.end() <= o.end() })
}

// yours says which ids the caller may map. Only the file is read: a name service (subid in
// nsswitch.conf(5)) means code that has no place in a set-user-ID program.
func (k *idKind) yours() string {
	s := "yours are your own, " + utoa(uint64(k.own)) + ", and what " + k.file + " gives you: "
	if len(k.ranges) == 0 {
		s += "nothing"
	}
	for i, r := range k.ranges {
		if i == 4 {
			s += ", …"
			break
		}
		if i > 0 {
			s += ", "
		}
		s += r.String()
	}
	if k.note != "" {
		s += " (" + k.note + ")"
	}
	return s + "; a name service is not asked"
}

// mapText is how many bytes a map is as /proc/PID/uid_map takes it.
func mapText(maps []specs.LinuxIDMapping) int {
	n := 0
	for _, m := range maps {
		n += len(utoa(uint64(m.ContainerID))) + len(utoa(uint64(m.HostID))) + len(utoa(uint64(m.Size))) + len("  \n")
	}
	return n
}

// mapped says whether a container id has a host id.
func mapped(maps []specs.LinuxIDMapping, id uint32) bool {
	return slices.ContainsFunc(maps, func(m specs.LinuxIDMapping) bool {
		return id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size)
	})
}

// user checks the ids of the process.
func (c *checker) user() {
	u := &c.process.User
	if u.Username != "" {
		c.problem("/process/user/username", "username is for Windows", "use uid and gid")
	}
	if !mapped(c.linux.UIDMappings, u.UID) {
		c.problem("/process/user/uid", "uid "+utoa(uint64(u.UID))+" is not mapped", "add it to linux.uidMappings")
	}
	if !mapped(c.linux.GIDMappings, u.GID) {
		c.problem("/process/user/gid", "gid "+utoa(uint64(u.GID))+" is not mapped", "add it to linux.gidMappings")
	}
	if len(u.AdditionalGids) == 0 {
		return
	}
	if c.setgroupsDenied() {
		c.problem("/process/user/additionalGids", "additionalGids need a range of /etc/subgid", "map one in linux.gidMappings, or leave them out")
		return
	}
	for i, g := range u.AdditionalGids {
		if !mapped(c.linux.GIDMappings, g) {
			c.problem(at("/process/user/additionalGids", i), "gid "+utoa(uint64(g))+" is not mapped", "add it to linux.gidMappings")
		}
	}
}

// decimal reads an id as every program reads it: digits, and no zero before them, which some take for
// octal.
func decimal(s string, limit uint64) (uint64, bool) {
	if s == "" || len(s) > 10 || s[0] == '0' && len(s) > 1 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n := uint64(0)
	for i := range len(s) {
		n = 10*n + uint64(s[i]-'0')
	}
	return n, n <= limit
}
