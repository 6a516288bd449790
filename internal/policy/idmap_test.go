package policy

import (
	"math/rand/v2"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// idmapped is testSpec with a bind whose files the caller and the container's uid and gid 999 have exchanged.
func idmapped() (*specs.Spec, *specs.Mount) {
	spec := testSpec()
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/home/u/data", Options: []string{"rbind"},
		UIDMappings: extents("1000 100998 1\n100998 1000 1"), GIDMappings: extents("1001 200998 1\n200998 1001 1")})
	return spec, &spec.Mounts[len(spec.Mounts)-1]
}

func idMapCases(kind string, maps func(*specs.Mount) []specs.LinuxIDMapping, own, first uint32) (cases []checkedCase) {
	change := func(f func(m *specs.LinuxIDMapping)) func(*specs.Spec) {
		return func(s *specs.Spec) {
			spec, m := idmapped()
			f(&maps(m)[0])
			s.Mounts = spec.Mounts
		}
	}
	p, who := "/mounts/*/"+kind+"Mappings/*/", "host "+kind
	return []checkedCase{
		{p + "containerID", change(func(m *specs.LinuxIDMapping) { m.ContainerID = first }), change(func(m *specs.LinuxIDMapping) { m.ContainerID = own + 1 }),
			"on the disk " + who + " " + utoa(uint64(own)+1) + " is not yours"},
		{p + "hostID", change(func(m *specs.LinuxIDMapping) { m.HostID = first }), change(func(m *specs.LinuxIDMapping) { m.HostID = own + 1 }), who + " " + utoa(uint64(own)+1) + " is not yours"},
		{p + "size", change(func(m *specs.LinuxIDMapping) { m.ContainerID, m.HostID, m.Size = first, first, 900 }), change(func(m *specs.LinuxIDMapping) { m.ContainerID, m.HostID, m.Size = first, own, 2 }),
			who + "s " + utoa(uint64(own)) + "-" + utoa(uint64(own)+1) + " are not yours"},
	}
}

