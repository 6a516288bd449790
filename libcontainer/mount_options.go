package libcontainer

import (
	"path"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
)

// mountOptions is what mounts[].options says, sorted by who takes it.
type mountOptions struct {
	bind, recursive  bool
	remount          bool          // changes what an earlier mount, or the rootfs, has put there
	copyUp           bool          // tmpcopyup
	idmap, idmapRec  bool          // idmap, and ridmap
	set, clear       uint64        // MOUNT_ATTR_* of this mount
	setRec, clearRec uint64        // the same for everything below it too: rro, rnosuid, … (runtime spec 1.1)
	propagation      []propagation // in their order: a mount can be first a slave and then shared
	superblock       []string      // flags of the file system itself: sync, lazytime
	data             []string      // anything else belongs to the file system: size=64k
}

// propagation is one change of the propagation of a mount.
type propagation struct {
	flag      uint64 // MS_SHARED, …
	recursive bool
}

// attr is one option that is a mount attribute.
type attr struct {
	name       string
	set, clear uint64
}

// attrs are the mount attributes by name (mount(8)). An access time mode replaces whatever mode was
// there, which mount_setattr(2) wants said by clearing the whole field.
var attrs = [...]attr{
	{"ro", sys.MOUNT_ATTR_RDONLY, 0}, {"rw", 0, sys.MOUNT_ATTR_RDONLY},
	{"nosuid", sys.MOUNT_ATTR_NOSUID, 0}, {"suid", 0, sys.MOUNT_ATTR_NOSUID},
	{"nodev", sys.MOUNT_ATTR_NODEV, 0}, {"dev", 0, sys.MOUNT_ATTR_NODEV},
	{"noexec", sys.MOUNT_ATTR_NOEXEC, 0}, {"exec", 0, sys.MOUNT_ATTR_NOEXEC},
	{"nodiratime", sys.MOUNT_ATTR_NODIRATIME, 0}, {"diratime", 0, sys.MOUNT_ATTR_NODIRATIME},
	{"nosymfollow", sys.MOUNT_ATTR_NOSYMFOLLOW, 0}, {"symfollow", 0, sys.MOUNT_ATTR_NOSYMFOLLOW},
	{"relatime", sys.MOUNT_ATTR_RELATIME, sys.MOUNT_ATTR_ATIME}, {"norelatime", sys.MOUNT_ATTR_STRICTATIME, sys.MOUNT_ATTR_ATIME},
	{"noatime", sys.MOUNT_ATTR_NOATIME, sys.MOUNT_ATTR_ATIME}, {"atime", sys.MOUNT_ATTR_RELATIME, sys.MOUNT_ATTR_ATIME},
	{"strictatime", sys.MOUNT_ATTR_STRICTATIME, sys.MOUNT_ATTR_ATIME}, {"nostrictatime", sys.MOUNT_ATTR_RELATIME, sys.MOUNT_ATTR_ATIME},
}

// propagationFlag is the MS_* of a propagation word without its leading "r"; 0 for another word.
func propagationFlag(word string) uint64 {
	switch word {
	case "private":
		return sys.MS_PRIVATE
	case "shared":
		return sys.MS_SHARED
	case "slave":
		return sys.MS_SLAVE
	case "unbindable":
		return sys.MS_UNBINDABLE
	}
	return 0
}

// parseMountOptions sorts options; typ is mounts[].type. Of contradicting options the last one wins,
// as with mount(8).
func parseMountOptions(typ string, options []string) mountOptions {
	var m mountOptions
	m.bind = typ == "bind" || typ == "rbind"
	m.recursive = typ == "rbind"
	for _, o := range options {
		m.add(o)
	}
	if !m.bind && !m.remount {
		// A new file system has nothing below it: what is for all of it is for the top.
		m.set, m.clear = m.set&^m.clearRec|m.setRec, m.clear&^m.setRec|m.clearRec
		m.setRec, m.clearRec = 0, 0
	}
	return m
}

func (m *mountOptions) add(o string) {
	for i := range attrs {
		a := &attrs[i]
		switch {
		case o == a.name:
			m.set, m.clear = m.set&^a.clear|a.set, m.clear&^a.set|a.clear
			return
		case len(o) == len(a.name)+1 && o[0] == 'r' && o[1:] == a.name:
			m.setRec, m.clearRec = m.setRec&^a.clear|a.set, m.clearRec&^a.set|a.clear
			return
		}
	}
	if f := propagationFlag(o); f != 0 {
		m.propagation = append(m.propagation, propagation{f, false})
		return
	}
	if f := propagationFlag(strings.TrimPrefix(o, "r")); f != 0 {
		m.propagation = append(m.propagation, propagation{f, true})
		return
	}
	switch o {
	case "", "defaults", "noauto":
		// the state of a fresh mount
	case "silent", "loud", "iversion", "noiversion":
		// Nothing is left to do for them. The kernel's messages about a mount that is made with fsopen(2) go to
		// its maker and not to the log, so silent is what it always is; and fsconfig(2) has no word for the
		// version of an inode, of which no program sees anything in the file systems that are made here.
	case "bind":
		m.bind = true
	case "rbind":
		m.bind, m.recursive = true, true
	case "remount":
		m.remount = true
	case "tmpcopyup":
		m.copyUp = true
	case "idmap":
		m.idmap = true
	case "ridmap":
		m.idmap, m.idmapRec = true, true
	case "sync", "dirsync", "lazytime", "mand", "async", "nolazytime", "nomand":
		m.superblock = append(m.superblock, o)
	default:
		m.data = append(m.data, o)
	}
}

// opposite is the word that takes a flag of a file system back; "" where none does.
func opposite(flag string) string {
	switch flag {
	case "sync":
		return "async"
	case "lazytime":
		return "nolazytime"
	case "mand":
		return "nomand"
	}
	return ""
}

// superblockFlags are the flags that a new file system gets: those that no later word takes back.
func (m *mountOptions) superblockFlags() []string {
	var flags []string
next:
	for i, f := range m.superblock {
		if f == "async" || strings.HasPrefix(f, "no") {
			continue
		}
		for _, later := range m.superblock[i+1:] {
			if later == f || later == opposite(f) {
				continue next
			}
		}
		flags = append(flags, f)
	}
	return flags
}

// destination is where a mount goes, from the container's root. A relative destination, which is deprecated,
// means the same below "/" (config.md, Mounts).
func destination(d string) string { return path.Clean("/" + d) }
