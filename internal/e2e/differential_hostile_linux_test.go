package e2e

import (
	"path/filepath"
	"strings"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// change is something that an attacker does to a config.json.
type change struct {
	name string
	do   func(s *site, spec *specs.Spec)
}

func hostileIDs() (all []change) {
	add := func(name string, do func(s *site, spec *specs.Spec)) { all = append(all, change{name, do}) }
	for name, of := range map[string]func(s *site) (host, size int){
		"root": func(*site) (int, int) { return 0, 1 }, "everybody": func(*site) (int, int) { return 0, 1<<32 - 1 }, "another user": func(s *site) (int, int) { return s.v.uid, 1 },
		"another user's subordinates": func(s *site) (int, int) { return s.v.sub, 100 }, "one before the range": func(s *site) (int, int) { return s.u.sub - 1, 10 },
		"one after the range": func(s *site) (int, int) { return s.u.sub + subordinates, 1 }, "a group of the caller's": func(s *site) (int, int) { return s.group, 1 },
		"an id that wraps": func(*site) (int, int) { return 1<<32 - 1, 2 }, "the caller and the next": func(s *site) (int, int) { return s.u.uid, 2 },
	} {
		add("uid map of "+name, func(s *site, spec *specs.Spec) {
			host, size := of(s)
			spec.Linux.UIDMappings = append(spec.Linux.UIDMappings[:1:1], specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(host), Size: uint32(size)})
		})
		add("gid map of "+name, func(s *site, spec *specs.Spec) {
			host, size := of(s)
			spec.Linux.GIDMappings = append(spec.Linux.GIDMappings[:1:1], specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(host), Size: uint32(size)})
		})
		add("map of "+name+" alone", func(s *site, spec *specs.Spec) {
			host, size := of(s)
			spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: uint32(host), Size: uint32(size)}}
		})
	}
	add("no maps", func(_ *site, spec *specs.Spec) { spec.Linux.UIDMappings, spec.Linux.GIDMappings = nil, nil })
	add("another uid inside", func(_ *site, spec *specs.Spec) { spec.Process.User.UID = 5 })
	add("another gid inside", func(_ *site, spec *specs.Spec) { spec.Process.User.GID = 5 })
	add("groups", func(_ *site, spec *specs.Spec) { spec.Process.User.AdditionalGids = []uint32{0, 5, 7} })
	add("the caller's own group, by its number", func(s *site, spec *specs.Spec) { spec.Process.User.AdditionalGids = []uint32{uint32(s.group)} })
	add("no groups", func(_ *site, spec *specs.Spec) { spec.Process.User.AdditionalGids = []uint32{} })
	add("the caller as another than root", func(s *site, spec *specs.Spec) {
		spec.Linux.UIDMappings[0].ContainerID, spec.Process.User.UID = 70000, 70000
		spec.Linux.GIDMappings[0].ContainerID, spec.Process.User.GID = 70000, 70000
	})
	return all
}

func hostileNamespaces() (all []change) {
	kinds := map[specs.LinuxNamespaceType]string{specs.PIDNamespace: "pid", specs.MountNamespace: "mnt", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts", specs.NetworkNamespace: "net", specs.CgroupNamespace: "cgroup", specs.UserNamespace: "user", specs.TimeNamespace: "time"}
	for kind, file := range kinds {
		without := func(spec *specs.Spec) {
			dropNamespace(spec, kind)
			if kind == specs.PIDNamespace { // no proc of its own then: the machine's shows the same
				dropMount(spec, "/proc")
				addMount(spec, "/proc", "bind", "/proc", "rbind")
			}
		}
		all = append(all, change{"without a " + file + " namespace", func(_ *site, spec *specs.Spec) { without(spec) }})
		for who := range map[string]bool{"root's": true, "the caller's": true, "another's": true} {
			all = append(all, change{who + " " + file + " namespace", func(s *site, spec *specs.Spec) {
				without(spec)
				addNamespace(spec, kind, "/proc/"+itoa(s.pids[who])+"/ns/"+file)
			}})
		}
	}
	return append(all,
		change{"the machine's pid, ipc, uts, network and cgroup namespaces", func(_ *site, spec *specs.Spec) {
			for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.CgroupNamespace} {
				dropNamespace(spec, kind)
			}
			dropMount(spec, "/proc")
			addMount(spec, "/proc", "bind", "/proc", "rbind")
		}},
		change{"the same namespace twice", func(_ *site, spec *specs.Spec) { addNamespace(spec, specs.UserNamespace, "") }},
		change{"no namespaces", func(_ *site, spec *specs.Spec) { spec.Linux.Namespaces = nil }},
		change{"no linux section", func(_ *site, spec *specs.Spec) { spec.Linux = nil }},
		change{"a host name of the machine's", func(_ *site, spec *specs.Spec) {
			dropNamespace(spec, specs.UTSNamespace)
			spec.Hostname = "locald"
		}})
}

