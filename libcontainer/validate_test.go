package libcontainer

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/libcontainer/internal/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestValidate makes one thing wrong in a good config and looks for exactly the problem that it should
// give, by its pointer and a part of its text.
func TestValidate(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*specs.Spec)
		pointer string
		text    string
	}{
		{"no version", func(s *specs.Spec) { s.Version = "" }, "/ociVersion", "missing"},
		{"version 2", func(s *specs.Spec) { s.Version = "2.0.0" }, "/ociVersion", "not supported"},
		{"version 1", func(s *specs.Spec) { s.Version = "1" }, "/ociVersion", "not supported"},
		{"windows", func(s *specs.Spec) { s.Windows = &specs.Windows{} }, "/windows", "not a Linux bundle"},
		{"relative hook", func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/x"}, {Path: "x"}}} }, "/hooks/poststop/1/path", "absolute"},
		{"hook without path", func(s *specs.Spec) { s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{}}} }, "/hooks/createRuntime/0/path", "absolute"},
		{"hook with NUL", func(s *specs.Spec) { s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/x\x00"}}} }, "/hooks/startContainer/0/path", "absolute"},
		{"hook's argument with NUL", func(s *specs.Spec) {
			//lint:ignore SA1019 deprecated, but still part of the specification
			s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{Path: "/x", Args: []string{"x", "a\x00"}}}}
		}, "/hooks/prestart/0/args/1", "NUL"},
		{"hook's environment", func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/x", Env: []string{"A=1", "=2"}}}}
		}, "/hooks/createContainer/0/env/1", "NAME=VALUE"},
		{"hook without time", func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/x", Timeout: ptr(0)}}} }, "/hooks/poststart/0/timeout", "more than 0"},
		{"relative file for hooks", func(s *specs.Spec) { s.Annotations = map[string]string{"run.oci.hooks.stderr": "log"} }, "/annotations/run.oci.hooks.stderr", "absolute"},
		{"no root", func(s *specs.Spec) { s.Root = nil }, "/root", "missing"},
		{"empty root", func(s *specs.Spec) { s.Root.Path = "" }, "/root/path", "empty"},
		{"host root", func(s *specs.Spec) { s.Root.Path = "/usr/.." }, "/root/path", "host's root"},
		{"root with NUL", func(s *specs.Spec) { s.Root.Path = "a\x00b" }, "/root/path", "NUL"},
		{"mounts on the host", func(s *specs.Spec) { s.Linux.Namespaces = nil }, "/mounts", "no mounts of its own"},
		{"mounts without linux", func(s *specs.Spec) { s.Linux = nil }, "/mounts", "no mounts of its own"},
		{"masked paths on the host", func(s *specs.Spec) { s.Linux.Namespaces = nil }, "/linux/maskedPaths", "takes a mount"},
		{"read-only root on the host", func(s *specs.Spec) { s.Linux.Namespaces = nil }, "/root/readonly", "takes a mount"},
		{"unknown namespace", func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "pids" }, "/linux/namespaces/0/type", `unknown namespace "pids"`},
		{"namespace twice", func(s *specs.Spec) { s.Linux.Namespaces = append(s.Linux.Namespaces, s.Linux.Namespaces[0]) }, "/linux/namespaces/6", "listed twice"},
		{"relative namespace", func(s *specs.Spec) { s.Linux.Namespaces[2].Path = "ns" }, "/linux/namespaces/2/path", "absolute"},
		{"mapping without namespace", func(s *specs.Spec) { s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }, "/linux/uidMappings", "new user namespace"},
		{"hostname without uts", func(s *specs.Spec) { s.Linux.Namespaces[3].Type = specs.TimeNamespace }, "/hostname", "uts namespace"},
		{"long hostname", func(s *specs.Spec) { s.Hostname = strings.Repeat("x", 65) }, "/hostname", "64 bytes"},
		{"domainname with NUL", func(s *specs.Spec) { s.Domainname = "a\x00" }, "/domainname", "NUL"},
		{"no destination", func(s *specs.Spec) { s.Mounts[0].Destination = "" }, "/mounts/0/destination", "needs a destination"},
		{"destination with NUL", func(s *specs.Spec) { s.Mounts[0].Destination = "/a\x00" }, "/mounts/0/destination", "NUL"},
		{"tmpfs on /proc", func(s *specs.Spec) { s.Mounts[0] = mount("proc/.", "tmpfs", "") }, "/mounts/0/destination", "only a proc"},
		{"bind on /proc", func(s *specs.Spec) { s.Mounts[0] = mount("/proc", "proc", "/srv", "bind") }, "/mounts/0/destination", "only a proc"},
		{"bind below /proc", func(s *specs.Spec) { s.Mounts[1] = mount("/proc/sys/kernel/core_pattern", "bind", "/srv/x") }, "/mounts/1/destination", "is the kernel's"},
		{"bind below /proc by dots", func(s *specs.Spec) { s.Mounts[1] = mount("x/../proc/self/attr", "bind", "/srv/x") }, "/mounts/1/destination", "is the kernel's"},
		{"tmpfs below /proc", func(s *specs.Spec) { s.Mounts[1] = mount("/proc/meminfo", "tmpfs", "") }, "/mounts/1/destination", "is the kernel's"},
		{"second root mount", func(s *specs.Spec) { s.Mounts[1].Destination = "/x/.." }, "/mounts/1/destination", "first mount"},
		{"one id map", func(s *specs.Spec) { s.Mounts[0].UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }, "/mounts/0/gidMappings", "belong together"},
		{"idmap without maps", func(s *specs.Spec) { s.Mounts[0].Options = []string{"idmap"} }, "/mounts/0/options", "needs maps"},
		{"remount with tmpcopyup", func(s *specs.Spec) { s.Mounts[1].Options = []string{"remount", "tmpcopyup"} }, "/mounts/1/options", "for new mounts"},
		{"inline id map", func(s *specs.Spec) { s.Mounts[1] = mount("/x", "bind", "/a", "ro", "idmap=uids=0-1-1;gids=0-1-1") }, "/mounts/1/options/1", "is not supported"},
		{"copy-symlink", func(s *specs.Spec) { s.Mounts[1].Options = []string{"copy-symlink"} }, "/mounts/1/options/0", "is not supported"},
		{"rsync", func(s *specs.Spec) { s.Mounts[1] = mount("/x", "bind", "/a", "rsync") }, "/mounts/1/options/0", "is not supported"},
		{"bind with lazytime", func(s *specs.Spec) { s.Mounts[1] = mount("/x", "bind", "/a", "ro", "lazytime") }, "/mounts/1/options/1", "whole file system"},
		{"tmpcopyup", func(s *specs.Spec) { s.Mounts[0].Options = []string{"tmpcopyup"} }, "/mounts/0/options/0", "new tmpfs"},
		{"no type", func(s *specs.Spec) { s.Mounts[1].Type = "" }, "/mounts/1/type", "missing"},
		{"bind without source", func(s *specs.Spec) { s.Mounts[1] = mount("/x", "bind", "") }, "/mounts/1/source", "source"},
		{"overlay without lowerdir", func(s *specs.Spec) { s.Mounts[1] = mount("/x", "overlay", "o", "upperdir=a", "workdir=b") }, "/mounts/1/options", "lowerdir"},
		{"overlay without workdir", func(s *specs.Spec) { s.Mounts[1] = mount("/x", "overlay", "o", "lowerdir=a", "upperdir=b") }, "/mounts/1/options", "belong together"},
		{"relative device", func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "x", Type: "c"}} }, "/linux/devices/0/path", "absolute"},
		{"unknown device", func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/x", Type: "d"}} }, "/linux/devices/0/type", "unknown type"},
		{"device number", func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/x", Type: "c", Major: 4096}} }, "/linux/devices/0", "out of range"},
		{"device twice", func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/x", Type: "c"}, {Path: "//x", Type: "c"}}
		}, "/linux/devices/1/path", "twice"},
		{"relative masked path", func(s *specs.Spec) { s.Linux.MaskedPaths[1] = "x" }, "/linux/maskedPaths/1", "absolute"},
		{"relative read-only path", func(s *specs.Spec) { s.Linux.ReadonlyPaths[0] = "x" }, "/linux/readonlyPaths/0", "absolute"},
		{"propagation", func(s *specs.Spec) { s.Linux.RootfsPropagation = "rrslave" }, "/linux/rootfsPropagation", "unknown"},
		{"host sysctl", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.core_pattern": "x"} }, "/linux/sysctl/kernel.core_pattern", "not namespaced"},
		{"sysctl with a slash", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net/../kernel/core_pattern": "x"} }, "/linux/sysctl/net~1..~1kernel~1core_pattern", "not namespaced"},
		{"sysctl with dots", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net...kernel": "x"} }, "/linux/sysctl/net...kernel", "not namespaced"},
		{"sysctl without its namespace", func(s *specs.Spec) {
			s.Linux.Namespaces = s.Linux.Namespaces[:4]
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		}, "/linux/sysctl/net.ipv4.ip_forward", "needs a network namespace"},
		{"sysctl of users", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"user.max_net_namespaces": "1"} }, "/linux/sysctl/user.max_net_namespaces", "needs a user namespace"},
		{"sysctl for the host name", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.hostname": "a"} }, "/linux/sysctl/kernel.hostname", "the same as hostname"},
		{"sysctl for the domain name", func(s *specs.Spec) {
			s.Hostname, s.Linux.Namespaces[3].Type = "", specs.TimeNamespace
			s.Linux.Sysctl = map[string]string{"kernel.domainname": "a"}
		}, "/linux/sysctl/kernel.domainname", "needs a uts namespace"},
		{"time offset without namespace", func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1}} }, "/linux/timeOffsets", "time namespace"},
		{"unknown clock", func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {Secs: 1}}
		}, "/linux/timeOffsets/realtime", "unknown clock"},
		{"no process", func(s *specs.Spec) { s.Process = nil }, "/process", "missing"},
		{"terminal without devpts", func(s *specs.Spec) { s.Process.Terminal, s.Mounts = true, s.Mounts[:2] }, "/process/terminal", "needs a devpts"},
		{"terminal in a devpts that is bound", func(s *specs.Spec) {
			s.Process.Terminal = true
			s.Mounts = append(s.Mounts, mount("/dev/pts/", "bind", "/dev/pts", "rbind"))
		}, "/process/terminal", "needs a devpts"},
		{"rows", func(s *specs.Spec) {
			s.Process.Terminal, s.Process.ConsoleSize = true, &specs.Box{Height: 1 << 16, Width: 80}
		}, "/process/consoleSize/height", "rows"},
		{"columns", func(s *specs.Spec) {
			s.Process.Terminal, s.Process.ConsoleSize = true, &specs.Box{Height: 24, Width: 1 << 16}
		}, "/process/consoleSize/width", "columns"},
		{"no args", func(s *specs.Spec) { s.Process.Args = nil }, "/process/args", "empty"},
		{"empty program", func(s *specs.Spec) { s.Process.Args = []string{""} }, "/process/args/0", "empty"},
		{"NUL in an argument", func(s *specs.Spec) { s.Process.Args = []string{"a", "b\x00"} }, "/process/args/1", "NUL"},
		{"bad environment", func(s *specs.Spec) { s.Process.Env = []string{"A=b", "=c"} }, "/process/env/1", "NAME=VALUE"},
		{"no cwd", func(s *specs.Spec) { s.Process.Cwd = "" }, "/process/cwd", "missing"},
		{"relative cwd", func(s *specs.Spec) { s.Process.Cwd = "x" }, "/process/cwd", "absolute"},
		{"umask", func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o1000)) }, "/process/user/umask", "0777"},
		{"uid -1", func(s *specs.Spec) { s.Process.User.UID = 1<<32 - 1 }, "/process/user", "no id"},
		{"user name", func(s *specs.Spec) { s.Process.User.Username = "root" }, "/process", "Windows"},
		{"oom score", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(1001) }, "/process/oomScoreAdj", "range"},
		{"scheduler without policy", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{} }, "/process/scheduler/policy", "missing"},
		{"scheduling policy", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_FAIR"} }, "/process/scheduler/policy", `unknown policy "SCHED_FAIR"`},
		{"nice", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Nice: 20} }, "/process/scheduler/nice", "nice 20 is out of range"},
		{"nice, lowest", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Nice: -21} }, "/process/scheduler/nice", "out of range"},
		{"realtime without priority", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_FIFO"} }, "/process/scheduler/priority", "1 to 99"},
		{"realtime with too much", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_RR", Priority: 100} }, "/process/scheduler/priority", "1 to 99"},
		{"priority without realtime", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_BATCH", Priority: 1} }, "/process/scheduler/priority", "SCHED_FIFO and SCHED_RR"},
		{"scheduler flag", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork, "SCHED_RESET_ON_FORK"}}
		}, "/process/scheduler/flags/1", "unknown flag"},
		{"runtime without deadline", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Runtime: 1} }, "/process/scheduler/runtime", "SCHED_DEADLINE"},
		{"deadline too early", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_DEADLINE", Runtime: 5000, Deadline: 4000}
		}, "/process/scheduler", "runtime <= deadline"},
		{"io class", func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{} }, "/process/ioPriority/class", "missing"},
		{"unknown io class", func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_NONE"} }, "/process/ioPriority/class", "unknown class"},
		{"io priority", func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_BE", Priority: 8}
		}, "/process/ioPriority/priority", "out of range"},
		{"affinity", func(s *specs.Spec) { s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0-3,7", Final: "3-1"} }, "/process/execCPUAffinity/final", "not a list"},
		{"domain", func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: "LINUX64"} }, "/linux/personality/domain", "unknown domain"},
		{"personality flag", func(s *specs.Spec) {
			s.Linux.Personality = &specs.LinuxPersonality{Domain: "LINUX", Flags: []specs.LinuxPersonalityFlag{"ADDR_NO_RANDOMIZE"}}
		}, "/linux/personality/flags/0", "unknown flag"},
		{"memory mode", func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{} }, "/linux/memoryPolicy/mode", "missing"},
		{"memory nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0;1"} }, "/linux/memoryPolicy/nodes", "not a list"},
		{"memory without nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_INTERLEAVE"} }, "/linux/memoryPolicy/nodes", "at least one"},
		{"local memory with nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_LOCAL", Nodes: "0"} }, "/linux/memoryPolicy/nodes", "no nodes"},
		{"memory flag", func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"MPOL_MF_MOVE"}}
		}, "/linux/memoryPolicy/flags/0", "unknown flag"},
		{"memory flags", func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"}}
		}, "/linux/memoryPolicy/flags", "not both"},
		{"apparmor", func(s *specs.Spec) { s.Process.ApparmorProfile = "x\x00" }, "/process/apparmorProfile", "NUL"},
		{"selinux", func(s *specs.Spec) { s.Process.SelinuxLabel = strings.Repeat("x", 4001) }, "/process/selinuxLabel", "longer"},
		{"unknown rlimit", func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} }, "/process/rlimits/0/type", "unknown limit"},
		{"rlimit twice", func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CPU"}, {Type: "RLIMIT_CPU"}}
		}, "/process/rlimits/1/type", "twice"},
		{"soft above hard", func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Soft: 2, Hard: 1}} }, "/process/rlimits/0/soft", "above"},
		{"effective beyond permitted", func(s *specs.Spec) {
			s.Process.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_KILL"}}
		}, "/process/capabilities/effective", "permitted"},
		{"seccomp", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} }, "/linux/seccomp/defaultAction", "missing"},
		{"seccomp rule", func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"chmod"}, Action: "DENY"}}}
		}, "/linux/seccomp/syscalls/0/action", `unknown action "DENY"`},
		{"intelRdt", func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{} }, "/linux/intelRdt", "not supported yet"},
		{"mount label", func(s *specs.Spec) { s.Linux.MountLabel = "x\x00" }, "/linux/mountLabel", ""},
		{"network device", func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth/0": {}} }, "/linux/netDevices/eth~10", "not the name"},
		{"network device with a template", func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth%d": {}} }, "/linux/netDevices/eth%d", "not the name"},
		{"long name of a network device", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {Name: "abcdefghijklmnop"}}
		}, "/linux/netDevices/eth0/name", "not the name"},
		{"template in the middle", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {Name: "a%db"}}
		}, "/linux/netDevices/eth0/name", "not the name"},
		{"two network devices of one name", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {Name: "eth1"}, "eth1": {}}
		}, "/linux/netDevices/eth1/name", "another device"},
		{"network device without namespace", func(s *specs.Spec) {
			s.Linux.Namespaces = s.Linux.Namespaces[:4]
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}}
		}, "/linux/netDevices", "need a network namespace"},
		{"cgroup path", func(s *specs.Spec) { s.Linux.CgroupsPath = "/locald/../x" }, "/linux/cgroupsPath", ".."},
		{"relative cgroup path", func(s *specs.Spec) { s.Linux.CgroupsPath = "locald/../x" }, "/linux/cgroupsPath", ".."},
		{"systemd cgroup path", func(s *specs.Spec) { s.Linux.CgroupsPath = "system:locald:x" }, "/linux/cgroupsPath", "slice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := baseSpec()
			if p := Validate(s); len(p) > 0 {
				t.Fatalf("the good config is refused: %v", p)
			}
			tt.change(s)
			for _, p := range Validate(s) {
				if p.Pointer == tt.pointer && strings.Contains(p.Reason, tt.text) {
					return
				}
			}
			t.Errorf("no problem at %s with %q in %v", tt.pointer, tt.text, Validate(s))
		})
	}
}

