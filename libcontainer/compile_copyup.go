package libcontainer

import (
	"path"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Target is what lies in the rootfs where a mount goes.
type Target struct {
	Found    bool
	Path     string // where a link leads to that leads to nothing; "" when the destination is as good
	Mode     uint32 // st_mode and owner of what was found
	UID, GID uint32
	Copies   []CopiedFile // what tmpcopyup copies, each directory before what is in it
	Problem  string       // why nothing is known
}

// CopiedFile is a file that tmpcopyup copies.
type CopiedFile struct {
	Path     string // relative to the directory
	Link     string // of a symbolic link
	Mode     uint32 // st_mode
	UID, GID uint32
	Size     uint64
}

func (c *compiler) target(i int) Target {
	if i < len(c.host.Targets) {
		return c.host.Targets[i]
	}
	return Target{}
}

// landing is where mount i goes. What a dangling link means is made, inside the root, as if the link were not there:
// /etc/resolv.conf of many images leads to a file below /run that only a running system has.
func (c *compiler) landing(i int, dest string) string {
	if t := c.target(i); t.Path != "" {
		return t.Path
	}
	return dest
}

// inherit gives a tmpfs the mode and owner of the directory that it covers, where nothing else is asked for.
func (c *compiler) inherit(f Slot, i int, dest string, data []string) {
	t := c.target(i)
	if !t.Found {
		return
	}
	asked := func(key string) bool {
		for _, kv := range data {
			if strings.HasPrefix(kv, key+"=") || strings.Contains(kv, ","+key+"=") {
				return true
			}
		}
		return false
	}
	if !asked("mode") {
		c.fsString(f, "mode", strconv.FormatUint(uint64(t.Mode&0o7777), 8), dest)
	}
	if id, ok := c.inside(c.prog.UIDMappings, t.UID); ok && id != 0 && !asked("uid") {
		c.fsString(f, "uid", utoa(id), dest)
	}
	if id, ok := c.inside(c.prog.GIDMappings, t.GID); ok && id != 0 && !asked("gid") {
		c.fsString(f, "gid", utoa(id), dest)
	}
}

// inside is what an id of the host is in the container; ok is false when it is none, or when it cannot be known.
func (c *compiler) inside(maps []specs.LinuxIDMapping, id uint32) (in uint32, ok bool) {
	if c.joined&sys.CLONE_NEWUSER != 0 {
		return 0, false
	}
	if c.fresh&sys.CLONE_NEWUSER == 0 {
		return id, true
	}
	for _, m := range maps {
		if id >= m.HostID && id-m.HostID < m.Size {
			return id - m.HostID + m.ContainerID, true
		}
	}
	return 0, false
}

// copyUp fills a tmpfs, before it is mounted, with what lies in the directory that it will cover. The files were listed
// by the parent, so that each is a fixed row of calls; they are opened here, with the container's rights and through no link.
func (c *compiler) copyUp(i int, dest string, tmpfs Slot) {
	t := c.target(i)
	if t.Problem != "" {
		c.problem(c.origin, "tmpcopyup cannot copy "+dest+": "+t.Problem, "leave tmpcopyup out, or use a volume")
	}
	if len(t.Copies) == 0 {
		return
	}
	base, rel := c.where(dest)
	from := c.fd(c.do(sys.Openat2, at(base), str(rel), c.inRoot(sys.O_DIRECTORY), num(24)).about("copy", dest))
	in, out := noSlot, noSlot
	for _, f := range t.Copies {
		about := path.Join(dest, f.Path)
		mode := uint64(f.Mode & 0o7777)
		switch f.Mode & 0xf000 {
		case sys.S_IFDIR:
			c.do(sys.Mkdirat, at(tmpfs), str(f.Path), bits(flagsOctal, mode)).about("copy", about)
		case sys.S_IFLNK:
			c.do(sys.Symlinkat, str(f.Link), at(tmpfs), str(f.Path)).about("copy", about)
		case sys.S_IFREG:
			c.reopen(&in, from, f.Path, openHow(sys.O_RDONLY|sys.O_NONBLOCK|sys.O_NOFOLLOW|sys.O_CLOEXEC, 0, copyResolve), about)
			c.reopen(&out, tmpfs, f.Path, openHow(sys.O_WRONLY|sys.O_CREAT|sys.O_EXCL|sys.O_CLOEXEC, mode, copyResolve), about)
			for done := uint64(0); done < f.Size; done += sendfileMax {
				c.do(sys.Sendfile, at(out), at(in), num(0), num(sendfileMax)).about("copy", about)
			}
			c.do(sys.Sendfile, at(out), at(in), num(0), num(sendfileMax)).must(0).about("copy all of", about) // nothing is left
			c.do(sys.CloseFD, at(in))
			c.do(sys.CloseFD, at(out))
		default: // a FIFO or a socket
			c.do(sys.Mknodat, at(tmpfs), str(f.Path), bits(flagsOctal, uint64(f.Mode)), num(0)).about("copy", about)
		}
		uid, uidOK := c.inside(c.prog.UIDMappings, f.UID)
		gid, gidOK := c.inside(c.prog.GIDMappings, f.GID)
		owned := uidOK && gidOK && uid|gid != 0
		if owned {
			c.do(sys.Fchownat, at(tmpfs), str(f.Path), num(uint64(uid)), num(uint64(gid)), bits(flagsAt, sys.AT_SYMLINK_NOFOLLOW)).about("own", about)
		}
		if mode&0o6000 != 0 && f.Mode&0xf000 != sys.S_IFLNK { // which mkdirat(2) leaves out and a change of owner clears
			c.do(sys.Fchmodat, at(tmpfs), str(f.Path), bits(flagsOctal, mode)).about("copy", about)
		}
	}
}

const (
	copyResolve = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_MAGICLINK
	sendfileMax = 0x7ffff000 // what one sendfile(2) transfers at most
)

// reopen opens a file into a slot that an earlier one has left.
func (c *compiler) reopen(slot *Slot, dir Slot, name string, how Arg, about string) {
	o := c.do(sys.Openat2, at(dir), str(name), how, num(24)).about("copy", about)
	if *slot == noSlot {
		*slot = c.fd(o)
	}
	o.Slot = *slot
}
