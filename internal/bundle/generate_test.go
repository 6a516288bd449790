package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/libcontainer"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	root   = Caller{}
	plain  = Caller{UID: 1000, GID: 1001}
	single = Caller{UID: 1000, GID: 1001, Setuid: true}
	ranges = Caller{UID: 1000, GID: 1001, Setuid: true, SubUIDs: policy.Range{First: 100000, Count: 65536}, SubGIDs: policy.Range{First: 200000, Count: 65536}}
	short  = Caller{UID: 1000, GID: 1001, Setuid: true, SubUIDs: policy.Range{First: 100000, Count: 3}, SubGIDs: policy.Range{First: 200000, Count: 4}}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// options is a small container that the cases of the tests change.
func options(caller Caller, change func(*Options)) Options {
	o := Options{
		Rootfs: "/srv/rootfs", ID: "web", Network: NetworkHost, Caller: caller,
		Process: Process{Args: []string{"/bin/sh", "-c", "true"}},
	}
	if change != nil {
		change(&o)
	}
	return o
}

func everything(o *Options) {
	o.ReadOnly = true
	o.Hostname = "box"
	o.Network = NetworkNone
	o.Mounts = []specs.Mount{
		must(ParseVolume("/home/user/src/deep:/src/deep:ro,nosuid")),
		must(ParseVolume("/home/user/src:/src")),
		must(ParseTmpfs("/tmp:size=64m,mode=700")),
		must(ParseTmpfs("/dev/shm:size=1g")),
	}
	o.Limits = Limits{Memory: 64 << 20, CPUQuota: 50_000, Pids: 100}
	o.Capabilities = Capabilities{Add: []string{"net_raw"}, Drop: []string{"CAP_SYS_CHROOT"}}
	o.Process = Process{
		Args: []string{"make"}, Env: []string{"A=1", "PATH=/bin", "A=2"}, Cwd: "/src", Term: "xterm",
		User: User{UID: 0, GID: 0, Groups: []uint32{3, 0, 3, 70000}, Home: "/root"},
	}
}

var golden = []struct {
	name    string
	options Options
}{
	{"root", options(root, nil)},
	{"root-everything", options(root, everything)},
	{"root-user", options(root, func(o *Options) {
		o.Process.User = User{UID: 999, GID: 998, Groups: []uint32{20, 998}, Home: "/srv"}
	})},
	{"root-user-cap", options(root, func(o *Options) {
		o.Process.User = User{UID: 999}
		o.Capabilities = Capabilities{Drop: []string{"all"}, Add: []string{"CAP_NET_BIND_SERVICE"}}
	})},
	{"root-init", options(root, func(o *Options) { o.Process.Init = "/srv/locald" })},
	{"user", options(plain, nil)},
	{"user-limits", options(plain, func(o *Options) { o.Limits.Memory = 1 << 30 })},
	{"user-setuid", options(single, func(o *Options) { o.CgroupMount = true })},
	{"user-none", options(single, func(o *Options) { o.Network = NetworkNone })},
	{"user-ranges", options(ranges, func(o *Options) { o.Process.User.Groups = []uint32{27, 65535, 65536} })},
	{"user-ranges-everything", options(ranges, everything)},
	{"user-short-ranges", options(short, func(o *Options) { o.Process.User = User{UID: 3, GID: 4, Groups: []uint32{2, 5}} })},
}

func TestGenerate(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			spec, err := Generate(c.options)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Linux.Seccomp == nil {
				t.Error("there is no seccomp filter")
			}
			spec.Linux.Seccomp = nil // TestDefaultSeccomp
			got, err := json.MarshalIndent(spec, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", c.name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("not as in %s (see the difference with -update):\n%s", file, got)
			}
		})
	}
}

// TestGenerateRules holds for every bundle, whatever the golden files say.
func TestGenerateRules(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			o := c.options
			before := string(must(json.Marshal(o)))
			spec, err := Generate(o)
			if err != nil {
				t.Fatal(err)
			}
			if string(must(json.Marshal(o))) != before {
				t.Error("the options were changed")
			}
			checkShim(t, spec, o.Caller)
			checkMounts(t, spec)
			checkNamespaces(t, spec, o)
			checkCapabilities(t, spec)
			if !spec.Process.NoNewPrivileges {
				t.Error("the program may gain privileges")
			}
			names := map[string]bool{}
			for _, entry := range spec.Process.Env {
				name, _, _ := strings.Cut(entry, "=")
				if names[name] {
					t.Errorf("%s stands twice in the environment", name)
				}
				names[name] = true
			}
			if spec.Linux.Resources != nil && spec.Linux.CgroupsPath == "" {
				t.Error("there are limits and no cgroup for them")
			}
		})
	}
}