// TestIDMapped: what an idmapped mount needs, and what its maps may be.
func TestIDMapped(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*specs.Spec, *specs.Mount, *Grant)
		want   string
	}{
		{"as it is", func(*specs.Spec, *specs.Mount, *Grant) {}, ""},
		{"by the option too", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.Options = []string{"idmap"} }, ""},
		{"root on the disk", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.UIDMappings[0].ContainerID = 0 }, "/uidMappings/0/containerID: on the disk host uid 0 cannot be mapped"},
		{"root's group on the disk", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.GIDMappings[1].ContainerID = 0 }, "/gidMappings/1/containerID: on the disk host gid 0 cannot be mapped"},
		{"root by a range", func(_ *specs.Spec, m *specs.Mount, g *Grant) {
			m.UIDMappings, g.SubUIDs = extents("0 100000 5"), []Range{{0, 200000}}
		}, "/containerID: on the disk host uid 0 cannot be mapped"},
		{"as root", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.UIDMappings[0].HostID = 0 }, "/uidMappings/0: host uid 0 cannot be mapped"},
		{"another account inside the range", func(_ *specs.Spec, m *specs.Mount, g *Grant) {
			m.UIDMappings[0].ContainerID, g.TakenUIDs = 100005, []uint32{100005}
		}, "uid 100005 is another account's"},
		{"two of one", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.UIDMappings[1].ContainerID = 1000 }, "/uidMappings/1: overlaps an earlier range"},
		{"one for two", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.GIDMappings[1].HostID = 200998 }, "/gidMappings/1: overlaps an earlier range"},
		{"past the end", func(_ *specs.Spec, m *specs.Mount, _ *Grant) {
			m.UIDMappings[0].ContainerID, m.UIDMappings[0].Size = 4294967295, 2
		}, "on the disk the range ends past id 4294967294"},
		{"empty", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.UIDMappings[0].Size = 0 }, "an empty range"},
		{"without the helper", func(_ *specs.Spec, _ *specs.Mount, g *Grant) { g.Setuid = false }, "/mounts/8/uidMappings: an idmapped mount needs root or the set-user-ID helper"},
		{"switched off", func(_ *specs.Spec, _ *specs.Mount, g *Grant) { g.IDMap = false }, "/mounts/8/uidMappings: idmapped mounts are switched off"},
		{"groups that cannot be left", func(s *specs.Spec, _ *specs.Mount, _ *Grant) {
			s.Linux.GIDMappings, s.Process.User.AdditionalGids = s.Linux.GIDMappings[:1], nil
		}, "/mounts/8/uidMappings: an idmapped mount needs a range of /etc/subgid in linux.gidMappings"},
		{"a new file system", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.Type, m.Options = "tmpfs", nil }, "/mounts/8/type: only a bind is idmapped"},
		{"with what is mounted below", func(_ *specs.Spec, m *specs.Mount, _ *Grant) { m.Options = []string{"ridmap"} }, "/mounts/8/options/0: ridmap needs root"},
		{"the container's maps", func(_ *specs.Spec, m *specs.Mount, _ *Grant) {
			m.UIDMappings, m.GIDMappings, m.Options = nil, nil, []string{"bind", "idmap"}
		}, "/mounts/8/options/1: idmap means linux.uidMappings, and on the disk host uid 0 cannot be mapped"},
	} {
		spec, m := idmapped()
		g := testGrant()
		c.change(spec, m, g)
		if got := render(Check(spec, g)); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestIDMappedModel: whatever maps are let through, each id on either side is the caller's, no other account's and not 0,
// and no two are one.
func TestIDMappedModel(t *testing.T) {
	through := 0
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 4))
		next := func(n int) uint32 { return uint32(r.IntN(n)) }
		g := testGrant()
		g.UID, g.SubUIDs, g.TakenUIDs = 1+next(12), []Range{{next(8), 1 + next(6)}}, []uint32{next(16)}
		spec, m := idmapped()
		spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: g.UID, Size: 1}}
		m.UIDMappings = nil
		for range 1 + next(3) {
			m.UIDMappings = append(m.UIDMappings, specs.LinuxIDMapping{ContainerID: next(14), HostID: next(14), Size: 1 + next(3)})
		}
		if strings.Contains(render(Check(spec, g)), "/mounts/8/") {
			continue
		}
		through++
		disk, host := map[uint32]bool{}, map[uint32]bool{}
		for _, e := range m.UIDMappings {
			for k := range e.Size {
				for _, id := range []uint32{e.ContainerID + k, e.HostID + k} {
					sub := g.SubUIDs[0]
					if mine := id == g.UID || id >= sub.First && id < sub.First+sub.Count && id != g.TakenUIDs[0]; !mine || id == 0 {
						t.Fatalf("seed %d: uid %d of %v is let through for %+v", seed, id, m.UIDMappings, g)
					}
				}
				if disk[e.ContainerID+k] || host[e.HostID+k] {
					t.Fatalf("seed %d: an id of %v comes twice", seed, m.UIDMappings)
				}
				disk[e.ContainerID+k], host[e.HostID+k] = true, true
			}
		}
	}
	if through < 100 {
		t.Errorf("only %d maps got through", through)
	}
}

// TestAsksIDMap: whether the helper may have to map ids is known from config.json alone.
func TestAsksIDMap(t *testing.T) {
	for _, c := range []struct {
		m    specs.Mount
		want bool
	}{
		{specs.Mount{}, false},
		{specs.Mount{Options: []string{"rbind", "ridmapped", "noidmap"}}, false},
		{specs.Mount{Options: []string{"rbind", "idmap"}}, true},
		{specs.Mount{UIDMappings: extents("0 1000 1")}, true},
		{specs.Mount{GIDMappings: extents("0 1000 1")}, true},
	} {
		spec := testSpec()
		if AsksIDMap(spec) {
			t.Fatal("a config.json that asks for none")
		}
		spec.Mounts = append(spec.Mounts, c.m, specs.Mount{})
		if AsksIDMap(spec) != c.want {
			t.Errorf("%+v: not %v", c.m, c.want)
		}
	}
}
