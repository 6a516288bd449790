package seccomp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// oracle builds testdata/oracle.c, which asks libseccomp.
func oracle(t *testing.T) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("needs a C compiler and libseccomp: apt-get install gcc libc6-dev libseccomp-dev")
	}
	program := t.TempDir() + "/oracle"
	if out, err := exec.Command(cc, "-o", program, "testdata/oracle.c", "-lseccomp").CombinedOutput(); err != nil {
		if strings.Contains(string(out), "seccomp.h: No such file") {
			t.Skip("needs a C compiler and libseccomp: apt-get install gcc libc6-dev libseccomp-dev")
		}
		t.Fatalf("cc: %v: %s", err, out)
	}
	return program
}

// libseccomp's word for an architecture: "x86_64".
func scmp(a specs.Arch) string {
	return strings.ToLower(strings.TrimPrefix(string(a), "SCMP_ARCH_"))
}

// younger are calls that a kernel got later than those with higher numbers.
var younger = []string{"uretprobe", "uprobe", "riscv_hwprobe"}

// TestTables compares the tables with those of libseccomp, which come from the kernel's source by another way. What is
// younger than the one is not asked of the other.
func TestTables(t *testing.T) {
	program := oracle(t)
	for i := range archs {
		a := &archs[i]
		if a.table == noTable {
			continue
		}
		mine := map[string]uint32{}
		for i, name := range names {
			if n, ok := a.number(i); ok {
				mine[name] = n
			}
		}
		first := uint32(a.first)
		if a.table == tableX32 {
			first = bitX32
		}
		theirs := map[string]uint32{}
		newest := uint32(0)
		for _, from := range []uint32{first, 0x0f0000} {
			out, err := exec.Command(program, "calls", scmp(a.name), fmt.Sprint(from), fmt.Sprint(from+600)).CombinedOutput()
			if err != nil {
				t.Logf("%s: this libseccomp says %s", a.name, strings.TrimSpace(string(out)))
				continue
			}
			for line := range strings.Lines(string(out)) {
				var n uint32
				var name string
				fmt.Sscan(line, &n, &name)
				theirs[name] = n
				if n < first+ranges {
					newest = max(newest, n)
				}
			}
		}
		if len(theirs) == 0 {
			continue
		}
		for name, n := range theirs {
			if m, ok := mine[name]; n-first <= 471 && (!ok || m != n) {
				t.Errorf("%s: %s is %d in libseccomp, and %d (%v) here", a.name, name, n, m, ok)
			}
		}
		for name, n := range mine {
			if m, ok := theirs[name]; (n <= newest || n >= first+ranges) && (!ok || m != n) && !slices.Contains(younger, name) {
				t.Errorf("%s: %s is %d here, and %d (%v) in libseccomp", a.name, name, n, m, ok)
			}
		}
	}
}

// TestGenerated: tables.go is what go generate makes of the x/sys that go.mod names.
func TestGenerated(t *testing.T) {
	want, err := exec.Command("go", "run", "generate.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("tables.go"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("tables.go is not what go generate writes: %v", err)
	}
}

// theirs is the filter that libseccomp makes of a profile, in the way runc asks it to.
func theirs(t *testing.T, program string, p *specs.LinuxSeccomp) []Insn {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "default %x\n", answer(p.DefaultAction, p.DefaultErrnoRet))
	for _, a := range p.Architectures {
		fmt.Fprintf(&b, "arch %s\n", scmp(a))
	}
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			one := &specs.LinuxSeccomp{DefaultAction: p.DefaultAction, DefaultErrnoRet: p.DefaultErrnoRet, Syscalls: []specs.LinuxSyscall{s}}
			eachRule(one, name, func(ret uint32, conds []specs.LinuxSeccompArg) {
				fmt.Fprintf(&b, "rule %x %s %x", ret, name, len(conds))
				for _, c := range conds {
					fmt.Fprintf(&b, " %x %x %x %x", c.Index, operator(c.Op)+1, c.Value, c.ValueTwo)
				}
				b.WriteString("\n")
			})
		}
	}
	cmd := exec.Command(program, "filter")
	cmd.Stdin = strings.NewReader(b.String())
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("libseccomp: %v: %s\n%s", err, complaint.String(), b.String())
	}
	var filter []Insn
	for ; len(out) >= 8; out = out[8:] {
		filter = append(filter, Insn{binary.LittleEndian.Uint16(out), out[2], out[3], binary.LittleEndian.Uint32(out[4:])})
	}
	return filter
}

