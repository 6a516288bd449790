// Package jsontext writes JSON (RFC 8259). The documents that this module writes are small and flat: the state
// of a container, lines of status. encoding/json costs a start of the program more than all of them.
package jsontext

import "strings"

// String is s as a JSON string: quotes, backslashes and control characters are escaped, and what is not
// UTF-8 is replaced.
func String(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// Strings is a JSON object of strings: its members' names, in the order in which they come, and their values.
func Strings(names []string, value func(name string) string) string {
	s := "{"
	for i, n := range names {
		if i > 0 {
			s += ","
		}
		s += String(n) + ":" + String(value(n))
	}
	return s + "}"
}
