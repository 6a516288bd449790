package libcontainer

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the golden listings")

// rootHost and userHost are the machines that the golden listings are compiled for: cgroup v2, a kernel
// with 41 capabilities, and a caller who is root or uid 1000.
func rootHost() Host {
	return Host{Arch: "amd64", Mknod: true, LastCap: 40, Nofile: [2]uint64{1024, 524288}, Bundle: "/bundle",
		Cgroups: cgroup.Layout{V2: "/sys/fs/cgroup", Unified: true, V2Controllers: []string{"cpu", "cpuset", "hugetlb", "io", "memory", "pids", "rdma"}},
		Masked:  []FileKind{FileDirectory, FileOther, FileOther}}
}

func userHost() Host {
	h := rootHost()
	h.UID, h.GID, h.Mknod = 1000, 1000, false
	return h
}

// baseSpec is what most containers have.
func baseSpec() *specs.Spec {
	return &specs.Spec{
		Version:  "1.3.0",
		Root:     &specs.Root{Path: "rootfs", Readonly: true},
		Hostname: "web",
		Process:  &specs.Process{Args: []string{"server", "-l", "8080"}, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/srv", NoNewPrivileges: true},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		},
		Linux: &specs.Linux{
			Namespaces:    []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.CgroupNamespace}},
			CgroupsPath:   "/locald/web",
			MaskedPaths:   []string{"/proc/acpi", "/proc/kcore", "/proc/nothing"},
			ReadonlyPaths: []string{"/proc/sys"},
		},
	}
}

func userSpec() *specs.Spec {
	s := baseSpec()
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
	return s
}

func mount(dest, typ, source string, options ...string) specs.Mount {
	return specs.Mount{Destination: dest, Type: typ, Source: source, Options: options}
}

func ptr[T any](v T) *T { return &v }

// minimal is a container with nothing but a root and a program, so that a listing shows one feature.
func minimal(change func(*specs.Spec)) func() (*specs.Spec, Host) {
	return func() (*specs.Spec, Host) {
		s := &specs.Spec{Version: "1.3.0", Root: &specs.Root{Path: "rootfs"}, Process: &specs.Process{Args: []string{"/init"}, Cwd: "/"},
			Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}}}}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: capabilityNames[:]} // no op for each dropped one
		s.Mounts = []specs.Mount{mount("/dev", "bind", "/dev", "rbind")}                // and none for devices
		change(s)
		h := rootHost()
		h.Sources = []FileKind{FileDirectory}
		h.Nofile = [2]uint64{}
		return s, h
	}
}

