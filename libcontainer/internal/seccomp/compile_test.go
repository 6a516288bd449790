package seccomp

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

func arg(index uint, op specs.LinuxSeccompOperator, value, two uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Op: op, Value: value, ValueTwo: two}
}

// entry is a rule of a profile.
func entry(action specs.LinuxSeccompAction, errno *uint, args []specs.LinuxSeccompArg, names ...string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: action, ErrnoRet: errno, Args: args}
}

// docker is the profile that Docker gives to a container with its default capabilities on amd64. The calls without
// conditions are in testdata.
func docker(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	list, err := os.ReadFile("testdata/docker.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: ptr(uint(eperm)),
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		Syscalls:      []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, strings.Fields(string(list))...)},
	}
	allow := func(name string, a specs.LinuxSeccompArg) {
		p.Syscalls = append(p.Syscalls, entry(specs.ActAllow, nil, []specs.LinuxSeccompArg{a}, name))
	}
	allow("socket", arg(0, specs.OpLessThan, 38, 0)) // all families but AF_ALG and AF_VSOCK
	allow("socket", arg(0, specs.OpEqualTo, 39, 0))
	allow("socket", arg(0, specs.OpGreaterThan, 40, 0))
	for _, persona := range []uint64{0, 8, 0x20000, 0x20008, 0xffffffff} {
		allow("personality", arg(0, specs.OpEqualTo, persona, 0))
	}
	allow("clone", arg(0, specs.OpMaskedEqual, 0x7e020000, 0)) // no new namespace
	p.Syscalls = append(p.Syscalls, entry(specs.ActErrno, ptr(uint(enosys)), nil, "clone3"))
	return p
}

const (
	allowed = uint32(retAllow)
	refused = uint32(retErrno | eperm)
	unknown = uint32(retErrno | enosys)
)

func TestDocker(t *testing.T) {
	p := docker(t)
	filter := compiled(t, p, "amd64")
	m := load(t, filter, false)
	for _, c := range []struct {
		what string
		arch specs.Arch
		name string
		args [6]uint64
		want uint32
	}{
		{"an allowed call", specs.ArchX86_64, "read", [6]uint64{}, allowed},
		{"one that is not", specs.ArchX86_64, "mount", [6]uint64{}, refused},
		{"of a 32-bit program", specs.ArchX86, "read", [6]uint64{}, allowed},
		{"of a 32-bit program, not allowed", specs.ArchX86, "mount", [6]uint64{}, refused},
		{"of x32", specs.ArchX32, "execve", [6]uint64{}, allowed},
		{"of x32, not allowed", specs.ArchX32, "mount", [6]uint64{}, refused},
		{"no persona", specs.ArchX86_64, "personality", [6]uint64{0x400000}, refused},
		{"the query", specs.ArchX86_64, "personality", [6]uint64{0xffffffff}, allowed},
		{"a persona above 32 bits", specs.ArchX86_64, "personality", [6]uint64{1 << 32}, refused},
		{"a thread", specs.ArchX86_64, "clone", [6]uint64{0x3d0f00}, allowed},
		{"a namespace", specs.ArchX86_64, "clone", [6]uint64{0x10000000}, refused},
		{"a namespace, 32-bit", specs.ArchX86, "clone", [6]uint64{0x10000000}, refused},
		{"clone3", specs.ArchX86_64, "clone3", [6]uint64{}, unknown},
		{"AF_INET", specs.ArchX86_64, "socket", [6]uint64{2}, allowed},
		{"AF_VSOCK", specs.ArchX86_64, "socket", [6]uint64{40}, refused},
		{"AF_ALG", specs.ArchX86, "socket", [6]uint64{38}, refused},
		{"AF_ALG with something above", specs.ArchX86, "socket", [6]uint64{38 | 1<<40}, refused},
		{"newer than the profile", specs.ArchX86_64, "rseq_slice_yield", [6]uint64{}, unknown},
		{"newer than the profile, 32-bit", specs.ArchX86, "rseq_slice_yield", [6]uint64{}, unknown},
		{"newer than the profile, x32", specs.ArchX32, "rseq_slice_yield", [6]uint64{}, unknown},
		{"older, and not named", specs.ArchX86_64, "move_pages", [6]uint64{}, refused},
		{"older, and not named, x32", specs.ArchX32, "move_pages", [6]uint64{}, refused},
	} {
		if got := m.run(t, call{find(c.arch).audit, nr(t, c.arch, c.name), c.args}); got != c.want {
			t.Errorf("%s: %s is answered with %#x, not %#x", c.what, c.name, got, c.want)
		}
	}
	sweep(t, p, "amd64", m)
	if len(filter) > 500 {
		t.Errorf("the filter has %d instructions", len(filter))
	}
	total := 0
	for n := range uint32(470) {
		total += cost(filter, call{audit: 0xc000003e, nr: n})
	}
	t.Logf("%d instructions; a call of x86_64 takes %.1f of them", len(filter), float64(total)/470)
	if total/470 > 16 {
		t.Error("that is more than a search takes")
	}
}

