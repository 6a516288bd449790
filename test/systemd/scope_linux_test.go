package systemd_test

import (
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func p[T any](v T) *T { return &v }

// limited has limits that systemd has properties for, one that it has none for, and a device that is denied.
func limited(path string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.CgroupsPath = path
		s.Annotations = map[string]string{"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.KillSignal": "15"}
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}}
		s.Linux.Resources = &specs.LinuxResources{
			Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
			Memory:  &specs.LinuxMemory{Limit: p(int64(64 << 20))},
			CPU:     &specs.LinuxCPU{Quota: p(int64(50000)), Period: p(uint64(100000)), Burst: p(uint64(10000)), Cpus: "0"},
			Pids:    &specs.LinuxPids{Limit: p(int64(50))},
		}
	}
}

// TestSystemdLifecycle: a container from create to delete, as systemctl(1), the cgroup file system and the runtime see it.
func TestSystemdLifecycle(t *testing.T) {
	dir := bundle(t, "sleep 1000", limited("locald-test.slice:pre:web"))
	const unit, cgroup = "pre-web.scope", "/locald.slice/locald-test.slice/pre-web.scope"
	ok(t, shim, "--systemd-cgroup", "create", "--bundle", dir, "web")
	t.Cleanup(func() { call(t, shim, "delete", "--force", "web") })
	properties := map[string]string{"ActiveState": "active", "Slice": "locald-test.slice", "Delegate": "yes", "ControlGroup": cgroup, "Transient": "yes",
		"MemoryMax": "67108864", "TasksMax": "50", "CPUQuotaPerSecUSec": "500ms", "AllowedCPUs": "0", "TimeoutStopUSec": "7s", "KillSignal": "15"}
	limits := map[string]string{"memory.max": "67108864", "pids.max": "50", "cpu.max": "50000 100000", "cpuset.cpus": "0", "cpu.max.burst": "10000"}
	sees := func(when string) {
		t.Helper()
		wants(t, when, show(t, unit, keys(properties)...), properties)
		wants(t, when, files(t, cgroup, limits), limits)
	}
	sees("created")
	pid := strconv.Itoa(state(t, "web").Pid)
	if got := strings.TrimSpace(text(t, "/sys/fs/cgroup"+cgroup+"/cgroup.procs")); got != pid {
		t.Errorf("in the cgroup are %q, and the container is %s", got, pid)
	}
	ok(t, shim, "start", "web")
	if got := ok(t, shim, "exec", "web", "cat", "/proc/self/cgroup"); got != "0::/" { // of a new cgroup namespace
		t.Errorf("exec is in %s", got)
	}
	device := func() {
		t.Helper()
		if r := call(t, shim, "exec", "web", "cat", "/dev/kmsg"); r.code == 0 || !strings.Contains(r.errors, "not permitted") {
			t.Errorf("a denied device: %s", r)
		}
	}
	device()
	ok(t, "systemctl", "daemon-reload")
	sees("after daemon-reload")
	device()

	ok(t, shim, "update", "--memory", "32M", "--pids-limit", "40", "--cpu-quota", "20000", "web")
	properties["MemoryMax"], properties["TasksMax"], properties["CPUQuotaPerSecUSec"] = "33554432", "40", "200ms"
	limits["memory.max"], limits["pids.max"], limits["cpu.max"] = "33554432", "40", "20000 100000"
	sees("updated")
	ok(t, "systemctl", "daemon-reload")
	sees("updated, after daemon-reload")

	ok(t, shim, "pause", "web")
	if st := state(t, "web").Status; st != "paused" {
		t.Errorf("paused, it is %s", st)
	}
	ok(t, shim, "resume", "web")
	ok(t, shim, "kill", "web", "KILL")
	eventually(t, "the container stops", func() bool { return state(t, "web").Status == specs.StateStopped })
	ok(t, shim, "delete", "web")
	gone(t, unit, cgroup)

	// The name is free at once.
	ok(t, shim, "--systemd-cgroup", "create", "--bundle", dir, "web")
	ok(t, shim, "start", "web")
	ok(t, shim, "delete", "--force", "web")
	gone(t, unit, cgroup)
}

