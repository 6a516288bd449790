package libcontainer

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
)

// deviceNode is a node to make.
type deviceNode struct {
	path     string
	kind     uint64 // S_IFCHR, S_IFBLK or S_IFIFO
	major    int64
	minor    int64
	mode     uint64
	uid, gid uint32
	origin   string
}

// defaultDevices are the nodes that the runtime spec (config-linux.md, Default Devices) promises to
// every container, console and ptmx aside.
var defaultDevices = [...]deviceNode{
	{path: "/dev/null", kind: sys.S_IFCHR, major: 1, minor: 3, mode: 0o666},
	{path: "/dev/zero", kind: sys.S_IFCHR, major: 1, minor: 5, mode: 0o666},
	{path: "/dev/full", kind: sys.S_IFCHR, major: 1, minor: 7, mode: 0o666},
	{path: "/dev/random", kind: sys.S_IFCHR, major: 1, minor: 8, mode: 0o666},
	{path: "/dev/urandom", kind: sys.S_IFCHR, major: 1, minor: 9, mode: 0o666},
	{path: "/dev/tty", kind: sys.S_IFCHR, major: 5, minor: 0, mode: 0o666},
}

// needsDevices says whether /dev is the container's own. A /dev that is bound from outside belongs to
// somebody else: nothing is made in it.
func (c *compiler) needsDevices() bool {
	if c.spec.Root == nil || c.sharesMounts() {
		return false
	}
	for i := len(c.spec.Mounts) - 1; i >= 0; i-- {
		m := c.spec.Mounts[i]
		if o := parseMountOptions(m.Type, m.Options); !o.remount && destination(m.Destination) == "/dev" {
			return !o.bind
		}
	}
	return true
}

// devices are the default nodes and those of linux.devices, which may replace one of them.
func (c *compiler) devices() []deviceNode {
	list := make([]deviceNode, 0, len(defaultDevices)+len(c.linux.Devices))
next:
	for _, d := range defaultDevices {
		for _, l := range c.linux.Devices {
			if path.Clean(l.Path) == d.path {
				continue next
			}
		}
		list = append(list, d)
	}
	for i, l := range c.linux.Devices {
		d := deviceNode{path: path.Clean(l.Path), major: l.Major, minor: l.Minor, mode: 0o666, origin: "/linux/devices/" + strconv.Itoa(i)}
		switch l.Type {
		case "b":
			d.kind = sys.S_IFBLK
		case "p":
			d.kind = sys.S_IFIFO
		default:
			d.kind = sys.S_IFCHR
		}
		if l.FileMode != nil {
			d.mode = uint64(*l.FileMode) & 0o7777
		}
		if l.UID != nil {
			d.uid = *l.UID
		}
		if l.GID != nil {
			d.gid = *l.GID
		}
		list = append(list, d)
	}
	return list
}

// devNumber is makedev(3).
func (d deviceNode) devNumber() uint64 {
	if d.kind == sys.S_IFIFO {
		return 0
	}
	ma, mi := uint64(d.major), uint64(d.minor)
	return mi&0xff | ma&0xfff<<8 | mi&^0xff<<12 | ma&^0xfff<<32
}

// compileDevices fills /dev. Nodes are made in place only in a fresh tmpfs, where a node of that name can be nothing
// else. Elsewhere a node is bound over a file, so that a link or a device that the image brought is never taken for
// the real one, and no node stays in the image: the host's, or one that is made in the hidden tmpfs. No link is followed
// on the way (CVE-2026-47766).
func (c *compiler) compileDevices() {
	if !c.needsDevices() {
		return
	}
	for _, d := range c.devices() {
		c.from(d.origin)
		c.strict = true
		base, rel := c.where(d.path)
		if c.makes(d) {
			parent := c.parents(base, rel, "make device", d.path)
			c.do(sys.Mknodat, at(parent), str(path.Base(rel)), bits(flagsOctal, d.kind|d.mode), bits(flagsDev, d.devNumber())).about("make device", d.path)
			if d.uid != 0 || d.gid != 0 {
				c.do(sys.Fchownat, at(parent), str(path.Base(rel)), num(uint64(d.uid)), num(uint64(d.gid)), bits(flagsAt, sys.AT_SYMLINK_NOFOLLOW)).about("own device", d.path)
			}
			continue
		}
		if c.stages(d) {
			name := "device" + strconv.Itoa(c.slots)
			c.do(sys.Mknodat, at(c.mask), str(name), bits(flagsOctal, d.kind|d.mode), bits(flagsDev, d.devNumber())).about("make device", d.path)
			if d.uid != 0 || d.gid != 0 {
				c.do(sys.Fchownat, at(c.mask), str(name), num(uint64(d.uid)), num(uint64(d.gid)), bits(flagsAt, sys.AT_SYMLINK_NOFOLLOW)).about("own device", d.path)
			}
			node := c.fd(c.do(sys.OpenTree, at(c.mask), str(name), bits(flagsOpenTree, sys.OPEN_TREE_CLONE|sys.OPEN_TREE_CLOEXEC)).about("make device", d.path))
			c.attach(node, d.path, false, "bind device")
			continue
		}
		for _, b := range c.bound {
			if b.mount < 0 && b.host == d.path {
				c.attach(b.slot, d.path, false, "bind device")
			}
		}
	}
	c.strict = false
	c.from("")
	base, rel := c.where("/dev/x")
	dev := c.parents(base, rel, "make", "/dev")
	for _, l := range [...][2]string{{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}} {
		c.do(sys.Symlinkat, str(l[1]), at(dev), str(l[0])).ok(sys.EEXIST).about("make link", "/dev/"+l[0])
	}
}

// mayMake says whether the child can make a node: a FIFO always, a device never in a user namespace (user_namespaces(7)).
func (c *compiler) mayMake(d deviceNode) bool {
	return d.kind == sys.S_IFIFO || c.host.Mknod && !c.userns()
}

// stages says whether a node is made in the hidden tmpfs and bound from there: one of linux.devices, whose number, mode
// and owner are config.json's and not those of a node of the host's.
func (c *compiler) stages(d deviceNode) bool { return d.origin != "" && c.mayMake(d) && !c.makes(d) }

// stagesAny says whether the hidden tmpfs is needed for devices.
func (c *compiler) stagesAny() bool {
	return c.needsDevices() && slices.ContainsFunc(c.devices(), c.stages)
}

// makes says whether a node is made where it belongs, which is in a fresh tmpfs only.
func (c *compiler) makes(d deviceNode) bool {
	if !c.mayMake(d) {
		return false
	}
	for i := len(c.spec.Mounts) - 1; i >= 0; i-- {
		m := c.spec.Mounts[i]
		if o := parseMountOptions(m.Type, m.Options); !o.remount && strings.HasPrefix(d.path, destination(m.Destination)+"/") {
			return m.Type == "tmpfs" && !o.bind
		}
	}
	return false
}
