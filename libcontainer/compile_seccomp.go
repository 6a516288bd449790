package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/seccomp"
	"github.com/locald/locald/libcontainer/internal/sys"
)

// compileSeccomp puts the process under its filter. The filter is for all that comes after, the child's own calls
// among it, so it comes last: what remains is execve(2), once for each place where the program may be. A filter that
// answers setresuid(2) with "done" and does not do it must find that done already.
//
// When a call that remains is killed, the container ends as if its program had been: with SIGSYS.
//
// A filter with SCMP_ACT_NOTIFY comes with a listener, which goes to the parent, by one more call; the parent sends it on.
// The child of Create has had no parent since: Start connects to a socket of its, and is accepted while that can
// still be done without the filter.
func (c *compiler) compileSeccomp() {
	if !c.notifies() {
		c.loadFilter(false)
		return
	}
	s := c.linux.Seccomp
	c.prog.Listener = &Listener{s.ListenerPath, s.ListenerMetadata}
	c.from(pointerListener)
	socket := fixed(c.held.listener)
	if c.prog.Mode == ModeCreate {
		socket = at(c.fd(c.do(sys.Accept4, socket, num(0), num(0), bits(flagsOpen, sys.O_CLOEXEC)).about("wait for", "start")))
		c.do(sys.CloseFD, fixed(c.held.listener)) // whoever comes after is told that it is too late
	}
	fd := c.rights(c.loadFilter(true))
	c.from(pointerListener)
	c.send(socket, "listener", fd).about("hand over", "the listener of the seccomp filter")
	c.from("")
}

// notifies says whether the process gets a filter with a listener.
func (c *compiler) notifies() bool {
	return c.spec.Process != nil && c.linux.Seccomp != nil && seccomp.Notifies(c.linux.Seccomp)
}

// loadFilter loads the filter. Without its listener, as for hooks, what it would decide is answered with ENOSYS
// (seccomp_unotify(2)).
func (c *compiler) loadFilter(listener bool) *Op {
	s := c.linux.Seccomp
	if s == nil {
		return nil
	}
	c.from("/linux/seccomp")
	filter, reason, hint := seccomp.Compile(s, c.host.Arch)
	if reason != "" {
		c.problem(c.origin, reason, hint)
	}
	flags := seccomp.Flags(s)
	if !listener {
		flags &^= seccomp.FlagNewListener | seccomp.FlagWaitKillableRecv
	}
	o := c.do(sys.Seccomp, bits(flagsSeccomp, sys.SECCOMP_SET_MODE_FILTER), bits(flagsFilter, flags), Arg{kind: argFilter, s: seccomp.Bytes(filter)}).about("load", "the seccomp filter")
	if !listener {
		o.must(0)
	}
	c.from("")
	return o
}

// filterPower is what it takes to load the filter: CAP_SYS_ADMIN, unless no set-user-ID program can run under
// it anyway (seccomp(2)). Other runtimes load it while they still have all power; here the process keeps this one
// capability, effective and permitted, from the other sets on. It does not keep it any longer: execve(2) computes
// both anew, from the inheritable, the ambient and the bounding set, in which it is not (capabilities(7)).
func (c *compiler) filterPower() uint64 {
	if c.linux.Seccomp == nil || c.process().NoNewPrivileges {
		return 0
	}
	power := capabilityMask([]string{"CAP_SYS_ADMIN"})
	if !c.userns() && c.host.Lacks&power != 0 {
		c.problem("/linux/seccomp", "a filter needs CAP_SYS_ADMIN, which this process does not have", "set process.noNewPrivileges to true")
	}
	return power
}