// TestSystemdRun: in the foreground, with the runtime's own name for the unit and without limits.
func TestSystemdRun(t *testing.T) {
	const unit, cgroup = "locald-once.scope", "/system.slice/locald-once.scope"
	dir := bundle(t, "exit 7", nil)
	if r := call(t, shim, "--systemd-cgroup", "run", "--bundle", dir, "once"); r.code != 7 {
		t.Error(r)
	}
	gone(t, unit, cgroup)
	dir = bundle(t, "sleep 1000", nil)
	ok(t, shim, "--cgroup-manager=systemd", "run", "--detach", "--bundle", dir, "once")
	wants(t, "running", show(t, unit, "ActiveState", "ControlGroup"), map[string]string{"ActiveState": "active", "ControlGroup": cgroup})
	refused(t, "in use", shim, "--systemd-cgroup", "run", "--bundle", dir, "once")
	// systemd can end it, too: its unit is the container.
	ok(t, "systemctl", "kill", "--signal=KILL", unit)
	eventually(t, "the container stops", func() bool { return state(t, "once").Status == specs.StateStopped })
	ok(t, shim, "delete", "once")
	gone(t, unit, cgroup)
}

// TestSystemdOOM: a unit that has failed is forgotten with its container.
func TestSystemdOOM(t *testing.T) {
	dir := bundle(t, "x=x; while :; do x=$x$x; done", limited("system.slice:locald:oom"))
	if r := call(t, shim, "--systemd-cgroup", "run", "--bundle", dir, "oom"); r.code != 137 {
		t.Error(r)
	}
	gone(t, "locald-oom.scope", "/system.slice/locald-oom.scope")
}

// TestSystemdKilled: a runtime that is killed while there is a scope leaves nothing that delete does not find.
func TestSystemdKilled(t *testing.T) {
	dir := bundle(t, "true", limited("system.slice:locald:killed"))
	const unit, cgroup = "locald-killed.scope", "/system.slice/locald-killed.scope"
	killed := 0
	// It sends 4 messages to find systemd, and the last 3 of 8 to have the scope made and to find it; then it waits for
	// the process that held the scope. strace counts for each thread apart, so not every point need be reached.
	for _, point := range []string{"sendmsg:when=10", "sendmsg:when=11", "sendmsg:when=12", "waitid:when=1"} {
		name, when, _ := strings.Cut(point, ":")
		if r := call(t, "timeout", "100", "strace", "-f", "-o", "/dev/null", "-e", "trace="+name, "-e", "inject="+name+":signal=KILL:"+when, shim, "--systemd-cgroup", "run", "--bundle", dir, "killed"); r.code == 124 {
			t.Error("it hangs: ", r)
		} else if r.code != 0 {
			killed++
		}
		ok(t, shim, "delete", "--force", "killed")
		eventually(t, "the unit is forgotten", func() bool { return show(t, unit, "LoadState")["LoadState"] == "not-found" })
		gone(t, unit, cgroup)
	}
	if killed < 2 {
		t.Errorf("it was killed %d times of 4", killed)
	}
	ok(t, shim, "--systemd-cgroup", "run", "--bundle", dir, "killed")
}

// TestSystemdErrors: what cannot be is said, and nothing is left.
func TestSystemdErrors(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*specs.Spec)
	}{
		{"/linux/cgroupsPath: a cgroup that systemd makes is named slice:prefix:name", func(s *specs.Spec) { s.Linux.CgroupsPath = "/locald/web" }},
		{"/linux/cgroupsPath: the name of a slice ends in .slice", func(s *specs.Spec) { s.Linux.CgroupsPath = "system:locald:web" }},
		{"/annotations/org.systemd.property.Slice: the property is the runtime's", func(s *specs.Spec) {
			s.Annotations = map[string]string{"org.systemd.property.Slice": "'a.slice'"}
		}},
		{"/annotations/org.systemd.property.KillSignal: the value", func(s *specs.Spec) {
			s.Annotations = map[string]string{"org.systemd.property.KillSignal": "{}"}
		}},
		{"start locald-bad.scope with systemd: ", func(s *specs.Spec) {
			s.Annotations = map[string]string{"org.systemd.property.NoSuchThing": "true"}
		}},
		{"/linux/resources/cpu/cpus", func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0-900"}}
		}},
	} {
		refused(t, tt.want, shim, "--systemd-cgroup", "create", "--bundle", bundle(t, "true", tt.change), "bad")
		refused(t, "does not exist", shim, "state", "bad")
		gone(t, "locald-bad.scope", "/system.slice/locald-bad.scope")
	}
	refused(t, "is not asked to (--systemd-cgroup)", shim, "create", "--bundle", bundle(t, "true", limited("system.slice:locald:x")), "bad")

	// A unit of somebody else's stays.
	ok(t, "systemd-run", "--unit=locald-other", "--scope", "--quiet", "--", "/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
	refused(t, "locald-other.scope", shim, "--systemd-cgroup", "create", "--bundle", bundle(t, "true", limited("system.slice:locald:other")), "bad")
	wants(t, "after that", show(t, "locald-other.scope", "ActiveState"), map[string]string{"ActiveState": "active"})
	ok(t, "systemctl", "stop", "locald-other.scope")
}

func keys(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}
