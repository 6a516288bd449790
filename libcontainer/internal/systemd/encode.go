package systemd

import (
	"encoding/binary"
	"math"
)

// encoder writes D-Bus values, little-endian. What is written starts at a multiple of 8 in the message, so
// padding counts from the start of b.
type encoder struct{ b []byte }

func (e *encoder) align(n int) {
	for len(e.b)%n != 0 {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) byte(v byte) { e.b = append(e.b, v) }

func (e *encoder) uint16(v uint16) {
	e.align(2)
	e.b = binary.LittleEndian.AppendUint16(e.b, v)
}

func (e *encoder) uint32(v uint32) {
	e.align(4)
	e.b = binary.LittleEndian.AppendUint32(e.b, v)
}

func (e *encoder) uint64(v uint64) {
	e.align(8)
	e.b = binary.LittleEndian.AppendUint64(e.b, v)
}

// string is also how an object path is written.
func (e *encoder) string(s string) {
	e.uint32(uint32(len(s)))
	e.b = append(append(e.b, s...), 0)
}

func (e *encoder) signature(s string) {
	e.byte(byte(len(s)))
	e.b = append(append(e.b, s...), 0)
}

// array writes the length of what elements writes, without the padding before the first element.
func (e *encoder) array(alignment int, elements func()) {
	e.uint32(0)
	at := len(e.b) - 4
	e.align(alignment)
	start := len(e.b)
	elements()
	binary.LittleEndian.PutUint32(e.b[at:], uint32(len(e.b)-start))
}

// variant writes a value with its type before it.
func (e *encoder) variant(value any) {
	e.signature(signature(value))
	switch v := value.(type) {
	case string:
		e.string(v)
	case bool:
		n := uint32(0)
		if v {
			n = 1
		}
		e.uint32(n)
	case byte:
		e.byte(v)
	case int16:
		e.uint16(uint16(v))
	case uint16:
		e.uint16(v)
	case int32:
		e.uint32(uint32(v))
	case uint32:
		e.uint32(v)
	case int64:
		e.uint64(uint64(v))
	case uint64:
		e.uint64(v)
	case float64:
		e.uint64(math.Float64bits(v))
	case []string:
		e.array(4, func() {
			for _, s := range v {
				e.string(s)
			}
		})
	case []uint32:
		e.array(4, func() {
			for _, n := range v {
				e.uint32(n)
			}
		})
	case []byte:
		e.array(1, func() { e.b = append(e.b, v...) })
	case []PathAmount:
		e.array(8, func() {
			for _, p := range v {
				e.align(8)
				e.string(p.Path)
				e.uint64(p.Amount)
			}
		})
	case []PathText:
		e.array(8, func() {
			for _, p := range v {
				e.align(8)
				e.string(p.Path)
				e.string(p.Text)
			}
		})
	}
}

// properties writes a(sv).
func (e *encoder) properties(all []Property) {
	e.array(8, func() {
		for _, p := range all {
			e.align(8)
			e.string(p.Name)
			e.variant(p.Value)
		}
	})
}
