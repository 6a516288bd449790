package bundle

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ParseMount reads KEY=VALUE,… as Docker writes it: type (bind, volume or tmpfs; volume when there is none), source or src,
// target, destination or dst, readonly or ro, bind-propagation, tmpfs-size and tmpfs-mode. No value has a
// comma.
func ParseMount(s string) (m specs.Mount, volume bool, err error) {
	fail := func(reason string) (specs.Mount, bool, error) {
		return specs.Mount{}, false, &Error{Flag: "--mount", Value: s, Reason: reason}
	}
	kind, target := "volume", ""
	var tmpfs []string
	m.Options = []string{"rbind", "rprivate"}
	for _, field := range strings.Split(s, ",") {
		key, value, given := strings.Cut(field, "=")
		switch key {
		case "type":
			kind = value
		case "source", "src":
			m.Source = value
		case "target", "destination", "dst":
			target = value
		case "readonly", "ro":
			if given && value != "true" && value != "1" {
				if value != "false" && value != "0" {
					return fail(key + " is true or false")
				}
				continue
			}
			m.Options = append(m.Options, "ro")
			tmpfs = append(tmpfs, "ro")
		case "bind-propagation":
			m.Options[1] = value
		case "tmpfs-size":
			tmpfs = append(tmpfs, "size="+value)
		case "tmpfs-mode":
			tmpfs = append(tmpfs, "mode="+value)
		default:
			return fail(key + " is not supported; known are type, source, target, readonly, bind-propagation, tmpfs-size and tmpfs-mode")
		}
	}
	switch m.Options[1] {
	case "private", "rprivate", "slave", "rslave":
	default:
		return fail("bind-propagation is private, rprivate, slave or rslave")
	}
	destination, reason := mountPoint(target)
	if reason != "" {
		return fail("target: " + reason)
	}
	m.Destination, m.Type = destination, "bind"
	switch {
	case kind == "tmpfs" && m.Source != "":
		return fail("a tmpfs has no source")
	case kind == "tmpfs":
		m, err = ParseTmpfs(destination + ":" + strings.Join(tmpfs, ","))
		return m, false, err
	case kind != "bind" && kind != "volume":
		return fail("type is bind, volume or tmpfs")
	case m.Source == "" && kind == "bind":
		return fail("source is missing: a directory for bind")
	case kind == "volume" && m.Source != "" && !ValidVolume(m.Source):
		return fail("the name of a volume is made of letters, digits and, after the first character, _ . -")
	}
	return m, kind == "volume", nil
}

// ValidVolume reports whether s can name a volume: as an id, and capital letters. Anything else is a path.
func ValidVolume(s string) bool {
	small := []byte(s)
	for i, c := range small {
		if 'A' <= c && c <= 'Z' {
			small[i] = c + 'a' - 'A'
		}
	}
	return ValidID(string(small))
}