// TestValidateMappings holds the rules of user_namespaces(7) for id maps.
func TestValidateMappings(t *testing.T) {
	type m = specs.LinuxIDMapping
	var many []m
	for i := range uint32(341) {
		many = append(many, m{ContainerID: i, HostID: i, Size: 1})
	}
	tests := []struct {
		name string
		maps []m
		text string // of the problem; "" when there is none
	}{
		{"own id", []m{{ContainerID: 0, HostID: 1000, Size: 1}}, ""},
		{"two ranges", []m{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65535}}, ""},
		{"the last id there is", []m{{ContainerID: 0, HostID: 1<<32 - 2, Size: 1}}, ""},
		{"none", nil, "at least one"},
		{"empty range", []m{{ContainerID: 0, HostID: 1000, Size: 0}}, "empty range"},
		{"past the end", []m{{ContainerID: 0, HostID: 1<<32 - 1, Size: 1}}, "past id"},
		{"wraps around", []m{{ContainerID: 0, HostID: 4000000000, Size: 4000000000}}, "past id"},
		{"overlap inside", []m{{ContainerID: 0, HostID: 1000, Size: 2}, {ContainerID: 1, HostID: 2000, Size: 1}}, "overlaps"},
		{"overlap outside", []m{{ContainerID: 0, HostID: 1000, Size: 2}, {ContainerID: 5, HostID: 1001, Size: 1}}, "overlaps"},
		{"340 ranges", many[:340], ""},
		{"341 ranges", many, "340"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &validator{}
			v.mapping("/m", tt.maps, true)
			if tt.text == "" && len(v.problems) > 0 || tt.text != "" && (len(v.problems) == 0 || !strings.Contains(v.problems[0].Reason, tt.text)) {
				t.Errorf("got %v, want %q", v.problems, tt.text)
			}
		})
	}
}

