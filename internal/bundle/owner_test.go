package bundle

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/policy"
)

// TestExchange: the map is a permutation of the container's ids on the host, and exchanges these two.
func TestExchange(t *testing.T) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 50, Size: 1}, {ContainerID: 1, HostID: 100, Size: 10}}
	for _, b := range []uint32{50, 100, 101, 105, 109} {
		got := map[uint32]uint32{}
		back := map[uint32]bool{}
		for _, m := range exchange(maps, 50, b) {
			if m.Size == 0 {
				t.Errorf("%d: an empty range", b)
			}
			for k := range m.Size {
				if _, twice := got[m.ContainerID+k]; twice || back[m.HostID+k] {
					t.Errorf("%d: %d to %d comes twice", b, m.ContainerID+k, m.HostID+k)
				}
				got[m.ContainerID+k], back[m.HostID+k] = m.HostID+k, true
			}
		}
		for _, m := range maps {
			for id := m.HostID; id < m.HostID+m.Size; id++ {
				want := map[uint32]uint32{50: b, b: 50}[id]
				if id != 50 && id != b {
					want = id
				}
				if got[id] != want {
					t.Errorf("%d: the files of %d become %d's, want %d's", b, id, got[id], want)
				}
			}
		}
		if len(got) != 11 {
			t.Errorf("%d: %d ids", b, len(got))
		}
	}
}

// TestOwner: what owner= makes of a volume, for whom.
func TestOwner(t *testing.T) {
	user := Caller{UID: 1000, GID: 1001, Setuid: true, SubUIDs: policy.Range{First: 100000, Count: 65536}, SubGIDs: policy.Range{First: 200000, Count: 65536}}
	alone := Caller{UID: 1000, GID: 1001}
	for _, c := range []struct {
		name   string
		caller Caller
		owner  User
		first  uint32 // container's side of the first range, that is on the disk
		host   uint32
		ranges int
		fails  bool
	}{
		{"root of the container", user, User{}, 0, 0, 0, false},
		{"another", user, User{UID: 999, GID: 999}, 1000, 100998, 4, false},
		{"another of root's group", user, User{UID: 999}, 1000, 100998, 4, false},
		{"one that is not there", user, User{UID: 65536}, 0, 0, 0, true},
		{"a group that is not there", user, User{GID: 65536}, 0, 0, 0, true},
		{"alone, root", alone, User{}, 0, 0, 0, false},
		{"alone, another", alone, User{UID: 999}, 0, 0, 0, true},
		{"for root", Caller{}, User{UID: 999, GID: 999}, 0, 999, 4, false},
		{"for root, root", Caller{}, User{}, 0, 0, 0, false},
	} {
		var m specs.Mount
		err := c.caller.exchangeOwner(&m, c.owner)
		if (err != nil) != c.fails || len(m.UIDMappings) != c.ranges || c.ranges > 0 && (m.UIDMappings[0] != specs.LinuxIDMapping{ContainerID: c.first, HostID: c.host, Size: 1}) {
			t.Errorf("%s: %v, %v", c.name, m.UIDMappings, err)
		}
		if (len(m.GIDMappings) > 0) != (c.ranges > 0) {
			t.Errorf("%s: gids %v", c.name, m.GIDMappings)
		}
	}
}