// sweep compares a filter with the reference for every number that there is, and some that there are not.
func sweep(t *testing.T, p *specs.LinuxSeccomp, goarch string, m machine) {
	t.Helper()
	r := refer(p, goarch)
	random := rand.New(rand.NewPCG(1, 2))
	values := []uint64{0, 1, 8, 17, 38, 39, 40, 41, 0x20000, 0x7e020000, 0xffffffff, 1 << 32, 1<<32 + 40, 1<<63 + 8, ^uint64(0)}
	try := func(audit, from, to uint32) {
		for n := from; n < to; n++ {
			c := call{audit: audit, nr: n}
			for k := range c.args {
				c.args[k] = values[random.IntN(len(values))]
			}
			if got, want := m.run(t, c), r.answer(c); got != want {
				t.Fatalf("%+v is answered with %#x, not %#x", c, got, want)
			}
		}
	}
	try(0, 0, 3)
	for i := range archs {
		a := &archs[i]
		if a.family != native(goarch).family {
			try(a.audit, 0, 3)
			continue
		}
		try(a.audit, max(uint32(a.first), 3)-3, uint32(a.first)+600)
		for _, from := range []uint32{0, 0x0f0000 - 3, 0x40000000 - 3, 0x40000000 + 500, 0x7ffffff0, 0xfffffff0} {
			try(a.audit, from, from+15)
			try(a.audit, from+15, max(from, from+60))
		}
		if a.table == tableX32 {
			try(a.audit, bitX32, bitX32+600)
		}
	}
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		action specs.LinuxSeccompAction
		errno  *uint
		want   uint32
	}{
		{specs.ActKill, nil, 0x00000000},
		{specs.ActKillThread, nil, 0x00000000},
		{specs.ActKillProcess, nil, 0x80000000},
		{specs.ActTrap, nil, 0x00030000},
		{specs.ActErrno, nil, 0x00050001},
		{specs.ActErrno, ptr(uint(0)), 0x00050000},
		{specs.ActErrno, ptr(uint(4095)), 0x00050fff},
		{specs.ActNotify, nil, 0x7fc00000},
		{specs.ActTrace, nil, 0x7ff00001},
		{specs.ActTrace, ptr(uint(0xffff)), 0x7ff0ffff},
		{specs.ActLog, nil, 0x7ffc0000},
		{specs.ActAllow, nil, 0x7fff0000},
	} {
		other := specs.ActAllow
		if c.action == specs.ActAllow {
			other = specs.ActTrap
		}
		p := &specs.LinuxSeccomp{DefaultAction: other, ListenerPath: "/s", Syscalls: []specs.LinuxSyscall{entry(c.action, c.errno, nil, "chmod")}}
		m := load(t, compiled(t, p, "amd64"), false)
		if got := m.run(t, call{audit: 0xc000003e, nr: 90}); got != c.want {
			t.Errorf("%s for a call is %#x, not %#x", c.action, got, c.want)
		}
		p.Syscalls = []specs.LinuxSyscall{entry(c.action, c.errno, nil, "mkdirat")}
		m = load(t, compiled(t, p, "arm64"), false)
		if got := m.run(t, call{audit: 0xc00000b7, nr: 34}); got != c.want {
			t.Errorf("%s for a call of arm64 is %#x, not %#x", c.action, got, c.want)
		}
		if c.action == specs.ActNotify {
			continue // as the default it takes an exception
		}
		p = &specs.LinuxSeccomp{DefaultAction: c.action, DefaultErrnoRet: c.errno, Syscalls: []specs.LinuxSyscall{entry(other, nil, nil, "chown")}}
		m = load(t, compiled(t, p, "arm64"), false)
		if got := m.run(t, call{audit: 0xc00000b7, nr: 4}); got != c.want {
			t.Errorf("%s by default is %#x, not %#x", c.action, got, c.want)
		}
	}
}

