package libcontainer

import (
	"encoding/binary"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// consoleName goes along with the terminal: what receives it takes the text for its name (runc's
// docs/terminals.md leaves it to the runtime; an empty message would be none).
const consoleName = "/dev/ptmx"

// compileConsole makes the process's terminal: a new pair of the container's own devpts, one end of which goes to
// whoever holds the console socket. No name is resolved on the way from one end to the other, so there is nothing
// for the container to swap (CVE-2025-52565): the other end is asked of the first (TIOCGPTPEER, ioctl_tty(2)).
// The process of a container with mounts of its own has c.pts; any other, such as one that enters a container that runs,
// finds ptmx by its path there. Should that lead to another file, the first ioctl says that it is no terminal.
//
// The order: the size before anybody can look at it; the owner while the child still has the power; the controlling
// terminal after setsid(2), which compileSession has called.
func (c *compiler) compileConsole() {
	p := c.process()
	if !p.Terminal {
		return
	}
	c.from("/process/terminal")
	const about = "make a terminal in"
	pts := c.pts
	if pts == noSlot {
		pts = c.fd(c.do(sys.Openat2, at(c.root), str("dev/pts"), c.inRoot(sys.O_DIRECTORY), num(24)).about(about, "/dev/pts"))
	}
	// No mount is crossed either: one on ptmx would be a terminal of somebody else's.
	how := openHow(sys.O_RDWR|sys.O_NOCTTY|sys.O_CLOEXEC, 0, sys.RESOLVE_BENEATH|sys.RESOLVE_NO_XDEV|sys.RESOLVE_NO_MAGICLINK|sys.RESOLVE_NO_SYMLINKS)
	master := c.rights(c.do(sys.Openat2, at(pts), str("ptmx"), how, num(24)).about(about, "/dev/pts"))
	c.do(sys.Ioctl, at(master), bits(flagsIoctl, sys.TIOCSPTLCK), Arg{kind: argZeros}).about(about, "/dev/pts")
	peer := c.fd(c.do(sys.Ioctl, at(master), bits(flagsIoctl, sys.TIOCGPTPEER), bits(flagsOpen, sys.O_RDWR|sys.O_NOCTTY|sys.O_CLOEXEC)).about(about, "/dev/pts"))
	if rows, cols := c.consoleSize(p); rows != 0 || cols != 0 {
		c.from("/process/consoleSize")
		c.do(sys.Ioctl, at(master), bits(flagsIoctl, sys.TIOCSWINSZ), winsize(rows, cols)).about("set the size of", "the terminal")
		c.from("/process/terminal")
	}
	// The group stays the one that devpts was mounted with (gid=5).
	c.do(sys.Fchownat, at(peer), str(""), num(uint64(p.User.UID)), neg(-1), bits(flagsAt, sys.AT_EMPTY_PATH)).about("own", "the terminal")
	c.mountConsole(peer)
	c.do(sys.Ioctl, at(peer), bits(flagsIoctl, sys.TIOCSCTTY), num(0)).about("take the", "controlling terminal")
	for fd := range uint64(3) {
		c.do(sys.Dup3, at(peer), num(fd), num(0)).about("put the terminal on", "descriptor "+string(rune('0'+fd)))
	}
	c.send(c.input(Input{Kind: InputConsole, Origin: c.origin}), consoleName, master).about("send the terminal to", "the console socket")
	c.from("")
}

// consoleSize is what config.json says, or else the size of the terminal that the caller has.
func (c *compiler) consoleSize(p *specs.Process) (rows, cols uint16) {
	if s := p.ConsoleSize; s != nil {
		return uint16(s.Height), uint16(s.Width)
	}
	return c.host.Window[0], c.host.Window[1]
}

// mountConsole binds the terminal to /dev/console (runtime spec, config-linux.md, Default Devices), on a file,
// through no link of the image's. In a /dev that is bound from outside no file is made for it; and where mounts show
// outside, nothing is mounted there.
func (c *compiler) mountConsole(peer Slot) {
	const verb, dest = "bind the terminal to", "/dev/console"
	shared := c.linux.RootfsPropagation == "shared" || c.linux.RootfsPropagation == "rshared"
	if c.pts == noSlot || !c.needsDevices() && shared {
		return // a container that runs has its console, and nothing is mounted on the host
	}
	tree := c.fd(c.do(sys.OpenTree, at(peer), str(""), bits(flagsOpenTree, sys.OPEN_TREE_CLONE|sys.OPEN_TREE_CLOEXEC|sys.AT_EMPTY_PATH)).about(verb, dest))
	c.strict = true
	if c.needsDevices() {
		c.attach(tree, dest, false, verb)
	} else {
		base, rel := c.where(dest)
		target := c.fd(c.do(sys.Openat2, at(base), str(rel), c.inRoot(0), num(24)).ok(sys.ENOENT).about(verb, dest))
		c.do(sys.MoveMount, at(tree), str(""), at(target), str(""), bits(flagsMoveMount, sys.MOVE_MOUNT_F_EMPTY|sys.MOVE_MOUNT_T_EMPTY)).ok(sys.EBADF).about(verb, dest)
	}
	c.strict = false
}

// devptsOf is the index of the devpts that a terminal is made in; -1 without one of the container's own.
func devptsOf(spec *specs.Spec) int {
	for i := len(spec.Mounts) - 1; i >= 0; i-- {
		m := spec.Mounts[i]
		if o := parseMountOptions(m.Type, m.Options); destination(m.Destination) == "/dev/pts" && !o.remount {
			if m.Type == "devpts" && !o.bind {
				return i
			}
			return -1
		}
	}
	return -1
}

// winsize is struct winsize (ioctl_tty(2)): 8 bytes.
func winsize(rows, cols uint16) Arg {
	b := binary.LittleEndian.AppendUint16(nil, rows)
	return raw(flagsWinsize, string(binary.LittleEndian.AppendUint16(b, cols))+"\x00\x00\x00\x00")
}
