package cgroup

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// request is what the kernel asks a device filter.
type request struct {
	kind         int32 // 1 block, 2 character
	major, minor int32
	access       int32
}

// machine is the state of a device filter that runs.
type machine struct {
	regs    [10]uint32
	written [10]bool
}

// evaluate runs a device filter as the kernel would. It fails the test on what the verifier refuses:
// a jump backwards or out of the program, a register that was not written, an end without verdict.
func evaluate(t *testing.T, insns []Insn, q request) bool {
	t.Helper()
	m := machine{written: [10]bool{context: true}}
	for pc := 0; ; pc++ {
		if pc >= len(insns) {
			t.Fatalf("runs out of the program at %d", pc)
		}
		in := insns[pc]
		if in.Code == exit {
			if !m.written[verdict] || m.regs[verdict] > 1 {
				t.Fatalf("%d ends with verdict %d", pc, m.regs[verdict])
			}
			return m.regs[verdict] == 1
		}
		jumps, refused := m.step(in, q)
		if refused != "" || in.Off < 0 {
			t.Fatalf("instruction %d, %s: %s", pc, in, refused)
		}
		if jumps {
			pc += int(in.Off)
		}
	}
}

func (m *machine) step(in Insn, q request) (jumps bool, refused string) {
	dst, src, imm := in.Regs&0xf, in.Regs>>4, uint32(in.Imm)
	set := func(v uint32) { m.regs[dst], m.written[dst] = v, true }
	switch {
	case dst == context || in.Code == moveReg && (src == context || !m.written[src]) || in.Code == loadWord && src != context:
		return false, "it uses the wrong register"
	case in.Code != loadWord && in.Code != moveReg && in.Code != moveImm && in.Code != jump && !m.written[dst]:
		return false, "it reads what was not written"
	}
	switch in.Code {
	case loadWord:
		switch in.Off {
		case 0:
			set(uint32(q.access<<16 | q.kind))
		case 4:
			set(uint32(q.major))
		case 8:
			set(uint32(q.minor))
		default:
			return false, "there is no such field"
		}
	case moveImm:
		set(imm)
	case moveReg:
		set(m.regs[src])
	case andImm:
		set(m.regs[dst] & imm)
	case shiftImm:
		set(m.regs[dst] >> imm)
	case jump:
		return true, ""
	case jumpEqual:
		return m.regs[dst] == imm, ""
	case jumpOther:
		return m.regs[dst] != imm, ""
	case jumpAny:
		return m.regs[dst]&imm != 0, ""
	default:
		return false, "there is no such instruction"
	}
	return false, ""
}

// reach fails the test on an instruction that no path leads to; the verifier refuses those too.
func reach(t *testing.T, insns []Insn) {
	t.Helper()
	reached := make([]bool, len(insns)+1)
	reached[0] = true
	for i, in := range insns {
		if !reached[i] {
			t.Fatalf("instruction %d is never reached:\n%s", i, ListDevices(insns))
		}
		switch in.Code {
		case exit:
		case jump:
			reached[i+1+int(in.Off)] = true
		case jumpEqual, jumpOther, jumpAny:
			reached[i+1+int(in.Off)] = true
			reached[i+1] = true
		default:
			reached[i+1] = true
		}
	}
	if reached[len(insns)] {
		t.Fatalf("the program has no end:\n%s", ListDevices(insns))
	}
}