// TestValidateAll: all problems are told at once.
func TestValidateAll(t *testing.T) {
	p := Validate(&specs.Spec{})
	var pointers []string
	for _, p := range p {
		pointers = append(pointers, p.Pointer)
	}
	for _, want := range []string{"/ociVersion", "/root", "/process"} {
		if !slices.Contains(pointers, want) {
			t.Errorf("%s is not among %v", want, pointers)
		}
	}
}

// TestSysctlPath: no name leads out of /proc/sys, or past the list of what is namespaced.
func TestSysctlPath(t *testing.T) {
	for key, want := range map[string]string{
		"net.ipv4.ip_forward": "net/ipv4/ip_forward", "net/ipv4/ip_forward": "net/ipv4/ip_forward", "net.ipv4.conf.eth0/7.rp_filter": "net/ipv4/conf/eth0.7/rp_filter",
		"net/ipv4/conf/eth0.7/rp_filter": "net/ipv4/conf/eth0.7/rp_filter", "kernel": "kernel",
		"": "", ".": "", "/": "", "net..x": "", "net//x": "", "net/../kernel/x": "", "net.//.kernel.x": "", "net./.x": "", "net/./x": "", "/net/x": "", "net/x/": "", ".net.x": "", "net.x y": "", "net/\x00": "", "net/...": "",
	} {
		if got, ok := sysctlPath(key); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", key, got, ok, want)
		}
	}
	for key, want := range map[string]specs.LinuxNamespaceType{"kernel/shmmax": specs.IPCNamespace, "kernel.shmmax": specs.IPCNamespace, "kernel/shm.max": "", "fs/mqueue/msg_max": specs.IPCNamespace, "kernel/domainname": specs.UTSNamespace, "net.x": specs.NetworkNamespace, "net": "", "kernel/core_pattern": "", "user/max_net_namespaces": specs.UserNamespace} {
		if got, ok := sysctlNamespace(key); ok != (want != "") || ok && got != want {
			t.Errorf("%q belongs to %q, %v, want %q", key, got, ok, want)
		}
	}
}

