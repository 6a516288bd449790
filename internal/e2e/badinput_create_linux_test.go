package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// badMember is a member of config.json with a value that it cannot have.
type badMember struct {
	pointer string // of the member
	value   any
	want    string // a part of the error
	below   string // what the error's pointer has more than the member's
}

// TestBadCreate: what cannot be is refused by create, once, with the JSON pointer, and nothing is there then.
func TestBadCreate(t *testing.T) {
	type list = []any
	type object = map[string]any
	filter := func(key string, value any) object {
		rule := object{"names": list{"read"}, "action": "SCMP_ACT_ERRNO"}
		rule[key] = value
		return object{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list{rule}}
	}
	rows := []badMember{
		// Another type.
		{"/hostname", 7, "a string is expected, found a number", ""},
		{"/annotations", object{"a": 1}, "a string is expected, found a number", "/a"},
		{"/root/readonly", 1, "found a number", ""},
		{"/process/terminal", "yes", "found a string", ""},
		{"/process/env", "A=1", "an array is expected, found a string", ""},
		{"/process/oomScoreAdj", "5", "found a string", ""},
		{"/process/user/additionalGids", 7, "an array is expected, found a number", ""},
		{"/process/rlimits", object{}, "an array is expected, found an object", ""},
		{"/process/capabilities", list{}, "an object is expected, found an array", ""},
		{"/mounts", object{}, "an array is expected, found an object", ""},
		{"/mounts/0/options", "ro", "an array is expected, found a string", ""},
		{"/hooks", list{}, "an object is expected, found an array", ""},
		{"/linux/namespaces", "pid", "an array is expected, found a string", ""},
		{"/linux/uidMappings", object{}, "an array is expected, found an object", ""},
		{"/linux/devices", 0, "an array is expected, found a number", ""},
		{"/linux/sysctl", object{"net.ipv4.ip_forward": 1}, "a string is expected, found a number", "/net.ipv4.ip_forward"},
		{"/linux/seccomp", "default", "an object is expected, found a string", ""},
		{"/linux/resources", object{"pids": object{"limit": 1.5}}, "integer", "/pids/limit"},
		{"/linux/resources", object{"memory": object{"limit": "1G"}}, "found a string", "/memory/limit"},
		// A value that cannot be.
		{"/process/oomScoreAdj", 5000, "range", ""},
		{"/process/user/umask", 4096, "0777", ""},
		{"/process/cwd", "relative", "absolute", ""},
		{"/process/rlimits", list{object{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}}, "above", "/0/soft"},
		{"/process/scheduler", object{"policy": "SCHED_FIFO"}, "1 to 99", "/priority"},
		{"/process/execCPUAffinity", object{"initial": "3-1"}, "not a list", "/initial"},
		{"/hooks", object{"prestart": list{object{"path": "hook"}}}, "absolute", "/prestart/0/path"},
		{"/linux/resources", object{"cpu": object{"period": 5}}, "between", "/cpu/period"},
		{"/linux/timeOffsets", object{"boottime": object{"secs": 1}}, "time", ""},
		{"/linux/maskedPaths", list{"proc"}, "absolute", "/0"},
		{"/linux/cgroupsPath", "/a/../b", "..", ""},
		// A name that nothing has.
		{"/ociVersion", "9.0.0", "not supported", ""},
		{"/process/rlimits", list{object{"type": "RLIMIT_X", "soft": 1, "hard": 1}}, "unknown", "/0/type"},
		{"/process/scheduler", object{"policy": "SCHED_FAIR"}, "unknown", "/policy"},
		{"/process/ioPriority", object{"class": "IOPRIO_CLASS_NONE", "priority": 1}, "unknown", "/class"},
		{"/linux/namespaces/0/type", "pids", "unknown", ""},
		{"/linux/rootfsPropagation", "sharing", "unknown", ""},
		{"/linux/personality", object{"domain": "LINUX64"}, "unknown", "/domain"},
		{"/linux/memoryPolicy", object{"mode": "MPOL_X"}, "unknown", "/mode"},
		{"/linux/devices", list{object{"path": "/dev/x", "type": "d"}}, "unknown", "/0/type"},
		{"/linux/sysctl", object{"kernel.core_pattern": "x"}, "not namespaced", "/kernel.core_pattern"},
		{"/linux/seccomp", object{"defaultAction": "DENY"}, "unknown", "/defaultAction"},
		{"/linux/seccomp", filter("action", "DENY"), "unknown", "/syscalls/0/action"},
		{"/linux/seccomp", filter("args", list{object{"index": 0, "value": 1, "op": "EQ"}}), "unknown", "/syscalls/0/args/0/op"},
	}
	for i, row := range thin(rows) {
		t.Run(strconv.Itoa(i)+" "+strings.ReplaceAll(row.pointer[1:]+row.below, "/", "."), func(t *testing.T) {
			b := newBundle(t)
			b.write(t)
			row.put(t, filepath.Join(b.dir, "config.json"))
			b.refusedCreate(t, row.pointer+row.below, row.want)
		})
	}
}

