package hello

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/mountinfo"
)

// view is what the program saw, as the kernel wrote it.
type view struct {
	pid, uid, gid  int
	hostname       string
	uidMap, gidMap string // /proc/self/uid_map, gid_map
	status         string // /proc/self/status
	cgroup         string // /proc/self/cgroup
	namespaces     []string
	limits         map[string]string // file of /sys/fs/cgroup -> its text
	mounts         []mount
	startup        int64 // nanoseconds; 0 is not measured
}

func (v *view) write(b *bytes.Buffer) {
	b.WriteString("Hello from inside a container.\n\n")
	row := func(name, value string) {
		b.WriteString("  " + name + strings.Repeat(" ", max(1, 14-len(name))) + value + "\n")
	}
	row("pid", strconv.Itoa(v.pid))
	row("uid", outside("uid", v.uid, v.uidMap))
	row("gid", outside("gid", v.gid, v.gidMap))
	row("host name", v.hostname)
	row("namespaces", strings.Join(v.namespaces, " "))
	row("cgroup", v.cgroupPath())
	row("memory limit", v.limit("memory.max", bytesText))
	row("cpu limit", v.limit("cpu.max", cpusText))
	row("pids limit", v.limit("pids.max", func(s string) string { return s }))
	row("capabilities", capabilities(v.field("CapEff")))
	row("no_new_privs", choice(v.field("NoNewPrivs"), "no", "yes"))
	row("seccomp", choice(v.field("Seccomp"), "off", "strict", "filter"))
	row("mounts", strconv.Itoa(len(v.mounts)))
	for _, m := range v.mounts {
		mode := "rw"
		if m.readOnly {
			mode = "ro"
		}
		b.WriteString("    " + mode + "  " + m.fsType + strings.Repeat(" ", max(1, 10-len(m.fsType))) + m.destination + "\n")
	}
	if v.startup > 0 {
		row("start", milliseconds(v.startup)+" ms from locald's first instruction to this program's first")
	}
}

// outside says who an id is for the one who made the container, by a map of user_namespaces(7).
func outside(kind string, id int, text string) string {
	s := strconv.Itoa(id)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		field := strings.Fields(line)
		if len(field) != 3 {
			continue
		}
		first, _ := strconv.ParseInt(field[0], 10, 64)
		host, _ := strconv.ParseInt(field[1], 10, 64)
		count, _ := strconv.ParseInt(field[2], 10, 64)
		if at := int64(id) - first; at >= 0 && at < count {
			s += " here, " + kind + " " + strconv.FormatInt(host+at, 10) + " outside"
			if count == 1 && len(lines) == 1 {
				return s + " (the only one there is)"
			}
			return s
		}
	}
	return s + " here, unknown outside"
}

// field is a value of proc_pid_status(5).
func (v *view) field(name string) string {
	for line := range strings.Lines(v.status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// choice is the word for a small number.
func choice(number string, words ...string) string {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(words) {
		return "unknown"
	}
	return words[n]
}

// cgroupPath is the path in the cgroup2 hierarchy (cgroups(7): the line with id 0 and no controllers).
func (v *view) cgroupPath() string {
	for line := range strings.Lines(v.cgroup) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(path)
		}
	}
	return "unknown"
}

// limit is a limit that can be seen from here. The file is missing where the controller is not in the
// cgroup2 hierarchy, and in the root of it, so its absence does not say that there is no limit.
func (v *view) limit(file string, text func(string) string) string {
	value := strings.TrimSpace(v.limits[file])
	switch {
	case value == "":
		return "unknown (" + file + " cannot be seen from here)"
	case value == "max" || strings.HasPrefix(value, "max "):
		return "none"
	}
	return text(value)
}

func bytesText(s string) string {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return s
	}
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for i < len(units)-1 && n >= 1024 && n%1024 == 0 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + " " + units[i]
}

func cpusText(s string) string {
	field := strings.Fields(s)
	if len(field) != 2 {
		return s
	}
	quota, err := strconv.ParseFloat(field[0], 64)
	period, err2 := strconv.ParseFloat(field[1], 64)
	if err != nil || err2 != nil || period == 0 {
		return s
	}
	return strconv.FormatFloat(quota/period, 'f', -1, 64) + " CPUs"
}

// capabilities are the names in a set of proc_pid_status(5), without the CAP_ they all begin with.
func capabilities(set string) string {
	bits, err := strconv.ParseUint(set, 16, 64)
	if err != nil {
		return "unknown"
	}
	var names []string
	for i := range 64 {
		if bits&(1<<i) == 0 {
			continue
		}
		name := bundle.CapabilityName(i)
		if name == "" {
			name = strconv.Itoa(i)
		}
		names = append(names, strings.TrimPrefix(name, "CAP_"))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func milliseconds(ns int64) string { return strconv.FormatFloat(float64(ns)/1e6, 'f', 1, 64) }

// mount is what is reported of one.
type mount struct {
	destination, fsType string
	readOnly            bool
}

func mountsOf(text string) []mount {
	var list []mount
	for _, m := range mountinfo.Parse(text) {
		readOnly := slices.Contains(strings.Split(m.Options, ","), "ro") || slices.Contains(strings.Split(m.Super, ","), "ro")
		list = append(list, mount{m.Point, m.Type, readOnly})
	}
	return list
}
