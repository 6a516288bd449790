package systemd

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// AnnotationPrefix is what the name of a property has before it.
const AnnotationPrefix = "org.systemd.property."

// ours are what a container depends on: where its cgroup is, that it is its own, and that it is forgotten in the end.
var ours = [...]string{"CollectMode", "Delegate", "DelegateControllers", "DelegateSubgroup", "DisableControllers", "PIDs", "Slice"}

// Annotations are the properties that config.json names by annotations such as org.systemd.property.KillSignal, whose
// value is in GVariant's text form: 'text', true, uint64 5, ['a', 'b']. A name in Sec, which systemd writes in
// unit files, is USec on the bus, and its value, in seconds, is converted. report is told the name of the annotation
// that cannot be used, and why.
func Annotations(annotations map[string]string, report func(annotation, reason string)) []Property {
	var all []Property
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, AnnotationPrefix)
		if !ok {
			continue
		}
		switch {
		case !propertyName(name):
			report(key, "it is not the name of a property")
			continue
		case slices.Contains(ours[:], name):
			report(key, "the property is the runtime's to set")
			continue
		}
		value, ok := parseValue(annotations[key])
		if !ok {
			report(key, "the value is not a text, number, truth value or list of texts in the GVariant text format")
			continue
		}
		if short, isSec := strings.CutSuffix(name, "Sec"); isSec && !strings.HasSuffix(short, "U") {
			micros, ok := microseconds(value)
			if !ok {
				report(key, "the value is not a number of seconds")
				continue
			}
			name, value = short+"USec", micros
		}
		all = set(all, Property{name, value})
	}
	return all
}

// propertyName: an upper-case letter, and then letters and digits.
func propertyName(s string) bool {
	if len(s) < 3 || len(s) > 100 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

func microseconds(value any) (uint64, bool) {
	switch v := value.(type) {
	case int32:
		return uint64(v) * 1000000, v >= 0
	case int64:
		return uint64(v) * 1000000, v >= 0 && v < math.MaxInt64/1000000
	case uint16:
		return uint64(v) * 1000000, true
	case uint32:
		return uint64(v) * 1000000, true
	case uint64:
		return v * 1000000, v < math.MaxUint64/1000000
	case float64:
		return uint64(v * 1000000), v >= 0 && v < 1e12
	}
	return 0, false
}

// parseValue reads the types of the text format that properties of a unit have.
func parseValue(s string) (any, bool) {
	s = strings.TrimSpace(s)
	switch {
	case s == "true":
		return true, true
	case s == "false":
		return false, true
	case s == "":
		return nil, false
	case s[0] == '\'' || s[0] == '"':
		text, rest, ok := quoted(s)
		return text, ok && rest == ""
	case s[0] == '[':
		return textList(s)
	case strings.HasPrefix(s, "@as"):
		return textList(strings.TrimSpace(s[3:]))
	}
	kind, number, found := strings.Cut(s, " ")
	if !found {
		kind, number = "", s
		if strings.ContainsAny(s, ".eE") && !strings.HasPrefix(s, "0x") {
			kind = "double"
		}
	}
	return typed(kind, strings.TrimSpace(number))
}

// typed reads a number. Without a type it is an int32.
func typed(kind, s string) (any, bool) {
	signed := func(bits int) (int64, bool) {
		n, err := strconv.ParseInt(s, 0, bits)
		return n, err == nil
	}
	unsigned := func(bits int) (uint64, bool) {
		n, err := strconv.ParseUint(s, 0, bits)
		return n, err == nil
	}
	switch kind {
	case "", "int32":
		n, ok := signed(32)
		return int32(n), ok
	case "int16":
		n, ok := signed(16)
		return int16(n), ok
	case "int64":
		n, ok := signed(64)
		return n, ok
	case "byte":
		n, ok := unsigned(8)
		return byte(n), ok
	case "uint16":
		n, ok := unsigned(16)
		return uint16(n), ok
	case "uint32":
		n, ok := unsigned(32)
		return uint32(n), ok
	case "uint64":
		n, ok := unsigned(64)
		return n, ok
	case "double":
		n, err := strconv.ParseFloat(s, 64)
		return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	return nil, false
}

// quoted reads a text in single or double quotes at the start of s.
func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			text := b.String()
			return text, s[i+1:], !strings.Contains(text, "\x00")
		case c == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '\\', '\'', '"':
				b.WriteByte(s[i])
			default:
				return "", "", false
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// textList reads ['a', 'b'].
func textList(s string) (any, bool) {
	s, ok := strings.CutPrefix(s, "[")
	if !ok {
		return nil, false
	}
	list := []string{}
	for {
		s = strings.TrimSpace(s)
		if s == "]" {
			return list, true
		}
		if len(list) > 0 {
			if s, ok = strings.CutPrefix(s, ","); !ok {
				return nil, false
			}
			s = strings.TrimSpace(s)
		}
		var text string
		if text, s, ok = quoted(s); !ok {
			return nil, false
		}
		list = append(list, text)
	}
}
