package libcontainer

import (
	"slices"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// What lies outside is opened with the caller's rights. The child does that: its rights are the caller's, and the kernel locks
// in its mount namespace what the host's mounts forbid (mount_namespaces(7)). For root they end where a user namespace begins: a
// process in it has no capability over the host's files, and the way to a rootfs or a volume may be closed to everybody but
// another user and root, as podman closes the directories of a container. So root who makes a container with a user
// namespace has these mounts, and no others, copied by a Program that runs before, in the host's namespaces. The kernel locks
// nothing of such a copy: root of the container, with CAP_SYS_ADMIN, may take off it what the host's mount forbids.

// opensOutside says whether something that is closed to the container's root is opened outside of its user namespace.
func (c *compiler) opensOutside(closed bool) bool {
	return closed && c.userns() && c.fresh&sys.CLONE_NEWNS != 0
}

// rootOutside says that of the rootfs.
func (c *compiler) rootOutside() bool { return c.opensOutside(c.host.Closed.Root) }

// sourceOutside says that of the source of a bind.
func (c *compiler) sourceOutside(i int) bool {
	return i < len(c.host.Closed.Sources) && c.opensOutside(c.host.Closed.Sources[i])
}

// enterBundle makes the bundle's directory the one at which relative paths start.
func (c *compiler) enterBundle() {
	o := c.do(sys.Fchdir, c.input(Input{Kind: InputBundle})).about("enter", "the bundle directory")
	if c.opensOutside(c.host.Closed.Bundle) && !slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool { return m.Type == "overlay" }) {
		o.ok(sys.EACCES) // no path starts there: podman gives the directory to the container's root alone
	}
}

// outsider is a compiler for Program.Trees, whose child shares its descriptors with the parent.
func (c *compiler) outsider() *compiler {
	out := &compiler{spec: c.spec, host: c.host, linux: c.linux, prog: c.prog.Trees, origin: c.origin}
	if out.prog == nil {
		out.prog = &Program{PIDNamespace: -1, ShareVM: true, CloneFlags: sys.CLONE_FILES, Mode: ModeRun}
		c.prog.Trees = out.prog
		out.enterBundle()
	}
	out.slots = out.prog.Slots
	return out
}

// takeOver is the child's descriptor of a tree that out has copied.
func (c *compiler) takeOver(out *compiler, tree Slot, path, verb string) Slot {
	// The parent's mounts have peers all over the host: a copy in the container must not be one of them, unless that is
	// what rootfsPropagation asks for.
	flag := uint64(sys.MS_SLAVE)
	switch c.linux.RootfsPropagation {
	case "private", "rprivate", "unbindable", "runbindable":
		flag = sys.MS_PRIVATE
	case "shared", "rshared":
		if verb == "bind" {
			flag = 0
		}
	}
	if flag != 0 {
		out.do(sys.MountSetattr, at(tree), str(""), bits(flagsAt, sys.AT_EMPTY_PATH|sys.AT_RECURSIVE), mountAttr(0, 0, flag), num(32)).about("set the propagation of", path)
	}
	out.prog.Slots = out.slots
	c.problems = append(c.problems, out.problems...)
	in := c.input(Input{Kind: InputTree, Slot: tree, Path: path, Origin: c.origin})
	return c.fd(c.do(sys.OpenTree, in, str(""), bits(flagsOpenTree, sys.OPEN_TREE_CLOEXEC|sys.AT_EMPTY_PATH)).about(verb, path))
}

// openOutside opens a bind. An id-mapped one needs it in any case: whoever maps the ids of a file system has to have
// CAP_SYS_ADMIN over it, which no process of the container has.
func (c *compiler) openOutside(i int, m specs.Mount, o mountOptions) Slot {
	out := c.outsider()
	return c.takeOver(out, out.openBind(i, m, o), m.Source, "bind")
}

// openRootOutside opens the rootfs. The directory itself lies in the parent's mount namespace, where the child can mount
// nothing: its root goes on top of the host's.
func (c *compiler) openRootOutside() {
	out := c.outsider()
	dir := out.openRootfs(c.spec.Root.Path)
	tree := out.copyRoot(dir, c.spec.Root.Path)
	c.under = c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str("/"), bits(flagsOpen, sys.O_PATH|sys.O_DIRECTORY|sys.O_CLOEXEC)).about("open", "/"))
	c.root = c.takeOver(out, tree, c.spec.Root.Path, "bind rootfs")
}
