package policy

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// testGrant is a caller like the first user of a Debian machine.
func testGrant() *Grant {
	g := &Grant{
		UID: 1000, GID: 1001, Setuid: true, Helper: Helper{IDMap: true}, CgroupBase: "/locald/u1000", OOMScoreAdj: 100,
		SubUIDs: []Range{{100000, 65536}}, SubGIDs: []Range{{200000, 65536}},
	}
	for i := range g.HardLimits {
		g.HardLimits[i] = 1000
	}
	g.HardLimits[rlimitNice], g.HardLimits[rlimitRtprio] = 0, 0
	return g
}

// testSpec asks for what a caller may have, something of nearly everything.
func testSpec() *specs.Spec {
	hook := func() []specs.Hook { return []specs.Hook{{Path: "/bin/true", Timeout: ptr(1)}} }
	return &specs.Spec{
		Version:  "1.3.0",
		Hostname: "web",
		Root:     &specs.Root{Path: "rootfs"},
		Hooks: &specs.Hooks{
			//lint:ignore SA1019 a deprecated hook is a hook
			Prestart:      hook(),
			CreateRuntime: hook(), CreateContainer: hook(), StartContainer: hook(), Poststart: hook(), Poststop: hook(),
		},
		Process: &specs.Process{
			Args: []string{"/bin/sh"}, Cwd: "/",
			User:       specs.User{UID: 0, GID: 0, AdditionalGids: []uint32{5}},
			Rlimits:    []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1000, Soft: 100}},
			Scheduler:  &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5},
			IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "uid=0", "gid=0"}},
			{Destination: "/dev/pts", Type: "devpts", Options: []string{"newinstance", "gid=5"}},
			{Destination: "/dev/mqueue", Type: "mqueue"},
			{Destination: "/sys", Type: "sysfs"},
			{Destination: "/sys/fs/cgroup", Type: "cgroup2"},
			{Destination: "/data", Type: "bind", Source: "/home/u/data", Options: []string{"rbind", "ro"}},
			{Destination: "/merged", Type: "overlay", Options: []string{"lowerdir=a:b"}},
		},
		Linux: &specs.Linux{
			Namespaces:  []specs.LinuxNamespace{{Type: "user"}, {Type: "mount"}, {Type: "pid"}, {Type: "ipc"}, {Type: "uts"}, {Type: "network"}, {Type: "cgroup"}, {Type: "time"}},
			UIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65535}},
			GIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1001, Size: 1}, {ContainerID: 1, HostID: 200000, Size: 65535}},
			CgroupsPath: "/locald/u1000/web",
			Resources:   &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, Pids: &specs.LinuxPids{Limit: ptr(int64(64))}},
			Devices:     []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}},
			Sysctl:      map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"},
			TimeOffsets: map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1}},
		},
	}
}

func render(problems []libcontainer.Problem) string {
	s := ""
	for _, p := range problems {
		s += p.String() + "\n"
	}
	return s
}

func TestCheckAllows(t *testing.T) {
	if p := Check(testSpec(), testGrant()); len(p) > 0 {
		t.Errorf("refused:\n%s", render(p))
	}
	// Without the bit and without anything from the admin: the container that every kernel allows.
	spec := testSpec()
	spec.Process.User.AdditionalGids = nil
	spec.Linux.UIDMappings, spec.Linux.GIDMappings = spec.Linux.UIDMappings[:1], spec.Linux.GIDMappings[:1]
	spec.Linux.CgroupsPath, spec.Linux.Resources = "", nil
	spec.Mounts[2].Options = nil
	spec.Linux.TimeOffsets, spec.Linux.Namespaces = nil, spec.Linux.Namespaces[:7]
	g := &Grant{UID: 1000, GID: 1001, HardLimits: testGrant().HardLimits}
	if p := Check(spec, g); len(p) > 0 {
		t.Errorf("refused without any grant:\n%s", render(p))
	}
}

