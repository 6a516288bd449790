package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// nsFile is the name in /proc/PID/ns of a namespace of the runtime spec's.
func nsFile(kind specs.LinuxNamespaceType) string {
	switch kind {
	case specs.NetworkNamespace:
		return "net"
	case specs.MountNamespace:
		return "mnt"
	}
	return string(kind)
}

var allNamespaces = []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace,
	specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace, specs.TimeNamespace}

// ownNamespace is the link of one of our own namespaces.
func ownNamespace(t *testing.T, kind specs.LinuxNamespaceType) string {
	t.Helper()
	link, err := os.Readlink("/proc/self/ns/" + nsFile(kind))
	must(t, err)
	return link
}

// TestNewNamespaces: with all kinds new, every link differs from ours, and the namespace is still there for
// the probe alone.
func TestNewNamespaces(t *testing.T) {
	b := newBundle(t)
	for _, kind := range allNamespaces {
		if !slices.ContainsFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind }) {
			addNamespace(b.spec, kind, "")
		}
	}
	if here.root {
		b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = oneID(0), oneID(0)
	}
	run := b.do("look", "line").start(t, nil)
	pid := run.await("cloned").Pid
	inside := run.answer("look").Look
	for _, kind := range allNamespaces {
		got := inside.Namespaces[nsFile(kind)]
		if got == "" || got == ownNamespace(t, kind) {
			t.Errorf("%s namespace is %q, which is ours", kind, got)
		}
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, nsFile(kind))); link != got {
			t.Errorf("%s namespace is %q from outside (%v), %q from inside", kind, link, err, got)
		}
	}
	if inside.Pid != 1 || inside.Ppid != 0 {
		t.Errorf("pid %d, parent %d, want 1 and 0", inside.Pid, inside.Ppid)
	}
	run.say("")
	run.wait().ok(t)
}

// TestEachNamespace leaves one kind out: that one is ours, and the others are not.
func TestEachNamespace(t *testing.T) {
	optional := []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace}
	for _, without := range optional {
		t.Run(string(without), func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { dropNamespace(s, without) })
			if without == specs.PIDNamespace {
				// A new proc shows a pid namespace that is not ours to a user; the host's is bound instead.
				dropMount(b.spec, "/proc")
				addMount(b.spec, "/proc", "bind", "/proc", "rbind")
			}
			r := b.run(t)
			if without == specs.PIDNamespace && !here.root && r.code == 125 {
				// policy: nothing is bound on /proc. Then there is nothing to look at but the pid.
				dropMount(b.spec, "/proc")
				r = b.run(t)
			}
			got := r.ok(t).look(t)
			if without == specs.PIDNamespace {
				if pid := r.pid(); got.Pid != pid {
					t.Errorf("pid inside is %d, outside %d", got.Pid, pid)
				}
			}
			for kind, link := range got.Namespaces {
				ours, err := os.Readlink("/proc/self/ns/" + kind)
				must(t, err)
				shared := kind == nsFile(without) || kind == "time" || kind == "user" && here.root
				if (link == ours) != shared {
					t.Errorf("%s namespace is %s, ours is %s", kind, link, ours)
				}
			}
		})
	}
}

// pid is what the shim said that the container's first process is.
func (r *result) pid() int {
	for _, s := range r.status {
		if s.Pid != 0 {
			return s.Pid
		}
	}
	return 0
}

// TestNewUserNamespaceOfRoot maps ids that are not root's.
func TestNewUserNamespaceOfRoot(t *testing.T) {
	needsRoot(t, "maps ids that are nobody's")
	b := newBundle(t)
	addNamespace(b.spec, specs.UserNamespace, "")
	b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 700000, Size: 10}, {ContainerID: 10, HostID: 800000, Size: 5}}
	b.spec.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 900000, Size: 20}}
	b.spec.Process.User = specs.User{UID: 12, GID: 3, AdditionalGids: []uint32{4}}
	must(t, os.Chmod(b.dir, 0o755))
	must(t, os.Chown(b.rootfs, 700000, 900000))
	r := b.do("look", "read /proc/self/uid_map", "read /proc/self/gid_map").run(t).ok(t)
	if got := r.look(t); got.Uid[0] != 12 || got.Gid[0] != 3 || !slices.Equal(got.Groups, []int{4}) {
		t.Errorf("ids are %v %v %v", got.Uid, got.Gid, got.Groups)
	}
	if got := words(r.value(t, "read /proc/self/uid_map")); got != "0 700000 10 10 800000 5" {
		t.Errorf("uid_map is %s", got)
	}
	if got := words(r.value(t, "read /proc/self/gid_map")); got != "0 900000 20" {
		t.Errorf("gid_map is %s", got)
	}
}

