package bundle

import (
	"reflect"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestJoin(t *testing.T) {
	bound := []string{"CAP_CHOWN", "CAP_KILL"}
	spec := func(ambient ...string) *specs.Spec {
		return &specs.Spec{
			Process: &specs.Process{
				Args: []string{"server"}, Cwd: "/srv", Env: []string{"PATH=/bin", "HOME=/root", "A=1"}, User: specs.User{UID: 7, GID: 7},
				Capabilities: &specs.LinuxCapabilities{Bounding: bound, Ambient: ambient}, NoNewPrivileges: true,
			},
			Linux: &specs.Linux{
				UIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 99}},
				GIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 99}},
			},
		}
	}
	s := spec()
	p, err := (&Join{Args: []string{"sh"}, Env: []string{"A=2"}, Terminal: true, Term: "vt220"}).Process(s)
	if err != nil {
		t.Fatal(err)
	}
	if p.User.UID != 7 || p.Cwd != "/srv" || !p.Terminal || !p.NoNewPrivileges || !slices.Equal(p.Env, []string{"PATH=/bin", "HOME=/root", "TERM=vt220", "A=2"}) {
		t.Errorf("%+v", p)
	}
	if !reflect.DeepEqual(s, spec()) {
		t.Errorf("the container's own process was changed: %+v", s.Process)
	}
	root, err := (&Join{Args: []string{"sh"}, Cwd: "/", User: &User{Home: "/root", Groups: []uint32{5, 500, 0}}}).Process(spec("CAP_KILL"))
	if err != nil || !slices.Equal(root.Capabilities.Effective, bound) || root.Capabilities.Ambient != nil || !slices.Equal(root.User.AdditionalGids, []uint32{5}) || root.Cwd != "/" {
		t.Errorf("%+v %+v: %v", root, root.Capabilities, err)
	}
	user, err := (&Join{Args: []string{"sh"}, User: &User{UID: 9, GID: 9}, Env: []string{"HOME=/x"}}).Process(spec("CAP_KILL"))
	if err != nil || !slices.Equal(user.Capabilities.Effective, []string{"CAP_KILL"}) || !slices.Equal(user.Env, []string{"PATH=/bin", "A=1", "HOME=/x"}) {
		t.Errorf("%+v: %v", user, err)
	}
	for _, j := range []Join{{User: &User{UID: 100}}, {User: &User{GID: 100}}, {Cwd: "srv"}} {
		if _, err := j.Process(spec()); err == nil {
			t.Errorf("%+v was taken", j)
		}
	}
}
