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
func (c *compiler) compileSeccomp() {
	s := c.linux.Seccomp
	if s == nil {
		return
	}
	c.from("/linux/seccomp")
	filter, reason, hint := seccomp.Compile(s, c.host.Arch)
	if reason != "" {
		c.problem(c.origin, reason, hint)
	}
	c.do(sys.Seccomp, bits(flagsSeccomp, sys.SECCOMP_SET_MODE_FILTER), bits(flagsFilter, seccomp.Flags(s)), Arg{kind: argFilter, s: seccomp.Bytes(filter)}).
		must(0).about("load", "the seccomp filter")
	c.from("")
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