// naive is the meaning of a rule list, as CompileDevices documents it: for each access that is asked for,
// the last rule about it decides.
func naive(rules []specs.LinuxDeviceCgroup, q request) bool {
	list := append([]specs.LinuxDeviceCgroup(nil), rules...)
	allow := func(kind string, major, minor int64, access string) {
		r := specs.LinuxDeviceCgroup{Allow: true, Type: kind, Access: access}
		if major >= 0 {
			r.Major = &major
		}
		if minor >= 0 {
			r.Minor = &minor
		}
		list = append(list, r)
	}
	allow("a", -1, -1, "m")
	for _, dev := range [][2]int64{{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1}} {
		allow("c", dev[0], dev[1], "rwm")
	}
	for bit, letter := range map[int32]string{accessRead: "r", accessWrite: "w", accessMknod: "m"} {
		if q.access&bit == 0 {
			continue
		}
		allowed := false
		for _, r := range list {
			about := (r.Type == "" || r.Type == "a" || r.Type == "b" && q.kind == 1 || r.Type == "c" && q.kind == 2) &&
				(r.Major == nil || *r.Major == -1 || *r.Major == int64(q.major)) &&
				(r.Minor == nil || *r.Minor == -1 || *r.Minor == int64(q.minor)) &&
				(r.Access == "" || strings.Contains(r.Access, letter))
			if about {
				allowed = r.Allow
			}
		}
		if !allowed {
			return false
		}
	}
	return true
}

// randomRules makes lists whose rules have much to do with each other: few numbers, many wildcards.
func randomRules(r *rand.Rand) []specs.LinuxDeviceCgroup {
	number := func() *int64 {
		n := []int64{-1, 1, 3, 5, 8, 136}[r.IntN(6)]
		if n == -1 && r.IntN(2) == 0 {
			return nil
		}
		return &n
	}
	rules := make([]specs.LinuxDeviceCgroup, 1+r.IntN(9))
	for i := range rules {
		rules[i] = specs.LinuxDeviceCgroup{
			Allow: r.IntN(2) == 0, Type: []string{"", "a", "b", "c", "c"}[r.IntN(5)], Major: number(), Minor: number(),
			Access: []string{"r", "w", "m", "rw", "rm", "wm", "rwm", "rwm"}[r.IntN(8)],
		}
		if !rules[i].Allow && r.IntN(8) == 0 {
			rules[i].Access = ""
		}
	}
	return rules
}

func refuseReports(t *testing.T) func(pointer, reason, hint string) {
	return func(pointer, reason, _ string) {
		t.Helper()
		t.Errorf("%s: %s", pointer, reason)
	}
}

func TestCompileDevicesRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []int32{0, 1, 3, 5, 8, 136, 4095}
	for range 4000 {
		rules := randomRules(r)
		insns := CompileDevices(rules, refuseReports(t))
		if insns != nil {
			reach(t, insns)
		}
		for range 40 {
			q := request{1 + r.Int32N(2), numbers[r.IntN(len(numbers))], numbers[r.IntN(len(numbers))], 1 + r.Int32N(7)}
			got := insns == nil || evaluate(t, insns, q)
			if want := naive(rules, q); got != want {
				t.Fatalf("%+v: %v, want %v, by\n%s%s", q, got, want, describe(rules), ListDevices(insns))
			}
		}
	}
}

func describe(rules []specs.LinuxDeviceCgroup) string {
	var b strings.Builder
	for _, r := range rules {
		s := "deny "
		if r.Allow {
			s = "allow "
		}
		s += r.Type
		for _, n := range []*int64{r.Major, r.Minor} {
			if n == nil {
				s += " *"
			} else {
				s += " " + itoa(*n)
			}
		}
		b.WriteString(s + " " + r.Access + "\n")
	}
	return b.String()
}

