package libcontainer

import "github.com/locald/locald/libcontainer/internal/sys"

// Without a mount namespace in config.json the container stays in the host's, as the specification has it (config-linux.md,
// Namespaces). Nothing can be mounted then without everybody seeing it: the container gets its root by chroot(2), and /dev,
// /proc and the rest are what lies in the rootfs. A process that has CAP_SYS_CHROOT leaves such a root when it likes.

// sharesMounts says whether the container stays in the mount namespace of the caller.
func (c *compiler) sharesMounts() bool { return (c.fresh|c.joined)&sys.CLONE_NEWNS == 0 }

// openSharedRoot opens the rootfs, with the caller's rights.
func (c *compiler) openSharedRoot() {
	if r := c.spec.Root; r != nil {
		c.from("/root/path")
		c.root = c.openRootfs(r.Path)
		c.from("")
	}
}

// compileChroot makes the rootfs the root. close_range(2) closes every descriptor from which a way leads out.
func (c *compiler) compileChroot() {
	c.from("/root/path")
	c.do(sys.Fchdir, at(c.root)).about("enter", "the rootfs")
	c.do(sys.Chroot, str(".")).about("change the root to", c.spec.Root.Path)
	c.do(sys.Chdir, str("/"))
	c.from("")
}

// sharedMounts refuses what would show on the host.
func (v *validator) sharedMounts() {
	const hint = `add {"type": "mount"} to linux.namespaces`
	if len(v.spec.Mounts) > 0 {
		v.problem("/mounts", "a container in the host's mount namespace has no mounts of its own", hint)
	}
	for _, p := range [...]struct {
		asked   bool
		pointer string
	}{
		{v.spec.Root.Readonly, "/root/readonly"}, {len(v.linux.Devices) > 0, "/linux/devices"}, {len(v.linux.MaskedPaths) > 0, "/linux/maskedPaths"},
		{len(v.linux.ReadonlyPaths) > 0, "/linux/readonlyPaths"}, {v.linux.RootfsPropagation != "", "/linux/rootfsPropagation"},
	} {
		if p.asked {
			v.problem(p.pointer, "this takes a mount, in a mount namespace of the container's own", hint)
		}
	}
}
