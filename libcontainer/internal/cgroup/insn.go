package cgroup

import "strconv"

// Insn is an eBPF instruction as the kernel takes it on a little-endian machine, where the first
// register of a pair is in the low half of its byte (struct bpf_insn; amd64 and arm64).
type Insn struct {
	Code uint8
	Regs uint8 // destination in the low four bits, source in the high four
	Off  int16
	Imm  int32
}

// The instructions that a device filter is made of (Documentation/bpf/standardization/instruction-set.rst).
const (
	loadWord  = 0x61 // dst = *(u32 *)(src + off)
	moveReg   = 0xbc // dst = src, 32 bits, as are the next three
	moveImm   = 0xb4
	andImm    = 0x54
	shiftImm  = 0x74 // to the right
	jump      = 0x05
	jumpEqual = 0x15
	jumpOther = 0x55 // when not equal
	jumpAny   = 0x45 // when a bit is in both
	exit      = 0x95
)

// What struct bpf_cgroup_dev_ctx (linux/bpf.h) says about the request.
const (
	ctxAccessType = 0 // the access in the high half, the type in the low one
	ctxMajor      = 4
	ctxMinor      = 8

	typeChar = 2 // and 1 is a block device

	accessMknod = 1
	accessRead  = 2
	accessWrite = 4
)

// The registers of a device filter. The kernel gives the request in context and takes the verdict from verdict.
const (
	verdict = iota // 1 allows, 0 denies
	context
	kind
	access // what was asked for and no rule has decided so far
	major
	minor
)

// label is a place in the program that jumps can name before it is known.
type label int

const (
	labelAllow label = iota
	labelDeny
	firstLabel
)

type assembler struct {
	insns  []Insn
	places []int // by label; 0 until placed, as nothing jumps to the first instruction
	jumps  []pending
}

// pending is a jump whose offset is not written yet.
type pending struct {
	at int
	to label
}

// assemble makes the program that tries the rules in their order and ends with the base verdict.
func assemble(char []deviceRule, charBase bool, block []deviceRule, blockBase bool) []Insn {
	a := &assembler{places: make([]int, firstLabel)}
	a.emit(loadWord, access|context<<4, ctxAccessType, 0)
	a.emit(moveReg, kind|access<<4, 0, 0)
	a.emit(andImm, kind, 0, 0xffff)
	a.emit(shiftImm, access, 0, 16)
	a.emit(loadWord, major|context<<4, ctxMajor, 0)
	a.emit(loadWord, minor|context<<4, ctxMinor, 0)
	toBlock := a.label()
	a.jump(jumpOther, kind, typeChar, toBlock)
	a.rules(char, charBase)
	a.place(toBlock)
	a.rules(block, blockBase)
	for l, allow := range []bool{labelAllow: true, labelDeny: false} {
		// The verifier refuses a program with an instruction that is never reached.
		if a.wanted(label(l)) {
			a.place(label(l))
			a.end(allow)
		}
	}
	for _, j := range a.jumps {
		a.insns[j.at].Off = int16(a.places[j.to] - j.at - 1)
	}
	return a.insns
}

// rules tries the rules in their order. left is what a request can still ask for at each place: the
// rules so far that are about every device have decided the rest. A rule about all that is left
// decides by itself.
func (a *assembler) rules(rules []deviceRule, base bool) {
	left := int32(accessMknod | accessRead | accessWrite)
	for len(rules) > 0 {
		first := rules[0]
		if first.major == anyNumber && first.minor == anyNumber && first.access == left {
			a.end(first.allow)
			return // and what follows is never reached, which the verifier refuses
		}
		same := 1 // rules with the same verdict and major
		for same < len(rules) && rules[same].allow == first.allow && rules[same].major == first.major {
			same++
		}
		next := a.label()
		if first.major != anyNumber {
			a.jump(jumpOther, major, int32(first.major), next)
		}
		here := left
		for _, r := range rules[:same] {
			a.rule(r, r.access == here)
			if r.minor == anyNumber {
				here &^= r.access
			}
		}
		if first.major == anyNumber {
			left = here
		}
		a.place(next)
		rules = rules[same:]
	}
	a.end(base)
}

// rule is for a request whose type and major match already. A rule that decides needs only the minor.
// Any other that allows takes its accesses off the request, which is allowed when none is left; one
// that denies asks whether one of its accesses is still in the request.
func (a *assembler) rule(r deviceRule, decides bool) {
	to := labelDeny
	if r.allow {
		to = labelAllow
	}
	if decides {
		if r.minor == anyNumber {
			a.jump(jump, 0, 0, to)
		} else {
			a.jump(jumpEqual, minor, int32(r.minor), to)
		}
		return
	}
	next := a.label()
	if r.minor != anyNumber {
		a.jump(jumpOther, minor, int32(r.minor), next)
	}
	if r.allow {
		a.emit(andImm, access, 0, ^r.access)
		a.jump(jumpEqual, access, 0, to)
	} else {
		a.jump(jumpAny, access, r.access, to)
	}
	a.place(next)
}

func (a *assembler) end(allow bool) {
	value := int32(0)
	if allow {
		value = 1
	}
	a.emit(moveImm, verdict, 0, value)
	a.emit(exit, 0, 0, 0)
}

func (a *assembler) emit(code, regs uint8, off int16, imm int32) {
	a.insns = append(a.insns, Insn{code, regs, off, imm})
}

func (a *assembler) jump(code, reg uint8, imm int32, to label) {
	a.jumps = append(a.jumps, pending{len(a.insns), to})
	a.emit(code, reg, 0, imm)
}

func (a *assembler) label() label {
	a.places = append(a.places, 0)
	return label(len(a.places) - 1)
}

func (a *assembler) place(l label) { a.places[l] = len(a.insns) }

func (a *assembler) wanted(l label) bool {
	for _, j := range a.jumps {
		if j.to == l {
			return true
		}
	}
	return false
}

// String is the instruction as bpftool writes it.
func (in Insn) String() string {
	dst, src, imm := reg(in.Regs&0xf), reg(in.Regs>>4), strconv.Itoa(int(in.Imm))
	to := " goto +" + strconv.Itoa(int(in.Off))
	switch in.Code {
	case loadWord:
		return dst + " = *(u32 *)(r" + src[1:] + " + " + strconv.Itoa(int(in.Off)) + ")"
	case moveReg:
		return dst + " = " + src
	case moveImm:
		return dst + " = " + imm
	case andImm:
		return dst + " &= " + imm
	case shiftImm:
		return dst + " >>= " + imm
	case jump:
		return to[1:]
	case jumpEqual:
		return "if " + dst + " == " + imm + to
	case jumpOther:
		return "if " + dst + " != " + imm + to
	case jumpAny:
		return "if " + dst + " & " + imm + to
	case exit:
		return "exit"
	}
	return "code " + strconv.Itoa(int(in.Code))
}

func reg(n uint8) string { return "w" + strconv.Itoa(int(n)) }