// TestCheckRefusesNothingness: a config.json may lack everything, and the answer is words, not a panic.
func TestCheckRefusesNothingness(t *testing.T) {
	got := render(Check(&specs.Spec{}, testGrant()))
	for _, want := range []string{
		"config.json: /root: root is missing; ",
		`config.json: /linux/namespaces: a container that is not root's needs a new user namespace; add {"type": "user"} to linux.namespaces` + "\n",
		`config.json: /linux/namespaces: a container that is not root's needs a new mount namespace; add {"type": "mount"} to linux.namespaces` + "\n",
		"config.json: /linux/uidMappings: a new user namespace needs at least one mapping; the host uid 1000 is yours\n",
		"config.json: /process/user/gid: gid 0 is not mapped; ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// TestCheckIsPure: it refuses and never changes.
func TestCheckIsPure(t *testing.T) {
	spec, g := testSpec(), testGrant()
	spec.Mounts[0].Destination = "/x/../etc/"
	spec.Linux.CgroupsPath = "/locald/u1/x"
	first := render(Check(spec, g))
	if second := render(Check(spec, g)); first != second {
		t.Errorf("two answers to one question:\n%s\n%s", first, second)
	}
	if spec.Mounts[0].Destination != "/x/../etc/" || spec.Linux.CgroupsPath != "/locald/u1/x" {
		t.Error("Check has changed the spec")
	}
}

// TestAgreesWithValidate: what both packages know must be the same, or a config that one allows is refused
// by the other for want of a name.
func TestAgreesWithValidate(t *testing.T) {
	spec := testSpec()
	if p := libcontainer.Validate(spec); len(p) > 0 {
		t.Fatalf("Validate refuses the test's config.json:\n%s", render(p))
	}
	for _, name := range rlimitNames {
		spec.Process.Rlimits = []specs.POSIXRlimit{{Type: name}}
		if p := libcontainer.Validate(spec); len(p) > 0 {
			t.Errorf("Validate does not know %s:\n%s", name, render(p))
		}
	}
	spec.Process.Rlimits = nil
	// Not user.*, which is root's, nor kernel.hostname, which Validate has another word for.
	for _, key := range []string{"kernel.domainname", "kernel.msgmax", "kernel.sem", "kernel.shm_rmid_forced", "kernel.shmmax", "kernel.msg_next_id", "fs.mqueue.msg_max",
		"net.core.somaxconn", "net.ipv4.conf.eth0-1.forwarding", "kernel.core_pattern", "kernel.msgs", "vm.swappiness", "net", "net.", "net..x", "net.ipv4/../../kernel", "net/ipv4", "net/ipv4/conf/eth0.7/forwarding", "net.ipv4.conf.eth0/7.forwarding", "kernel/msgmax", "kernel/core_pattern", "net.//.x", "net/../kernel/msgmax", "net/./x", "net/.x", "net.x/", "/net/x", "net/x/", "kernel.msg/max",
		"fs.mqueue", "fs.file-max", "", "net.x y", "net.ü"} {
		spec.Linux.Sysctl = map[string]string{key: "1"}
		validate, check := render(libcontainer.Validate(spec)), render(Check(spec, testGrant()))
		if (validate == "") != (check == "") {
			t.Errorf("sysctl %q: Validate says %q, Check says %q", key, validate, check)
		}
	}
}

// FuzzCheck: whatever a config.json holds, the answer is words.
func FuzzCheck(f *testing.F) {
	whole, err := json.Marshal(testSpec())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"process": {"user": {}, "rlimits": [{}], "ioPriority": {}, "scheduler": {}}, "mounts": [{}], "hooks": {"poststop": [{}]}}`))
	f.Add([]byte(`{"linux": {"namespaces": [{}], "devices": [{}], "resources": {"devices": [{}], "memory": {}, "cpu": {}, "unified": {"": ""}}, "timeOffsets": {"": {}}, "sysctl": {"": ""}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec := new(specs.Spec)
		if json.Unmarshal(data, spec) != nil {
			return
		}
		for _, g := range []*Grant{testGrant(), {UID: 1000, GID: 1001}} {
			problems := Check(spec, g)
			for _, p := range problems {
				if p.Reason == "" || !strings.HasPrefix(p.Pointer, "/") {
					t.Errorf("%+v", p)
				}
			}
			if len(problems) == 0 && (spec.Linux.UIDMappings[0].HostID == 0 || spec.Linux.GIDMappings[0].HostID == 0) {
				t.Error("root of the host is mapped")
			}
		}
	})
}

// TestImports: this package is part of a program that runs set-user-ID root, and opens nothing.
func TestImports(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"cmp", "errors", "path", "slices", "strconv", "strings", "github.com/locald/locald/libcontainer", "github.com/opencontainers/runtime-spec/specs-go"}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			found := false
			for _, a := range allowed {
				found = found || a == imported
			}
			if !found {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}