// refusedCreate wants create to say what is wrong with the config.json, once, and nothing to be there then.
func (b *bundle) refusedCreate(t *testing.T, pointer, want string) {
	t.Helper()
	res := shim(t, "create", "--bundle", b.dir, b.id)
	told := 0
	for line := range strings.Lines(res.stderr) {
		if !strings.Contains(line, "config.json: "+pointer+": ") && !strings.Contains(line, "(config.json "+pointer+")") {
			continue
		}
		told++
		if here.root && !strings.Contains(line, want) { // a user may have a reason more, which goes first
			t.Errorf("it does not say %q: %s", want, line)
		}
	}
	if res.code != 1 || told != 1 {
		t.Errorf("not refused with 1, and once, about %s: %s", pointer, res)
	}
	fails(t, 1, "does not exist", "state", b.id)
}

// TestBadNamespaceKind: a path that leads to another kind of namespace than the one that is to be joined.
func TestBadNamespaceKind(t *testing.T) {
	needsRoot(t, "a user joins few namespaces")
	other := newBundle(t).do("line")
	r := other.create(t)
	for kind, wrong := range map[specs.LinuxNamespaceType]string{specs.PIDNamespace: "net", specs.NetworkNamespace: "uts", specs.MountNamespace: "ipc",
		specs.IPCNamespace: "net", specs.UTSNamespace: "ipc", specs.UserNamespace: "net", specs.CgroupNamespace: "uts", specs.TimeNamespace: "net"} {
		t.Run(string(kind), func(t *testing.T) {
			b := newBundle(t)
			replaceNamespace(b.spec, kind, "/proc/self/ns/"+wrong)
			if kind == specs.MountNamespace {
				b.spec.Root, b.spec.Mounts, b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil, nil, nil
			}
			b.write(t)
			pointer := "/linux/namespaces/" + strconv.Itoa(len(b.spec.Linux.Namespaces)-1)
			b.refusedCreate(t, pointer, string(kind))
			// It is found before anything is made, also that the id is another's.
			fails(t, 1, pointer, "create", "--bundle", b.dir, other.id)
		})
	}
	shim(t, "delete", "--force", other.id).ok(t)
	r.closed()
}

// put gives the member its value in a config.json.
func (m *badMember) put(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	var doc any
	must(t, json.Unmarshal(text, &doc))
	names := strings.Split(m.pointer[1:], "/")
	at := doc
	for _, name := range names[:len(names)-1] {
		if list, is := at.([]any); is {
			n, err := strconv.Atoi(name)
			must(t, err)
			at = list[n]
		} else {
			at = at.(map[string]any)[name]
		}
	}
	at.(map[string]any)[names[len(names)-1]] = m.value
	text, err = json.Marshal(doc)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o644))
}