var goldens = map[string]func() (*specs.Spec, Host){
	"root":    func() (*specs.Spec, Host) { return baseSpec(), rootHost() },
	"user":    func() (*specs.Spec, Host) { return userSpec(), userHost() },
	"minimal": minimal(func(s *specs.Spec) {}),
	"create-root": func() (*specs.Spec, Host) {
		h := rootHost()
		h.Preserve, h.NoPivot, h.KeepKeyring = 1, true, true
		return baseSpec(), h
	},
	"create-counted": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) {
			s.Linux.CgroupsPath = "/locald/counted"
			s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(32))}}
		})()
		h.Cgroups = cgroup.Layout{V2: "/sys/fs/cgroup/unified", Account: true}
		for _, name := range []string{"blkio", "cpu", "cpuacct", "freezer", "memory", "pids"} {
			h.Cgroups.V1 = append(h.Cgroups.V1, cgroup.Controller{Name: name, Dir: "/sys/fs/cgroup/" + name})
		}
		return s, h
	},
	"create-user": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Process.Args = []string{"/bin/server"}
		return s, userHost()
	},
	"exec-root": func() (*specs.Spec, Host) {
		h := rootHost()
		h.Joins = sys.CLONE_NEWPID | sys.CLONE_NEWNS | sys.CLONE_NEWNET
		return baseSpec(), h
	},
	"exec-labels": func() (*specs.Spec, Host) { // before the container's /proc is there
		h := rootHost()
		h.Joins, h.AppArmor, h.SELinux = sys.CLONE_NEWPID|sys.CLONE_NEWNS, true, true
		s := baseSpec()
		s.Process.ApparmorProfile, s.Process.SelinuxLabel = "locald-web", "system_u:system_r:container_t:s0:c1,c2"
		return s, h
	},
	"exec-user": func() (*specs.Spec, Host) {
		h := userHost()
		h.Joins = sys.CLONE_NEWUSER | sys.CLONE_NEWPID | sys.CLONE_NEWNS
		return userSpec(), h
	},
	"exec-user-oom-score": func() (*specs.Spec, Host) {
		h := userHost()
		h.Joins = sys.CLONE_NEWUSER | sys.CLONE_NEWPID | sys.CLONE_NEWNS
		s := userSpec()
		s.Process.OOMScoreAdj = ptr(500)
		return s, h
	},
	"user-range": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 100000, Size: 65535})
		s.Linux.GIDMappings = append(s.Linux.GIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 100000, Size: 65535})
		s.Process.User = specs.User{UID: 33, GID: 33, AdditionalGids: []uint32{4, 24}}
		return s, userHost()
	},
	"user-shifted": func() (*specs.Spec, Host) { // container root is not the caller
		s := userSpec()
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		return s, userHost()
	},
	"user-without-zero": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 1000, HostID: 1000, Size: 1}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 1000, HostID: 1000, Size: 1}}
		s.Process.User = specs.User{UID: 1000, GID: 1000}
		return s, userHost()
	},
	"namespaces-joined": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/run/netns/web"}, {Type: specs.MountNamespace}, {Type: specs.PIDNamespace, Path: "/proc/7/ns/pid"},
			{Type: specs.UserNamespace, Path: "/proc/7/ns/user"}, {Type: specs.IPCNamespace, Path: "/proc/7/ns/ipc"}}
	}),
	"user-joined-new-pid": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/proc/7/ns/user"})
	}),
	"mount-namespace-joined": minimal(func(s *specs.Spec) {
		s.Root, s.Mounts = nil, nil
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace, Path: "/proc/7/ns/mnt"}}
	}),
	"seccomp": minimal(func(s *specs.Spec) { // without a hindrance to set-user-ID programs it takes CAP_SYS_ADMIN, also of another user
		s.Process.User = specs.User{UID: 1000, GID: 1000}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog},
			Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "write", "execve", "exit_group"}, Action: specs.ActAllow}}}
	}),
	"seccomp-no-new-privileges": minimal(func(s *specs.Spec) {
		s.Process.NoNewPrivileges = true
		s.Process.Args = []string{"init"}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86},
			Syscalls: []specs.LinuxSyscall{{Names: []string{"socket"}, Action: specs.ActKillProcess, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 40, Op: specs.OpEqualTo}}}}}
	}),
	"time-namespace": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 86400}, "boottime": {Secs: -60, Nanosecs: 5}}
	}),
	"bind-mounts": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, mount("/data", "bind", "/srv/data", "rbind", "ro", "rprivate"), mount("/etc/hosts", "bind", "hosts", "bind", "ro", "nosuid"),
				mount("/a/b/c", "none", "/x", "rbind", "rro", "rnosuid", "noatime", "rslave"))
		})()
		h.Sources = []FileKind{FileDirectory, FileDirectory, FileOther, FileDirectory}
		return s, h
	},
	"overlay": minimal(func(s *specs.Spec) {
		s.Mounts = []specs.Mount{mount("/", "overlay", "overlay", "lowerdir=/l/one:/l/two\\:three", "upperdir=upper", "workdir=work", "userxattr"), mount("/dev", "bind", "/dev", "rbind")}
	}),
	"overlay-many": minimal(func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, mount("/m", "overlay", "", "lowerdir=a:b:c:d:e:f:g:h:i:j:k:l:m:n", "ro"))
	}),
	"filesystems": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.IPCNamespace}, specs.LinuxNamespace{Type: specs.NetworkNamespace}, specs.LinuxNamespace{Type: specs.CgroupNamespace})
		s.Mounts = append(s.Mounts, mount("/sys", "sysfs", "sysfs", "ro", "nosuid"), mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro"), mount("/dev/mqueue", "mqueue", "mqueue"),
			mount("/tmp", "tmpfs", "tmpfs", "size=1m", "mode=1777", "sync", "shared"), mount("/ro", "tmpfs", "", "ro"))
	}),
	"mount-options": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, mount("flags", "tmpfs", "tmpfs", "sync", "lazytime", "nolazytime", "dirsync", "mand", "silent", "iversion", "rro", "size=1m,mode=700", "mpol=bind:0,1", "slave", "shared"),
				mount("/cleared", "tmpfs", "/x", "bind", "rw", "suid", "dev", "exec", "rrw", "rsuid", "rnosymfollow"))
		})()
		h.Sources = []FileKind{FileDirectory, FileUnknown, FileDirectory}
		return s, h
	},
	"remount": minimal(func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, mount("/t", "tmpfs", "", "ro"), mount("/t", "", "", "remount", "rw", "size=2m", "async"), mount("/t/deep", "tmpfs", ""),
			mount("/t", "", "", "remount", "bind", "ro", "noexec"), mount("/dev", "", "", "bind", "remount", "rnosuid", "rslave"), mount("/", "", "", "remount", "ro"))
	}),
	"filesystems-shown": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.UserNamespace}, {Type: specs.UTSNamespace}}
		s.Linux.MountLabel = "system_u:object_r:container_file_t:s0:c1,c2"
		s.Mounts = append(s.Mounts, mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"), mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nsdelegate"))
		h := userHost()
		h.SELinux = true
		return s, h
	},
	"targets": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Mounts = append(s.Mounts, mount("/etc/resolv.conf", "bind", "resolv.conf", "bind", "ro"), mount("/var/lib", "tmpfs", "", "tmpcopyup", "size=1m"), mount("/run", "tmpfs", "", "mode=700"))
		h := userHost()
		h.Targets = []Target{{}, {}, {}, {Path: "/run/systemd/resolv.conf"}, {Found: true, Mode: 0o42775, UID: 1000, GID: 7, Copies: []CopiedFile{
			{Path: "dir", Mode: 0o42755, UID: 1000, GID: 1000}, {Path: "dir/file", Mode: 0o100640, UID: 1000, GID: 1000, Size: 10}, {Path: "empty", Mode: 0o100644, UID: 0, GID: 0},
			{Path: "link", Link: "/etc/passwd", Mode: 0o120777, UID: 1000, GID: 1000}, {Path: "fifo", Mode: 0o10600, UID: 1000, GID: 1000}}}, {Found: true, Mode: 0o40755, UID: 1000, GID: 1000}}
		return s, h
	},
	"idmap": minimal(func(s *specs.Spec) {
		maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		m := specs.Mount{Destination: "/x", Type: "bind", Source: "/srv", Options: []string{"rbind", "ro", "ridmap"}, UIDMappings: maps, GIDMappings: maps}
		s.Mounts = append(s.Mounts, m, specs.Mount{Destination: "/t", Type: "tmpfs", Options: []string{"idmap"}, UIDMappings: maps, GIDMappings: maps})
	}),
	"idmap-user": minimal(func(s *specs.Spec) {
		maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
		s.Mounts = append(s.Mounts, mount("/x", "bind", "data", "ro", "idmap"))
	}),
	"opened-outside": func() (*specs.Spec, Host) {
		s := baseSpec()
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
		s.Mounts = append(s.Mounts, mount("/x", "bind", "data", "rbind", "ro"))
		h := rootHost()
		h.Closed, h.Sources = Closed{true, true, []bool{3: true}}, []FileKind{3: FileDirectory}
		return s, h
	},
	"idmap-handed-over": func() (*specs.Spec, Host) {
		s := userSpec()
		m := mount("/x", "bind", "data", "rbind", "ro")
		m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 1000, HostID: 100998, Size: 1}, {ContainerID: 100998, HostID: 1000, Size: 1}}
		m.GIDMappings = m.UIDMappings
		s.Mounts = append(s.Mounts, m)
		return s, userHost()
	},
	"devices": minimal(func(s *specs.Spec) {
		s.Mounts = []specs.Mount{mount("/dev", "tmpfs", "tmpfs")}
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: ptr(os.FileMode(0o660)), UID: ptr(uint32(0)), GID: ptr(uint32(44))},
			{Path: "/dev/pipe", Type: "p"}, {Path: "/dev/null", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/big", Type: "b", Major: 259, Minor: 70000}}
	}),
	"devices-staged": minimal(func(s *specs.Spec) {
		s.Mounts = nil
		s.Linux.MaskedPaths = []string{"/proc/acpi"}
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: ptr(os.FileMode(0o660)), GID: ptr(uint32(44))}, {Path: "/srv/pipe", Type: "p"}}
	}),
	"devices-in-image": minimal(func(s *specs.Spec) { s.Mounts = nil }),
	"credentials": minimal(func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 100, AdditionalGids: []uint32{10, 20}, Umask: ptr(uint32(0o77))}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: capabilityNames[:], Permitted: []string{"CAP_KILL", "CAP_CHECKPOINT_RESTORE"}, Effective: []string{"CAP_KILL"},
			Inheritable: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL"}}
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 1<<64 - 1}}
	}),
	"path-lookup": minimal(func(s *specs.Spec) {
		s.Process.Args = []string{"env"}
		s.Process.Env = []string{"PATH=/old", "A=1", "PATH=/usr/bin:relative::/bin/", "A=2"}
	}),
	"home": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) { s.Process.Env = []string{"HOME=/old", "A=1", "HOME="} })()
		h.Home = "/srv/web"
		return s, h
	},
	"capabilities-left-out": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) {
			few := []string{"CAP_KILL", "CAP_TIME_TRAVEL", "CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}
			s.Process.Capabilities.Permitted, s.Process.Capabilities.Inheritable = few, few[:3]
			s.Process.Capabilities.Ambient = []string{"CAP_KILL", "CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "CAP_BPF"}
		})()
		h.LastCap, h.Lacks = 39, 1<<0
		return s, h
	},
	"sysctl-joined": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/run/netns/web"}, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "user.max_user_namespaces": "0"}
	}),
	"network-devices": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth1": {}, "eth0": {Name: "wan%d"}}
	}),
	"no-linux": minimal(func(s *specs.Spec) { s.Linux, s.Mounts = nil, nil }),
	"mount-namespace-shared": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces, s.Mounts = []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.UserNamespace}}, nil
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}),
	"path-default": minimal(func(s *specs.Spec) { s.Process.Args = []string{"true"} }),
	"kernel": minimal(func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace}, specs.LinuxNamespace{Type: specs.UTSNamespace}, specs.LinuxNamespace{Type: specs.IPCNamespace})
		s.Hostname, s.Domainname = "a", "b"
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shmmax": "65536"}
		s.Process.OOMScoreAdj = ptr(100)
	}),
	"scheduling": minimal(func(s *specs.Spec) {
		s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedDeadline, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork, specs.SchedFlagReclaim}, Runtime: 1000000, Deadline: 2000000, Period: 3000000}
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
		s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0", Final: "1"} // not for the first process
		s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
		s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-2,5,64-65", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}
	}),
	"labels": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) {
			s.Process.ApparmorProfile, s.Process.SelinuxLabel = "locald-web", "system_u:system_r:container_t:s0:c1,c2"
		})()
		h.AppArmor, h.SELinux = true, true
		return s, h
	},
	"labels-joined": func() (*specs.Spec, Host) { // the /proc of the namespaces that are joined may be anything
		s, h := minimal(func(s *specs.Spec) {
			s.Root, s.Mounts = nil, nil
			s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace, Path: "/proc/7/ns/mnt"}, {Type: specs.PIDNamespace, Path: "/proc/7/ns/pid"}}
			s.Process.ApparmorProfile, s.Process.OOMScoreAdj = "locald-web", ptr(5)
		})()
		h.AppArmor = true
		return s, h
	},
	"user-oom-score": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Process.OOMScoreAdj = ptr(500)
		return s, userHost()
	},
	"propagation-shared":     minimal(func(s *specs.Spec) { s.Linux.RootfsPropagation = "rshared" }),
	"propagation-private":    minimal(func(s *specs.Spec) { s.Linux.RootfsPropagation = "private" }),
	"propagation-unbindable": minimal(func(s *specs.Spec) { s.Linux.RootfsPropagation = "runbindable" }),
	"terminal": minimal(func(s *specs.Spec) {
		s.Process.Terminal, s.Process.ConsoleSize = true, &specs.Box{Height: 24, Width: 300}
		s.Process.User = specs.User{UID: 1000, GID: 100}
		s.Mounts = []specs.Mount{mount("/dev", "tmpfs", "tmpfs"), mount("/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")}
	}),
	"terminal-size-of-caller": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Process.Terminal = true
		h := userHost()
		h.Window = [2]uint16{50, 132}
		return s, h
	},
	"terminal-dev-bound": minimal(func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Mounts = append(s.Mounts, mount("/dev/pts", "devpts", "devpts"))
	}),
	"terminal-dev-bound-shared": minimal(func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Mounts = append(s.Mounts, mount("/dev/pts", "devpts", "devpts"))
		s.Linux.RootfsPropagation = "rshared"
	}),
	"terminal-mount-namespace-joined": minimal(func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Root, s.Mounts = nil, nil
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace, Path: "/proc/7/ns/mnt"}}
	}),
	"terminal-mount-namespace-shared": minimal(func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Mounts, s.Linux.Namespaces = nil, []specs.LinuxNamespace{{Type: specs.PIDNamespace}}
	}),
	"hooks": minimal(func(s *specs.Spec) {
		s.Annotations = map[string]string{"run.oci.hooks.stderr": "/var/log/hooks"}
		s.Hooks = &specs.Hooks{
			//lint:ignore SA1019 deprecated, but still part of the specification
			Prestart:        []specs.Hook{{Path: "/hooks/one", Args: []string{"one", "-v"}, Env: []string{"A=1", "B="}, Timeout: ptr(5)}},
			CreateRuntime:   []specs.Hook{{Path: "/hooks/two"}},
			CreateContainer: []specs.Hook{{Path: "/hooks/three"}, {Path: "/hooks/four", Timeout: ptr(1)}},
			StartContainer:  []specs.Hook{{Path: "/sbin/ldconfig", Args: []string{"ldconfig", "-X"}}},
			Poststart:       []specs.Hook{{Path: "/hooks/five"}},
			Poststop:        []specs.Hook{{Path: "/hooks/six"}},
		}
	}),
	"hooks-poststop": minimal(func(s *specs.Spec) { // nothing waits for them
		s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/hooks/six"}}}
	}),
	"user-hooks": func() (*specs.Spec, Host) {
		s := userSpec()
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/hooks/two"}}, CreateContainer: []specs.Hook{{Path: "/hooks/three"}}, StartContainer: []specs.Hook{{Path: "/sbin/ldconfig"}}}
		return s, userHost()
	},
	"limits": minimal(func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/locald/limits"
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(128 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(32))},
			CPU: &specs.LinuxCPU{Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Cpus: "0-1"}, Unified: map[string]string{"memory.high": "60000000"},
			Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	}),
	"cgroup-delegated": func() (*specs.Spec, Host) {
		s := baseSpec()
		s.Linux.CgroupsPath = "pod/web"
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Mounts = append(s.Mounts, mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev"))
		return s, rootHost()
	},
	"limits-hybrid": func() (*specs.Spec, Host) {
		s, h := minimal(func(s *specs.Spec) {
			s.Linux.CgroupsPath = "/locald/limits"
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(32))}}
		})()
		h.Cgroups = cgroup.Layout{V2: "/sys/fs/cgroup/unified", Account: true, V1: []cgroup.Controller{{Name: "cpu", Dir: "/sys/fs/cgroup/cpu"}, {Name: "memory", Dir: "/sys/fs/cgroup/memory"}, {Name: "pids", Dir: "/sys/fs/cgroup/pids"}}}
		return s, h
	},
	"notify": minimal(func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/agent", Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdirat"}, Action: specs.ActNotify}}}
	}),
	"create-notify": minimal(func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/agent", Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdirat"}, Action: specs.ActNotify}}}
	}),
}