// checkShim asks the other side: the helper must have nothing against a bundle that this side made.
func checkShim(t *testing.T, spec *specs.Spec, c Caller) {
	t.Helper()
	problems := libcontainer.Validate(spec)
	if !c.Root() {
		g := &policy.Grant{UID: c.UID, GID: c.GID, Setuid: c.Setuid, CgroupBase: "/locald/u1000"}
		if c.SubUIDs.Count > 0 {
			g.SubUIDs, g.SubGIDs = []policy.Range{c.SubUIDs}, []policy.Range{c.SubGIDs}
		}
		problems = append(problems, policy.Check(spec, g)...)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

func checkMounts(t *testing.T, spec *specs.Spec) {
	t.Helper()
	seen := map[string]int{}
	for i, m := range spec.Mounts {
		if _, twice := seen[m.Destination]; twice {
			t.Errorf("two mounts on %s", m.Destination)
		}
		seen[m.Destination] = i
		for above := filepath.Dir(m.Destination); above != "/"; above = filepath.Dir(above) {
			if at := slices.IndexFunc(spec.Mounts, func(o specs.Mount) bool { return o.Destination == above }); at > i {
				t.Errorf("%s would hide %s", above, m.Destination)
			}
		}
	}
	gids := spec.Linux.GIDMappings
	for _, m := range spec.Mounts {
		if m.Type == "devpts" && slices.Contains(m.Options, "gid=5") && gids != nil && !mapped(gids, 5) {
			t.Error("gid=5 is not mapped")
		}
	}
	_, sysfs := seen["/sys"]
	if sysfs && len(gids) > 0 && !hasNamespace(spec, specs.NetworkNamespace) {
		t.Error("a user cannot mount the sysfs of the host's network")
	}
}

func hasNamespace(spec *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
}

func mapped(maps []specs.LinuxIDMapping, id uint32) bool {
	return slices.ContainsFunc(maps, func(m specs.LinuxIDMapping) bool {
		return id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size)
	})
}

func checkNamespaces(t *testing.T, spec *specs.Spec, o Options) {
	t.Helper()
	l := spec.Linux
	user := hasNamespace(spec, specs.UserNamespace)
	if user == o.Caller.Root() || user != (len(l.UIDMappings) > 0) || user != (len(l.GIDMappings) > 0) {
		t.Errorf("user namespace %v, maps %v %v", user, l.UIDMappings, l.GIDMappings)
	}
	if !user {
		return
	}
	u := spec.Process.User
	if !mapped(l.UIDMappings, u.UID) || !mapped(l.GIDMappings, u.GID) {
		t.Errorf("the process's ids %d:%d are not mapped", u.UID, u.GID)
	}
	for _, gid := range u.AdditionalGids {
		if len(l.GIDMappings) == 1 || !mapped(l.GIDMappings, gid) {
			t.Errorf("group %d is not mapped, or setgroups is denied", gid)
		}
	}
	for _, m := range slices.Concat(l.UIDMappings, l.GIDMappings) {
		if m.HostID == 0 || m.Size == 0 {
			t.Errorf("mapping %+v", m)
		}
	}
}

func checkCapabilities(t *testing.T, spec *specs.Spec) {
	t.Helper()
	c := spec.Process.Capabilities
	for _, set := range [][]string{c.Effective, c.Permitted, c.Inheritable, c.Ambient} {
		for _, name := range set {
			if !slices.Contains(c.Bounding, name) {
				t.Errorf("%s is not in the bounding set", name)
			}
		}
	}
	if spec.Process.User.UID == 0 && len(c.Ambient)+len(c.Inheritable) > 0 {
		t.Error("root needs no ambient capabilities")
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		caller Caller
		change func(*Options)
		flag   string
		reason string
	}{
		{"no rootfs", root, func(o *Options) { o.Rootfs = "" }, "IMAGE", "no root file system"},
		{"no name", root, func(o *Options) { o.ID = "" }, "--name", "a name is made of"},
		{"slash", root, func(o *Options) { o.ID = "a/b" }, "--name", "a name is made of"},
		{"dots", root, func(o *Options) { o.ID = ".." }, "--name", "a name is made of"},
		{"upper case", root, func(o *Options) { o.ID = "Web" }, "--name", "a name is made of"},
		{"no program", root, func(o *Options) { o.Process.Args = nil }, "CMD", "no program"},
		{"empty program", root, func(o *Options) { o.Process.Args = []string{""} }, "CMD", "no program"},
		{"relative cwd", root, func(o *Options) { o.Process.Cwd = "src" }, "--workdir", "starts with /"},
		{"long host name", root, func(o *Options) { o.Hostname = strings.Repeat("x", 65) }, "--hostname", "at most 64"},
		{"network", root, func(o *Options) { o.Network = "bridge" }, "--network", "host and none"},
		{"NUL", root, func(o *Options) { o.Process.Args = []string{"a\x00b"} }, "argument", "NUL"},
		{"env", root, func(o *Options) { o.Process.Env = []string{"=x"} }, "--env", "NAME=VALUE"},
		{"uid of one", plain, func(o *Options) { o.Process.User.UID = 1 }, "--user", "only id 0 exists"},
		{"gid of one", single, func(o *Options) { o.Process.User.GID = 1 }, "--user", "only id 0 exists"},
		{"uid beyond", ranges, func(o *Options) { o.Process.User.UID = 65536 }, "--user", "the highest id in the container is 65535"},
		{"gid beyond", short, func(o *Options) { o.Process.User.GID = 5 }, "--user", "the highest id in the container is 4"},
		{"capability", root, func(o *Options) { o.Capabilities.Add = []string{"SYS_MAGIC"} }, "--cap-add", "no such capability"},
		{"dropped capability", root, func(o *Options) { o.Capabilities.Drop = []string{"x"} }, "--cap-drop", "no such capability"},
		{"both", root, func(o *Options) { o.Capabilities = Capabilities{Add: []string{"KILL"}, Drop: []string{"cap_kill"}} }, "--cap-add", "dropped by"},
		{"all and all", root, func(o *Options) { o.Capabilities = Capabilities{Add: []string{"ALL"}, Drop: []string{"all"}} }, "--cap-add", "the opposite"},
		{"twice", root, func(o *Options) {
			o.Mounts = []specs.Mount{must(ParseVolume("/a:/x")), must(ParseTmpfs("/x/"))}
		}, "--tmpfs", "something else is mounted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Generate(options(c.caller, c.change))
			wantError(t, err, c.flag, c.reason)
		})
	}
}

