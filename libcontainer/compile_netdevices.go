package libcontainer

import (
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// NetDevice is a device of the host's that the parent moves to the container's network namespace, while the child
// waits at its gate.
type NetDevice struct {
	Name string // on the host
	As   string // in the container; "eth%d" is a name that the kernel completes
}

// String is a line of the listing.
func (d NetDevice) String() string {
	if d.As == d.Name {
		return "move network device " + d.Name
	}
	return "move network device " + d.Name + " as " + d.As
}

// compileNetDevices plans what the parent does. It is the parent's because rtnetlink(7) answers with a message, which no
// op could read.
func (c *compiler) compileNetDevices() {
	if len(c.linux.NetDevices) > 0 && c.joined&c.host.Own&sys.CLONE_NEWNET != 0 {
		c.problem("/linux/netDevices", "the network namespace that is joined is the host's", "make the network namespace new, or join another")
	}
	for _, name := range sortedKeys(c.linux.NetDevices) {
		d := NetDevice{name, c.linux.NetDevices[name].Name}
		if d.As == "" {
			d.As = name
		}
		c.prog.NetDevices = append(c.prog.NetDevices, d)
	}
}

// netDevices holds names to what the kernel takes (dev_valid_name), so that no device is lost to a bad one.
func (v *validator) netDevices() {
	if len(v.linux.NetDevices) > 0 && !v.has(specs.NetworkNamespace) {
		v.problem("/linux/netDevices", "network devices need a network namespace", `add {"type": "network"} to linux.namespaces`)
	}
	taken := make([]string, 0, len(v.linux.NetDevices))
	for _, name := range sortedKeys(v.linux.NetDevices) {
		p := "/linux/netDevices/" + escapePointer(name)
		if !deviceName(name) || strings.Contains(name, "%") {
			v.problem(p, strconv.Quote(name)+" is not the name of a network device", "")
		}
		as := v.linux.NetDevices[name].Name
		if as != "" && (!deviceName(as) || strings.Count(as, "%") > 1 || strings.Contains(as, "%") && !strings.HasSuffix(as, "%d")) {
			v.problem(p+"/name", strconv.Quote(as)+" is not the name of a network device", `it has at most 15 bytes; "eth%d" stands for the next free number`)
		}
		if as == "" {
			as = name
		}
		for _, t := range taken {
			if t == as && !strings.Contains(as, "%") {
				v.problem(p+"/name", "another device gets the name "+strconv.Quote(as), "")
			}
		}
		taken = append(taken, as)
	}
}

// deviceName: the kernel's isspace() is that of Latin-1.
func deviceName(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t\n\v\f\r\x00") && strings.IndexByte(s, 0xa0) < 0
}