func hostileMounts() (all []change) {
	for name, m := range map[string]specs.Mount{
		"proc over proc": {Destination: "/proc", Type: "proc"}, "sysfs": {Destination: "/x/sys", Type: "sysfs"}, "cgroup": {Destination: "/x/cgroup", Type: "cgroup"},
		"cgroup2": {Destination: "/x/cgroup", Type: "cgroup2"}, "devpts": {Destination: "/x/pts", Type: "devpts", Options: []string{"newinstance", "ptmxmode=0666"}},
		"mqueue": {Destination: "/x/mq", Type: "mqueue"}, "ext4": {Destination: "/x/e", Type: "ext4", Source: "/dev/loop0"}, "debugfs": {Destination: "/x/d", Type: "debugfs"},
		"bpf": {Destination: "/x/b", Type: "bpf"}, "devtmpfs": {Destination: "/x/d", Type: "devtmpfs"}, "securityfs": {Destination: "/x/s", Type: "securityfs"},
		"tmpfs with devices": {Destination: "/x/t", Type: "tmpfs", Options: []string{"dev", "suid", "exec", "mode=777"}}, "tmpfs of another": {Destination: "/x/t", Type: "tmpfs", Options: []string{"uid=5", "gid=5"}},
		"the machine's /dev": {Destination: "/x/dev", Type: "bind", Source: "/dev", Options: []string{"rbind", "dev", "rw"}}, "the machine's /proc": {Destination: "/x/p", Type: "bind", Source: "/proc", Options: []string{"rbind"}},
		"the machine's /sys": {Destination: "/x/s", Type: "bind", Source: "/sys", Options: []string{"rbind", "rw"}}, "root over the rootfs": {Destination: "/", Type: "bind", Source: "/", Options: []string{"rbind"}},
		"shared propagation": {Destination: "/x/h", Type: "bind", Source: "/", Options: []string{"rbind", "rshared"}}, "the shim's own state": {Destination: "/x/r", Type: "bind", Source: "/run/locald", Options: []string{"rbind"}},
		"an id map": {Destination: "/x/i", Type: "bind", Source: "/tmp", Options: []string{"rbind", "idmap"}}, "a link of proc": {Destination: "/x/l", Type: "bind", Source: "/proc/1/root", Options: []string{"rbind"}},
		"a descriptor of the shim's": {Destination: "/x/l", Type: "bind", Source: "/proc/self/fd/3", Options: []string{"bind"}}, "the shim's root": {Destination: "/x/l", Type: "bind", Source: "/proc/self/root", Options: []string{"rbind"}},
		"out of the rootfs": {Destination: "/../../../x/out", Type: "tmpfs"},
	} {
		all = append(all, change{"mount: " + name, func(_ *site, spec *specs.Spec) { spec.Mounts = append(spec.Mounts, m) }})
	}
	bait := func(name, bait string, options ...string) {
		all = append(all, change{"bind: " + name, func(s *site, spec *specs.Spec) {
			addMount(spec, "/x/bait", "bind", filepath.Join(s.bait, bait), options...)
		}})
	}
	all = append(all, change{"mount: on a directory of the machine's", func(s *site, spec *specs.Spec) {
		addMount(spec, "/host"+filepath.Join(s.bait, "own-dir/out"), "tmpfs", "tmpfs")
		addMount(spec, "/host"+filepath.Join(s.bait, "root/out"), "tmpfs", "tmpfs")
	}})
	bait("a directory that is closed", "closed", "rbind")
	bait("a file of root's", "secret", "bind", "rw")
	bait("a read-only mount, to write", "readonly", "bind", "rw", "dev", "suid", "exec")
	bait("a locked mount, to write", "closed-readonly", "bind", "rw", "dev", "suid", "exec")
	bait("a locked mount, to write, remounted", "closed-readonly", "bind", "remount", "rw")
	bait("a device", "node-any", "bind", "dev")
	bait("a device on a nodev mount", "nodev", "bind", "dev")
	bait("below what hides it", "covered", "bind")
	bait("an id map of the caller's files", "own-dir", "bind", "idmap")
	return append(all, change{"overlay of closed layers", func(s *site, spec *specs.Spec) {
		addMount(spec, "/x/o", "overlay", "overlay", "lowerdir="+filepath.Join(s.bait, "closed")+":"+filepath.Join(s.bait, "root"))
	}}, change{"overlay that copies up for another", func(s *site, spec *specs.Spec) {
		addMount(spec, "/x/o", "overlay", "overlay", "lowerdir="+filepath.Join(s.bait, "root")+",upperdir="+filepath.Join(s.bait, "other-dir")+",workdir="+filepath.Join(s.bait, "sticky"))
	}}, change{"id maps of a mount", func(s *site, spec *specs.Spec) {
		addMount(spec, "/x/i", "bind", filepath.Join(s.bait, "own-dir"), "bind")
		m := &spec.Mounts[len(spec.Mounts)-1]
		m.UIDMappings, m.GIDMappings = oneID(0), oneID(0)
	}})
}

func hostileCgroups() (all []change) {
	for name, path := range map[string]func(s *site) string{
		"root": func(*site) string { return "/" }, "of another": func(s *site) string { return s.v.base() + "/x" }, "the base itself": func(s *site) string { return s.u.base() },
		"by dots": func(s *site) string { return s.u.base() + "/../u0/x" }, "root's": func(s *site) string { return "/locald/" + s.bundle.id }, "with a longer name": func(s *site) string { return s.u.base() + "0/x" },
		"none": func(*site) string { return "" }, "a file": func(s *site) string { return s.u.base() + "/cgroup.procs" }, "relative": func(s *site) string { return "x" }, "systemd's": func(s *site) string { return "user.slice:locald:x" },
	} {
		all = append(all, change{"cgroupsPath: " + name, func(s *site, spec *specs.Spec) { spec.Linux.CgroupsPath = path(s) }})
	}
	for name, r := range map[string]specs.LinuxResources{
		"devices for all": {Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}}, "no devices": {Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}},
		"unified": {Unified: map[string]string{"cgroup.procs": "1"}}, "unified, by dots": {Unified: map[string]string{"memory.max/../../cgroup.procs": "1"}}, "more memory": {Memory: &specs.LinuxMemory{Limit: ptr(int64(-1))}},
	} {
		all = append(all, change{"resources: " + name, func(_ *site, spec *specs.Spec) { spec.Linux.Resources = &r }})
	}
	return all
}

