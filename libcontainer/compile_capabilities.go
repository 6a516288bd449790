package libcontainer

import (
	"strconv"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// capabilitySets are the five sets of capabilities(7) as the process gets them.
type capabilitySets struct{ bounding, effective, permitted, inheritable, ambient uint64 }

// capabilitySets are what config.json asks for, without what cannot be given: the specification wants a warning for
// that, and the container all the same (config.md, Linux Process). Fewer capabilities are never more power.
func (c *compiler) capabilitySets(p *specs.Process) (s capabilitySets) {
	caps := p.Capabilities
	if caps == nil {
		return s
	}
	for _, set := range [...]struct {
		name  string
		words []string
		bits  *uint64
	}{{"bounding", caps.Bounding, &s.bounding}, {"effective", caps.Effective, &s.effective}, {"inheritable", caps.Inheritable, &s.inheritable},
		{"permitted", caps.Permitted, &s.permitted}, {"ambient", caps.Ambient, &s.ambient}} { // ambient last
		for i, word := range set.words {
			why := c.cannotGive(word)
			if n := capability(word); why == "" {
				if set.name == "ambient" && s.permitted&s.inheritable&(1<<n) == 0 {
					why = word + " is not permitted and inheritable, as an ambient capability must be"
				} else {
					*set.bits |= 1 << n
				}
			}
			if why != "" {
				c.warn("/process/capabilities/"+set.name+"/"+strconv.Itoa(i), why, "it is left out")
			}
		}
	}
	return s
}

// cannotGive says why a capability cannot be given; "" when it can.
func (c *compiler) cannotGive(name string) string {
	switch n := capability(name); {
	case n < 0:
		return "unknown capability " + strconv.Quote(name)
	case n > c.host.LastCap:
		return "this kernel has no " + name
	case !c.userns() && c.host.Lacks&(1<<n) != 0: // a new user namespace begins with all of them
		return "this process does not have " + name + " itself"
	}
	return ""
}

// compileBounding drops from the bounding set, which takes CAP_SETPCAP: before any other set changes.
func (c *compiler) compileBounding(bounding uint64) {
	c.from("/process/capabilities/bounding")
	for n := 0; n <= c.host.LastCap; n++ {
		if bounding&(1<<n) == 0 {
			c.do(sys.Prctl, bits(flagsPrctl, sys.PR_CAPBSET_DROP), bits(flagsCap, uint64(n)), num(0), num(0), num(0)).about("drop", capabilityName(n))
		}
	}
}

// compileCapabilities sets the other four sets.
func (c *compiler) compileCapabilities(s capabilitySets) {
	c.from("/process/capabilities")
	power := c.filterPower()
	c.do(sys.Capset, capHeader(), capData(s.effective|power, s.permitted|power, s.inheritable)).about("set", "the capabilities")
	c.from("/process/capabilities/ambient")
	c.do(sys.Prctl, bits(flagsPrctl, sys.PR_CAP_AMBIENT), num(sys.PR_CAP_AMBIENT_CLEAR), num(0), num(0), num(0))
	for n := 0; n <= c.host.LastCap; n++ {
		if s.ambient&(1<<n) != 0 {
			c.do(sys.Prctl, bits(flagsPrctl, sys.PR_CAP_AMBIENT), num(sys.PR_CAP_AMBIENT_RAISE), bits(flagsCap, uint64(n)), num(0), num(0)).about("raise ambient", capabilityName(n))
		}
	}
	c.from("")
}
