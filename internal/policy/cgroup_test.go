package policy

import (
	"path"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestCgroupAllowed(t *testing.T) {
	const own = "/user.slice/user-1000.slice/user@1000.service/app.slice"
	for _, c := range []struct {
		path   string
		base   string
		deleg  string
		reason string // "" when it is allowed
		inBase bool
	}{
		{"/locald/u1000/web", "/locald/u1000", "", "", true},
		{"/locald/u1000/web/inner", "/locald/u1000", "", "", true},
		{"/locald/u1000/web/in", "/locald/u1000", "", "", true},
		{"/locald/u1000/in", "/locald/u1000", "", "", true}, // no name is kept
		{"/locald/u1000", "/locald/u1000", "", "is not yours", false},
		{"/locald", "/locald/u1000", "", "is not yours", false},
		{"/", "/locald/u1000", "", `has the component ""`, false},
		{"/locald/u1000/", "/locald/u1000", "", `has the component ""`, true},
		{"/locald/u1000//web", "/locald/u1000", "", `has the component ""`, true},
		{"/locald/u1000/./web", "/locald/u1000", "", `has the component "."`, true},
		{"/locald/u1000/../u1001/web", "/locald/u1000", "", `has the component ".."`, true},
		{"/locald/u1000/web/..", "/locald/u1000", "", `has the component ".."`, true},
		{"/locald/u10001/web", "/locald/u1000", "", "is not yours", false},
		{"/locald/u100/web", "/locald/u1000", "", "is not yours", false},
		{"/locald/u1000x", "/locald/u1000", "", "is not yours", false},
		{"/locald/u1000/cgroup.procs", "/locald/u1000", "", `has the component "cgroup.procs"`, true},
		{"/locald/u1000/web/cgroup.x", "/locald/u1000", "", `has the component "cgroup.x"`, true},
		{"/locald/u1000/a\nb", "/locald/u1000", "", "has the component", true},
		{"/locald/u1000/a\x00b", "/locald/u1000", "", "has the component", true},
		{"/locald/u1000/" + strings.Repeat("x", 256), "/locald/u1000", "", "has the component", true},
		{"/locald/u1000" + strings.Repeat("/x", 2100), "/locald/u1000", "", "too long", true},
		{"locald/u1000/web", "/locald/u1000", "", "is not absolute", false},
		{"", "/locald/u1000", "", "is not absolute", false},
		{"machine.slice:locald:web", "/locald/u1000", "", "systemd makes", false},
		{"/web", "", "", "is not yours", false},
		{"/web", "/", "/", "is not yours", false},
		{"/locald/u1000/" + strings.Repeat("x", 255), "/locald/u1000", "", "", true},
		{"/locald/u1000" + strings.Repeat("/x", 2041), "/locald/u1000", "", "", true},               // 4095 bytes
		{"/locald/u1000/y" + strings.Repeat("/x", 2041)[1:], "/locald/u1000", "", "too long", true}, // 4096
		{"/u/web", "/u", "", "", true},
		{own + "/web", "", own, "", false},
		{own, "", own, "is not yours", false},
		{own + "x/web", "", own, "is not yours", false},
		{"/user.slice/user-1001.slice/web", "/locald/u1000", own, "is not yours", false},
		{own + "/web", "/locald/u1000", own, "", false},
		{own + "/in", "/locald/u1000", own, "", false},
	} {
		g := &Grant{UID: 1000, CgroupBase: c.base, Delegated: c.deleg}
		reason, _ := CgroupAllowed(c.path, g)
		if (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
			t.Errorf("%q below %q or %q: %q, want %q", c.path, c.base, c.deleg, reason, c.reason)
		}
		if got := g.InBase(c.path); got != (c.inBase && c.reason == "") {
			t.Errorf("%q is in base %q: %v", c.path, c.base, got)
		}
	}
}

func TestCgroupHint(t *testing.T) {
	for _, c := range []struct{ base, deleg, want string }{
		{"/locald/u1000", "/a", "yours are /locald/u1000/NAME"},
		{"", "/a", "yours are /a/NAME"},
		{"", "", "leave it out, and the container stays in your own cgroup"},
	} {
		if _, hint := CgroupAllowed("/x", &Grant{CgroupBase: c.base, Delegated: c.deleg}); !strings.Contains(hint, c.want) {
			t.Errorf("%q, want %q", hint, c.want)
		}
	}
}

// TestCgroupOfSystemd: the path and the limits are for the caller's own systemd to refuse, and device rules are not.
func TestCgroupOfSystemd(t *testing.T) {
	limit := int64(7)
	for _, path := range []string{"", "user.slice:locald:web"} {
		s := &specs.Spec{Linux: &specs.Linux{CgroupsPath: path, Resources: &specs.LinuxResources{
			Pids: &specs.LinuxPids{Limit: &limit}, Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "r"}},
		}}}
		for _, systemd := range []bool{false, true} {
			var got []string
			for _, p := range Check(s, &Grant{UID: 1000, GID: 1000, Systemd: systemd}) {
				if p.Pointer == "/linux/cgroupsPath" || strings.HasPrefix(p.Pointer, "/linux/resources") {
					got = append(got, p.Pointer)
				}
			}
			want := []string{"/linux/resources/devices/0"}
			if !systemd && path == "" {
				want = []string{"/linux/resources", "/linux/resources/devices/0"}
			} else if !systemd {
				want = []string{"/linux/cgroupsPath", "/linux/resources/devices/0"}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q, %v: %v, want %v", path, systemd, got, want)
			}
		}
	}
}

