package policy

import (
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// checkedCase has for a row that is checked one config.json that passes and one that does not.
type checkedCase struct {
	pattern string
	allowed func(*specs.Spec)
	refused func(*specs.Spec)
	want    string // in the problem
}

func hookOf(s *specs.Spec, name string) *specs.Hook {
	h := reflect.ValueOf(s.Hooks).Elem().FieldByNameFunc(func(f string) bool { return strings.EqualFold(f, name) })
	return &h.Interface().([]specs.Hook)[0]
}

func hookCases() (cases []checkedCase) {
	for _, name := range []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"} {
		cases = append(cases,
			checkedCase{"/hooks/" + name + "/*/path", func(s *specs.Spec) { hookOf(s, name).Path = "/bin/hook" }, func(s *specs.Spec) { hookOf(s, name).Path = "hook" }, "must be absolute"},
			checkedCase{"/hooks/" + name + "/*/timeout", func(s *specs.Spec) { hookOf(s, name).Timeout = ptr(5) }, func(s *specs.Spec) { hookOf(s, name).Timeout = ptr(0) }, "more than 0"})
	}
	return cases
}

func mapCases(kind string, maps func(*specs.Spec) []specs.LinuxIDMapping, own, first uint32) []checkedCase {
	p := "/linux/" + kind + "Mappings/*/"
	return []checkedCase{
		{p + "containerID", func(s *specs.Spec) { maps(s)[1].ContainerID = 5 }, func(s *specs.Spec) { maps(s)[1].ContainerID = 0 }, "overlaps an earlier range"},
		{p + "hostID", func(s *specs.Spec) { maps(s)[1].HostID = first + 1 }, func(s *specs.Spec) { maps(s)[1].HostID = first + 2 },
			"host " + kind + "s " + utoa(uint64(first)+2) + "-" + utoa(uint64(first)+65536) + " are not yours"},
		{p + "size", func(s *specs.Spec) { maps(s)[1].Size = 65536 }, func(s *specs.Spec) { maps(s)[0].Size = 2; maps(s)[1].ContainerID = 2 },
			"host " + kind + "s " + utoa(uint64(own)) + "-" + utoa(uint64(own)+1) + " are not yours"},
	}
}

func deviceRuleCases() []checkedCase {
	p := "/linux/resources/devices/*/"
	rule := func(s *specs.Spec) *specs.LinuxDeviceCgroup { return &s.Linux.Resources.Devices[0] }
	const want = "device rules need root"
	return []checkedCase{
		{p + "access", func(s *specs.Spec) { rule(s).Access = "mwr" }, func(s *specs.Spec) { rule(s).Access = "m" }, want},
		{p + "allow", func(s *specs.Spec) { rule(s).Allow = false }, func(s *specs.Spec) { rule(s).Allow = true }, want},
		{p + "major", func(s *specs.Spec) { rule(s).Major = ptr(int64(-1)) }, func(s *specs.Spec) { rule(s).Major = ptr(int64(1)) }, want},
		{p + "minor", func(s *specs.Spec) { rule(s).Minor = ptr(int64(-1)) }, func(s *specs.Spec) { rule(s).Minor = ptr(int64(3)) }, want},
		{p + "type", func(s *specs.Spec) { rule(s).Type = "a" }, func(s *specs.Spec) { rule(s).Type = "c" }, want},
	}
}

func resourceCases() []checkedCase {
	memory := func(s *specs.Spec) *specs.LinuxMemory {
		s.Linux.Resources.Memory = &specs.LinuxMemory{}
		return s.Linux.Resources.Memory
	}
	cpu := func(s *specs.Spec) *specs.LinuxCPU {
		s.Linux.Resources.CPU = &specs.LinuxCPU{}
		return s.Linux.Resources.CPU
	}
	unified := func(key string) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Resources.Unified = map[string]string{key: "1"} }
	}
	//lint:ignore SA1019 what is deprecated can be asked for
	kernel := func(n int64) func(*specs.Spec) { return func(s *specs.Spec) { memory(s).Kernel = &n } }
	return []checkedCase{
		{"/linux/resources/memory/kernel", kernel(-1), kernel(4096), "needs root"},
		{"/linux/resources/memory/kernelTCP", func(s *specs.Spec) { memory(s).KernelTCP = ptr(int64(-1)) }, func(s *specs.Spec) { memory(s).KernelTCP = ptr(int64(0)) }, "needs root"},
		{"/linux/resources/memory/disableOOMKiller", func(s *specs.Spec) { memory(s).DisableOOMKiller = ptr(false) }, func(s *specs.Spec) { memory(s).DisableOOMKiller = ptr(true) }, "needs root"},
		{"/linux/resources/memory/useHierarchy", func(s *specs.Spec) { memory(s).UseHierarchy = ptr(true) }, func(s *specs.Spec) { memory(s).UseHierarchy = ptr(false) }, "needs root"},
		{"/linux/resources/cpu/realtimeRuntime", func(s *specs.Spec) { cpu(s).RealtimeRuntime = ptr(int64(0)) }, func(s *specs.Spec) { cpu(s).RealtimeRuntime = ptr(int64(1)) }, "need root"},
		{"/linux/resources/cpu/realtimePeriod", func(s *specs.Spec) { cpu(s).RealtimePeriod = ptr(uint64(0)) }, func(s *specs.Spec) { cpu(s).RealtimePeriod = ptr(uint64(1)) }, "need root"},
		{"/linux/resources/unified/*", unified("memory.high"), unified("cgroup.procs"), "not a file that you may write"},
	}
}

