package systemd

import "encoding/binary"

// decoder reads D-Bus values, little-endian. After the first that is malformed, bad is set and everything is
// zero. The bytes come from the bus, which checks them, and are read as if it did not.
type decoder struct {
	b   []byte
	pos int
	bad bool
}

// take is the next n bytes.
func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b)-d.pos {
		d.bad = true
		return nil
	}
	d.pos += n
	return d.b[d.pos-n : d.pos]
}

func (d *decoder) align(n int) { d.take(-d.pos & (n - 1)) }

func (d *decoder) byte() byte {
	b := d.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (d *decoder) uint32() uint32 {
	d.align(4)
	b := d.take(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// string is also how an object path is read.
func (d *decoder) string() string { return d.text(int64(d.uint32())) }

func (d *decoder) signature() string { return d.text(int64(d.byte())) }

func (d *decoder) text(n int64) string {
	if n >= int64(len(d.b)) { // with the NUL, it cannot fit
		d.bad = true
		return ""
	}
	b := d.take(int(n) + 1)
	if b == nil || b[n] != 0 {
		d.bad = true
		return ""
	}
	return string(b[:n])
}

// variant reads a variant that holds a string, an object path or a signature, and passes over any other.
func (d *decoder) variant() (sig, text string) {
	sig = d.signature()
	switch sig {
	case "s", "o":
		return sig, d.string()
	case "g":
		return sig, d.signature()
	}
	if rest := d.skip(sig, 0); rest != "" {
		d.bad = true // a variant holds one value
	}
	return sig, ""
}

// skip passes over one value of the first type in sig and returns the types after it.
func (d *decoder) skip(sig string, depth int) (rest string) {
	if sig == "" || depth > 32 {
		d.bad = true
		return ""
	}
	if size := sizeOf(sig[0]); size > 0 {
		d.align(size)
		d.take(size)
		return sig[1:]
	}
	switch sig[0] {
	case 's', 'o':
		d.string()
	case 'g':
		d.signature()
	case 'v':
		if rest := d.skip(d.signature(), depth+1); rest != "" {
			d.bad = true
		}
	case 'a':
		return d.skipArray(sig, depth)
	case '(', '{':
		return d.skipStruct(sig, depth)
	default:
		d.bad = true
	}
	if d.bad {
		return ""
	}
	return sig[1:]
}

func (d *decoder) skipArray(sig string, depth int) string {
	end := typeEnd(sig)
	n := int64(d.uint32())
	if end < 2 || d.bad || n > int64(len(d.b)) {
		d.bad = true
		return ""
	}
	d.align(alignOf(sig[1]))
	d.take(int(n)) // the elements need not be understood
	return sig[end:]
}

func (d *decoder) skipStruct(sig string, depth int) string {
	end := typeEnd(sig)
	if end == 0 {
		d.bad = true
		return ""
	}
	d.align(8)
	for inner := sig[1 : end-1]; inner != "" && !d.bad; {
		inner = d.skip(inner, depth+1)
	}
	return sig[end:]
}

// sizeOf is the size of a type that always has the same, which is its alignment too, or 0.
func sizeOf(t byte) int {
	switch t {
	case 'y':
		return 1
	case 'n', 'q':
		return 2
	case 'b', 'i', 'u', 'h':
		return 4
	case 'x', 't', 'd':
		return 8
	}
	return 0
}

func alignOf(t byte) int {
	switch t {
	case 'g', 'v':
		return 1
	case 's', 'o', 'a':
		return 4
	case '(', '{':
		return 8
	}
	return max(sizeOf(t), 1)
}

// typeEnd is the length of the first complete type in sig, 0 when there is none.
func typeEnd(sig string) int {
	i := 0
	for i < len(sig) && sig[i] == 'a' {
		i++
	}
	if i == len(sig) {
		return 0
	}
	if sig[i] != '(' && sig[i] != '{' {
		return i + 1
	}
	for depth := 0; i < len(sig); i++ {
		switch sig[i] {
		case '(', '{':
			depth++
		case ')', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