func FuzzCgroupPath(f *testing.F) {
	f.Add("/locald/u1000/web", uint32(1000), "")
	f.Add("/locald/u1000/../u1001/web", uint32(1000), "/user.slice/x")
	f.Add("/locald/u10001/web", uint32(1000), "/locald/u1")
	f.Add("/user.slice/x/cgroup.procs", uint32(1000), "/user.slice/x")
	f.Fuzz(func(t *testing.T, p string, uid uint32, delegated string) {
		base := "/locald/u" + utoa(uint64(uid))
		g := &Grant{UID: uid, CgroupBase: base, Delegated: delegated}
		reason, _ := CgroupAllowed(p, g)
		names := strings.Split(p, "/")
		want := len(p) < 4096 && len(names) > 1 && names[0] == ""
		for _, n := range names[1:] {
			want = want && n != "" && n != "." && n != ".." && len(n) < 256 && !strings.HasPrefix(n, "cgroup.") && !strings.ContainsAny(n, "\x00\n")
		}
		under := func(dir string) bool {
			d := strings.Split(dir, "/")
			return len(dir) > 1 && d[0] == "" && len(names) > len(d) && slices.Equal(names[:len(d)], d)
		}
		want = want && (under(base) || under(delegated))
		if (reason == "") != want {
			t.Errorf("%q below %q or %q: %q, model says %v", p, base, delegated, reason, want)
		}
		if reason == "" && path.Clean(p) != p {
			t.Errorf("%q is not clean", p)
		}
		if g.InBase(p) != (reason == "" && under(base)) {
			t.Errorf("%q is in base: %v", p, g.InBase(p))
		}
	})
}

func TestResources(t *testing.T) {
	deny := specs.LinuxDeviceCgroup{Access: "rwm"}
	for _, c := range []struct {
		name string
		path string
		r    *specs.LinuxResources
		want string
	}{
		{"none", "", nil, ""},
		{"empty", "", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{}}, ""},
		{"deny all", "", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{deny}}, ""},
		{"deny all twice", "", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{deny, deny}}, "/linux/resources/devices/1: device rules need root"},
		{"deny all but", "/locald/u1000/x", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{deny, {Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(3)), Access: "r"}}}, "/linux/resources/devices/1: device rules need root"},
		{"deny reading", "", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rw"}}}, "device rules need root"},
		{"deny nonsense", "", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwmx"}}}, "device rules need root"},
		{"pids", "", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(1))}}, "/linux/resources: resources need cgroupsPath; set linux.cgroupsPath; yours are /locald/u1000/NAME"},
		{"memory", "", &specs.LinuxResources{Memory: &specs.LinuxMemory{}}, "resources need cgroupsPath"},
		{"cpu", "", &specs.LinuxResources{CPU: &specs.LinuxCPU{}}, "resources need cgroupsPath"},
		{"io", "", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{}}, "resources need cgroupsPath"},
		{"hugepages", "", &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{}}}, "resources need cgroupsPath"},
		{"rdma", "", &specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"x": {}}}, "resources need cgroupsPath"},
		{"unified", "", &specs.LinuxResources{Unified: map[string]string{"memory.high": "1"}}, "resources need cgroupsPath"},
		{"network", "/locald/u1000/x", &specs.LinuxResources{Network: &specs.LinuxNetwork{}}, "/linux/resources/network: network classes"},
		{"unified outside", "/locald/u1000/x", &specs.LinuxResources{Unified: map[string]string{"memory./../../cgroup.procs": "1"}}, "not a file that you may write"},
		{"unified of nothing", "/locald/u1000/x", &specs.LinuxResources{Unified: map[string]string{"memory.": "1"}}, "not a file that you may write"},
		{"unified of another", "/locald/u1000/x", &specs.LinuxResources{Unified: map[string]string{"perf_event.x": "1"}}, "not a file that you may write"},
		{"unified by number", "/locald/u1000/x", &specs.LinuxResources{Unified: map[string]string{"hugetlb.2MB.max": "1", "io.max": strings.Repeat("1", 4096)}}, ""},
		{"unified NUL", "/locald/u1000/x", &specs.LinuxResources{Unified: map[string]string{"io.max": "\x00"}}, "/linux/resources/unified/io.max: the value is longer"},
		{"unified long", "/locald/u1000/x", &specs.LinuxResources{Unified: map[string]string{"io.max": strings.Repeat("1", 4097)}}, "/linux/resources/unified/io.max: the value is longer"},
	} {
		spec := testSpec()
		spec.Linux.CgroupsPath, spec.Linux.Resources = c.path, c.r
		if got := render(Check(spec, testGrant())); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestUserCgroup(t *testing.T) {
	for path, want := range map[string]bool{"/locald/u0": true, "/locald/u1000": true, "/locald/u1000/web": true, "/locald/u": false, "/locald/u1x": false,
		"/locald/web": false, "/locald/root-u1000": false, "/locald/x/u1000": false, "": false} {
		if got := UserCgroup(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}
