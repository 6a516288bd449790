package config

import (
	"math"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxDepth is how deep objects and arrays may nest. The specification's own tree needs 7.
	maxDepth = 64
	// maxValues is how many members and elements a document may hold. Without it 4 MiB of "{},"
	// would become some 200 MB of structs. An engine's file has one value in 15 bytes or more, so that
	// it meets MaxSize at about the same length.
	maxValues = 1 << 18
	// manyNames is how many names of one object are compared one by one before a map takes over.
	manyNames = 32
)

// decoder is the state of one pass over one config.json.
type decoder struct {
	text string       // the document; strings without escapes are slices of it
	i    int          // position in text of the next byte
	err  *SyntaxError // the first error

	name string // the member just begun
	at   int    // where that name begins

	depth  int                 // how many objects and arrays are open
	frames [maxDepth + 1]frame // one for each of them; frames[0] is the document
	names  []string            // names seen in the open objects, innermost last
	values int                 // members and elements so far

	spare []string // an array of strings is decoded into the spare room of this one
	buf   []byte   // a string with escapes is put together here

	strangers []string // pointers to unknown members
	room      int      // how many bytes may still be added to strangers
}

// frame is an open object or array.
type frame struct {
	state state
	index int32               // inElement: which
	base  int                 // object: where its names begin in decoder.names
	name  string              // inMember: which
	many  map[string]struct{} // object: its names, once they are many
}

type state uint8

const (
	between   state = iota // after a value; also the document's
	opened                 // nothing read yet
	inMember               // the value of name
	inElement              // the element index
	absent                 // null stands in the object's or array's place
)

// peek skips white space and returns the next byte, or 0 at the end.
func (d *decoder) peek() byte {
	for d.i < len(d.text) {
		switch c := d.text[d.i]; c {
		case ' ', '\n', '\t', '\r':
			d.i++
		default:
			return c
		}
	}
	return 0
}

// object begins an object, or a null in its place: then there are no members. Use:
//
//	d.object()
//	for d.member() {
//		switch d.name { ... }
//	}
func (d *decoder) object() { d.open('{', "an object") }

// array begins an array, or a null in its place: then there are no elements.
func (d *decoder) array() { d.open('[', "an array") }

func (d *decoder) open(bracket byte, what string) {
	state := opened
	switch {
	case d.peek() == bracket:
		d.i++
	case d.null():
		state = absent
	default:
		d.expected(what)
		return
	}
	if d.depth == maxDepth {
		d.fail(d.i-1, "nested more than 64 deep")
		return
	}
	d.depth++
	d.frames[d.depth] = frame{state: state, base: len(d.names)}
}

func (d *decoder) close() {
	d.names = d.names[:d.frames[d.depth].base]
	d.depth--
}

// member goes to the next member's value and sets name; at the end of the object it is false.
func (d *decoder) member() bool {
	f := &d.frames[d.depth]
	if !d.more(f, '}', "',' or '}'") {
		return false
	}
	if d.peek() != '"' {
		d.expected("a member's name in double quotes")
		return false
	}
	at := d.i
	name := d.str()
	seen := d.seen(f, name)
	f.state, f.name = inMember, name
	if seen {
		d.fail(at, "duplicate member")
		return false
	}
	if d.peek() != ':' {
		d.expected("':'")
		return false
	}
	d.i++
	d.name, d.at = name, at
	return true
}

// element goes to the array's next element; at the end of the array it is false.
func (d *decoder) element() bool {
	f := &d.frames[d.depth]
	if !d.more(f, ']', "',' or ']'") {
		return false
	}
	if d.peek() == ']' {
		d.expected("a value")
		return false
	}
	f.state = inElement
	f.index++
	return true
}

// more passes the comma, or the closing bracket: then it closes the frame and is false.
func (d *decoder) more(f *frame, bracket byte, what string) bool {
	was := f.state
	f.state = between
	c := d.peek()
	switch {
	case was == absent:
		d.close()
		return false
	case c == bracket && d.depth > 0:
		d.i++
		d.close()
		return false
	case was == opened:
		f.index = -1
	case c != ',':
		d.expected(what)
		return false
	default:
		d.i++
	}
	if d.values++; d.values > maxValues {
		d.fail(d.i, "more than 262144 values in the document")
		return false
	}
	return d.err == nil
}

// seen notes a name and tells whether the object has it already. Equal names are refused even where
// the member is unknown: RFC 8259 section 4 leaves open which of them counts.
func (d *decoder) seen(f *frame, name string) bool {
	names := d.names[f.base:]
	d.names = append(d.names, name)
	if len(names) < manyNames {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return false
	}
	if f.many == nil {
		f.many = make(map[string]struct{}, 2*manyNames)
		for _, n := range names {
			f.many[n] = struct{}{}
		}
	}
	n := len(f.many)
	f.many[name] = struct{}{}
	return len(f.many) == n
}