// TestGoldenListings compares the Program of each config with its listing in testdata/programs. Run with
// -update after a change that is meant, and read the diff: it is what the change does.
func TestGoldenListings(t *testing.T) {
	for name, config := range goldens {
		compile := Compile
		switch {
		case strings.HasPrefix(name, "create-"):
			compile = CompileCreate
		case strings.HasPrefix(name, "exec-"):
			compile = func(s *specs.Spec, h Host) (*Program, error) {
				h.DefaultCgroup = s.Linux.CgroupsPath
				return CompileExec(s, s.Process, h)
			}
		}
		t.Run(name, func(t *testing.T) {
			spec, host := config()
			if problems := Validate(spec); len(problems) > 0 {
				t.Fatalf("the config is refused: %v", problems)
			}
			p, err := compile(spec, host)
			if err != nil {
				t.Fatal(err)
			}
			got := p.String()
			file := filepath.Join("testdata", "programs", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the listing differs from %s; run go test -update and read the diff\n%s", file, got)
			}
			spec, host = config()
			if again, err := compile(spec, host); err != nil || again.String() != got {
				t.Errorf("compiled a second time, the Program is another one (%v)", err)
			}
		})
	}
	files, _ := filepath.Glob("testdata/programs/*.txt")
	if len(files) != len(goldens) {
		t.Errorf("%d listings for %d configs", len(files), len(goldens))
	}
}
