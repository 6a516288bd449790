package seccomp

import (
	"encoding/binary"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Insn is struct sock_filter (linux/filter.h).
type Insn struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// Bytes are instructions as the kernel wants them on a little-endian machine.
func Bytes(filter []Insn) string {
	b := make([]byte, 0, 8*len(filter))
	for _, i := range filter {
		b = binary.LittleEndian.AppendUint16(b, i.Code)
		b = append(b, i.JT, i.JF)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return string(b)
}

// The instructions that are used. The kernel knows of a filter that makes do with these, as long as no argument is
// looked at, which calls it always allows, and asks it no more about them (seccomp_is_const_allow, since Linux 5.11).
const (
	ld  = 0x20 // BPF_LD|BPF_W|BPF_ABS: a word of struct seccomp_data
	and = 0x54 // BPF_ALU|BPF_AND|BPF_K
	ja  = 0x05 // BPF_JMP|BPF_JA
	jeq = 0x15 // BPF_JMP|BPF_JEQ|BPF_K
	jgt = 0x25 // BPF_JMP|BPF_JGT|BPF_K
	jge = 0x35 // BPF_JMP|BPF_JGE|BPF_K
	ret = 0x06 // BPF_RET|BPF_K
)

// Offsets in struct seccomp_data (linux/seccomp.h).
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// maxInsns is BPF_MAXINSNS.
const maxInsns = 4096

// reach is how far a conditional jump goes, which has 8 bits for it, less what may come in between.
const reach = 250

// builder writes a program from its end to its beginning: what an instruction jumps to is there before it. A label
// is the number of instructions that follow the one it names.
type builder struct {
	code []Insn
	rets []int // labels of the last return of each answer
}

// put writes an instruction before all others.
func (b *builder) put(i Insn) int {
	if len(b.code) <= maxInsns { // more is an error in the end
		b.code = append(b.code, i)
	}
	return len(b.code) - 1
}

// ret is an instruction nearby that returns an answer.
func (b *builder) ret(answer uint32) int {
	for k, at := range b.rets {
		if b.code[at].K == answer {
			if len(b.code)-at > reach {
				b.rets[k] = b.put(Insn{Code: ret, K: answer})
			}
			return b.rets[k]
		}
	}
	b.rets = append(b.rets, b.put(Insn{Code: ret, K: answer}))
	return b.rets[len(b.rets)-1]
}

// near is a label in reach that leads to another.
func (b *builder) near(label int) int {
	switch {
	case len(b.code)-label <= reach:
		return label
	case b.code[label].Code == ret:
		return b.ret(b.code[label].K)
	}
	return b.put(Insn{Code: ja, K: uint32(len(b.code) - label - 1)})
}

// branch goes one way or the other.
func (b *builder) branch(code uint16, k uint32, yes, no int) int {
	if yes == no {
		return yes
	}
	yes = b.near(yes)
	no = b.near(no)
	n := len(b.code) - 1
	return b.put(Insn{code, uint8(n - yes), uint8(n - no), k})
}

// before writes an instruction that goes on at a label.
func (b *builder) before(i Insn, next int) int {
	if next != len(b.code)-1 {
		b.put(Insn{Code: ja, K: uint32(len(b.code) - next - 1)})
	}
	return b.put(i)
}

func (b *builder) load(offset uint32, next int) int {
	if b.code[next].Code == ret {
		return next
	}
	return b.before(Insn{Code: ld, K: offset}, next)
}

// compare looks at one argument.
func (b *builder) compare(a *arch, c *cond, yes, no int) int {
	low, high := offArgs+8*uint32(c.index), offArgs+8*uint32(c.index)+4
	if a.big {
		low, high = high, low
	}
	v, h := uint32(c.value), uint32(c.value>>32)
	switch c.op {
	case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual:
		yes, no = no, yes
	}
	var code uint16
	switch c.op {
	case specs.OpEqualTo, specs.OpNotEqual:
		code = jeq
	case specs.OpGreaterThan, specs.OpLessEqual:
		code = jgt
	case specs.OpGreaterEqual, specs.OpLessThan:
		code = jge
	default: // SCMP_CMP_MASKED_EQ
		at := b.masked(low, v, uint32(c.two), yes, no)
		if a.half {
			return at
		}
		return b.masked(high, h, uint32(c.two>>32), at, no)
	}
	at := b.load(low, b.branch(code, v, yes, no))
	if a.half {
		// The upper half of the register is not the program's: through int 0x80 a program of 64 bits can put
		// anything there, which the call then does not look at.
		return at
	}
	at = b.branch(jeq, h, at, no)
	if code != jeq {
		at = b.branch(jgt, h, yes, at)
	}
	return b.load(high, at)
}

// masked looks at some bits of one word.
func (b *builder) masked(offset, mask, want uint32, yes, no int) int {
	if mask == 0 {
		return yes
	}
	at := b.branch(jeq, want, yes, no)
	if mask != ^uint32(0) {
		at = b.before(Insn{Code: and, K: mask}, at)
	}
	return b.load(offset, at)
}

// finish is the program in the order in which it runs; nil when it is too long.
func (b *builder) finish() []Insn {
	n := len(b.code)
	if n > maxInsns {
		return nil
	}
	out := make([]Insn, n)
	for i := range b.code {
		out[n-1-i] = b.code[i]
	}
	return out
}