// TestAgainstLibseccomp compares filters with libseccomp's where the two mean to agree: on calls that both know, one action for each
// call that looks at arguments, and no arguments for what socketcall and ipc stand for.
func TestAgainstLibseccomp(t *testing.T) {
	program := oracle(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("libseccomp looks up names for the machine it runs on, and this test is about amd64")
	}
	random := rand.New(rand.NewPCG(7, 1))
	data := make([]byte, 2048)
	for range 300 {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		compareWithTheirs(t, program, data)
	}
	p := docker(t)
	m, n := load(t, compiled(t, p, "amd64"), false), load(t, theirs(t, program, p), false)
	for _, a := range []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32} {
		for i := range names {
			number, ok := find(a).number(i)
			if !ok || number&0xfff > 450 && number&0xfff < 512 || slices.Contains(younger, names[i]) {
				continue
			}
			c := call{find(a).audit, number, [6]uint64{uint64(random.IntN(50)), 40}}
			if x, y := m.run(t, c), n.run(t, c); x != y {
				t.Errorf("Docker's profile: %s %s is answered with %#x, by libseccomp's filter with %#x", a, names[i], x, y)
			}
		}
	}
}

func compareWithTheirs(t *testing.T, program string, data []byte) {
	t.Helper()
	d := &drawn{data}
	p := d.profile()
	// Not x32: with it, libseccomp 2.5.4 forgets to load the number of the call in some filters.
	p.Architectures = [][]specs.Arch{nil, {specs.ArchX86}, {specs.ArchX86_64, specs.ArchX86}}[d.below(3)]
	if p.DefaultAction == specs.ActNotify {
		p.DefaultAction = specs.ActErrno
	}
	seen := map[string]uint32{}
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		slices.Sort(s.Names)
		s.Names = slices.Compact(s.Names) // the same rule twice loses libseccomp 2.5 a branch of it
		s.Names = slices.DeleteFunc(s.Names, func(n string) bool {
			ret := answer(s.Action, s.ErrnoRet)
			if first, again := seen[n]; again {
				return first != ret
			}
			seen[n] = ret
			behind := slices.Contains(socketParts[:], n) || slices.Contains(ipcParts[:], n) || n == "socketcall" || n == "ipc"
			return behind && len(s.Args) > 0
		})
	}
	p.Syscalls = slices.DeleteFunc(p.Syscalls, func(s specs.LinuxSyscall) bool { return len(s.Names) == 0 })
	// Nothing is newer than this one, so that no call gets ENOSYS for its age.
	p.Syscalls = append(p.Syscalls, entry(specs.ActTrap, nil, nil, "rseq_slice_yield"))
	r, m, n := refer(p, "amd64"), load(t, compiledFor(t, p), false), load(t, theirs(t, program, p), false)
	for range 200 {
		c := d.call(p)
		if a := calledArch(p, "amd64", c); a != nil && (r.see(a).names[c.nr] == "" || c.nr < limit(a) && c.nr&0xfff > 450) {
			continue
		}
		x, y := m.run(t, c), n.run(t, c)
		if x == retKillProcess && y == retKillThread {
			y = x // for a foreign architecture, they end a thread
		}
		if x != y {
			t.Fatalf("%+v\n%+v is answered with %#x, by libseccomp's filter with %#x", *p, c, x, y)
		}
	}
}

func compiledFor(t *testing.T, p *specs.LinuxSeccomp) []Insn {
	filter, problem, _ := Compile(p, "amd64")
	if problem != "" {
		t.Fatal(problem)
	}
	return filter
}
