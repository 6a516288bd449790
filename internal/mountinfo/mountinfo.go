// Package mountinfo reads the mounts that the kernel lists in /proc/PID/mountinfo (proc_pid_mountinfo(5)).
package mountinfo

import (
	"strconv"
	"strings"
)

// Mount is a line of it.
type Mount struct {
	Device  string // of the file system: major:minor
	Root    string // the directory of the file system that is mounted
	Point   string // where, below the process's root
	Options string // of the mount: "ro,nosuid"
	Type    string // of the file system
	Super   string // options of the file system
}

// Parse passes over what is no line of mountinfo. Fields end at a space and nothing else: the kernel writes most other
// white space of a path as it is.
func Parse(text string) []Mount {
	var list []Mount
	for line := range strings.SplitSeq(text, "\n") {
		m := strings.SplitN(line, " ", 7)
		if len(m) < 7 {
			continue
		}
		// Others may come before the dash, which is no dash among the first six.
		_, fs, found := strings.Cut(" "+m[6], " - ")
		if f := strings.SplitN(fs, " ", 3); found && len(f) == 3 {
			list = append(list, Mount{m[2], unescape(m[3]), unescape(m[4]), m[5], f[0], f[2]})
		}
	}
	return list
}

// unescape undoes the kernel's \040 for bytes that would end a field or a line.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
