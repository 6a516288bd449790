package libcontainer

import (
	"slices"
	"testing"

	"github.com/locald/locald/libcontainer/internal/cgroup"
)

// TestHierarchies: a process of exec enters the v1 cgroups in which the container's first process is, or below which.
func TestHierarchies(t *testing.T) {
	l := cgroup.Layout{V1: []cgroup.Controller{{Name: "cpu", Dir: "/c"}, {Name: "cpuacct", Dir: "/c"}, {Name: "memory", Dir: "/m"}, {Name: "net_cls"}, {Name: "pids", Dir: "/p"}}}
	const text = "9:name=systemd:/web\n8:pids:/web\n7:memory:/web/below\n6:cpu,cpuacct:/web\n5:freezer:/web\n4:net_cls:/web\n3:blkio:/website\n0::/web\n"
	if got := hierarchies(l, "/web", text); !slices.Equal(got, []string{"pids", "memory", "cpu"}) {
		t.Errorf("%q", got)
	}
	for _, none := range [][]string{hierarchies(l, "", text), hierarchies(l, "/other", text), hierarchies(l, "/web", ""), hierarchies(cgroup.Layout{Unified: true, V1: l.V1}, "/web", text)} {
		if len(none) > 0 {
			t.Errorf("%q", none)
		}
	}
}
