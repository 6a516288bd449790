package systemd

import "strings"

// Unit names a scope and the slice that it is in.
type Unit struct {
	Name  string // "locald-web.scope"
	Slice string // "system.slice"
}

// IsPath says whether linux.cgroupsPath has the form that ParsePath reads.
func IsPath(path string) bool { return strings.Count(path, ":") == 2 && path[0] != '/' }

// ParsePath reads linux.cgroupsPath of the form slice:prefix:name, the one that all runtimes have for systemd:
// the scope is prefix-name.scope, or name.scope without a prefix. Without a slice it is user.slice for
// the manager of a user and system.slice for the machine's. An empty path is ":locald:ID". reason is what is wrong.
func ParsePath(path, id string, user bool) (u Unit, reason string) {
	if path == "" {
		path = ":locald:" + id
	}
	parts := strings.Split(path, ":")
	if len(parts) != 3 {
		return Unit{}, "a cgroup that systemd makes is named slice:prefix:name"
	}
	slice, prefix, name := parts[0], parts[1], parts[2]
	switch {
	case slice == "" && user:
		slice = "user.slice"
	case slice == "":
		slice = "system.slice"
	}
	if _, reason := SlicePath(slice); reason != "" {
		return Unit{}, reason
	}
	if name == "" {
		return Unit{}, "the name of the unit is empty"
	}
	if strings.HasSuffix(name, ".slice") {
		return Unit{}, "a container is a scope, and the name is a slice's"
	}
	if prefix != "" {
		name = prefix + "-" + name
	}
	u = Unit{escape(name) + ".scope", slice}
	if len(u.Name) > 255 { // UNIT_NAME_MAX
		return Unit{}, "the name of the unit is too long"
	}
	return u, ""
}

// SlicePath is where a slice's cgroup is below the manager's own: "a-b.slice" is "/a.slice/a-b.slice", since a
// dash leads one level down (systemd.slice(5)). reason is what is wrong with the name.
func SlicePath(slice string) (path, reason string) {
	name, ok := strings.CutSuffix(slice, ".slice")
	switch {
	case !ok:
		return "", "the name of a slice ends in .slice"
	case name == "-": // the slice above all others
		return "/", ""
	case name == "" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") || strings.Contains(name, "--"):
		return "", "the name of a slice has a dash between two names only"
	case escape(name) != name:
		return "", "the name of a slice has a character that a unit's name cannot have"
	case len(slice) > 255:
		return "", "the name of the slice is too long"
	}
	for i := range len(name) {
		if name[i] == '-' {
			path += "/" + name[:i] + ".slice"
		}
	}
	return path + "/" + slice, ""
}

// escape replaces what a unit's name cannot have in it, as systemd-escape(1) does.
func escape(name string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(":-_.\\@", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(`\x` + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

// Address is the way to the user's bus, from DBUS_SESSION_BUS_ADDRESS and XDG_RUNTIME_DIR. A path that starts with
// an @ is in the abstract namespace. Of several addresses the first that is a socket of this machine is taken.
func Address(session, runtimeDir string) (path string) {
	for address := range strings.SplitSeq(session, ";") {
		rest, ok := strings.CutPrefix(address, "unix:")
		if !ok {
			continue
		}
		for pair := range strings.SplitSeq(rest, ",") {
			key, value, _ := strings.Cut(pair, "=")
			value, ok := unescape(value)
			switch {
			case !ok || value == "":
			case key == "path":
				return value
			case key == "abstract":
				return "@" + value
			}
		}
	}
	if runtimeDir != "" {
		return runtimeDir + "/bus"
	}
	return ""
}

// unescape replaces %XX in the value of an address.
func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := digit(s[i+1]), digit(s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), true
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
