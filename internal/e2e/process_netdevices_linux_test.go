package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// netDevices asks for devices: their names on the host, and in the container, in turn.
func netDevices(names ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{}
		for i := 0; i < len(names); i += 2 {
			s.Linux.NetDevices[names[i]] = specs.LinuxNetDevice{Name: names[i+1]}
		}
	}
}

// onNetwork runs the shim in a network namespace of its own, in which there is ve0.
func onNetwork(c *exec.Cmd) { through("network")(c) }

// TestNetDevices moves ve0, which is half of a pair, to the container: with its addresses that are to stay and good
// anywhere, its hardware address and its MTU, under its own or another name, and up.
func TestNetDevices(t *testing.T) {
	needsRoot(t, "moves devices of the host")
	const like = " up 1400 020000000007 192.0.2.7/24 192.0.2.8/24 2001:db8::7/64 2001:db8::8/96"
	for _, tt := range []struct{ name, as, want string }{{"own name", "", "ve0"}, {"other name", "wan", "wan"}, {"template", "net%d", "net0"}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, netDevices("ve0", tt.as))
			got := strings.Split(b.do("links").start(t, onNetwork).wait().ok(t).value(t, "links"), "; ")
			if !slices.Contains(got, tt.want+like) || len(got) != 2 {
				t.Errorf("devices are %q, want %q and lo", got, tt.want+like)
			}
		})
	}
	t.Run("in a user namespace", func(t *testing.T) {
		b := newBundle(t, netDevices("ve0", ""), withRange)
		if got := b.do("links").start(t, onNetwork).wait().ok(t).value(t, "links"); !strings.Contains(got, "ve0"+like) {
			t.Errorf("devices are %q", got)
		}
	})
}

// TestNetDevicesRefused: nothing is moved when one device cannot be.
func TestNetDevicesRefused(t *testing.T) {
	if !here.root {
		newBundle(t, netDevices("lo", "")).run(t).problem(t, "/linux/netDevices")
		return
	}
	for _, tt := range []struct {
		name    string
		devices []string
		pointer string
		errno   string
	}{
		{"missing", []string{"nothing0", ""}, "/linux/netDevices/nothing0", "ENODEV"},
		{"taken", []string{"ve0", "lo"}, "/linux/netDevices/ve0", "EEXIST"},
		{"stays", []string{"lo", "other"}, "/linux/netDevices/lo", "EINVAL"},
		{"one of two", []string{"aa0", "", "ve0", ""}, "/linux/netDevices/aa0", "ENODEV"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, netDevices(tt.devices...))
			p := b.start(t, onNetwork).wait().problem(t, tt.pointer)
			if p.Errno != tt.errno || p.Hint == "" {
				t.Errorf("%+v, want %s", p, tt.errno)
			}
		})
	}
	b := newBundle(t, netDevices("ve0", ""))
	replaceNamespace(b.spec, specs.NetworkNamespace, "/proc/self/ns/net")
	if p := b.start(t, onNetwork).wait().problem(t, "/linux/netDevices"); !strings.Contains(p.Message, "the host's") {
		t.Errorf("%+v", p)
	}
}