// skip passes one value of any kind, with all checks of its syntax.
func (d *decoder) skip() {
	switch c := d.peek(); {
	case c == '{':
		d.object()
		for d.member() {
			d.skip()
		}
	case c == '[':
		d.array()
		for d.element() {
			d.skip()
		}
	case c == '"':
		d.str()
	case c == '-' || isDigit(c):
		d.numeral()
	case c == 't':
		d.literal("true")
	case c == 'f':
		d.literal("false")
	case c == 'n':
		d.literal("null")
	default:
		d.expected("a value")
	}
}

// literal passes one of true, false and null, of which the first letter was seen.
func (d *decoder) literal(word string) {
	if !strings.HasPrefix(d.text[d.i:], word) {
		d.expected(word)
		return
	}
	d.i += len(word)
}

// str is the string that begins at the current position, with a quotation mark.
func (d *decoder) str() string {
	t := d.text
	start := d.i + 1
	i := start
	for i < len(t) && isPlain(t[i]) {
		i++
	}
	if i < len(t) && t[i] == '"' {
		d.i = i + 1
		return t[start:i]
	}
	return d.strSlow(start, i)
}

// strSlow goes on with the string that begins at start where a byte needs a closer look.
func (d *decoder) strSlow(start, i int) string {
	t := d.text
	buf, copied := d.buf[:0], start // buf holds what is before copied
	for i < len(t) {
		switch c := t[i]; {
		case isPlain(c):
			i++
		case c == '"':
			d.i = i + 1
			if copied == start {
				return t[start:i]
			}
			d.buf = append(buf, t[copied:i]...)
			return string(d.buf)
		case c == '\\':
			r, n := d.escape(i)
			if n == 0 {
				return ""
			}
			buf = utf8.AppendRune(append(buf, t[copied:i]...), r)
			i += n
			copied = i
		case c < ' ':
			d.fail(i, "control character "+hexByte(c)+" in a string, where it must be escaped")
			return ""
		default:
			r, n := utf8.DecodeRuneInString(t[i:])
			if r == utf8.RuneError && n == 1 {
				d.fail(i, "invalid UTF-8")
				return ""
			}
			i += n
		}
	}
	d.fail(start-1, "string without an end")
	return ""
}

// escape is the character that the escape sequence at i stands for, and the length of the sequence;
// 0 after an error.
func (d *decoder) escape(i int) (rune, int) {
	if i+1 < len(d.text) {
		switch c := d.text[i+1]; c {
		case '"', '\\', '/':
			return rune(c), 2
		case 'b':
			return '\b', 2
		case 'f':
			return '\f', 2
		case 'n':
			return '\n', 2
		case 'r':
			return '\r', 2
		case 't':
			return '\t', 2
		}
	}
	r := d.unicodeEscape(i)
	switch {
	case r < 0:
		d.fail(i, "invalid escape sequence")
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	pair := utf16.DecodeRune(r, d.unicodeEscape(i+6))
	if pair == utf8.RuneError { // no pair of surrogates decodes to it
		d.fail(i, "lone surrogate")
		return 0, 0
	}
	return pair, 12
}

// unicodeEscape is the value of the \uXXXX at i, or -1 when there is none.
func (d *decoder) unicodeEscape(i int) rune {
	if len(d.text)-i < 6 || d.text[i] != '\\' || d.text[i+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range []byte(d.text[i+2 : i+6]) {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// numeral is a number as it is written.
type numeral struct {
	negative  bool
	whole     bool   // neither fraction nor exponent
	magnitude uint64 // of the whole part
	overflow  bool   // the whole part is larger than magnitude can be
}

// numeral passes the number that begins at the current position.
func (d *decoder) numeral() (n numeral) {
	start := d.i
	if d.text[d.i] == '-' {
		n.negative = true
		d.i++
	}
	first := d.i
	for d.i < len(d.text) && isDigit(d.text[d.i]) {
		c := uint64(d.text[d.i] - '0')
		if n.magnitude > (math.MaxUint64-c)/10 {
			n.overflow = true
		}
		n.magnitude = n.magnitude*10 + c
		d.i++
	}
	switch {
	case d.i == first:
		d.expected("a digit")
	case d.text[first] == '0' && d.i > first+1:
		d.fail(start, "number with a leading zero")
	}
	n.whole = true
	if d.i < len(d.text) && d.text[d.i] == '.' {
		n.whole = false
		d.i++
		d.digits()
	}
	if d.i < len(d.text) && d.text[d.i]|0x20 == 'e' {
		n.whole = false
		d.i++
		if d.i < len(d.text) && (d.text[d.i] == '+' || d.text[d.i] == '-') {
			d.i++
		}
		d.digits()
	}
	return n
}

// digits passes one digit or more.
func (d *decoder) digits() {
	first := d.i
	for d.i < len(d.text) && isDigit(d.text[d.i]) {
		d.i++
	}
	if d.i == first {
		d.expected("a digit")
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPlain tells whether a byte in a string stands for itself and needs no check.
func isPlain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }
