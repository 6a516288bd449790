package libcontainer

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// boundSource is a detached copy of a mount, made before the root changes.
type boundSource struct {
	mount int    // index in mounts or maskedPaths; -1 for a device
	host  string // "" for a bind mount, "layer", "mask", or the path of a device node
	slot  Slot
	dir   bool
}

// placedMount is a file system that this Program has made and attached.
type placedMount struct {
	dest string
	slot Slot
}

// closingMount is one that becomes read-only when everything that needs a mount point in it has it.
type closingMount struct {
	dest   string
	slot   Slot
	origin string
}

// compileSources opens everything that lies outside the container, with the caller's rights and in the
// child's own copy of the mount tree: open_tree(2) clones only mounts of its own mount namespace.
// From here on sources are descriptors; no path outside the container is resolved after this.
func (c *compiler) compileSources() {
	if c.sharesMounts() {
		c.openSharedRoot()
		return
	}
	p := c.linux.RootfsPropagation
	if p == "shared" || p == "rshared" {
		// Clones keep their peers: what is mounted in a volume shows on the host, as was asked. Not so the
		// rootfs: the container's own mounts would show in the bundle, and outlive the container.
		c.openSources()
		c.propagate("/linux/rootfsPropagation", sys.MS_SLAVE)
		c.attachRoot()
		return
	}
	if p == "private" || p == "rprivate" || p == "unbindable" || p == "runbindable" {
		c.propagate("/linux/rootfsPropagation", sys.MS_PRIVATE)
	} else {
		c.propagate("", sys.MS_SLAVE)
	}
	c.openSources()
	c.attachRoot()
}

func (c *compiler) propagate(origin string, flag uint64) {
	if c.fresh&sys.CLONE_NEWNS == 0 {
		return
	}
	c.from(origin)
	c.do(sys.MountSetattr, neg(sys.AT_FDCWD), str("/"), bits(flagsAt, sys.AT_RECURSIVE), mountAttr(0, 0, flag), num(32)).about("set the propagation of", "/")
	c.from("")
}

// outside is a path of the host as the child can resolve it.
func (c *compiler) outside(p string) string {
	if path.IsAbs(p) || c.joined&sys.CLONE_NEWNS == 0 {
		return p
	}
	return path.Join(c.host.Bundle, p)
}

func (c *compiler) openSources() {
	if c.spec.Root != nil {
		c.from("/root/path")
		if c.rootOutside() {
			c.openRootOutside()
		} else {
			c.openRoot(c.outside(c.spec.Root.Path))
		}
	}
	for i, m := range c.spec.Mounts {
		o := parseMountOptions(m.Type, m.Options)
		c.fromIndex("/mounts", i)
		switch {
		case o.remount:
		case o.bind:
			c.bind(i, m, o)
		case m.Type == "overlay":
			c.openLayers(i, o)
		}
	}
	if c.needsDevices() {
		for _, d := range c.devices() {
			if c.mayMake(d) && (c.makes(d) || c.stages(d)) {
				continue
			}
			c.from(d.origin)
			s := c.cloneTree(d.path, 0).about("open device", d.path).Slot
			if !c.userns() { // root in the container would own the host's node: its mode is not to be changed from there
				c.do(sys.MountSetattr, at(s), str(""), bits(flagsAt, sys.AT_EMPTY_PATH), mountAttr(sys.MOUNT_ATTR_RDONLY|sys.MOUNT_ATTR_NOSUID|sys.MOUNT_ATTR_NOEXEC, 0, 0), num(32)).about("protect device", d.path)
			}
			c.bound = append(c.bound, boundSource{-1, d.path, s, false})
		}
	}
	c.from("")
}

// cloneTree makes a detached copy of the mount tree at a path of the host.
func (c *compiler) cloneTree(path string, flags uint64) *Op {
	o := c.do(sys.OpenTree, neg(sys.AT_FDCWD), str(path), bits(flagsOpenTree, sys.OPEN_TREE_CLONE|sys.OPEN_TREE_CLOEXEC|flags))
	c.fd(o)
	return o
}

// attachRoot makes the rootfs a mount of its own, as pivot_root(2) demands, on top of the directory that was
// opened. Beneath it, where nobody sees it, lies the tmpfs that masks and some devices are copies of: open_tree(2) copies only
// attached mounts before Linux 6.15.
func (c *compiler) attachRoot() {
	if c.root == noSlot {
		return
	}
	c.from("/root/path")
	if len(c.linux.MaskedPaths) > 0 || c.stagesAny() {
		f := c.fd(c.do(sys.Fsopen, str("tmpfs"), num(sys.FSOPEN_CLOEXEC)).about("make a tmpfs for", "masks and devices"))
		c.do(sys.Fsconfig, at(f), bits(flagsFsconfig, sys.FSCONFIG_CREATE), num(0), num(0), num(0)).about("make a tmpfs for", "masks and devices")
		c.mask = c.fd(c.do(sys.Fsmount, at(f), num(sys.FSMOUNT_CLOEXEC), bits(flagsMountAttr, 0)).about("make a tmpfs for", "masks and devices"))
		c.do(sys.MoveMount, at(c.mask), str(""), at(c.under), str(""), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY|sys.MOVE_MOUNT_T_EMPTY)).about("make a tmpfs for", "masks and devices")
		c.under = c.mask
	}
	c.do(sys.MoveMount, at(c.root), str(""), at(c.under), str(""), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY|sys.MOVE_MOUNT_T_EMPTY)).about("mount rootfs", c.spec.Root.Path)
	c.from("")
}

const maskAttr = sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV | sys.MOUNT_ATTR_NOEXEC

// openBind opens the source of a bind, with its options.
// warnBind: options of file systems mean nothing to a bind mount, for which mount(2) ignores them. Engines write them all
// the same ("mode=755").
func (c *compiler) warnBind(i int, m specs.Mount) {
	for k, opt := range m.Options {
		if one := parseMountOptions("", m.Options[k:k+1]); len(one.data) > 0 && strings.Contains(opt, "=") {
			c.warn("/mounts/"+strconv.Itoa(i)+"/options/"+strconv.Itoa(k), strconv.Quote(opt)+" is an option of a file system, and a bind mount makes none", "it is left out")
		}
	}
}

func (c *compiler) openBind(i int, m specs.Mount, o mountOptions) Slot {
	c.warnBind(i, m)
	var flags uint64
	if o.recursive {
		flags = sys.AT_RECURSIVE
	}
	tree := c.cloneTree(c.outside(m.Source), flags).about("bind", m.Source)
	mapped := isIDMapped(&m, &o)
	if mapped && c.host.UID != 0 {
		c.rights(tree)
	}
	s := tree.Slot
	c.setAttributes(s, destination(m.Destination), o)
	switch {
	case mapped && c.host.UID != 0:
		c.handOver(s, destination(m.Destination), &m, &o)
	case mapped:
		c.mapIDs(s, destination(m.Destination), &m, &o)
	}
	return s
}

func (c *compiler) bind(i int, m specs.Mount, o mountOptions) {
	var s Slot
	if c.sourceOutside(i) || isIDMapped(&m, &o) && c.host.UID == 0 && c.userns() {
		s = c.openOutside(i, m, o)
	} else {
		s = c.openBind(i, m, o)
	}
	dir := c.isShown(i) || i < len(c.host.Sources) && c.host.Sources[i] == FileDirectory
	c.bound = append(c.bound, boundSource{i, "", s, dir})
}

// openLayers opens the directories of an overlay as the caller and gives them numbers that are known before the
// child exists: overlayfs takes its layers as text before Linux 6.13. A layer is then named /proc/self/fd/N, and its
// path is resolved once.
func (c *compiler) openLayers(i int, o mountOptions) {
	open := func(p string) {
		s := c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str(c.outside(p)), bits(flagsOpen, sys.O_PATH|sys.O_DIRECTORY|sys.O_CLOEXEC)).about("open layer", p))
		n := c.number()
		c.do(sys.Dup3, at(s), Arg{kind: argLayer, n: uint64(n)}, bits(flagsOpen, sys.O_CLOEXEC)).about("hold layer", p)
		c.bound = append(c.bound, boundSource{i, "layer", Slot(n), true})
	}
	for _, kv := range o.data {
		key, value, _ := strings.Cut(kv, "=")
		switch key {
		case "lowerdir":
			for _, p := range splitLayers(value) {
				open(p)
			}
		case "lowerdir+", "upperdir", "workdir":
			open(value)
		}
	}
}

// splitLayers splits lowerdir at colons; a backslash keeps the next character (overlayfs.rst).
func splitLayers(s string) []string {
	var layers []string
	cur := ""
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			cur += s[i : i+1]
		case s[i] == ':':
			layers = append(layers, cur)
			cur = ""
		default:
			cur += s[i : i+1]
		}
	}
	return append(layers, cur)
}

// compileMounts attaches mounts[] in order, each at a destination that the kernel resolves inside the
// container's root: RESOLVE_IN_ROOT keeps "..", absolute links and races inside, and no magic link is
// followed (CVE-2019-16884, CVE-2021-30465, CVE-2024-45310).
func (c *compiler) compileMounts() {
	for i, m := range c.spec.Mounts {
		c.fromIndex("/mounts", i)
		o, dest := parseMountOptions(m.Type, m.Options), destination(m.Destination)
		if o.remount {
			c.remount(dest, o)
			continue
		}
		slot, dir := noSlot, true
		if o.bind {
			for _, b := range c.bound {
				if b.mount == i && b.host == "" {
					slot, dir = b.slot, b.dir
				}
			}
		} else {
			slot = c.makeFilesystem(i, m, o)
		}
		if !o.bind && isIDMapped(&m, &o) {
			c.mapIDs(slot, dest, &m, &o)
		}
		if o.copyUp {
			c.copyUp(i, dest, slot)
		}
		dest = c.landing(i, dest)
		kernel := c.isShown(i) || !o.bind && (m.Type == "proc" || m.Type == "sysfs")
		c.strict = kernel
		c.attach(slot, dest, dir, "mount "+mountName(m, o)+" on")
		c.strict = false
		c.setPropagation(slot, dest, o)
		if i == devptsOf(c.spec) {
			c.pts = slot
		}
		if kernel || !o.bind && m.Type == "tmpfs" {
			c.placed = append(c.placed, placedMount{dest, slot})
		}
		if !o.bind && m.Type == "tmpfs" && o.set&sys.MOUNT_ATTR_RDONLY != 0 {
			c.closing = append(c.closing, closingMount{dest, slot, c.origin})
		}
	}
	c.from("")
}

func (c *compiler) setPropagation(mount Slot, dest string, o mountOptions) {
	for _, p := range o.propagation {
		flags := uint64(sys.AT_EMPTY_PATH)
		if p.recursive {
			flags |= sys.AT_RECURSIVE
		}
		c.do(sys.MountSetattr, at(mount), str(""), bits(flagsAt, flags), mountAttr(0, 0, p.flag), num(32)).about("set the propagation of", dest)
	}
}

// remount changes what is mounted on a destination by then: its attributes, and, when it is no bind mount that is
// meant, the options of its file system. Only what is named changes, as with remount of mount(8). The mount is closed
// with the others, when nothing more needs a mount point in it.
func (c *compiler) remount(dest string, o mountOptions) {
	base, rel := c.where(dest)
	target := base
	if rel != "" && rel != "." {
		target = c.fd(c.do(sys.Openat2, at(base), str(rel), c.inRoot(0), num(24)).about("remount", dest))
	}
	if (o.clear|o.set)&sys.MOUNT_ATTR_RDONLY != 0 {
		c.closing = slices.DeleteFunc(c.closing, func(m closingMount) bool { return m.dest == dest })
	}
	if o.set&sys.MOUNT_ATTR_RDONLY != 0 {
		o.set &^= sys.MOUNT_ATTR_RDONLY
		c.closing = append(c.closing, closingMount{dest, target, c.origin})
	}
	c.setAttributes(target, dest, o)
	if !o.bind && len(o.superblock)+len(o.data) > 0 {
		f := c.fd(c.do(sys.Fspick, at(target), str(""), bits(flagsFspick, sys.FSPICK_CLOEXEC|sys.FSPICK_EMPTY_PATH)).about("remount", dest))
		c.fsData(f, dest, o.data)
		for _, flag := range o.superblock {
			c.fsFlag(f, flag, dest)
		}
		c.do(sys.Fsconfig, at(f), bits(flagsFsconfig, sys.FSCONFIG_RECONFIGURE), num(0), num(0), num(0)).about("remount", dest)
	}
	c.setPropagation(target, dest, o)
}

// setAttributes sets the attributes of one mount, and those of all mounts below it too.
func (c *compiler) setAttributes(mount Slot, dest string, o mountOptions) {
	if o.set|o.clear != 0 {
		c.do(sys.MountSetattr, at(mount), str(""), bits(flagsAt, sys.AT_EMPTY_PATH), mountAttr(o.set, o.clear, 0), num(32)).about("set the options of", dest)
	}
	if o.setRec|o.clearRec != 0 {
		c.do(sys.MountSetattr, at(mount), str(""), bits(flagsAt, sys.AT_EMPTY_PATH|sys.AT_RECURSIVE), mountAttr(o.setRec, o.clearRec, 0), num(32)).about("set the recursive options of", dest)
	}
}

func mountName(m specs.Mount, o mountOptions) string {
	if o.bind {
		return m.Source
	}
	return m.Type
}

// makeFilesystem makes a new file system with fsopen(2), detached.
func (c *compiler) makeFilesystem(i int, m specs.Mount, o mountOptions) Slot {
	typ := m.Type
	if typ == "cgroup" {
		typ = "cgroup2" // the cgroup2 tree is what containers see, on hybrid hosts as well
	}
	first, layers := c.layersOf(i)
	prefix := "/proc/self/fd/"
	if layers > fullLayerNames {
		prefix = ""
		c.do(sys.Chdir, str("/proc/self/fd")).about("name the layers of", m.Destination)
	}
	dest := destination(m.Destination)
	others := !slices.Contains([]string{"tmpfs", "overlay", "devpts", "proc", "sysfs", "cgroup2", "mqueue"}, typ)
	if others && c.host.UID != 0 { // a driver would parse the caller's bytes with the kernel's power
		c.problem(c.origin+"/type", "file system "+strconv.Quote(typ)+" needs root", "others have bind, tmpfs, overlay, proc, sysfs, devpts, mqueue and cgroup2")
	}
	f := c.fd(c.do(sys.Fsopen, str(typ), num(sys.FSOPEN_CLOEXEC)).about("make a "+typ+" for", dest))
	if m.Source != "" {
		c.fsString(f, "source", m.Source, dest)
	}
	name := func(key string, n int) {
		c.do(sys.Fsconfig, at(f), bits(flagsFsconfig, sys.FSCONFIG_SET_STRING), str(key), Arg{kind: argLayers, s: prefix, n: uint64(first)<<16 | uint64(n)}, num(0)).about("set "+key+" on", dest)
		first += n
	}
	data := o.data
	if typ != "overlay" {
		c.fsData(f, dest, o.data)
		o.data = nil
	}
	for _, kv := range o.data {
		switch key, value, _ := strings.Cut(kv, "="); key {
		case "lowerdir":
			name(key, len(splitLayers(value)))
		case "lowerdir+", "upperdir", "workdir":
			name(key, 1)
		default:
			c.fsOption(f, kv, dest)
		}
	}
	if typ == "tmpfs" {
		c.inherit(f, i, dest, data)
	}
	c.label(f, typ, dest)
	for _, flag := range o.superblockFlags() {
		c.fsFlag(f, flag, dest)
	}
	if others && o.set&sys.MOUNT_ATTR_RDONLY != 0 { // as mount(2) does: a device may be read-only
		c.fsFlag(f, "ro", dest)
	}
	c.do(sys.Fsconfig, at(f), bits(flagsFsconfig, sys.FSCONFIG_CREATE), num(0), num(0), num(0)).about("make a "+typ+" for", dest)
	attrs := o.set
	if m.Type == "tmpfs" {
		attrs &^= sys.MOUNT_ATTR_RDONLY // other mounts and /dev need mount points in it: compileSeals closes it
	}
	return c.fd(c.do(sys.Fsmount, at(f), num(sys.FSMOUNT_CLOEXEC), bits(flagsMountAttr, attrs)).about("make a "+typ+" for", dest))
}

// fsData gives a file system its own options. One string may hold several, separated by commas, as in the last
// argument of mount(2); a list of nodes in mpol= keeps its commas (tmpfs(5)).
func (c *compiler) fsData(f Slot, dest string, data []string) {
	for _, kv := range data {
		if strings.HasPrefix(kv, "mpol=") {
			c.fsOption(f, kv, dest)
			continue
		}
		for _, one := range strings.Split(kv, ",") {
			if one != "" {
				c.fsOption(f, one, dest)
			}
		}
	}
}

func (c *compiler) fsOption(f Slot, kv, dest string) {
	if key, value, hasValue := strings.Cut(kv, "="); hasValue {
		c.fsString(f, key, value, dest)
	} else {
		c.fsFlag(f, kv, dest)
	}
}

func (c *compiler) fsString(f Slot, key, value, dest string) {
	c.do(sys.Fsconfig, at(f), bits(flagsFsconfig, sys.FSCONFIG_SET_STRING), str(key), str(value), num(0)).about("set "+key+"="+value+" on", dest)
}

func (c *compiler) fsFlag(f Slot, flag, dest string) {
	c.do(sys.Fsconfig, at(f), bits(flagsFsconfig, sys.FSCONFIG_SET_FLAG), str(flag), num(0), num(0)).about("set "+flag+" on", dest)
}

// fullLayerNames is how many layers can be named by their full path in the 255 bytes that fsconfig(2) takes.
// More are named by their number alone, relative to /proc/self/fd.
const fullLayerNames = 11

// layersOf are the layers of mount i: they were opened one after another, in the order of its options.
func (c *compiler) layersOf(i int) (first, n int) {
	for _, b := range c.bound {
		if b.mount == i && b.host == "layer" {
			if n == 0 {
				first = int(b.slot)
			}
			n++
		}
	}
	return first, n
}

// where finds what a path is resolved against: the file system of this Program's own that covers it, which the
// image has no say in, or else the container's root. What has to be masked in /proc is looked for in the proc that
// was mounted, wherever links of the image may lead /proc by then.
func (c *compiler) where(dest string) (base Slot, rel string) {
	dest = path.Clean(dest)
	for i := len(c.placed) - 1; i >= 0; i-- {
		if rel, ok := strings.CutPrefix(dest, c.placed[i].dest+"/"); ok {
			return c.placed[i].slot, rel
		}
	}
	return c.root, strings.TrimPrefix(dest, "/")
}

// inRoot is how every path inside the container is opened. On the way to the mount points of proc and sysfs no
// link is followed at all (CVE-2019-19921).
func (c *compiler) inRoot(flags uint64) Arg {
	resolve := uint64(sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINK)
	if c.strict {
		resolve |= sys.RESOLVE_NO_SYMLINKS
	}
	return openHow(flags|sys.O_PATH|sys.O_CLOEXEC, 0, resolve)
}

// attach mounts a detached tree at a destination, which is made when it is missing.
func (c *compiler) attach(tree Slot, dest string, dir bool, verb string) {
	base, rel := c.where(dest)
	target := base
	if rel != "" && rel != "." {
		parent := c.parents(base, rel, verb, dest)
		if dir {
			c.do(sys.Mkdirat, at(parent), str(path.Base(rel)), bits(flagsOctal, 0o755)).ok(sys.EEXIST).about(verb, dest)
		} else {
			c.do(sys.Mknodat, at(parent), str(path.Base(rel)), bits(flagsOctal, sys.S_IFREG|0o644), num(0)).ok(sys.EEXIST).about(verb, dest)
		}
		target = c.fd(c.do(sys.Openat2, at(base), str(rel), c.inRoot(0), num(24)).about(verb, dest))
	}
	c.do(sys.MoveMount, at(tree), str(""), at(target), str(""), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY|sys.MOVE_MOUNT_T_EMPTY)).about(verb, dest)
	if target == c.root {
		c.root = tree
	}
}

// parents makes the missing directories above rel, one by one: mkdirat(2) itself would follow a link
// out of the root (bubblewrap CVE-2026-87766), so each parent is opened inside the root first.
func (c *compiler) parents(base Slot, rel, verb, dest string) Slot {
	parent := base
	for i := 0; i < len(rel); i++ {
		if rel[i] != '/' {
			continue
		}
		c.do(sys.Mkdirat, at(parent), str(path.Base(rel[:i])), bits(flagsOctal, 0o755)).ok(sys.EEXIST).about(verb, dest)
		parent = c.fd(c.do(sys.Openat2, at(base), str(rel[:i]), c.inRoot(sys.O_DIRECTORY), num(24)).about(verb, dest))
	}
	return parent
}
