package seccomp

// multiplexed is a call that stands for many, by its first argument.
type multiplexed struct {
	index    int // in names; -1 when the architecture has no such call
	decision int32
}

// parts are the calls behind a multiplexed one, by number (linux/net.h, linux/ipc.h).
var (
	socketParts = [...]string{1: "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
		"sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg"}
	ipcParts = [...]string{1: "semop", "semget", "semctl", "semtimedop", 11: "msgsnd", "msgrcv", "msgget", "msgctl", 21: "shmat", "shmdt", "shmget", "shmctl"}
)

// shared decides about socketcall and ipc on an architecture that has them.
func (c *compiler) shared(a *arch) (socket, ipc multiplexed) {
	// The kernel takes the lower 32 bits of the one, and the lower 16 of the other: above is a version (ipc(2)).
	return c.multiplex(a, "socketcall", socketParts[:], 0xffffffff), c.multiplex(a, "ipc", ipcParts[:], 0xffff)
}

// multiplex is the decision about a multiplexed call: its own rules, and those for its parts.
func (c *compiler) multiplex(a *arch, name string, parts []string, mask uint64) multiplexed {
	index := lookup(name, -1)
	if _, ok := a.number(index); !ok {
		return multiplexed{index: -1}
	}
	have := c.byName[index]
	if have != byDefault && c.decisions[have].rules == nil {
		return multiplexed{index, have} // named without arguments: nothing is left to say
	}
	rules := append([]int(nil), c.decisions[have].rules...)
	base := c.decisions[byDefault].ret
	for n, part := range parts {
		if part == "" {
			continue
		}
		d := &c.decisions[c.byName[lookup(part, -1)]]
		ret := d.ret
		if len(d.rules) > 0 {
			// The least permissive rule comes first. Its other conditions are about what no filter can see.
			if ret = c.rules[d.rules[0]].ret; permissive(ret) > permissive(base) {
				continue
			}
		}
		if ret != base {
			c.rules = append(c.rules, rule{ret, []cond{{0, "SCMP_CMP_MASKED_EQ", mask, uint64(n)}}})
			rules = append(rules, len(c.rules)-1)
		}
	}
	if len(rules) == 0 {
		return multiplexed{index, byDefault}
	}
	c.decisions = append(c.decisions, decision{base, rules})
	c.sort(len(c.decisions) - 1)
	return multiplexed{index, int32(len(c.decisions) - 1)}
}