func hostileRest() (all []change) {
	add := func(name string, do func(s *site, spec *specs.Spec)) { all = append(all, change{name, do}) }
	for _, rootfs := range []string{"/", "//", "/proc/self/root", "/proc/1/root", "/run", "..", "rootfs/../..", "/dev/null"} {
		add("rootfs "+rootfs, func(_ *site, spec *specs.Spec) { spec.Root.Path = rootfs })
	}
	for _, key := range []string{"kernel.core_pattern", "kernel.hostname", "kernel.shmmax", "net.ipv4.ip_forward", "net/../kernel/core_pattern", "fs.mqueue.msg_max", "user.max_user_namespaces", "vm.overcommit_memory"} {
		add("sysctl "+key, func(_ *site, spec *specs.Spec) { spec.Linux.Sysctl = map[string]string{key: "1"} })
		add("sysctl of the machine "+key, func(_ *site, spec *specs.Spec) {
			spec.Linux.Sysctl = map[string]string{key: "1"}
			for _, kind := range []specs.LinuxNamespaceType{specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace} {
				dropNamespace(spec, kind)
			}
		})
	}
	for path, d := range map[string]specs.LinuxDevice{"mem": {Type: "c", Major: 1, Minor: 1}, "null": {Type: "c", Major: 1, Minor: 3}, "loop0": {Type: "b", Major: 7}, "../x/made": {Type: "c", Major: 1, Minor: 3}, "fifo": {Type: "p"}} {
		d.Path = "/dev/" + path
		add("device "+path, func(_ *site, spec *specs.Spec) { spec.Linux.Devices = []specs.LinuxDevice{d} })
	}
	for i, name := range probe.Rlimits {
		if i != 7 { // the program of the tests raises its own
			add("more of "+name, func(_ *site, spec *specs.Spec) {
				spec.Process.Rlimits = []specs.POSIXRlimit{{Type: name, Soft: 1, Hard: 1<<64 - 1}}
			})
		}
	}
	add("oom_score_adj", func(_ *site, spec *specs.Spec) { spec.Process.OOMScoreAdj = ptr(-1000) })
	add("oom_score_adj one less", func(_ *site, spec *specs.Spec) { spec.Process.OOMScoreAdj = ptr(-1) })
	add("nice", func(_ *site, spec *specs.Spec) {
		spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Nice: -5}
	})
	add("real time", func(_ *site, spec *specs.Spec) {
		spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO, Priority: 1}
	})
	add("real time of disks", func(_ *site, spec *specs.Spec) {
		spec.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_RT}
	})
	add("shared root", func(_ *site, spec *specs.Spec) { spec.Linux.RootfsPropagation = "shared" })
	add("time offsets of the machine", func(_ *site, spec *specs.Spec) {
		spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 5}}
	})
	add("resctrl", func(_ *site, spec *specs.Spec) { spec.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x"} })
	add("a device of the network", func(_ *site, spec *specs.Spec) { spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{"lo": {}} })
	add("annotations of other runtimes", func(s *site, spec *specs.Spec) {
		spec.Annotations = map[string]string{"run.oci.hooks.stderr": filepath.Join(s.bait, "root/stderr")}
	})
	add("keep groups", func(_ *site, spec *specs.Spec) {
		spec.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
	})
	add("a filter that allows all", func(_ *site, spec *specs.Spec) {
		spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	})
	add("a listener that root has", func(_ *site, spec *specs.Spec) {
		spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/dbus/system_bus_socket", Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActNotify}}}
	})
	add("nothing masked", func(_ *site, spec *specs.Spec) {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = []string{}, []string{}
	})
	add("masked files of the machine", func(s *site, spec *specs.Spec) {
		spec.Linux.MaskedPaths = []string{"/host" + filepath.Join(s.bait, "covered")}
	})
	add("a label", func(_ *site, spec *specs.Spec) {
		spec.Process.ApparmorProfile, spec.Process.SelinuxLabel = "unconfined", "system_u:system_r:init_t:s0"
	})
	add("hooks", func(s *site, spec *specs.Spec) {
		hook := func(kind, prefix string) []specs.Hook {
			return []specs.Hook{{Path: probeExe, Args: []string{probe.Name, strings.Join([]string{"save", s.hookFile(kind), s.trial(prefix)}, " ")}}}
		}
		spec.Hooks = &specs.Hooks{CreateRuntime: hook("createRuntime", ""), CreateContainer: hook("createContainer", ""), Poststart: hook("poststart", ""), Poststop: hook("poststop", "")}
		inside := hook("startContainer", "/host")
		inside[0].Path, inside[0].Args[1] = "/"+probe.Name, "save /host"+strings.TrimPrefix(inside[0].Args[1], "save ")
		spec.Hooks.StartContainer = inside
	})
	return all
}
