package bundle

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/policy"
)

func hostExample() (Options, HostView) {
	o := Options{
		Rootfs: "/s/root", ID: "try-1", Network: NetworkNone, Process: Process{Args: []string{"true"}, Cwd: "/home/u/p"},
		Caller: Caller{UID: 1000, GID: 100, SubUIDs: policy.Range{First: 100000, Count: 65536}, SubGIDs: policy.Range{First: 100000, Count: 65536}, Setuid: true},
	}
	h := HostView{
		Shown: []string{"/etc", "/home", "/srv", "/usr"}, Empty: []string{"/tmp", "/run"}, Covered: []Cover{{"/home/u", "/s/u", "/s/w"}},
		Projects: []Project{{Path: "/home/u/p", UID: 7, GID: 8}}, ID: 5000,
		Binds: []specs.Mount{{Destination: "/home/u/.ssh", Type: "bind", Source: "/s/nothing"}},
		Own:   []specs.Mount{{Destination: "/srv", Type: "bind", Source: "/home/u/srv"}},
	}
	return o, h
}

func mountAt(t *testing.T, spec *specs.Spec, destination string) specs.Mount {
	t.Helper()
	var found []specs.Mount
	for _, m := range spec.Mounts {
		if m.Destination == destination {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d mounts on %s", len(found), destination)
	}
	return found[0]
}

// TestGenerateHost: a user's bundle passes the policy with their own ids alone, and the deep comes after the shallow.
func TestGenerateHost(t *testing.T) {
	o, h := hostExample()
	spec, err := GenerateHost(o, h)
	if err != nil {
		t.Fatal(err)
	}
	grant := &policy.Grant{UID: 1000, GID: 100, Setuid: true, SubUIDs: []policy.Range{{First: 100000, Count: 65536}}}
	for _, p := range policy.Check(spec, grant) {
		if p.Pointer != "/linux/cgroupsPath" { // which depends on the machine
			t.Errorf("refused: %+v", p)
		}
	}
	own := []specs.LinuxIDMapping{{ContainerID: 1000, HostID: 1000, Size: 1}}
	if !slices.Equal(spec.Linux.UIDMappings, own) || spec.Process.User.UID != 1000 || spec.Process.User.GID != 100 || spec.Linux.Sysctl["net.ipv4.ping_group_range"] != "100 100" {
		t.Errorf("%+v, %+v, %v", spec.Linux.UIDMappings, spec.Process.User, spec.Linux.Sysctl)
	}
	if !spec.Root.Readonly || len(spec.Process.Capabilities.Bounding) > 0 || !spec.Process.NoNewPrivileges {
		t.Errorf("%+v %+v", spec.Root, spec.Process.Capabilities)
	}
	for _, path := range []string{"/etc", "/home", "/usr"} {
		if m := mountAt(t, spec, path); !slices.Contains(m.Options, "rro") || !slices.Contains(m.Options, "rbind") {
			t.Errorf("%+v", m)
		}
	}
	if m := mountAt(t, spec, "/srv"); m.Source != "/home/u/srv" {
		t.Errorf("%+v", m)
	}
	if m := mountAt(t, spec, "/home/u"); m.Type != "overlay" || !slices.Contains(m.Options, "userxattr") {
		t.Errorf("%+v", m)
	}
	if m := mountAt(t, spec, "/home/u/p"); slices.Contains(m.Options, "rro") || len(m.UIDMappings) > 0 {
		t.Errorf("%+v", m)
	}
	at := func(path string) int {
		return slices.IndexFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == path })
	}
	if !(at("/home") < at("/home/u") && at("/home/u") < at("/home/u/p") && at("/home/u") < at("/home/u/.ssh")) {
		t.Errorf("%+v", spec.Mounts)
	}
}

// TestGenerateHostRoot: root's container has an id that is nobody's, and a project that is its owner's.
func TestGenerateHostRoot(t *testing.T) {
	o, h := hostExample()
	o.Caller = Caller{}
	h.Covered, h.Projects[0].Closed = nil, true
	spec, err := GenerateHost(o, h)
	if err != nil {
		t.Fatal(err)
	}
	one := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 5000, Size: 1}}
	if !slices.Equal(spec.Linux.UIDMappings, one) || !slices.Equal(spec.Linux.GIDMappings, one) || spec.Linux.CgroupsPath != "/locald/try-1" {
		t.Errorf("%+v", spec.Linux)
	}
	if !slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }) || len(spec.Process.Capabilities.Bounding) > 0 {
		t.Errorf("%+v", spec.Linux.Namespaces)
	}
	m := mountAt(t, spec, "/home/u/p")
	if !slices.Equal(m.UIDMappings, []specs.LinuxIDMapping{{ContainerID: 7, HostID: 5000, Size: 1}}) || !slices.Contains(m.Options, "rro") {
		t.Errorf("%+v", m)
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{{"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/a", "/", true}, {"/a", "/a/b", false}} {
		if Within(c.path, c.dir) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