func processCases() []checkedCase {
	rlimit := func(s *specs.Spec) *specs.POSIXRlimit { return &s.Process.Rlimits[0] }
	sched := func(s *specs.Spec) *specs.Scheduler { return s.Process.Scheduler }
	return []checkedCase{
		{"/process/oomScoreAdj", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(100) }, func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(99) }, "lowering oom_score_adj from 100 to 99 needs root"},
		{"/process/rlimits/*/hard", func(s *specs.Spec) { rlimit(s).Hard = 1000 }, func(s *specs.Spec) { rlimit(s).Hard = 1001 }, "RLIMIT_NOFILE hard 1001 is above your limit 1000"},
		{"/process/rlimits/*/type", func(s *specs.Spec) { rlimit(s).Type = "RLIMIT_CORE" }, func(s *specs.Spec) { rlimit(s).Type = "RLIMIT_X" }, `unknown limit "RLIMIT_X"`},
		{"/process/scheduler/nice", func(s *specs.Spec) { sched(s).Nice = 19 }, func(s *specs.Spec) { sched(s).Nice = -1 }, "nice -1 needs root"},
		{"/process/scheduler/policy", func(s *specs.Spec) { sched(s).Policy = specs.SchedIdle }, func(s *specs.Spec) { sched(s).Policy = specs.SchedDeadline }, `"SCHED_DEADLINE" needs root`},
		{"/process/scheduler/priority", func(s *specs.Spec) { sched(s).Priority = 1 }, func(s *specs.Spec) { sched(s).Policy, sched(s).Priority = specs.SchedFIFO, 1 }, "above your RLIMIT_RTPRIO 0"},
		{"/process/ioPriority/class", func(s *specs.Spec) { s.Process.IOPriority.Class = specs.IOPRIO_CLASS_BE }, func(s *specs.Spec) { s.Process.IOPriority.Class = specs.IOPRIO_CLASS_RT }, `class "RT" needs root`},
		{"/process/user/additionalGids/*", func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{1, 65535} }, func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{1, 65536} }, "gid 65536 is not mapped"},
		{"/process/user/gid", func(s *specs.Spec) { s.Process.User.GID = 65535 }, func(s *specs.Spec) { s.Process.User.GID = 65536 }, "gid 65536 is not mapped"},
		{"/process/user/uid", func(s *specs.Spec) { s.Process.User.UID = 65535 }, func(s *specs.Spec) { s.Process.User.UID = 65536 }, "uid 65536 is not mapped"},
	}
}

func linuxCases() []checkedCase {
	drop := func(s *specs.Spec, t specs.LinuxNamespaceType) { // and what needs it
		for i, n := range s.Linux.Namespaces {
			if n.Type == t {
				s.Linux.Namespaces = append(s.Linux.Namespaces[:i:i], s.Linux.Namespaces[i+1:]...)
				return
			}
		}
	}
	device := func(s *specs.Spec) *specs.LinuxDevice { return &s.Linux.Devices[0] }
	sysctl := func(key string) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{key: "1"} }
	}
	return []checkedCase{
		{"/domainname", func(s *specs.Spec) { s.Domainname = "home" }, func(s *specs.Spec) { s.Domainname = "home"; drop(s, "uts") }, "domainname needs a uts namespace"},
		{"/hostname", func(s *specs.Spec) { s.Hostname = "db" }, func(s *specs.Spec) { drop(s, "uts") }, "hostname needs a uts namespace"},
		{"/root/path", func(s *specs.Spec) { s.Root.Path = "/home/u/rootfs" }, func(s *specs.Spec) { s.Root.Path = "//x/.." }, "must not be the host's root"},
		{"/linux/cgroupsPath", func(s *specs.Spec) { s.Linux.CgroupsPath = "/locald/u1000/a/b" }, func(s *specs.Spec) { s.Linux.CgroupsPath = "/locald/u10000/a" }, `cgroupsPath "/locald/u10000/a" is not yours`},
		{"/linux/devices/*/path", func(s *specs.Spec) { device(s).Path = "/dev/net/tun" }, func(s *specs.Spec) { device(s).Path = "/dev/../etc/passwd" }, "needs root"},
		{"/linux/devices/*/type", func(s *specs.Spec) { device(s).Type = "b" }, func(s *specs.Spec) { device(s).Type = "p" }, `of type "p" needs root`},
		{"/linux/namespaces/*/path", func(s *specs.Spec) {
			s.Linux.Namespaces[5].Path = "/run/netns/x"
			s.Linux.Sysctl = nil
			s.Mounts = s.Mounts[:4]
		},
			func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/proc/1/ns/user" }, "joining a user namespace needs root"},
		{"/linux/namespaces/*/type", func(s *specs.Spec) { s.Linux.Namespaces[7].Type = "time" }, func(s *specs.Spec) { drop(s, "user") }, "needs a new user namespace"},
		{"/linux/sysctl/*", sysctl("fs.mqueue.msg_max"), sysctl("net/../kernel/core_pattern"), "is not namespaced"},
		{"/linux/timeOffsets/*/nanosecs", func(s *specs.Spec) { s.Linux.TimeOffsets["monotonic"] = specs.LinuxTimeOffset{Nanosecs: 999999999} },
			func(s *specs.Spec) { s.Linux.TimeOffsets["monotonic"] = specs.LinuxTimeOffset{Nanosecs: 1000000000} }, "more than 999999999"},
		{"/linux/timeOffsets/*/secs", func(s *specs.Spec) { s.Linux.TimeOffsets["boottime"] = specs.LinuxTimeOffset{Secs: -1} }, func(s *specs.Spec) { drop(s, "time") }, "need a new time namespace"},
	}
}