func TestOperators(t *testing.T) {
	values := []uint64{0, 1, 4, 5, 6, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<32 + 4, 1<<32 + 5, 1<<32 + 6, 5 << 32, 5<<32 + 5, 6 << 32, 1 << 63, ^uint64(0)}
	for _, op := range operators {
		for _, value := range values {
			for _, two := range []uint64{0, 5, 1 << 32, ^uint64(0)} {
				if op != specs.OpMaskedEqual && two != 0 {
					continue
				}
				p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{entry(specs.ActAllow, nil, []specs.LinuxSeccompArg{arg(2, op, value, two)}, "read")}}
				m := load(t, compiled(t, p, "amd64"), false)
				for _, x := range values {
					want := refused
					if map[specs.LinuxSeccompOperator]bool{specs.OpEqualTo: x == value, specs.OpNotEqual: x != value, specs.OpLessThan: x < value, specs.OpLessEqual: x <= value,
						specs.OpGreaterThan: x > value, specs.OpGreaterEqual: x >= value, specs.OpMaskedEqual: (x^two)&value == 0}[op] {
						want = allowed
					}
					if got := m.run(t, call{0xc000003e, 0, [6]uint64{^x, ^x, x, ^x, ^x, ^x}}); got != want {
						t.Fatalf("%#x %s %#x %#x is answered with %#x, not %#x", x, op, value, two, got, want)
					}
				}
			}
		}
	}
}

// TestRules is about several rules for one call.
func TestRules(t *testing.T) {
	is := func(index uint, v uint64) []specs.LinuxSeccompArg {
		return []specs.LinuxSeccompArg{arg(index, specs.OpEqualTo, v, 0)}
	}
	both := append(is(0, 1), is(1, 2)...)
	same := append(is(0, 1), is(0, 2)...)
	two, three := ptr(uint(2)), ptr(uint(3))
	for _, c := range []struct {
		what  string
		rules []specs.LinuxSyscall
		args  [6]uint64
		want  uint32
	}{
		{"all conditions hold", []specs.LinuxSyscall{entry(specs.ActAllow, nil, both, "ioctl")}, [6]uint64{1, 2}, allowed},
		{"one does not", []specs.LinuxSyscall{entry(specs.ActAllow, nil, both, "ioctl")}, [6]uint64{1, 3}, refused},
		{"the other does not", []specs.LinuxSyscall{entry(specs.ActAllow, nil, both, "ioctl")}, [6]uint64{2, 2}, refused},
		{"either of two conditions on one argument", []specs.LinuxSyscall{entry(specs.ActAllow, nil, same, "ioctl")}, [6]uint64{2}, allowed},
		{"neither of them", []specs.LinuxSyscall{entry(specs.ActAllow, nil, same, "ioctl")}, [6]uint64{3}, refused},
		{"the second rule", []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(0, 1), "ioctl"), entry(specs.ActAllow, nil, is(0, 2), "ioctl")}, [6]uint64{2}, allowed},
		{"the stricter rule", []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(0, 1), "ioctl"), entry(specs.ActTrap, nil, is(1, 2), "ioctl")}, [6]uint64{1, 2}, retTrap},
		{"the first of equally strict ones", []specs.LinuxSyscall{entry(specs.ActErrno, two, is(0, 1), "ioctl"), entry(specs.ActErrno, three, is(1, 2), "ioctl")}, [6]uint64{1, 2}, retErrno | 2},
		{"without arguments, after one with", []specs.LinuxSyscall{entry(specs.ActTrap, nil, is(0, 1), "ioctl"), entry(specs.ActAllow, nil, nil, "ioctl")}, [6]uint64{1}, allowed},
		{"without arguments, before one with", []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "ioctl"), entry(specs.ActTrap, nil, is(0, 1), "ioctl")}, [6]uint64{1}, allowed},
		{"two without arguments", []specs.LinuxSyscall{entry(specs.ActErrno, two, nil, "ioctl"), entry(specs.ActAllow, nil, nil, "ioctl")}, [6]uint64{}, retErrno | 2},
		{"the default action over again", []specs.LinuxSyscall{entry(specs.ActErrno, nil, nil, "ioctl"), entry(specs.ActAllow, nil, is(0, 1), "ioctl")}, [6]uint64{1}, allowed},
		{"names that nobody knows", []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "no_such_call", "ioctl", "nor_this")}, [6]uint64{}, allowed},
		{"rules that others share", []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(0, 1), "read", "ioctl"), entry(specs.ActTrap, nil, is(0, 2), "read"), entry(specs.ActTrap, nil, is(0, 3), "read")}, [6]uint64{2}, refused},
		{"no rule", nil, [6]uint64{}, refused},
	} {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: append(c.rules, entry(specs.ActAllow, nil, nil, "tkill"))}
		m := load(t, compiled(t, p, "amd64"), false)
		if got := m.run(t, call{0xc000003e, nr(t, specs.ArchX86_64, "ioctl"), c.args}); got != c.want {
			t.Errorf("%s: %#x, not %#x", c.what, got, c.want)
		}
		sweep(t, p, "amd64", m)
	}
}

