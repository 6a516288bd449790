package libcontainer

import (
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
)

// compileSeals hides and closes paths, once everything that needs a mount point has it. Each path is
// opened once, inside the root, and covered by descriptor: a link swapped in between covers nothing else
// (CVE-2025-31133, CVE-2025-52881). A path that does not exist needs no cover; any other error stops.
func (c *compiler) compileSeals() {
	c.makeMasks()
	for i, p := range c.linux.MaskedPaths {
		c.fromIndex("/linux/maskedPaths", i)
		c.maskPath(p, i)
	}
	for i, p := range c.linux.ReadonlyPaths {
		c.fromIndex("/linux/readonlyPaths", i)
		c.closePath(p)
	}
	for _, m := range c.closing {
		c.from(m.origin)
		c.do(sys.MountSetattr, at(m.slot), str(""), bits(flagsAt, sys.AT_EMPTY_PATH), mountAttr(sys.MOUNT_ATTR_RDONLY, 0, 0), num(32)).about("close", m.dest)
	}
	if c.spec.Root != nil && c.spec.Root.Readonly {
		c.from("/root/readonly")
		c.do(sys.MountSetattr, at(c.root), str(""), bits(flagsAt, sys.AT_EMPTY_PATH), mountAttr(sys.MOUNT_ATTR_RDONLY, 0, 0), num(32)).about("close", "/")
	}
	c.from("")
}

// makeMasks puts into the tmpfs for masks what they are copies of: an empty directory and an empty file.
// Nobody can write to it then, or change anything about it: a copy of the host's /dev/null would let root in the
// container change the mode of the host's.
func (c *compiler) makeMasks() {
	if c.mask == noSlot || len(c.linux.MaskedPaths) == 0 {
		return
	}
	c.from("/linux/maskedPaths")
	c.do(sys.Mkdirat, at(c.mask), str("directory"), bits(flagsOctal, 0o555)).about("make a mask for", "directories")
	c.do(sys.Mknodat, at(c.mask), str("file"), bits(flagsOctal, sys.S_IFREG|0o444), num(0)).about("make a mask for", "files")
	c.do(sys.MountSetattr, at(c.mask), str(""), bits(flagsAt, sys.AT_EMPTY_PATH), mountAttr(maskAttr, 0, 0), num(32)).about("close", "the masks")
}

// maskPath covers a directory with an empty one and anything else with an empty file.
func (c *compiler) maskPath(p string, i int) {
	base, rel := c.where(p)
	mask := "file"
	if c.maskedDirectory(i) {
		mask = "directory"
	}
	target := c.fd(c.do(sys.Openat2, at(base), str(rel), c.inRoot(0), num(24)).ok(sys.ENOENT, sys.ENOTDIR).about("mask", p))
	cover := c.fd(c.do(sys.OpenTree, at(c.mask), str(mask), bits(flagsOpenTree, sys.OPEN_TREE_CLONE|sys.OPEN_TREE_CLOEXEC)).about("mask", p))
	c.do(sys.MoveMount, at(cover), str(""), at(target), str(""), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY|sys.MOVE_MOUNT_T_EMPTY)).ok(sys.EBADF).about("mask", p)
}

func (c *compiler) maskedDirectory(i int) bool {
	return i < len(c.host.Masked) && c.host.Masked[i] == FileDirectory
}

