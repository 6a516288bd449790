package seccomp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// drawn makes choices from bytes, so that a fuzzer steers them.
type drawn struct{ data []byte }

func (d *drawn) byte() byte {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *drawn) below(n int) int { return int(d.byte()) % n }

// value is a number near to others, so that comparisons differ, in one half or the other.
func (d *drawn) value() uint64 {
	switch d.below(4) {
	case 0:
		return uint64(d.below(8))
	case 1:
		return uint64(d.below(8))<<32 | uint64(d.below(4))
	case 2:
		return ^uint64(0) - uint64(d.below(4))<<(32*d.below(2))
	}
	var b [8]byte
	for i := range b {
		b[i] = d.byte()
	}
	return binary.LittleEndian.Uint64(b[:])
}

// few are calls of which something is special: they are behind others, or above others, or in one place only.
var few = []string{"read", "write", "socket", "bind", "socketcall", "ipc", "semop", "shmat", "execve", "clone", "statx", "clone3", "cacheflush", "get_tls",
	"readv", "rseq_slice_yield", "no_such_call", "fstatat64", "newfstatat", "set_thread_area"}

func (d *drawn) profile() *specs.LinuxSeccomp {
	action := func() (specs.LinuxSeccompAction, *uint) {
		a := actions[d.below(len(actions))]
		if a.data > 0 && d.below(2) == 1 {
			return a.name, ptr(uint(d.below(40)))
		}
		return a.name, nil
	}
	p := &specs.LinuxSeccomp{}
	p.DefaultAction, p.DefaultErrnoRet = action()
	for range d.below(4) {
		p.Architectures = append(p.Architectures, archs[d.below(len(archs))].name)
	}
	for range d.below(12) {
		var s specs.LinuxSyscall
		s.Action, s.ErrnoRet = action()
		for range 1 + d.below(4) {
			if d.below(4) > 0 {
				s.Names = append(s.Names, few[d.below(len(few))])
			} else {
				s.Names = append(s.Names, names[(int(d.byte())<<8|int(d.byte()))%len(names)])
			}
		}
		for range d.below(4) {
			s.Args = append(s.Args, arg(uint(d.below(6)), operators[d.below(len(operators))], d.value(), d.value()))
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

// call is one that the profile speaks of, mostly.
func (d *drawn) call(p *specs.LinuxSeccomp) call {
	a := &archs[d.below(len(archs))]
	if n := d.below(4); n < len(p.Architectures) {
		a = find(p.Architectures[n])
	}
	c := call{audit: a.audit, nr: uint32(d.below(256)) + uint32(a.first)}
	if a.table != noTable && d.below(4) > 0 {
		name := few[d.below(len(few))]
		if len(p.Syscalls) > 0 {
			s := p.Syscalls[d.below(len(p.Syscalls))]
			name = s.Names[d.below(len(s.Names))]
		}
		if i := lookup(name, -1); i >= 0 {
			if n, ok := a.number(i); ok {
				c.nr = n
			}
		}
	}
	switch d.below(16) {
	case 0:
		c.nr += uint32(d.below(3)) - 1
	case 1:
		c.nr |= bitX32
	case 2:
		c.nr = ^uint32(0)
	}
	for i := range c.args {
		c.args[i] = d.value()
		if len(p.Syscalls) > 0 && d.below(3) > 0 {
			if args := p.Syscalls[d.below(len(p.Syscalls))].Args; len(args) > 0 {
				c.args[i] = args[d.below(len(args))].Value + uint64(d.below(3)) - 1
			}
		}
	}
	return c
}

// agree compiles a profile that data describes, and tries calls until data ends.
func agree(t *testing.T, data []byte) {
	d := &drawn{data}
	goarch := []string{"amd64", "arm64", "386", "arm", "s390x", "mips64le", "mips64", "ppc64", "riscv64"}[d.below(9)]
	p := d.profile()
	filter, problem, _ := Compile(p, goarch)
	if problem != "" {
		t.Fatal(problem)
	}
	m, r := load(t, filter, native(goarch).big), refer(p, goarch)
	for range 64 {
		c := d.call(p)
		if got, want := m.run(t, c), r.answer(c); got != want {
			t.Fatalf("%s, %+v\n%+v is answered with %#x, not %#x", goarch, *p, c, got, want)
		}
		if len(d.data) == 0 {
			return
		}
	}
}

// TestRandomProfiles is the fuzz test with the same numbers every time.
func TestRandomProfiles(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	data := make([]byte, 4096)
	for range 2000 {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		agree(t, data)
	}
}

// FuzzFilter: whatever the profile, the filter is valid and does what the profile says.
func FuzzFilter(f *testing.F) {
	random := rand.New(rand.NewPCG(5, 1))
	for range 16 {
		data := make([]byte, 512)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(agree)
}
