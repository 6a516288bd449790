package policy

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestProcess(t *testing.T) {
	const infinity = 1<<64 - 1
	for _, c := range []struct {
		name string
		p    specs.Process
		want string
	}{
		{"rlimit", specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 0}}}, ""},
		{"rlimit unlimited", specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Hard: infinity}}}, ""},
		{"rlimit above", specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 0}, {Type: "RLIMIT_AS", Hard: infinity, Soft: 5}}}, "/process/rlimits/1/hard: RLIMIT_AS hard unlimited is above your limit 1000; ulimit -H shows it"},
		{"oom, own", specs.Process{OOMScoreAdj: ptr(100)}, ""},
		{"oom, most", specs.Process{OOMScoreAdj: ptr(1000)}, ""},
		{"oom, more", specs.Process{OOMScoreAdj: ptr(1001)}, "/process/oomScoreAdj: out of range"},
		{"oom, less", specs.Process{OOMScoreAdj: ptr(-1000)}, "/process/oomScoreAdj: lowering oom_score_adj from 100 to -1000 needs root; give 100 or more, or leave it out"},
		{"no policy", specs.Process{Scheduler: &specs.Scheduler{Nice: 0}}, ""},
		{"nice within", specs.Process{Scheduler: &specs.Scheduler{Nice: -5}}, ""},
		{"nice beyond", specs.Process{Scheduler: &specs.Scheduler{Nice: -6}}, "/process/scheduler/nice: nice -6 needs root; your RLIMIT_NICE is 25: give 0 or more"},
		{"nice, least", specs.Process{Scheduler: &specs.Scheduler{Nice: -2147483648}}, "/process/scheduler/nice: "},
		{"realtime, 0", specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_RR"}}, ""}, // the kernel's to refuse
		{"realtime within", specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_FIFO", Priority: 10}}, ""},
		{"realtime beyond", specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_RR", Priority: 11}}, "/process/scheduler/priority: SCHED_RR with priority 11 is above your RLIMIT_RTPRIO 10; use SCHED_OTHER"},
		{"realtime, negative", specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_RR", Priority: -1}}, "/process/scheduler/priority: "},
		{"deadline", specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_DEADLINE"}}, `/process/scheduler/policy: "SCHED_DEADLINE" needs root`},
		{"iso", specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_ISO"}}, `/process/scheduler/policy: "SCHED_ISO" needs root`},
		{"no class", specs.Process{IOPriority: &specs.LinuxIOPriority{}}, `/process/ioPriority/class: io priority class "" needs root`},
	} {
		g := testGrant()
		g.HardLimits[0], g.HardLimits[rlimitNice], g.HardLimits[rlimitRtprio] = infinity, 25, 10
		spec := testSpec()
		spec.Process.Rlimits, spec.Process.OOMScoreAdj, spec.Process.Scheduler, spec.Process.IOPriority = c.p.Rlimits, c.p.OOMScoreAdj, c.p.Scheduler, c.p.IOPriority
		if got := render(Check(spec, g)); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	spec := testSpec()
	spec.Process.Scheduler = &specs.Scheduler{Nice: 0}
	if got := render(Check(spec, testGrant())); got != "" {
		t.Errorf("nice 0 without any limit: %q", got)
	}
	spec.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_FIFO"}
	if got := render(Check(spec, testGrant())); !strings.Contains(got, "SCHED_FIFO with priority 0 is above your RLIMIT_RTPRIO 0") {
		t.Errorf("realtime without any limit: %q", got)
	}
}

// TestRlimitsOneAbove: for each limit its own number counts.
func TestRlimitsOneAbove(t *testing.T) {
	g := testGrant()
	for i := range g.HardLimits {
		g.HardLimits[i] = uint64(100 + i)
	}
	for i, name := range rlimitNames {
		for _, hard := range []uint64{uint64(100 + i), uint64(101 + i)} {
			spec := testSpec()
			spec.Process.Rlimits = []specs.POSIXRlimit{{Type: name, Hard: hard}}
			got := render(Check(spec, g))
			if over := hard > g.HardLimits[i]; over != strings.Contains(got, name+" hard "+utoa(hard)+" is above your limit "+utoa(g.HardLimits[i])) || !over && got != "" {
				t.Errorf("%s %d: %q", name, hard, got)
			}
		}
	}
}

func TestHooks(t *testing.T) {
	for _, c := range []struct {
		h    specs.Hook
		want string
	}{
		{specs.Hook{Path: "/x"}, ""},
		{specs.Hook{Path: "/x", Timeout: ptr(1)}, ""},
		{specs.Hook{Path: "/x\x00"}, "/hooks/poststop/1/path: the path of a hook must be absolute"},
		{specs.Hook{Path: ""}, "/hooks/poststop/1/path: "},
		{specs.Hook{Path: "\x00"}, "/hooks/poststop/1/path: "},
		{specs.Hook{Path: "/x", Timeout: ptr(-1)}, "/hooks/poststop/1/timeout: the timeout of a hook must be more than 0"},
	} {
		spec := testSpec()
		spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/true"}, c.h}}
		if got := render(Check(spec, testGrant())); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.h, got, c.want)
		}
	}
}