// TestNoProcess: a container can be created without a process, and its Program ends with an error that says so.
func TestNoProcess(t *testing.T) {
	spec := baseSpec()
	spec.Process = nil
	if p := Validate(spec); len(p) != 1 || p[0].Pointer != "/process" {
		t.Errorf("Validate says %v", p)
	}
	if p := ValidateCreate(spec); len(p) > 0 {
		t.Errorf("ValidateCreate says %v", p)
	}
	p, err := Compile(spec, rootHost())
	if err != nil {
		t.Fatal(err)
	}
	last := p.Ops[len(p.Ops)-1]
	if got := p.listOp(&last); got != `execve("", [], [])` || last.Origin != "/process" || last.Describe() != "start a container whose config.json has no process" {
		t.Errorf("the last op is %s: %s # %s", got, last.Describe(), last.Origin)
	}
	spec = baseSpec()
	spec.Process.Args = nil
	if p := ValidateCreate(spec); len(p) != 1 || p[0].Pointer != "/process/args" {
		t.Errorf("ValidateCreate says %v of a process without args", p)
	}
}

// TestMountOptions sorts each kind of option.
func TestMountOptions(t *testing.T) {
	tests := []struct {
		typ     string
		options string
		want    mountOptions
	}{
		{"tmpfs", "nosuid,nodev,size=1m", mountOptions{set: 6, data: []string{"size=1m"}}},
		{"bind", "ro,rw", mountOptions{bind: true, clear: 1}},
		{"bind", "rw,ro", mountOptions{bind: true, set: 1}},
		{"none", "rbind,rslave", mountOptions{bind: true, recursive: true, propagation: []propagation{{1 << 19, true}}}},
		{"", "bind,private", mountOptions{bind: true, propagation: []propagation{{1 << 18, false}}}},
		{"bind", "rslave,shared", mountOptions{bind: true, propagation: []propagation{{1 << 19, true}, {1 << 20, false}}}},
		{"bind", "rro,rnosuid,noatime", mountOptions{bind: true, setRec: 3, set: 0x10, clear: 0x70}},
		{"bind", "rrw,rsuid,rdev,rexec,rsymfollow", mountOptions{bind: true, clearRec: 0x20000f}},
		{"bind", "noatime,strictatime", mountOptions{bind: true, set: 0x20, clear: 0x70}},
		{"tmpfs", "relatime,defaults,sync,dirsync", mountOptions{clear: 0x70, superblock: []string{"sync", "dirsync"}}},
		{"tmpfs", "silent,loud,iversion,noiversion", mountOptions{}},
		{"bind", "rrelatime", mountOptions{bind: true, clearRec: 0x70}},
		{"tmpfs", "rro,rnoexec", mountOptions{set: 9}},
		{"tmpfs", "ro,rrw", mountOptions{clear: 1}},
		{"bind", "remount,ro", mountOptions{bind: true, remount: true, set: 1}},
		{"bind", "ridmap", mountOptions{bind: true, idmap: true, idmapRec: true}},
		{"tmpfs", "tmpcopyup", mountOptions{copyUp: true}},
	}
	for _, tt := range tests {
		if got := parseMountOptions(tt.typ, strings.Split(tt.options, ",")); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %s: %+v, want %+v", tt.typ, tt.options, got, tt.want)
		}
	}
}

