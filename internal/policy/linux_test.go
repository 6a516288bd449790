package policy

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestNamespaces(t *testing.T) {
	type list = []specs.LinuxNamespace
	for _, c := range []struct {
		name string
		list list
		want []string
	}{
		{"least", list{{Type: "user"}, {Type: "mount"}}, nil},
		{"joined", list{{Type: "user"}, {Type: "mount"}, {Type: "ipc", Path: "/i"}, {Type: "uts", Path: "/u"}, {Type: "network", Path: "/n"}, {Type: "cgroup", Path: "/c"}, {Type: "time", Path: "/t"}}, nil},
		{"no user", list{{Type: "mount"}}, []string{"/linux/namespaces: a container that is not root's needs a new user namespace"}},
		{"no mount", list{{Type: "user"}}, []string{"/linux/namespaces: a container that is not root's needs a new mount namespace"}},
		{"user by path", list{{Type: "user", Path: "/u"}, {Type: "mount"}}, []string{"/linux/namespaces/0/path: joining a user namespace needs root; leave path out: the container gets a new one"}},
		{"mount by path", list{{Type: "user"}, {Type: "mount", Path: "/m"}}, []string{"/linux/namespaces/1/path: joining a mount namespace needs root"}},
		{"pid by path", list{{Type: "user"}, {Type: "mount"}, {Type: "pid", Path: "/p"}}, []string{"/linux/namespaces/2/path: joining a pid namespace needs root"}},
		{"twice", list{{Type: "user"}, {Type: "mount"}, {Type: "user", Path: "/u"}}, []string{"/linux/namespaces/2/path: joining a user", `/linux/namespaces/2: namespace "user" is listed twice`}},
		{"unknown", list{{Type: "user"}, {Type: "mount"}, {Type: "net"}}, []string{`/linux/namespaces/2/type: unknown namespace "net"; known are pid,`}},
	} {
		check := &checker{linux: &specs.Linux{Namespaces: c.list}}
		check.namespaces()
		got := render(check.problems)
		if strings.Count(got, "\n") != len(c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", c.name, got, want)
			}
		}
	}
}

func TestLinux(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*specs.Spec)
		want   string // all of it
	}{
		{"sysctls in order", func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"vm.x": "1", "net.x": "1", "kernel.a/b": "1", "user.max_user_namespaces": "1", "a": "1", "fs.b": "1"}
		}, `config.json: /linux/sysctl/a: sysctl "a" is not namespaced; it would change the host
config.json: /linux/sysctl/fs.b: sysctl "fs.b" is not namespaced; it would change the host
config.json: /linux/sysctl/kernel.a~1b: sysctl "kernel.a/b" is not namespaced; it would change the host
config.json: /linux/sysctl/user.max_user_namespaces: sysctl "user.max_user_namespaces" limits namespaces and needs root; leave it out
config.json: /linux/sysctl/vm.x: sysctl "vm.x" is not namespaced; it would change the host
`},
		{"sysctl of a namespace that is joined", func(s *specs.Spec) {
			s.Linux.Namespaces[4].Path, s.Hostname = "/u", ""
			s.Linux.Sysctl = map[string]string{"kernel.hostname": "x"}
		}, `config.json: /linux/sysctl/kernel.hostname: sysctl "kernel.hostname" needs a new uts namespace; add {"type": "uts"} to linux.namespaces
`},
		{"clocks in order", func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {}, "monotonic": {}, "boottime\n": {}, "": {}, "tai": {}}
		}, `config.json: /linux/timeOffsets/: unknown clock; known are monotonic and boottime
config.json: /linux/timeOffsets/boottime
: unknown clock; known are monotonic and boottime
config.json: /linux/timeOffsets/realtime: unknown clock; known are monotonic and boottime
config.json: /linux/timeOffsets/tai: unknown clock; known are monotonic and boottime
`},
		{"unified files in order", func(s *specs.Spec) {
			s.Linux.Resources.Unified = map[string]string{"d": "", "b": "", "c": "", "a": "", "e": ""}
		}, `config.json: /linux/resources/unified/a: "a" is not a file that you may write; it is like "memory.high"; the cgroup.* files are the runtime's
config.json: /linux/resources/unified/b: "b" is not a file that you may write; it is like "memory.high"; the cgroup.* files are the runtime's
config.json: /linux/resources/unified/c: "c" is not a file that you may write; it is like "memory.high"; the cgroup.* files are the runtime's
config.json: /linux/resources/unified/d: "d" is not a file that you may write; it is like "memory.high"; the cgroup.* files are the runtime's
config.json: /linux/resources/unified/e: "e" is not a file that you may write; it is like "memory.high"; the cgroup.* files are the runtime's
`},
		{"no root", func(s *specs.Spec) { s.Root.Path = "" }, "config.json: /root/path: root.path is empty; name the directory of the container's file system\n"},
		{"a device with everything", func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/devices/x", Type: "p", FileMode: ptr(os.FileMode(0)), UID: ptr(uint32(0)), GID: ptr(uint32(0))}}
		}, `config.json: /linux/devices/0/type: making "/devices/x" of type "p" needs root; nodes of the host's /dev, of type c or b, can be had without
config.json: /linux/devices/0/path: making device "/devices/x" needs root; nodes of the host's /dev can be had without, at the same path
config.json: /linux/devices/0/fileMode: device "/devices/x" is the host's and keeps its owner and mode; leave fileMode out
config.json: /linux/devices/0/uid: device "/devices/x" is the host's and keeps its owner and mode; leave uid out
config.json: /linux/devices/0/gid: device "/devices/x" is the host's and keeps its owner and mode; leave gid out
`},
	} {
		spec := testSpec()
		c.change(spec)
		if got := render(Check(spec, testGrant())); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