func mountCases() []checkedCase {
	set := func(m specs.Mount) func(*specs.Spec) { return func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) } }
	return []checkedCase{
		{"/annotations/*", func(s *specs.Spec) { s.Annotations = map[string]string{"run.oci.x": "1"} }, func(s *specs.Spec) { s.Annotations = map[string]string{"run.oci.hooks.stdout": "/x"} }, "needs root"},
		{"/mounts/*/destination", set(specs.Mount{Destination: "/proc/x", Type: "tmpfs"}), set(specs.Mount{Destination: "/x/..//proc/", Type: "tmpfs"}), "only a proc file system can be mounted on /proc"},
		{"/mounts/*/type", set(specs.Mount{Destination: "/x", Type: "none", Options: []string{"bind"}}), set(specs.Mount{Destination: "/x", Type: "ext4"}), `file system type "ext4" needs root`},
		{"/mounts/*/options/*", set(specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"gid=65535"}}), set(specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"gid=65536"}}), "gid=65536 is not mapped"},
	}
}

func TestCheckedRows(t *testing.T) {
	cases := append(hookCases(), deviceRuleCases()...)
	cases = append(cases, mapCases("uid", func(s *specs.Spec) []specs.LinuxIDMapping { return s.Linux.UIDMappings }, 1000, 100000)...)
	cases = append(cases, mapCases("gid", func(s *specs.Spec) []specs.LinuxIDMapping { return s.Linux.GIDMappings }, 1001, 200000)...)
	cases = append(cases, resourceCases()...)
	cases = append(cases, processCases()...)
	cases = append(cases, linuxCases()...)
	cases = append(cases, mountCases()...)
	cases = append(cases, idMapCases("uid", func(m *specs.Mount) []specs.LinuxIDMapping { return m.UIDMappings }, 1000, 100000)...)
	cases = append(cases, idMapCases("gid", func(m *specs.Mount) []specs.LinuxIDMapping { return m.GIDMappings }, 1001, 200000)...)
	missing := map[string]bool{}
	for _, r := range Rows {
		if r.Verdict == Checked {
			missing[r.Pattern] = true
		}
	}
	for _, c := range cases {
		if !missing[c.pattern] {
			t.Errorf("%s has two cases, or is not a checked row", c.pattern)
		}
		delete(missing, c.pattern)
		spec := testSpec()
		c.allowed(spec)
		if p := Check(spec, testGrant()); len(p) > 0 {
			t.Errorf("%s: refused:\n%s", c.pattern, render(p))
		}
		if !present(reflect.ValueOf(spec), strings.Split(c.pattern, "/")[1:]) {
			t.Errorf("%s: the config.json that is allowed has no such property", c.pattern)
		}
		spec = testSpec()
		c.refused(spec)
		found := false
		for _, p := range Check(spec, testGrant()) {
			found = found || about(p.Pointer, c.pattern) && strings.Contains(p.String(), c.want)
		}
		if !found {
			t.Errorf("%s: no problem with %q in:\n%s", c.pattern, c.want, render(Check(spec, testGrant())))
		}
	}
	for pattern := range missing {
		t.Errorf("%s is checked, and no case says how", pattern)
	}
}

// present says whether a spec has the leaf of a pattern.
func present(v reflect.Value, path []string) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && present(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			if present(v.Index(i), path[1:]) {
				return true
			}
		}
		return false
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if present(v.MapIndex(k), path[1:]) {
				return true
			}
		}
		return false
	case reflect.Struct:
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name == path[0] {
				return present(v.Field(i), path[1:])
			}
		}
		return false
	}
	return true
}
