package clients_test

import (
	"os"
	"strings"
	"testing"
)

// limit looks at a file of the cgroup that a process is in: the first word of v1, controller and file, on a host where the
// controller has a v1 hierarchy, else of the file v2.
func limit(t *testing.T, pid, v1, v2, want string) {
	t.Helper()
	controller, file, _ := strings.Cut(v1, "/")
	lines, err := os.ReadFile("/proc/" + pid + "/cgroup") // proc_pid_cgroup(5): hierarchy:controllers:path
	if err != nil {
		t.Error(err)
		return
	}
	path := ""
	for line := range strings.Lines(string(lines)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case fields[1] == controller:
			path = "/sys/fs/cgroup/" + controller + fields[2] + "/" + file
		case fields[0] == "0" && path == "":
			path = "/sys/fs/cgroup" + fields[2] + "/" + v2
		}
	}
	text, err := os.ReadFile(path)
	if got, _, _ := strings.Cut(strings.TrimSpace(string(text)), " "); err != nil || got != want {
		t.Errorf("%s has %q, want %q: %v", path, got, want, err)
	}
}

// namespace is the identity of a process's namespace of a kind, as in /proc/PID/ns.
func namespace(t *testing.T, pid, kind string) string {
	t.Helper()
	link, err := os.Readlink("/proc/" + pid + "/ns/" + kind)
	if err != nil {
		t.Fatal(err)
	}
	return link
}
