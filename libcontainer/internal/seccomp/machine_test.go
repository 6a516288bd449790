package seccomp

import (
	"encoding/binary"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// call is a system call as a filter sees it.
type call struct {
	audit, nr uint32
	args      [6]uint64
}

// machine runs a filter. x/net's VM takes words for big-endian, as in packets, while the kernel hands a filter
// struct seccomp_data in the machine's own order: each word is written big-endian at its place.
type machine struct {
	vm  *bpf.VM
	big bool
}

func load(t testing.TB, filter []Insn, big bool) machine {
	t.Helper()
	program := make([]bpf.RawInstruction, len(filter))
	for i, in := range filter {
		program[i] = bpf.RawInstruction{Op: in.Code, Jt: in.JT, Jf: in.JF, K: in.K}
	}
	insns, ok := bpf.Disassemble(program)
	if !ok {
		t.Fatalf("the filter has instructions that x/net does not know: %v", filter)
	}
	vm, err := bpf.NewVM(insns) // as the kernel, it checks jumps and the last return
	if err != nil {
		t.Fatalf("the filter is not valid: %v", err)
	}
	return machine{vm, big}
}

func (m machine) run(t testing.TB, c call) uint32 {
	t.Helper()
	words := make([]uint32, 16)
	words[0], words[1] = c.nr, c.audit
	for i, a := range c.args {
		low, high := 4+2*i, 5+2*i
		if m.big {
			low, high = high, low
		}
		words[low], words[high] = uint32(a), uint32(a>>32)
	}
	data := make([]byte, 0, 64)
	for _, w := range words {
		data = binary.BigEndian.AppendUint32(data, w)
	}
	n, err := m.vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// cost counts the instructions that a call costs.
func cost(filter []Insn, c call) int {
	var a uint32
	for pc, n := 0, 1; ; n++ {
		in := filter[pc]
		pc++
		jump := func(yes bool) {
			if yes {
				pc += int(in.JT)
			} else {
				pc += int(in.JF)
			}
		}
		switch in.Code {
		case ld:
			switch {
			case in.K == offNumber:
				a = c.nr
			case in.K == offArch:
				a = c.audit
			default:
				a = uint32(c.args[(in.K-offArgs)/8] >> ((in.K & 4) * 8))
			}
		case and:
			a &= in.K
		case ja:
			pc += int(in.K)
		case jeq:
			jump(a == in.K)
		case jgt:
			jump(a > in.K)
		case jge:
			jump(a >= in.K)
		case ret:
			return n
		}
	}
}

func compiled(t testing.TB, p *specs.LinuxSeccomp, goarch string) []Insn {
	t.Helper()
	Check(p, func(pointer, reason, hint string) { t.Errorf("%s: %s; %s", pointer, reason, hint) })
	filter, problem, _ := Compile(p, goarch)
	if problem != "" {
		t.Fatal(problem)
	}
	return filter
}

// nr is the number of a call on an architecture.
func nr(t testing.TB, a specs.Arch, name string) uint32 {
	t.Helper()
	n, ok := find(a).number(lookup(name, -1))
	if !ok {
		t.Fatalf("%s has no %s", a, name)
	}
	return n
}