func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestMapsOfUser are a user's own id alone, and with the subordinate ids.
func TestMapsOfUser(t *testing.T) {
	needsUser(t)
	b := newBundle(t)
	if got, want := words(b.do("read /proc/self/uid_map").run(t).ok(t).value(t, "read /proc/self/uid_map")), fmt.Sprintf("0 %d 1", os.Getuid()); got != want {
		t.Errorf("uid_map is %s, want %s", got, want)
	}
	needsSubIDs(t)
	b = newBundle(t, withRange)
	r := b.do("read /proc/self/uid_map", "read /proc/self/gid_map", "read /proc/self/setgroups").run(t).ok(t)
	if got, want := words(r.value(t, "read /proc/self/uid_map")), fmt.Sprintf("0 %d 1 1 %d %d", os.Getuid(), subordinate("/etc/subuid"), rangeSize); got != want {
		t.Errorf("uid_map is %s, want %s", got, want)
	}
	if got, want := words(r.value(t, "read /proc/self/gid_map")), fmt.Sprintf("0 %d 1 1 %d %d", os.Getgid(), subordinate("/etc/subgid"), rangeSize); got != want {
		t.Errorf("gid_map is %s, want %s", got, want)
	}
}

// TestForeignMaps: ids that are not the user's are refused, whatever they are.
func TestForeignMaps(t *testing.T) {
	needsUser(t)
	needsSubIDs(t)
	uid, sub := uint32(os.Getuid()), subordinate("/etc/subuid")
	for name, maps := range map[string][]specs.LinuxIDMapping{
		"root":             {{ContainerID: 0, HostID: 0, Size: 1}},
		"root beside":      {{ContainerID: 0, HostID: uid, Size: 1}, {ContainerID: 1, HostID: 0, Size: 1}},
		"neighbour":        {{ContainerID: 0, HostID: uid + 1, Size: 1}},
		"two for own":      {{ContainerID: 0, HostID: uid, Size: 2}},
		"before the range": {{ContainerID: 0, HostID: sub - 1, Size: 2}},
		"past the range":   {{ContainerID: 0, HostID: sub, Size: 65537}},
		"far":              {{ContainerID: 0, HostID: 4000000000, Size: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.UIDMappings = maps })
			r := b.run(t)
			if r.code != 125 || len(r.status) == 0 || !strings.HasPrefix(r.status[len(r.status)-1].Pointer, "/linux/uidMappings") {
				t.Errorf("not refused: %s", r)
			}
		})
	}
}

// TestTimeOffsets moves two clocks.
func TestTimeOffsets(t *testing.T) {
	b := newBundle(t)
	addNamespace(b.spec, specs.TimeNamespace, "")
	b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 3600, Nanosecs: 5}, "boottime": {Secs: 86400}}
	if here.root {
		withRange(b.spec)
	}
	before := uptime(t)
	r := b.do("uptime", "read /proc/uptime", "read /proc/self/timens_offsets").run(t).ok(t)
	after := uptime(t)
	inside := strings.Fields(r.value(t, "uptime"))
	boot, err := strconv.ParseFloat(strings.Fields(r.value(t, "read /proc/uptime"))[0], 64)
	must(t, err)
	monotonic, err := strconv.Atoi(inside[0])
	must(t, err)
	const tick = 0.01 // of /proc/uptime: the three are rounded down, and their difference is not exact in binary
	if boot < before+86400-tick || boot > after+86400+tick {
		t.Errorf("/proc/uptime is %f, ours %f to %f", boot, before, after)
	}
	// Our two clocks differ by the time that the machine was suspended: none or more.
	if float64(monotonic) > after+3601 || monotonic < 3600 {
		t.Errorf("the monotonic clock is at %d s", monotonic)
	}
	if got := words(r.value(t, "read /proc/self/timens_offsets")); got != "monotonic 3600 5 boottime 86400 0" {
		t.Errorf("offsets are %s", got)
	}
}

func uptime(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/uptime")
	must(t, err)
	n, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	must(t, err)
	return n
}

// TestTimeOffsetsWithoutUserNamespace is the other way to make a time namespace: root's.
func TestTimeOffsetsWithoutUserNamespace(t *testing.T) {
	needsRoot(t, "a container of a user's has a user namespace")
	b := newBundle(t)
	addNamespace(b.spec, specs.TimeNamespace, "")
	b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}}
	before := uptime(t)
	got, err := strconv.ParseFloat(strings.Fields(b.do("read /proc/uptime").run(t).ok(t).value(t, "read /proc/uptime"))[0], 64)
	must(t, err)
	if got < before+1000 {
		t.Errorf("/proc/uptime is %f, ours was %f", got, before)
	}
}