func TestSuperblockFlags(t *testing.T) {
	for in, want := range map[string]string{"sync": "sync", "sync,async": "", "async,sync": "sync", "lazytime,mand,nomand,dirsync": "lazytime dirsync", "mand,mand": "mand", "nolazytime": ""} {
		o := parseMountOptions("tmpfs", strings.Split(in, ","))
		if got := strings.Join(o.superblockFlags(), " "); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestSplitLayers(t *testing.T) {
	for in, want := range map[string][]string{"a": {"a"}, "a:b": {"a", "b"}, `a\:b:c`: {"a:b", "c"}, `a\\:b`: {`a\`, "b"}, "": {""}, `a\`: {`a\`}} {
		if got := splitLayers(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLastWins(t *testing.T) {
	for _, tt := range [][2]string{{"A=1 B=2", "A=1 B=2"}, {"A=1 B=2 A=3", "B=2 A=3"}, {"A= A=", "A="}} {
		if got := strings.Join(lastWins(strings.Fields(tt[0])), " "); got != tt[1] {
			t.Errorf("%s: %s", tt[0], got)
		}
	}
}

func TestValidID(t *testing.T) {
	for _, good := range []string{"a", "A-b.c_9", "_x", strings.Repeat("x", 128)} {
		if !ValidID(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", ".", "..", ".x", "-x", "a/b", "a b", "a\x00", "ä", strings.Repeat("x", 129)} {
		if ValidID(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzConfig: whatever config.json says, it is refused or it compiles, the same each time, and the
// listing can be printed.
func FuzzConfig(f *testing.F) {
	for _, config := range goldens {
		s, _ := config()
		b, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := config.Decode(data)
		if err != nil || len(Validate(spec)) > 0 {
			return
		}
		for _, host := range []Host{rootHost(), userHost()} {
			p, err := Compile(spec, host)
			if err != nil {
				continue
			}
			again, _ := Compile(spec, host)
			if p.String() != again.String() {
				t.Error("compiled twice, it differs")
			}
			for i := range p.Ops {
				o := &p.Ops[i]
				if len(o.Args) > 6 {
					t.Errorf("op %d has %d arguments", i, len(o.Args))
				}
				for k, a := range o.Args {
					if a.kind == argSlot && (k > 3 || int(a.n) >= p.Slots) {
						t.Errorf("op %d uses slot %d as argument %d of %d slots", i, a.n, k, p.Slots)
					}
				}
			}
		}
	})
}
