package seccomp

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestCheck(t *testing.T) {
	rules := func(s ...specs.LinuxSyscall) func(*specs.LinuxSeccomp) {
		return func(p *specs.LinuxSeccomp) { p.Syscalls = s }
	}
	chmod := func(action specs.LinuxSeccompAction, errno *uint, args ...specs.LinuxSeccompArg) func(*specs.LinuxSeccomp) {
		return rules(entry(action, errno, args, "chmod"))
	}
	for _, c := range []struct {
		what   string
		change func(*specs.LinuxSeccomp)
		want   string // pointer below /linux/seccomp; "" for nothing wrong
	}{
		{"nothing", func(p *specs.LinuxSeccomp) {}, ""},
		{"no default", func(p *specs.LinuxSeccomp) { p.DefaultAction = "" }, "/defaultAction"},
		{"unknown default", func(p *specs.LinuxSeccomp) { p.DefaultAction = "ALLOW" }, "/defaultAction"},
		{"errno of the default", func(p *specs.LinuxSeccomp) { p.DefaultAction, p.DefaultErrnoRet = specs.ActErrno, ptr(uint(38)) }, ""},
		{"errno of a default that has none", func(p *specs.LinuxSeccomp) { p.DefaultErrnoRet = ptr(uint(38)) }, "/defaultErrnoRet"},
		{"errno of the default too large", func(p *specs.LinuxSeccomp) { p.DefaultAction, p.DefaultErrnoRet = specs.ActErrno, ptr(uint(4096)) }, "/defaultErrnoRet"},
		{"architectures", func(p *specs.LinuxSeccomp) {
			p.Architectures = []specs.Arch{specs.ArchX86, specs.ArchSHEB, specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchX86}
		}, ""},
		{"unknown architecture", func(p *specs.LinuxSeccomp) { p.Architectures = []specs.Arch{specs.ArchX86, "x86_64"} }, "/architectures/1"},
		{"flags", func(p *specs.LinuxSeccomp) { p.Flags = slices.Clone(flags[:]) }, ""},
		{"unknown flag", func(p *specs.LinuxSeccomp) { p.Flags = []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_NEW_LISTENER"} }, "/flags/0"},
		{"no names", rules(entry(specs.ActErrno, nil, nil)), "/syscalls/0/names"},
		{"empty name", rules(entry(specs.ActErrno, nil, nil, "read", "")), "/syscalls/0/names/1"},
		{"unknown name", rules(entry(specs.ActErrno, nil, nil, "no_such_call")), ""},
		{"no action", chmod("", nil), "/syscalls/0/action"},
		{"unknown action", chmod("SCMP_ACT_DENY", nil), "/syscalls/0/action"},
		{"errno 0", chmod(specs.ActErrno, ptr(uint(0))), ""},
		{"errno too large", chmod(specs.ActErrno, ptr(uint(4096))), "/syscalls/0/errnoRet"},
		{"data for a tracer", chmod(specs.ActTrace, ptr(uint(0xffff))), ""},
		{"too much of it", chmod(specs.ActTrace, ptr(uint(0x10000))), "/syscalls/0/errnoRet"},
		{"errno of an action that has none", chmod(specs.ActKill, ptr(uint(1))), "/syscalls/0/errnoRet"},
		{"last argument", chmod(specs.ActErrno, nil, arg(5, specs.OpEqualTo, 1, 0)), ""},
		{"argument beyond", chmod(specs.ActErrno, nil, arg(0, specs.OpEqualTo, 1, 0), arg(6, specs.OpEqualTo, 1, 0)), "/syscalls/0/args/1/index"},
		{"unknown operator", chmod(specs.ActErrno, nil, arg(0, "SCMP_CMP_IN", 1, 0)), "/syscalls/0/args/0/op"},
		{"no operator", chmod(specs.ActErrno, nil, arg(0, "", 1, 0)), "/syscalls/0/args/0/op"},
		{"notify without listener", chmod(specs.ActNotify, nil), "/listenerPath"},
		{"listener without notify", func(p *specs.LinuxSeccomp) { p.ListenerPath = "whatever" }, ""},
		{"metadata without listener", func(p *specs.LinuxSeccomp) { p.ListenerMetadata = "x" }, "/listenerMetadata"},
		{"notify", func(p *specs.LinuxSeccomp) {
			chmod(specs.ActNotify, nil)(p)
			p.ListenerPath, p.ListenerMetadata = "/run/agent", "x"
		}, ""},
		{"notify by default", func(p *specs.LinuxSeccomp) { p.DefaultAction, p.ListenerPath = specs.ActNotify, "/run/agent" }, "/defaultAction"},
		{"notify for sendmsg", func(p *specs.LinuxSeccomp) {
			rules(entry(specs.ActNotify, nil, nil, "chmod", "sendmsg"))(p)
			p.ListenerPath = "/run/agent"
		}, "/syscalls/0/names/1"},
		{"notify by default, but for sendmsg", func(p *specs.LinuxSeccomp) {
			rules(entry(specs.ActAllow, nil, nil, "sendmsg"))(p)
			p.DefaultAction, p.ListenerPath = specs.ActNotify, "/run/agent"
		}, ""},
		{"notify and no sendmsg by default", func(p *specs.LinuxSeccomp) {
			chmod(specs.ActNotify, nil)(p)
			p.DefaultAction, p.ListenerPath = specs.ActErrno, "/run/agent"
		}, "/defaultAction"},
		{"notify and no sendmsg", func(p *specs.LinuxSeccomp) {
			rules(entry(specs.ActNotify, nil, nil, "chmod"), entry(specs.ActErrno, ptr(uint(0)), nil, "sendmsg"))(p)
			p.ListenerPath = "/run/agent"
		}, "/syscalls/1/names/0"},
		{"relative listener", func(p *specs.LinuxSeccomp) { chmod(specs.ActNotify, nil)(p); p.ListenerPath = "agent" }, "/listenerPath"},
		{"listener with NUL", func(p *specs.LinuxSeccomp) { chmod(specs.ActNotify, nil)(p); p.ListenerPath = "/run/a\x00" }, "/listenerPath"},
	} {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
		c.change(p)
		var got []string
		Check(p, func(pointer, reason, hint string) { got = append(got, pointer) })
		if c.want == "" && got != nil || c.want != "" && !slices.Equal(got, []string{"/linux/seccomp" + c.want}) {
			t.Errorf("%s: %q, not %q", c.what, got, c.want)
		}
	}
}

func TestFlags(t *testing.T) {
	const log, spec, wait, tsync = specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv, flagTSYNC
	notify := []specs.LinuxSyscall{entry(specs.ActNotify, nil, nil, "chmod")}
	for _, c := range []struct {
		flags []specs.LinuxSeccompFlag
		rules []specs.LinuxSyscall
		want  uint64
	}{
		{nil, nil, 4},
		{[]specs.LinuxSeccompFlag{}, nil, 0},
		{[]specs.LinuxSeccompFlag{tsync}, nil, 0},
		{[]specs.LinuxSeccompFlag{log}, nil, 2},
		{[]specs.LinuxSeccompFlag{spec, log, tsync}, nil, 6},
		{[]specs.LinuxSeccompFlag{wait}, nil, 0},
		{[]specs.LinuxSeccompFlag{wait}, notify, 0x28},
		{nil, notify, 0xc},
	} {
		if got := Flags(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: c.flags, Syscalls: c.rules}); got != c.want {
			t.Errorf("%q with %d rules: %#x, not %#x", c.flags, len(c.rules), got, c.want)
		}
	}
}

// TestNumbers has some numbers from the kernel's headers.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		arch specs.Arch
		name string
		want uint32
	}{
		{specs.ArchX86_64, "execve", 59}, {specs.ArchX86, "execve", 11}, {specs.ArchX32, "execve", 0x40000208}, {specs.ArchX32, "read", 0x40000000},
		{specs.ArchAARCH64, "newfstatat", 79}, {specs.ArchARM, "cacheflush", 0x0f0002}, {specs.ArchMIPS, "read", 4003}, {specs.ArchMIPSEL64, "read", 5000},
		{specs.ArchS390X, "s390_pci_mmio_read", 353}, {specs.ArchPPC64LE, "swapcontext", 249}, {specs.ArchRISCV64, "riscv_flush_icache", 259}, {specs.ArchLOONGARCH64, "openat", 56},
	} {
		if got := nr(t, c.arch, c.name); got != c.want {
			t.Errorf("%s of %s is %d, not %d", c.name, c.arch, got, c.want)
		}
	}
	if !slices.IsSorted(names[:]) {
		t.Error("the names are not sorted")
	}
	for i := range archs {
		seen := map[uint32]string{}
		for k := range names {
			if archs[i].table == noTable {
				break
			}
			if n, ok := archs[i].number(k); ok {
				if seen[n] != "" {
					t.Errorf("%s: %s and %s are both %d", archs[i].name, seen[n], names[k], n)
				}
				seen[n] = names[k]
			}
		}
	}
	for i, name := range names {
		if got := lookup(name, -1); got != i {
			t.Errorf("%s is found at %d, not %d", name, got, i)
		}
	}
	for _, name := range []string{"", "!", "zzz", "reads", "a"} {
		if lookup(name, -1) >= 0 || lookup(name, len(names)-1) >= 0 {
			t.Errorf("%q is found", name)
		}
	}
}