func wantError(t *testing.T, err error, flag, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v, want a refusal of %s", err, flag)
	}
	if e.Flag != flag || !strings.Contains(e.Reason, reason) {
		t.Errorf("%s: %s; want %s: …%s…", e.Flag, e.Reason, flag, reason)
	}
}

func TestCapabilitiesAll(t *testing.T) {
	sets := must(Capabilities{Add: []string{"ALL"}, Drop: []string{"SYS_ADMIN"}}.sets(true))
	if len(sets.Effective) != len(capabilities)-1 || slices.Contains(sets.Effective, "CAP_SYS_ADMIN") {
		t.Errorf("%v", sets.Effective)
	}
	sets = must(Capabilities{Drop: []string{"ALL"}}.sets(true))
	if len(sets.Bounding)+len(sets.Effective) != 0 {
		t.Errorf("%+v", sets)
	}
	if got := must(Capabilities{}.sets(false)); len(got.Effective) != 0 || len(got.Bounding) != len(defaultCapabilities) {
		t.Errorf("%+v", got)
	}
	if CapabilityName(0) != "CAP_CHOWN" || CapabilityName(21) != "CAP_SYS_ADMIN" || CapabilityName(40) != "CAP_CHECKPOINT_RESTORE" {
		t.Error("the table is out of order")
	}
	if CapabilityName(-1)+CapabilityName(41) != "" {
		t.Error("there are 41 capabilities")
	}
}
