package libcontainer

import (
	"runtime"
	"slices"

	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// mapper maps the ids of the mounts that the child hands over. Nothing here depends on what they are mounts of: the
// kernel maps the ids of a detached mount only, and the ids on the disk are those that the maps name.
type mapper struct {
	from   int         // the child's mounts come from here
	mounts []int       // by index of Program.IDMapped
	spaces []*mapSpace // likewise; those with equal maps are one
}

// mapSpace is a user namespace that is made for its maps. A child is born in it that only waits.
type mapSpace struct {
	prog         *Program
	ours, theirs int // the ends of a socket: the namespace comes over it, and at its end the child ends
	pid, pidfd   int
	namespace    int
}

// openMapper makes the sockets, and returns the container's end of its own.
func (r *running) openMapper(p *Program) (int, error) {
	from, to, err := socketpair()
	if err != nil {
		return -1, err
	}
	r.mapper = &mapper{from: from}
	for i := range p.IDMapped {
		m := &p.IDMapped[i]
		k := slices.IndexFunc(p.IDMapped[:i], func(o IDMapped) bool { return slices.Equal(o.UIDs, m.UIDs) && slices.Equal(o.GIDs, m.GIDs) })
		if k >= 0 {
			r.mapper.spaces = append(r.mapper.spaces, r.mapper.spaces[k])
			continue
		}
		s := &mapSpace{pidfd: -1, namespace: -1}
		if s.ours, s.theirs, err = socketpair(); err != nil {
			unix.Close(to)
			return -1, err
		}
		r.mapper.spaces = append(r.mapper.spaces, s)
		// setgroups(2) is denied because nobody needs it there.
		c := &compiler{prog: &Program{CloneFlags: sys.CLONE_NEWUSER, UIDMappings: m.UIDs, GIDMappings: m.GIDs, DenySetgroups: true, PIDNamespace: -1}}
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_PDEATHSIG), num(sys.SIGKILL), num(0), num(0), num(0))
		// By the child: the namespaces of a process that cannot be dumped are out of reach for others.
		c.send(c.once(InputMounts), "n", c.rights(c.do(sys.Openat, neg(sys.AT_FDCWD), str("/proc/self/ns/user"), bits(flagsOpen, sys.O_CLOEXEC))))
		c.do(sys.Read, c.once(InputMounts), Arg{kind: argScratch}, num(1)).must(1)
		c.prog.Slots, s.prog = c.slots, c.prog
	}
	return to, nil
}

func socketpair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], err
}

// ends are the descriptors by which a child of this process could keep another from seeing its end.
func (m *mapper) ends() []int32 {
	if m == nil {
		return nil
	}
	list := []int32{int32(m.from)}
	for _, s := range m.spaces {
		list = append(list, int32(s.ours), int32(s.theirs))
	}
	return list
}

// startMaps makes the children of the namespaces.
func (r *running) startMaps() error {
	for _, s := range r.mapper.spaces {
		if s.pidfd >= 0 {
			continue
		}
		im := s.prog.link([]int{s.theirs})
		for _, fd := range append(append(r.mapper.ends(), r.image.closes...), int32(r.report[1])) {
			if fd != int32(s.theirs) && !slices.Contains(im.closes, fd) {
				im.closes = append(im.closes, fd)
			}
		}
		var err error
		s.pid, s.pidfd, _, err = im.start(s.prog, -1, -1)
		runtime.KeepAlive(im)
		closeFD(&s.theirs)
		if err != nil {
			s.pidfd = -1
			return err
		}
	}
	return nil
}

// receiveMounts takes what the children hand over: the container's has done so before it came to its gate.
func (c *Container) receiveMounts() error {
	m := c.run.mapper
	if m == nil {
		return nil
	}
	for i := range c.Program.IDMapped {
		fd, err := receiveFD(m.from)
		if err == nil {
			m.mounts = append(m.mounts, fd)
			if s := m.spaces[i]; s.namespace < 0 {
				c.pollStart(s.ours)
				s.namespace, err = receiveFD(s.ours)
			}
		}
		if err != nil && c.run.stopped {
			return c.lost()
		}
		if err != nil {
			return c.mapError(i, "receive", err)
		}
	}
	return nil
}

// receiveFD receives the one descriptor of a message that has come.
func receiveFD(socket int) (int, error) {
	control := make([]byte, unix.CmsgSpace(4))
	var text [1]byte
	for {
		n, used, _, _, err := unix.Recvmsg(socket, text[:], control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		if n <= 0 { // the child has ended
			return -1, unix.ESRCH
		}
		messages, err := unix.ParseSocketControlMessage(control[:used])
		if err != nil || len(messages) != 1 {
			return -1, unix.EBADMSG
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return -1, unix.EBADMSG
		}
		return fds[0], nil
	}
}

// writeMaps writes the maps of the namespaces.
func (m *mapper) writeMaps() error {
	if m == nil {
		return nil
	}
	for i, s := range m.spaces {
		if slices.Index(m.spaces, s) == i {
			if err := s.prog.writeMaps(s.pid); err != nil {
				return err
			}
		}
	}
	return nil
}

// mapMounts is all that needs CAP_SYS_ADMIN.
func (c *Container) mapMounts() error {
	for i, fd := range c.run.mapper.mounts {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(c.run.mapper.spaces[i].namespace)}
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
			return c.mapError(i, "map the ids of", err)
		}
	}
	return nil
}

func (c *Container) mapError(i int, verb string, err error) error {
	m := &c.Program.IDMapped[i]
	e := errnoOf(err)
	return &OpError{PhaseCloned, -1, verb + " " + m.Destination, m.Origin, e, hintForOp(&Op{Call: sys.MountSetattr, Verb: verb}, e)}
}

// kill ends the children, also one that its caller has stopped.
func (m *mapper) kill() {
	if m == nil {
		return
	}
	for _, s := range m.spaces {
		if s.pidfd >= 0 {
			unix.PidfdSendSignal(s.pidfd, unix.SIGKILL, nil, 0)
		}
	}
}

// close undoes all.
func (m *mapper) close() {
	if m == nil {
		return
	}
	m.kill()
	closeFD(&m.from)
	for i := range m.mounts {
		closeFD(&m.mounts[i])
	}
	for _, s := range m.spaces {
		closeFD(&s.ours)
		closeFD(&s.theirs)
		closeFD(&s.namespace)
		if s.pidfd >= 0 {
			reap(s.pidfd)
			s.pidfd = -1
		}
	}
}
