package e2e

import (
	"path/filepath"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ordinary is what people write, and what is taken: each with the largest config.json's powers to try.
func ordinary() (all []change) {
	add := func(name string, do func(s *site, spec *specs.Spec)) { all = append(all, change{name, do}) }
	for _, name := range append([]string{""}, allCapabilities...) { // with one capability alone, and with none
		add("only "+name, func(_ *site, spec *specs.Spec) {
			withCaps(spec, []string{name}...)
			if name == "" {
				withCaps(spec)
			}
		})
	}
	add("no_new_privs", func(_ *site, spec *specs.Spec) { spec.Process.NoNewPrivileges = true })
	add("read-only root", func(_ *site, spec *specs.Spec) { spec.Root.Readonly = true })
	add("umask", func(_ *site, spec *specs.Spec) { spec.Process.User.Umask = ptr(uint32(0)) })
	add("host name", func(_ *site, spec *specs.Spec) { spec.Hostname, spec.Domainname = "web", "home" })
	add("working directory", func(_ *site, spec *specs.Spec) { spec.Process.Cwd = "/host/tmp" })
	add("environment", func(_ *site, spec *specs.Spec) {
		spec.Process.Env = []string{"LD_PRELOAD=/x.so", "GODEBUG=x=1", "PATH="}
	})
	add("lower limits", func(_ *site, spec *specs.Spec) {
		spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 0, Hard: 0}, {Type: "RLIMIT_MEMLOCK", Soft: 4096, Hard: 4096}}
	})
	add("oom_score_adj above", func(_ *site, spec *specs.Spec) { spec.Process.OOMScoreAdj = ptr(500) })
	add("nicer", func(_ *site, spec *specs.Spec) {
		spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
	})
	add("idle", func(_ *site, spec *specs.Spec) {
		spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedIdle, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
		spec.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE}
	})
	add("best effort", func(_ *site, spec *specs.Spec) {
		spec.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 0}
	})
	add("personality", func(_ *site, spec *specs.Spec) {
		spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux}
	})
	add("a time namespace", func(_ *site, spec *specs.Spec) {
		addNamespace(spec, specs.TimeNamespace, "")
		spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 100}, "boottime": {Secs: 7, Nanosecs: 5}}
	})
	for _, key := range []string{"net.ipv4.ip_forward", "net.ipv4.ip_unprivileged_port_start", "kernel.shmmax", "kernel.msgmax", "fs.mqueue.msg_max"} {
		add("its own sysctl "+key, func(_ *site, spec *specs.Spec) { spec.Linux.Sysctl = map[string]string{key: "1"} })
	}
	for _, word := range []string{"private", "rprivate", "slave", "rslave", "rshared", "unbindable", "runbindable"} {
		add("root propagation "+word, func(_ *site, spec *specs.Spec) { spec.Linux.RootfsPropagation = word })
	}
	for _, options := range [][]string{{"rbind", "ro"}, {"rbind", "rro"}, {"rbind", "nosuid", "nodev"}, {"rbind", "noexec"}, {"rbind", "rslave"}, {"rbind", "runbindable"}, {"rbind", "noatime"}, {"rbind", "nosymfollow"}} {
		add("the machine "+options[len(options)-1], func(_ *site, spec *specs.Spec) {
			dropMount(spec, "/host")
			addMount(spec, "/host", "bind", "/", options...)
		})
	}
	for _, typ := range []string{"sysfs", "mqueue", "cgroup2", "devpts", "tmpfs"} {
		add("a "+typ, func(_ *site, spec *specs.Spec) { addMount(spec, "/y/"+typ, typ, typ) })
	}
	for _, file := range []string{"own", "own-dir", "root", "sticky", "readonly", "nodev", "node-any"} {
		add("a bind of "+file, func(s *site, spec *specs.Spec) {
			addMount(spec, "/y/"+filepath.Base(file), "bind", filepath.Join(s.bait, file), "rbind")
		})
	}
	for _, file := range []string{"null", "zero", "full", "random"} {
		add("the device "+file, func(_ *site, spec *specs.Spec) {
			spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/" + file, Type: "c", Major: 1, Minor: 3}}
		})
	}
	add("an overlay", func(s *site, spec *specs.Spec) {
		for _, dir := range []string{"lower", "upper", "work"} {
			addMount(spec, "/y/"+dir, "tmpfs", "tmpfs")
		}
		addMount(spec, "/y/o", "overlay", "overlay", "lowerdir="+filepath.Join(s.bait, "root")+":"+filepath.Join(s.bait, "sticky"))
	})
	add("masked and read-only paths", func(_ *site, spec *specs.Spec) {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = []string{"/proc/kcore", "/proc/keys", "/proc/acpi"}, []string{"/proc/sys", "/proc/bus"}
	})
	for action, names := range map[specs.LinuxSeccompAction][]string{specs.ActErrno: {"mount", "bpf"}, specs.ActLog: {"mkdirat"}, specs.ActAllow: {"mkdirat"}} {
		add("a filter: "+string(action), func(_ *site, spec *specs.Spec) {
			spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: names, Action: action}}}
			if action == specs.ActAllow {
				spec.Linux.Seccomp.DefaultAction = specs.ActLog
			}
		})
	}
	add("the fewest mounts", func(_ *site, spec *specs.Spec) {
		for _, dest := range []string{"/x", "/dev", "/tmp"} {
			dropMount(spec, dest)
		}
	})
	add("as started by locald", func(s *site, spec *specs.Spec) {
		withCaps(spec, "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
		spec.Process.NoNewPrivileges, spec.Linux.Resources = true, &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
		spec.Annotations = map[string]string{"org.locald.x": "1"}
		spec.Process.Args = []string{"/" + probe.Name, s.trial("/host")}
	})
	return all
}
