package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/mountinfo"
)

func readMounts() ([]mountinfo.Mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return mountinfo.Parse(string(text)), err
}

// otherPaths are the paths on which the same file is mounted once more, and those on which a part of it is.
func (v *hostView) otherPaths(path string) []string {
	on := -1
	for i, m := range v.mounts {
		if bundle.Within(path, m.Point) && (on < 0 || len(m.Point) >= len(v.mounts[on].Point)) {
			on = i
		}
	}
	if on < 0 {
		return nil
	}
	inside := filepath.Join(v.mounts[on].Root, strings.TrimPrefix(path, strings.TrimSuffix(v.mounts[on].Point, "/")))
	var list []string
	for i, m := range v.mounts {
		switch {
		case i == on || m.Device != v.mounts[on].Device:
			continue
		case m.Root != inside && bundle.Within(m.Root, inside):
			list = append(list, m.Point)
			continue
		case !bundle.Within(inside, m.Root):
			continue
		}
		other := filepath.Join(m.Point, strings.TrimPrefix(inside, strings.TrimSuffix(m.Root, "/")))
		a, err := os.Stat(path)
		b, err2 := os.Stat(other)
		if other != path && err == nil && err2 == nil && os.SameFile(a, b) {
			list = append(list, other)
		}
	}
	return list
}

// listening are the sockets of the machine that have a name in the file system and exist.
func listening() ([]string, error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		at := strings.IndexByte(line, '/') // Num RefCount Protocol Flags Type St Inode Path
		if at < 0 {
			continue
		}
		path := filepath.Clean(strings.TrimSuffix(line[at:], "\n"))
		info, err := os.Lstat(path)
		if err == nil && info.Mode()&os.ModeSocket != 0 && !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list, nil
}

// exposed says what a program can reach on the network of this machine.
func exposed() string {
	names := 0
	for line := range strings.Lines(readText("/proc/net/unix")) {
		if strings.Contains(line, " @") {
			names++
		}
	}
	var ports []string
	for _, l := range listeners(procNet("/proc")) {
		if port := utoa(uint32(l.port)); !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	s := "--network host: the program reaches the internet, the networks of this machine, "
	if len(ports) > 0 {
		s += "what listens here on TCP port " + strings.Join(ports[:min(len(ports), 12)], ", ")
		if len(ports) > 12 {
			s += " and " + strconv.Itoa(len(ports)-12) + " more"
		}
	} else {
		s += "what will listen here (now nothing does on TCP)"
	}
	return s + ", also on loopback, and " + strconv.Itoa(names) + " abstract sockets (X11, D-Bus and their kind)"
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
