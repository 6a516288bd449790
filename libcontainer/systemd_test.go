package libcontainer

import (
	"reflect"
	"strings"
	"testing"

	"github.com/locald/locald/libcontainer/internal/systemd"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func hostWithSystemd(user bool) Host {
	h := rootHost()
	h.Cgroups.Unified = true
	h.DefaultCgroup = ":locald:id"
	h.Systemd = &Systemd{Bus: "/run/dbus/system_bus_socket", Cgroup: "/"}
	if user {
		h.Systemd = &Systemd{Bus: "/run/user/1000/bus", User: true, Cgroup: "/user.slice/user-1000.slice/user@1000.service"}
	}
	return h
}

// TestScopePath: where the cgroup is, before systemd has made it.
func TestScopePath(t *testing.T) {
	for _, tt := range []struct {
		path string
		user bool
		want string
	}{
		{"", false, "/system.slice/locald-id.scope"},
		{"", true, "/user.slice/user-1000.slice/user@1000.service/user.slice/locald-id.scope"},
		{"a-b.slice:p:web", false, "/a.slice/a-b.slice/p-web.scope"},
		{"-.slice::web", false, "/web.scope"},
		{"-.slice::web", true, "/user.slice/user-1000.slice/user@1000.service/web.scope"},
	} {
		s := baseSpec()
		s.Linux.CgroupsPath = tt.path
		prog, err := Compile(s, hostWithSystemd(tt.user))
		if err != nil {
			t.Errorf("%q: %v", tt.path, err)
			continue
		}
		if prog.CgroupPath != tt.want || prog.Scope == nil || !strings.HasSuffix(tt.want, "/"+prog.Scope.Unit.Name) {
			t.Errorf("%q: %s, %+v, want %s", tt.path, prog.CgroupPath, prog.Scope, tt.want)
		}
		if !strings.Contains(prog.String(), "cgroup "+tt.want+", made by systemd") {
			t.Errorf("%q: the listing does not say it", tt.path)
		}
	}
}

// TestScopeProperties: of limits and of annotations, in that order.
func TestScopeProperties(t *testing.T) {
	s := baseSpec()
	s.Linux.CgroupsPath = ""
	limit, pids := int64(4096), int64(7)
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}, Pids: &specs.LinuxPids{Limit: &pids}}
	s.Annotations = map[string]string{systemd.AnnotationPrefix + "TimeoutStopSec": "7", "org.example": "x"}
	h := hostWithSystemd(false)
	h.Cgroups.V2Controllers = []string{"memory", "pids"}
	prog, err := Compile(s, h)
	if err != nil {
		t.Fatal(err)
	}
	want := []systemd.Property{{Name: "MemoryMax", Value: uint64(4096)}, {Name: "TasksMax", Value: uint64(7)}, {Name: "TimeoutStopUSec", Value: uint64(7000000)}}
	if !reflect.DeepEqual(prog.Scope.Properties, want) {
		t.Errorf("%+v, want %+v", prog.Scope.Properties, want)
	}
	if len(prog.CgroupWrites) != 2 {
		t.Errorf("the limits are not written as well: %v", prog.CgroupWrites)
	}
}

// TestScopeRefused: what systemd cannot be asked for, and a path for systemd where it is not asked.
func TestScopeRefused(t *testing.T) {
	hybrid := hostWithSystemd(false)
	hybrid.Cgroups.Unified = false
	for _, tt := range []struct {
		path, annotation string
		host             Host
		pointer, want    string
	}{
		{"/locald/web", "", hostWithSystemd(false), "/linux/cgroupsPath", "slice:prefix:name"},
		{"system.slice:locald:x", "", hybrid, "/linux/cgroupsPath", "cgroup v2 only"},
		{"system.slice:locald:x", "", rootHost(), "/linux/cgroupsPath", "--systemd-cgroup"},
		{"", "Slice", hostWithSystemd(false), "/annotations/org.systemd.property.Slice", "the runtime's"},
	} {
		s := baseSpec()
		s.Linux.CgroupsPath = tt.path
		if tt.annotation != "" {
			s.Annotations = map[string]string{systemd.AnnotationPrefix + tt.annotation: "'x'"}
		}
		if problems := Validate(s); len(problems) > 0 {
			t.Errorf("%q: Validate cannot know: %v", tt.path, problems)
		}
		_, err := Compile(s, tt.host)
		e, ok := err.(*ProblemError)
		if !ok || len(e.Problems) != 1 || e.Problems[0].Pointer != tt.pointer || !strings.Contains(e.Problems[0].Reason, tt.want) {
			t.Errorf("%q: %v, want %s: %s", tt.path, err, tt.pointer, tt.want)
		}
	}
}

// TestScopeDelegated: a user's systemd has the controllers that were delegated to it, whatever the machine has.
func TestScopeDelegated(t *testing.T) {
	s := baseSpec()
	limit := int64(7)
	s.Linux.CgroupsPath = ""
	s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}, CPU: &specs.LinuxCPU{Cpus: "0"}}
	h := hostWithSystemd(true)
	h.Cgroups.V2Controllers = []string{"cpu", "cpuset", "memory", "pids"}
	h.Systemd.Controllers = []string{"memory", "pids"}
	_, err := Compile(s, h)
	e, ok := err.(*ProblemError)
	if !ok || len(e.Problems) != 1 || e.Problems[0].Pointer != "/linux/resources/cpu/cpus" ||
		e.Problems[0].Reason != "the cpuset controller is not delegated to /user.slice/user-1000.slice/user@1000.service" ||
		!strings.Contains(e.Problems[0].Hint, "Delegate=memory pids cpuset") {
		t.Errorf("%v", err)
	}
	h.Systemd.User, h.Systemd.Cgroup = false, "/"
	if prog, err := Compile(s, h); err != nil || len(prog.CgroupWrites) != 2 {
		t.Errorf("the machine's has them all: %v", err)
	}
}