// The list of nearly every container: deny everything, which is to say, only the default devices.
func TestCompileDevicesDefault(t *testing.T) {
	const want = `device filter 0: w3 = *(u32 *)(r1 + 0)
device filter 1: w2 = w3
device filter 2: w2 &= 65535
device filter 3: w3 >>= 16
device filter 4: w4 = *(u32 *)(r1 + 4)
device filter 5: w5 = *(u32 *)(r1 + 8)
device filter 6: if w2 != 2 goto +16
device filter 7: w3 &= -2
device filter 8: if w3 == 0 goto +18
device filter 9: if w4 != 1 goto +5
device filter 10: if w5 == 3 goto +16
device filter 11: if w5 == 5 goto +15
device filter 12: if w5 == 7 goto +14
device filter 13: if w5 == 8 goto +13
device filter 14: if w5 == 9 goto +12
device filter 15: if w4 != 5 goto +3
device filter 16: if w5 == 0 goto +10
device filter 17: if w5 == 1 goto +9
device filter 18: if w5 == 2 goto +8
device filter 19: if w4 != 136 goto +1
device filter 20: goto +6
device filter 21: w0 = 0
device filter 22: exit
device filter 23: w3 &= -2
device filter 24: if w3 == 0 goto +2
device filter 25: w0 = 0
device filter 26: exit
device filter 27: w0 = 1
device filter 28: exit
`
	for _, rules := range [][]specs.LinuxDeviceCgroup{
		{{Allow: false, Access: "rwm"}},
		{{Allow: false, Type: "a", Access: "rwm"}},
		{{Allow: false}},
		{{Allow: true, Access: "rwm"}, {Allow: false, Access: "rwm"}},
		{{Allow: false, Type: "b", Access: "rwm"}, {Allow: false, Type: "c", Access: "r"}, {Allow: false, Type: "c", Access: "mw"}},
	} {
		if got := ListDevices(CompileDevices(rules, refuseReports(t))); got != want {
			t.Errorf("%s\n%s", describe(rules), got)
		}
	}
}

func TestCompileDevicesNone(t *testing.T) {
	for _, rules := range [][]specs.LinuxDeviceCgroup{
		nil,
		{},
		{{Allow: false, Access: "rwm"}, {Allow: true, Access: "rwm"}},
		{{Allow: true, Type: "b", Access: "rwm"}, {Allow: true, Type: "c", Access: "rw"}},
	} {
		if insns := CompileDevices(rules, refuseReports(t)); insns != nil {
			t.Errorf("%s\n%s", describe(rules), ListDevices(insns))
		}
	}
}

func TestCompileDevicesReports(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	rules := []specs.LinuxDeviceCgroup{
		{Allow: true, Type: "p", Access: "rwm"},
		{Allow: true, Type: "c"},
		{Allow: true, Type: "c", Access: "rx"},
		{Allow: true, Type: "c", Major: n(-2), Access: "r"},
		{Allow: true, Type: "c", Major: n(4096), Minor: n(1 << 20), Access: "r"},
		{Allow: true, Type: "cc", Access: "r"},
	}
	var reports string
	insns := CompileDevices(rules, func(pointer, reason, _ string) {
		reports += strings.TrimPrefix(pointer, "/linux/resources/devices/") + ": " + reason + "\n"
	})
	const want = `0/type: "p" is not a type of device
1/access: a rule that allows must say what
2/access: "rx" has a letter other than r, w and m
3/major: -2 is not a major number
4/major: 4096 is not a major number
4/minor: 1048576 is not a minor number
5/type: "cc" is not a type of device
`
	if reports != want {
		t.Errorf("reports:\n%swant\n%s", reports, want)
	}
	if evaluate(t, insns, request{2, 4095, 5, accessRead}) {
		t.Error("a rule that was refused allows a device")
	}
	reports = ""
	CompileDevices(make([]specs.LinuxDeviceCgroup, maxDevices+1), func(pointer, reason, _ string) { reports = pointer + ": " + reason })
	if reports != "/linux/resources/devices: there are more than 2048 rules" {
		t.Error(reports)
	}
}

// The longest list must still be within the reach of a jump.
func TestCompileDevicesLongest(t *testing.T) {
	rules := make([]specs.LinuxDeviceCgroup, maxDevices)
	for i := range rules {
		major, minor := int64(8+i%2), int64(i)
		rules[i] = specs.LinuxDeviceCgroup{Allow: i%3 != 0, Major: &major, Minor: &minor, Access: []string{"r", "w"}[i%2]}
	}
	insns := CompileDevices(rules, refuseReports(t))
	if len(insns) > 1<<15 {
		t.Fatalf("%d instructions", len(insns))
	}
	reach(t, insns)
	for i := int32(0); i < maxDevices; i += 17 {
		for _, access := range []int32{accessRead, accessWrite} {
			if q := (request{2, 8 + i%2, i, access}); evaluate(t, insns, q) != naive(rules, q) {
				t.Fatalf("%+v", q)
			}
		}
	}
}
