package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestScheduler: the attributes are those that the process has. What needs a privilege is root's.
func TestScheduler(t *testing.T) {
	tests := []struct {
		name      string
		scheduler specs.Scheduler
		root      bool // only root may
		want      string
	}{
		{"batch", specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}, false, "3 0x0 5 0 0 0 0"},
		{"idle", specs.Scheduler{Policy: specs.SchedIdle}, false, "5 0x0 0 0 0 0 0"},
		{"nice, of other", specs.Scheduler{Policy: specs.SchedOther, Nice: 19, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}, false, "0 0x1 19 0 0 0 0"},
		{"higher", specs.Scheduler{Policy: specs.SchedOther, Nice: -5}, true, "0 0x0 -5 0 0 0 0"},
		{"first in, first out", specs.Scheduler{Policy: specs.SchedFIFO, Priority: 3, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}, true, "1 0x1 0 3 0 0 0"},
		{"round robin", specs.Scheduler{Policy: specs.SchedRR, Priority: 7}, true, "2 0x0 0 7 0 0 0"},
		{"deadline", specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 2000000, Deadline: 50000000, Period: 100000000, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}},
			true, "6 0x1 0 0 2000000 50000000 100000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Process.Scheduler = &tt.scheduler })
			if here.root && tt.root {
				b.spec.Linux.CgroupsPath = "" // a cgroup of a kernel with RT_GROUP_SCHED has no realtime
			}
			r := b.do("sched").run(t)
			if tt.root && !here.root {
				if r.code != 125 || !strings.Contains(r.String(), "needs root") && !strings.Contains(r.String(), "RLIMIT_RTPRIO") {
					t.Errorf("no refusal: %s", r)
				}
				return
			}
			// Newer kernels show nice for policies that do not use it, and a slice as runtime.
			got := strings.Fields(r.ok(t).value(t, "sched"))
			if tt.scheduler.Policy != specs.SchedDeadline {
				got[4], got[5], got[6] = "0", "0", "0"
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("scheduled by %s, want %s", s, tt.want)
			}
		})
	}
}

// TestSchedulerRefused: what the kernel has not got is an error that names the property.
func TestSchedulerRefused(t *testing.T) {
	needsRoot(t, "policy refuses it before")
	b := newBundle(t, func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedISO} })
	if p := b.run(t).problem(t, "/process/scheduler"); p.Errno != "EINVAL" || !strings.Contains(p.Hint, "SCHED_ISO") {
		t.Errorf("%+v", p)
	}
	if !hasCap(t, unix.CAP_SYS_NICE) {
		return
	}
	// A user namespace takes the privilege away: no silent success.
	b = newBundle(t, withRange, func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedRR, Priority: 1} })
	if p := b.run(t).problem(t, "/process/scheduler"); p.Errno != "EPERM" || !strings.Contains(p.Hint, "user namespace") {
		t.Errorf("%+v", p)
	}
}

func TestIOPriority(t *testing.T) {
	for _, tt := range []struct {
		class    specs.IOPriorityClass
		priority int
		want     string
	}{{specs.IOPRIO_CLASS_BE, 0, "2 0"}, {specs.IOPRIO_CLASS_BE, 7, "2 7"}, {specs.IOPRIO_CLASS_IDLE, 0, "3 0"}, {specs.IOPRIO_CLASS_RT, 4, "1 4"}} {
		t.Run(tt.want, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) {
				s.Process.IOPriority = &specs.LinuxIOPriority{Class: tt.class, Priority: tt.priority}
			})
			r := b.do("ioprio").run(t)
			if tt.class == specs.IOPRIO_CLASS_RT && !here.root {
				r.problem(t, "/process/ioPriority/class")
				return
			}
			if got := r.ok(t).value(t, "ioprio"); got != tt.want {
				t.Errorf("io priority is %s, want %s", got, tt.want)
			}
		})
	}
}

// TestPersonality: LINUX32 is seen in uname(2), and what the caller's personality has is not handed on.
func TestPersonality(t *testing.T) {
	for _, tt := range []struct {
		domain specs.LinuxPersonalityDomain
		want   string
	}{{specs.PerLinux, "0x0 x86_64"}, {specs.PerLinux32, "0x8 i686"}} {
		t.Run(string(tt.domain), func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: tt.domain} })
			r := b.do("personality").start(t, func(c *exec.Cmd) {
				c.Args, c.Path = append([]string{"setarch", "-R", c.Path}, c.Args[1:]...), "/usr/bin/setarch"
			}).wait().ok(t)
			if got := r.value(t, "personality"); got != tt.want {
				t.Errorf("personality is %s, want %s", got, tt.want)
			}
		})
	}
}

// TestMemoryPolicy reads the policy in numa_maps, which shows one for each mapping.
func TestMemoryPolicy(t *testing.T) {
	_, err := os.Stat("/proc/self/numa_maps")
	needs(t, err == nil, "needs a kernel with NUMA")
	for _, tt := range []struct {
		policy specs.LinuxMemoryPolicy
		want   string
	}{
		{specs.LinuxMemoryPolicy{Mode: specs.MpolDefault}, "default"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}, "bind:0"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}, "interleave=static:0"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolPreferred, Nodes: "0-1", Flags: []specs.MemoryPolicyFlagType{specs.MpolFRelativeNodes}}, "prefer=relative:0"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolLocal}, "local"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.MemoryPolicy = &tt.policy })
			r := b.do("read /proc/self/numa_maps").run(t).ok(t)
			first, _, _ := strings.Cut(r.value(t, "read /proc/self/numa_maps"), "\n")
			if f := strings.Fields(first); len(f) < 2 || f[1] != tt.want {
				t.Errorf("memory policy is %q, want %s", first, tt.want)
			}
		})
	}
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "1000"}
	})
	if p := b.run(t).problem(t, "/linux/memoryPolicy"); p.Errno != "EINVAL" || !strings.Contains(p.Hint, "online") {
		t.Errorf("%+v", p)
	}
}

// TestExecCPUAffinity: it is for processes that join the container, not for its first one.
func TestExecCPUAffinity(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) { s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0", Final: "0"} })
	plain := newBundle(t)
	with, without := b.do("cpus").run(t).ok(t).value(t, "cpus"), plain.do("cpus").run(t).ok(t).value(t, "cpus")
	if with != without {
		t.Errorf("runs on %s CPUs, without the property on %s", with, without)
	}
}
