package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestMoreThanAloneIsSeen: TestNoMoreThanAlone can fail. Here root is the caller, for whom there is no policy and nobody
// drops anything: the shim as it would be with a check left out. Each config.json that a user must not get, and each
// process with one power of root's, is found to have more than the user alone, by what it could do with it.
func TestMoreThanAloneIsSeen(t *testing.T) {
	c := newContest(t)
	s := c.newSite(t)
	c.populate(t)
	c.reference = s.alone()
	unconfined := func(spec *specs.Spec) {
		dropNamespace(spec, specs.UserNamespace)
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = nil, nil
	}
	for _, test := range []struct {
		name   string
		change func(spec *specs.Spec)
		want   []string
	}{
		{"no user namespace", unconfined, []string{"can capability 21 in the machine's user namespace, CapEff", "is uid 0, 1 of them", "can read secret", "can write other", "can list closed", "can open by handle secret", "can mknod a device in root", "can take ro from a mount of the machine", "can uncover what a mount of the machine hides"}},
		{"root's uid", func(spec *specs.Spec) { spec.Linux.UIDMappings = oneID(0) }, []string{"is uid 0, 1 of them", "can read secret", "can chmod root/inner", "can mkdir in closed"}},
		{"root's gid", func(spec *specs.Spec) { spec.Linux.GIDMappings = oneID(0) }, []string{"is gid 0, 1 of them"}},
		{"another's ids", func(spec *specs.Spec) {
			spec.Linux.UIDMappings, spec.Linux.GIDMappings = oneID(c.v.uid), oneID(c.v.uid)
		}, []string{"can read other", "can write other", "can mkdir in other-dir", "can make a cgroup of another's"}},
		{"another's subordinate ids", func(spec *specs.Spec) {
			spec.Linux.UIDMappings = append(spec.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(c.v.sub), Size: subordinates})
		}, []string{"is uid " + itoa(c.v.sub) + ", 65536 of them", "can chmod stranger"}},
		{"a higher priority", func(spec *specs.Spec) {
			unconfined(spec)
			spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Nice: -5}
		}, []string{"has -nice 25"}},
		{"real time", func(spec *specs.Spec) {
			unconfined(spec)
			spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedRR, Priority: 1}
		}, []string{"has real time 1"}},
		{"a network of the machine's, and its sysctl", func(spec *specs.Spec) {
			unconfined(spec)
			dropNamespace(spec, specs.NetworkNamespace)
		}, []string{"can set the flags of lo in the network of the machine", "can bind port 79 in the network of the machine", "can write sysctl net/ipv4/ip_forward of the machine"}},
	} {
		spec := largest(s)
		spec.Linux.CgroupsPath = "/locald/" + s.bundle.id
		dropMount(spec, "/host")
		addMount(spec, "/host"+s.bait, "bind", s.bait, "rbind") // not the machine's devices, which root could open
		addMount(spec, "/host/sys/fs/cgroup", "bind", "/sys/fs/cgroup", "rbind")
		test.change(spec)
		b := *s.bundle
		b.spec = spec
		p := powersOf(t, b.run(t).ok(t))
		mustSee(t, test.name, p, c.reference, test.want)
		for _, set := range s.restore {
			set() // where nothing can be written, nothing was
		}
	}
	// one capability, in a process of the caller's
	cmd := exec.Command(probeExe, s.trial(""))
	cmd.Args[0] = probe.Name
	s.become(cmd)
	cmd.SysProcAttr.AmbientCaps = []uintptr{2} // CAP_DAC_READ_SEARCH
	out, err := cmd.Output()
	must(t, err)
	mustSee(t, "CAP_DAC_READ_SEARCH", powersOf(t, &result{stdout: string(out)}), c.reference, []string{"can capability 2 in the machine's user namespace, CapEff", "can read secret", "can open by handle other", "can list closed"})
}

func mustSee(t *testing.T, name string, p *probe.Powers, reference []*probe.Powers, want []string) {
	t.Helper()
	if p == nil {
		t.Errorf("%s: the probe said nothing", name)
		return
	}
	more := beyond(p, reference...)
	for _, what := range want {
		if !slices.Contains(more, what) {
			t.Errorf("%s: %q is not seen in:\n%s", name, what, strings.Join(more, "; "))
		}
	}
}
