package config

import (
	"strconv"
	"strings"
)

// SyntaxError says why a config.json cannot be decoded.
type SyntaxError struct {
	Offset  int    // of the offending byte, from 0; -1 when the file as a whole is meant
	Pointer string // JSON pointer (RFC 6901) to the value that was being decoded; "" is the document
	Reason  string // what is wrong, lower case, no full stop
}

// Error is "config.json: POINTER: reason (byte N)", without a pointer for the document, and
// "config.json is REASON" when the file as a whole is meant.
func (e *SyntaxError) Error() string {
	if e.Offset < 0 {
		return "config.json is " + e.Reason
	}
	s := "config.json: "
	if e.Pointer != "" {
		s += printable(e.Pointer) + ": "
	}
	return s + e.Reason + " (byte " + strconv.Itoa(e.Offset) + ")"
}

// printable is a pointer as a terminal or a log can bear it: names in it come from whoever wrote
// config.json and may hold escape sequences or megabytes.
func printable(pointer string) string {
	const longest = 256
	end := ""
	if len(pointer) > longest {
		pointer, end = strings.ToValidUTF8(pointer[:longest], ""), "..."
	}
	for _, r := range pointer {
		if !strconv.IsPrint(r) {
			return strconv.Quote(pointer) + end
		}
	}
	return pointer + end
}

// pointer is the JSON pointer to the value being decoded.
func (d *decoder) pointer() string {
	var b []byte
	for i := 1; i <= d.depth; i++ {
		switch f := &d.frames[i]; f.state {
		case inMember:
			b = append(b, '/')
			b = append(b, strings.ReplaceAll(strings.ReplaceAll(f.name, "~", "~0"), "/", "~1")...)
		case inElement:
			b = append(b, '/')
			b = strconv.AppendInt(b, int64(f.index), 10)
		}
	}
	return string(b)
}

// fail records the first error and moves to the end of the text, where every function of the
// decoder finds nothing more to do and returns.
func (d *decoder) fail(offset int, reason string) {
	if d.err == nil {
		d.err = &SyntaxError{Offset: offset, Pointer: d.pointer(), Reason: reason}
	}
	d.i = len(d.text)
}

// expected fails because something else than what stands at the current position.
func (d *decoder) expected(what string) {
	d.fail(d.i, what+" is expected, found "+d.found())
}

// found describes what stands at the current position, without repeating more than a character.
func (d *decoder) found() string {
	if d.i >= len(d.text) {
		return "the end of the document"
	}
	rest := d.text[d.i:]
	switch c := rest[0]; {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == '-' || isDigit(c):
		return "a number"
	case strings.HasPrefix(rest, "true") || strings.HasPrefix(rest, "false"):
		return "a boolean"
	case strings.HasPrefix(rest, "null"):
		return "null"
	case c > ' ' && c < 0x7f:
		return "'" + rest[:1] + "'"
	default:
		return "byte " + hexByte(c)
	}
}

func hexByte(c byte) string {
	const hex = "0123456789abcdef"
	return "0x" + string([]byte{hex[c>>4], hex[c&15]})
}