// closePath makes a path and everything below it read-only, by a bind of itself.
func (c *compiler) closePath(p string) {
	about := "make read-only"
	base, rel := c.where(p)
	file := c.fd(c.do(sys.Openat2, at(base), str(rel), c.inRoot(0), num(24)).ok(sys.ENOENT, sys.ENOTDIR).about(about, p))
	tree := c.fd(c.do(sys.OpenTree, at(file), str(""), bits(flagsOpenTree, sys.OPEN_TREE_CLONE|sys.OPEN_TREE_CLOEXEC|sys.AT_EMPTY_PATH|sys.AT_RECURSIVE)).ok(sys.EBADF).about(about, p))
	c.do(sys.MountSetattr, at(tree), str(""), bits(flagsAt, sys.AT_EMPTY_PATH|sys.AT_RECURSIVE), mountAttr(sys.MOUNT_ATTR_RDONLY, 0, 0), num(32)).ok(sys.EBADF).about(about, p)
	c.do(sys.MoveMount, at(tree), str(""), at(file), str(""), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY|sys.MOVE_MOUNT_T_EMPTY)).ok(sys.EBADF).about(about, p)
}

// compilePivot makes the rootfs the root and lets go of the host's: pivot_root(".", ".") stacks the
// old root on the new one, from where it is detached (pivot_root(2), NOTES).
func (c *compiler) compilePivot() {
	if c.spec.Root == nil {
		return
	}
	if c.sharesMounts() {
		c.compileChroot()
		return
	}
	c.from("/root/path")
	c.do(sys.Fchdir, at(c.root)).about("enter", "the rootfs")
	switch {
	case c.host.NoPivot && c.rootOutside(): // it is on top of the host's root
		c.do(sys.Chroot, str(".")).about("change the root to", c.spec.Root.Path)
	case c.host.NoPivot:
		// The mount goes on top of the host's root, which stays beneath it, out of reach.
		c.do(sys.MoveMount, at(c.root), str(""), neg(sys.AT_FDCWD), str("/"), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY)).about("move the root to", "/")
		c.do(sys.Chroot, str(".")).about("change the root to", c.spec.Root.Path)
	default:
		c.do(sys.PivotRoot, str("."), str(".")).about("change the root to", c.spec.Root.Path)
		if c.rootOutside() && c.mask != noSlot { // the tmpfs for masks is on top of the host's root
			c.do(sys.Umount2, str("."), num(sys.MNT_DETACH)).about("let go of", "the masks")
		}
		c.do(sys.Umount2, str("."), num(sys.MNT_DETACH)).about("let go of", "the host's root")
	}
	c.do(sys.Chdir, str("/"))
	if p := c.linux.RootfsPropagation; p != "" {
		c.from("/linux/rootfsPropagation")
		flags := uint64(0)
		if strings.HasPrefix(p, "r") {
			flags = sys.AT_RECURSIVE
		}
		c.do(sys.MountSetattr, neg(sys.AT_FDCWD), str("/"), bits(flagsAt, flags), mountAttr(0, 0, propagationFlag(strings.TrimPrefix(p, "r"))), num(32)).about("set the propagation of", "/")
	}
	c.from("")
}

// openRootfs opens the directory of root.path, which must not be a link: whoever could change it would choose the root.
func (c *compiler) openRootfs(root string) Slot {
	return c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str(root), bits(flagsOpen, sys.O_PATH|sys.O_DIRECTORY|sys.O_NOFOLLOW|sys.O_CLOEXEC)).about("open rootfs", root))
}

// openRoot opens the rootfs and makes a copy of its mounts.
func (c *compiler) openRoot(root string) {
	c.under = c.openRootfs(root)
	c.root = c.copyRoot(c.under, root)
	if p := c.linux.RootfsPropagation; p == "shared" || p == "rshared" {
		c.do(sys.MountSetattr, at(c.root), str(""), bits(flagsAt, sys.AT_EMPTY_PATH|sys.AT_RECURSIVE), mountAttr(0, 0, sys.MS_SLAVE), num(32)).about("set the propagation of", root)
	}
}

func (c *compiler) copyRoot(dir Slot, root string) Slot {
	return c.fd(c.do(sys.OpenTree, at(dir), str(""), bits(flagsOpenTree, sys.OPEN_TREE_CLONE|sys.OPEN_TREE_CLOEXEC|sys.AT_EMPTY_PATH|sys.AT_RECURSIVE)).about("bind rootfs", root))
}