// TestNewer is about calls that are newer than the profile.
func TestNewer(t *testing.T) {
	rule := []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "read", "statx", "breakpoint")}
	for _, c := range []struct {
		action specs.LinuxSeccompAction
		want   uint32
	}{
		{specs.ActErrno, unknown}, {specs.ActKill, unknown}, {specs.ActKillProcess, unknown}, {specs.ActTrap, unknown},
		{specs.ActLog, retLog}, {specs.ActTrace, retTrace | 1},
	} {
		p := &specs.LinuxSeccomp{DefaultAction: c.action, Architectures: []specs.Arch{specs.ArchX86, specs.ArchARM}, Syscalls: rule}
		for _, goarch := range []string{"amd64", "arm64"} {
			m := load(t, compiled(t, p, goarch), false)
			for _, a := range []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchAARCH64, specs.ArchARM} {
				if find(a).family != native(goarch).family {
					continue
				}
				if got := m.run(t, call{audit: find(a).audit, nr: nr(t, a, "pidfd_open")}); got != c.want {
					t.Errorf("%s: pidfd_open of %s is answered with %#x, not %#x", c.action, a, got, c.want)
				}
				if got := m.run(t, call{audit: find(a).audit, nr: nr(t, a, "statx")}); got != allowed {
					t.Errorf("%s: statx of %s is answered with %#x", c.action, a, got)
				}
			}
			sweep(t, p, goarch, m)
		}
	}
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	if got := load(t, compiled(t, p, "amd64"), false).run(t, call{audit: 0xc000003e, nr: 400}); got != refused {
		t.Errorf("a profile that knows no call answers with %#x", got)
	}
}

// TestArchitectures is about calls of other architectures than the machine's.
func TestArchitectures(t *testing.T) {
	const x86, x86_64, arm = 0x40000003, 0xc000003e, 0x40000028
	all := []specs.Arch{}
	for i := range archs {
		all = append(all, archs[i].name)
	}
	for _, c := range []struct {
		what   string
		goarch string
		list   []specs.Arch
		call   call
		want   uint32
	}{
		{"the machine's own, not listed", "amd64", nil, call{audit: x86_64, nr: 39}, allowed},
		{"the machine's own, beside others", "amd64", []specs.Arch{specs.ArchX86}, call{audit: x86_64, nr: 39}, allowed},
		{"32 bits, not listed", "amd64", nil, call{audit: x86, nr: 20}, retKillProcess},
		{"32 bits, listed", "amd64", []specs.Arch{specs.ArchX86}, call{audit: x86, nr: 20}, allowed},
		{"x32, not listed", "amd64", []specs.Arch{specs.ArchX86_64}, call{audit: x86_64, nr: 39 | bitX32}, retKillProcess},
		{"x32, listed", "amd64", []specs.Arch{specs.ArchX32}, call{audit: x86_64, nr: 39 | bitX32}, allowed},
		{"a call that a tracer has skipped", "amd64", nil, call{audit: x86_64, nr: 0xffffffff}, retErrno | enosys},
		{"arm64", "arm64", nil, call{audit: 0xc00000b7, nr: 172}, allowed},
		{"arm under arm64", "arm64", []specs.Arch{specs.ArchARM}, call{audit: arm, nr: 20}, allowed},
		{"arm under x86_64", "amd64", []specs.Arch{specs.ArchARM}, call{audit: arm, nr: 20}, retKillProcess},
		{"a machine with the bigger end first", "s390x", all, call{audit: 0x80000016, nr: 20}, allowed},
	} {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: c.list, Syscalls: []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "getpid")}}
		m := load(t, compiled(t, p, c.goarch), native(c.goarch).big)
		if got := m.run(t, c.call); got != c.want {
			t.Errorf("%s: %#x, not %#x", c.what, got, c.want)
		}
	}
	for _, goarch := range []string{"amd64", "386", "arm64", "arm", "mips", "mips64", "mipsle", "mips64le", "ppc64", "ppc64le", "s390x", "riscv64", "loong64"} {
		p := docker(t)
		p.Architectures = all
		sweep(t, p, goarch, load(t, compiled(t, p, goarch), native(goarch).big))
	}
	if _, problem, _ := Compile(docker(t), "wasm"); problem == "" {
		t.Error("there is a filter for wasm")
	}
}

