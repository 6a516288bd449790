package libcontainer

import (
	"errors"
	"runtime"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/netlink"
	"golang.org/x/sys/unix"
)

// moveNetDevices moves devices to the network namespace of the child, which waits at its gate. A device that is moved
// goes down and loses its addresses; here it gets them back and is set up. Everything that can be known is looked at
// before the first one is moved: a virtual device that is in the way of an error is gone with the namespace.
func (p *Program) moveNetDevices(pid int) error {
	if len(p.NetDevices) == 0 {
		return nil
	}
	ns, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return netError("open the network namespace", "/linux/netDevices", err)
	}
	defer unix.Close(ns)
	host, err := netlink.Open()
	if err != nil {
		return netError("open a netlink socket", "/linux/netDevices", err)
	}
	defer host.Close()
	inside, err := openInside(ns)
	if err != nil {
		return netError("open a netlink socket in the network namespace", "/linux/netDevices", err)
	}
	defer inside.Close()
	m := &netMove{host: host, inside: inside, ns: ns}
	plans := make([]netPlan, len(p.NetDevices))
	for i, d := range p.NetDevices {
		if plans[i], err = m.plan(d); err != nil {
			return netError("move network device "+d.Name, d.origin(), err)
		}
	}
	for i, d := range p.NetDevices {
		if err := m.move(plans[i]); err != nil {
			return netError("move network device "+d.Name, d.origin(), err)
		}
	}
	return nil
}

func (d NetDevice) origin() string { return "/linux/netDevices/" + escapePointer(d.Name) }

func netError(op, origin string, err error) error {
	hint, e := "", errnoOf(err)
	var refused *netlink.Error
	if errors.As(err, &refused) {
		hint, e = refused.Text, refused.Errno
	}
	switch {
	case hint != "":
	case e == unix.ENODEV:
		hint = "there is no such device in the host's network namespace"
	case e == unix.EEXIST:
		hint = "the container has a device of that name"
	case e == unix.EPERM:
		hint = "moving a device needs root, with CAP_NET_ADMIN"
	case e == unix.EINVAL:
		hint = "some devices, as lo and bridges, stay in their network namespace"
	}
	return &OpError{PhaseCloned, -1, op, origin, e, hint}
}

// openInside opens a socket in another network namespace, which is the thread's for a moment.
func openInside(ns int) (s *netlink.Socket, err error) {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer unix.Close(own)
	if err = unix.Setns(ns, unix.CLONE_NEWNET); err == nil {
		s, err = netlink.Open()
		if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
			if s != nil {
				s.Close()
			}
			return nil, back // the thread stays locked: no other goroutine gets it
		}
	}
	runtime.UnlockOSThread()
	return s, err
}

// netMove moves devices between two namespaces.
type netMove struct {
	host, inside *netlink.Socket
	ns           int
	taken        []netlink.Link // in the container, also by devices that are going to be moved
	looked       bool
}

// netPlan is what is to be done with one device.
type netPlan struct {
	index, newIndex int
	as              string
	addresses       []netlink.Address
}

func (m *netMove) plan(d NetDevice) (p netPlan, err error) {
	if !m.looked {
		if m.taken, err = m.inside.Links(); err != nil {
			return p, err
		}
		m.looked = true
	}
	links, err := m.host.Links()
	if err != nil {
		return p, err
	}
	for _, l := range links {
		if l.Name == d.Name {
			p.index = l.Index
		}
	}
	if p.index == 0 {
		return p, unix.ENODEV
	}
	p.as, p.newIndex = d.As, p.index
	last, used := 0, false
	for _, l := range m.taken {
		if l.Name == d.As {
			return p, unix.EEXIST
		}
		last, used = max(last, l.Index), used || l.Index == p.index
	}
	if used {
		p.newIndex = max(last, p.index) + 1
	}
	m.taken = append(m.taken, netlink.Link{Index: p.newIndex})
	addresses, err := m.host.Addresses(p.index)
	for _, a := range addresses {
		if d.As != d.Name {
			a = a.Unlabelled()
		}
		p.addresses = append(p.addresses, a)
	}
	return p, err
}

func (m *netMove) move(p netPlan) error {
	if err := m.host.Move(p.index, m.ns, p.as, p.newIndex); err != nil {
		return err
	}
	for _, a := range p.addresses {
		if err := m.inside.Add(p.newIndex, a); err != nil {
			return err
		}
	}
	return m.inside.Up(p.newIndex)
}