// TestMultiplexed is about socketcall(2) and ipc(2), behind which other calls are.
func TestMultiplexed(t *testing.T) {
	is := func(v uint64) []specs.LinuxSeccompArg { return []specs.LinuxSeccompArg{arg(0, specs.OpEqualTo, v, 0)} }
	const socket, bind, semop, semget = 1, 2, 1, 2
	for _, c := range []struct {
		what   string
		action specs.LinuxSeccompAction
		rules  []specs.LinuxSyscall
		name   string
		arg    uint64
		want   uint32
	}{
		{"an allowed part", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "socket")}, "socketcall", socket, allowed},
		{"another part", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "socket")}, "socketcall", bind, refused},
		{"a part with something above", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, nil, "socket")}, "socketcall", socket | 7<<32, allowed},
		{"a part allowed with some arguments", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(2), "socket")}, "socketcall", socket, refused},
		{"a refused part", specs.ActAllow, []specs.LinuxSyscall{entry(specs.ActErrno, nil, nil, "socket")}, "socketcall", socket, refused},
		{"a part refused with some arguments", specs.ActAllow, []specs.LinuxSyscall{entry(specs.ActErrno, nil, is(40), "socket")}, "socketcall", socket, refused},
		{"a part refused in another way for some arguments", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActErrno, ptr(uint(enosys)), is(40), "socket")}, "socketcall", socket, unknown},
		{"the whole allowed", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(2), "socket"), entry(specs.ActAllow, nil, nil, "socketcall")}, "socketcall", bind, allowed},
		{"the whole refused", specs.ActAllow, []specs.LinuxSyscall{entry(specs.ActErrno, nil, nil, "socketcall"), entry(specs.ActTrap, nil, nil, "socket")}, "socketcall", socket, refused},
		{"the whole with arguments", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(bind), "socketcall")}, "socketcall", bind, allowed},
		{"the stricter of whole and part", specs.ActErrno, []specs.LinuxSyscall{entry(specs.ActAllow, nil, is(bind), "socketcall"), entry(specs.ActTrap, nil, nil, "bind")}, "socketcall", bind, retTrap},
		{"a part of ipc", specs.ActAllow, []specs.LinuxSyscall{entry(specs.ActErrno, nil, nil, "semop")}, "ipc", semop, refused},
		{"a part of ipc with a version", specs.ActAllow, []specs.LinuxSyscall{entry(specs.ActErrno, nil, nil, "semop")}, "ipc", 1<<16 | semop, refused},
		{"another part of ipc", specs.ActAllow, []specs.LinuxSyscall{entry(specs.ActErrno, nil, nil, "semop")}, "ipc", semget, allowed},
	} {
		p := &specs.LinuxSeccomp{DefaultAction: c.action, Architectures: []specs.Arch{specs.ArchX86}, Syscalls: append(c.rules, entry(specs.ActTrap, nil, nil, "statx"))}
		m := load(t, compiled(t, p, "amd64"), false)
		if got := m.run(t, call{find(specs.ArchX86).audit, nr(t, specs.ArchX86, c.name), [6]uint64{c.arg}}); got != c.want {
			t.Errorf("%s: %#x, not %#x", c.what, got, c.want)
		}
		sweep(t, p, "amd64", m)
	}
}

func TestTooLong(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	for v := range uint64(2000) {
		p.Syscalls = append(p.Syscalls, entry(specs.ActAllow, nil, []specs.LinuxSeccompArg{arg(0, specs.OpEqualTo, v<<16|1, 0)}, "ioctl", "fcntl"))
	}
	if _, problem, _ := Compile(p, "amd64"); !strings.Contains(problem, "4096") {
		t.Errorf("2000 rules: %q", problem)
	}
	p.Syscalls = p.Syscalls[:500]
	for i := range p.Syscalls {
		p.Syscalls[i].Names = []string{"ioctl"}
	}
	m := load(t, compiled(t, p, "amd64"), false)
	for _, v := range []uint64{1, 0x10001, 499<<16 | 1, 500<<16 | 1} { // jumps of more than 255
		want := allowed
		if v>>16 == 500 {
			want = refused
		}
		if got := m.run(t, call{0xc000003e, 16, [6]uint64{v}}); got != want {
			t.Errorf("500 rules: %#x is answered with %#x", v, got)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	p := docker(b)
	b.ReportAllocs()
	for b.Loop() {
		filter, _, _ := Compile(p, "amd64")
		if Bytes(filter) == "" {
			b.Fatal("no filter")
		}
	}
}
