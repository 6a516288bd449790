package policy

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// extents reads maps as /proc/PID/uid_map has them.
func extents(text string) (maps []specs.LinuxIDMapping) {
	for line := range strings.SplitSeq(text, "\n") {
		var m specs.LinuxIDMapping
		if _, err := fmt.Sscan(line, &m.ContainerID, &m.HostID, &m.Size); err != nil {
			panic(err)
		}
		maps = append(maps, m)
	}
	return maps
}

// spread are n ranges of one size, side by side.
func spread(n int, inside, outside, size uint32) (maps []specs.LinuxIDMapping) {
	for i := range uint32(n) {
		maps = append(maps, specs.LinuxIDMapping{ContainerID: inside + size*i, HostID: outside + size*i, Size: size})
	}
	return maps
}

// checkMap are the problems with one uid map, in the order of its ranges.
func checkMap(g *Grant, maps []specs.LinuxIDMapping) string {
	c := &checker{grant: g}
	c.mapping("/m", maps, &idKind{"uid", "/etc/subuid", g.UID, g.SubUIDs, g.TakenUIDs, g.UIDNote, g.Setuid})
	return render(c.problems)
}

func TestMapping(t *testing.T) {
	const ok = ""
	type maps = []specs.LinuxIDMapping
	g := testGrant()
	g.SubUIDs = []Range{{1, 10}, {2000, 1000}, {100000, 65536}, {4294967290, 5}}
	g.TakenUIDs = []uint32{100500, 1000}
	for _, c := range []struct {
		name string
		maps maps
		want string // of the one problem; "" for none
	}{
		{"none", nil, "at least one mapping"},
		{"own", extents("0 1000 1"), ok},
		{"own, anywhere", extents("4294967294 1000 1"), ok},
		{"own and more", extents("0 999 2"), "host uids 999-1000 are not yours"},
		{"of nobody", extents("0 1001 1"), "host uid 1001 is not yours"},
		{"another user's", extents("0 165536 1"), "host uid 165536 is not yours"},
		{"range", extents("0 100000 500"), ok},
		{"to its end", extents("0 165535 1"), ok},
		{"one less", extents("0 99999 2"), "host uids 99999-100000 are not yours"},
		{"one more", extents("0 165535 2"), "host uids 165535-165536 are not yours"},
		{"another account's", extents("0 100500 1"), "host uid 100500 cannot be mapped: uid 100500 is another account's"},
		{"another account's inside", extents("0 100000 65536"), "host uids 100000-165535 cannot be mapped: uid 100500 is another account's"},
		{"up to it", extents("0 100400 100"), ok},
		{"after it", extents("0 100501 100"), ok},
		{"root", extents("0 0 1"), "host uid 0 cannot be mapped"},
		{"root and more", extents("0 0 11"), "host uid 0 cannot be mapped"},
		{"empty", extents("0 1000 0"), "an empty range"},
		{"the last ids", extents("0 4294967290 5"), ok},
		{"no id", extents("0 4294967290 6"), "past id 4294967294"},
		{"wraps", extents("0 4294967290 4294967295"), "past id 4294967294"},
		{"wraps to root", extents("0 4294967295 2"), "past id 4294967294"},
		{"wraps inside", extents("4294967295 1000 1"), "past id 4294967294"},
		{"own twice", extents("0 1000 1\n1 1000 1"), "/m/1: overlaps an earlier range"},
		{"same inside", extents("0 1000 1\n0 100000 1"), "/m/1: overlaps an earlier range"},
		{"overlap outside", extents("0 100000 10\n10 100009 10"), "/m/1: overlaps an earlier range"},
		{"overlap twice", extents("0 100000 1\n1 100001 1\n0 100000 2"), "/m/2: overlaps an earlier range"},
		{"side by side", extents("0 100000 10\n10 100010 10"), ok},
		{"340", spread(340, 0, 2000, 1), ok},
		{"341", spread(341, 0, 2000, 1), "more than 340 ranges"},
		{"4095 bytes of text", spread(195, 4200000000, 110000, 10), ok},
		{"4116 bytes of text", spread(196, 4200000000, 110000, 10), "4095 bytes of text"},
	} {
		got := checkMap(g, c.maps)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMappingWithoutBit(t *testing.T) {
	g := testGrant()
	g.Setuid = false
	for _, c := range []struct {
		maps []specs.LinuxIDMapping
		want string
	}{
		{extents("5 1000 1"), ""},
		{extents("0 100000 9"), "config.json: /m/0: host uids 100000-100008 can be mapped only by the set-user-ID helper; your own uid 1000 needs no helper; sudo locald setup installs it\n"},
		{extents("0 1000 1\n1 100000 1"), "config.json: /m/1: host uid 100000 can be mapped only"},
		{extents("0 0 1"), "host uid 0 cannot be mapped"},
	} {
		if got := checkMap(g, c.maps); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.maps, got, c.want)
		}
	}
}

// TestMappingNeverRoot: not even a Grant that was made wrongly gives id 0 away.
func TestMappingNeverRoot(t *testing.T) {
	g := &Grant{UID: 0, Setuid: true, SubUIDs: []Range{{0, 4294967295}}}
	for _, m := range extents("0 0 1\n0 0 4294967295") {
		if got := checkMap(g, []specs.LinuxIDMapping{m}); !strings.Contains(got, "host uid 0 cannot be mapped") {
			t.Errorf("%v: %q", m, got)
		}
	}
}

func TestMappingHint(t *testing.T) {
	m := extents("0 5 1")
	for _, c := range []struct {
		ranges []Range
		note   string
		want   string
	}{
		{nil, "", "yours are your own, 1000, and what /etc/subuid gives you: nothing; a name service is not asked"},
		{[]Range{{100000, 65536}, {300000, 1}}, "", "gives you: 100000-165535, 300000; a"},
		{nil, "/etc/subuid: the file is larger than 1 MiB", "gives you: nothing (/etc/subuid: the file is larger than 1 MiB); a"},
		{[]Range{{10, 1}, {20, 1}, {30, 1}, {40, 1}, {50, 1}}, "", "gives you: 10, 20, 30, 40, …; a"},
	} {
		g := testGrant()
		g.SubUIDs, g.UIDNote = c.ranges, c.note
		if got := checkMap(g, m); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestAdditionalGids(t *testing.T) {
	for _, c := range []struct {
		name string
		maps []specs.LinuxIDMapping
		gids []uint32
		want string
	}{
		{"none, own gid", extents("0 1001 1"), nil, ""},
		{"own gid", extents("0 1001 1"), []uint32{0}, "/process/user/additionalGids: additionalGids need a range of /etc/subgid"},
		{"one gid of the range", extents("0 200000 1"), []uint32{0}, "/process/user/additionalGids: additionalGids need a range of /etc/subgid"},
		{"range", extents("0 200000 2"), []uint32{0, 1}, ""},
		{"own and range", extents("0 1001 1\n1 200000 1"), []uint32{1}, ""},
		{"not mapped", extents("0 1001 1\n1 200000 1"), []uint32{1, 2}, "/process/user/additionalGids/1: gid 2 is not mapped"},
	} {
		spec := testSpec()
		spec.Linux.GIDMappings, spec.Process.User.AdditionalGids, spec.Mounts = c.maps, c.gids, nil
		if got := render(Check(spec, testGrant())); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// smallWorld is what FuzzMaps decodes its input to: all ids are below 16, or near the end of ids.
func smallWorld(data []byte) (g *Grant, maps []specs.LinuxIDMapping) {
	next := func() uint32 {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return uint32(b)
	}
	id := func() uint32 {
		n := next()
		if n >= 0xf0 {
			return 0xffffff00 | n // 4294967280 to 4294967295
		}
		return n % 16
	}
	g = &Grant{UID: 1 + next()%15, Setuid: next()%4 > 0}
	var ranges []Range
	for range next() % 4 {
		r := Range{id(), 1 + next()%8}
		if r.First > 0 && r.end() <= idEnd {
			ranges = append(ranges, r)
		}
	}
	g.SubUIDs = merge(ranges)
	for range next() % 3 {
		g.TakenUIDs = append(g.TakenUIDs, id())
	}
	for range 1 + next()%4 {
		m := specs.LinuxIDMapping{ContainerID: id(), HostID: id(), Size: next() % 12}
		if next() == 255 {
			m.Size = binary.LittleEndian.Uint32([]byte{byte(next()), byte(next()), byte(next()), byte(next())})
		}
		maps = append(maps, m)
	}
	return g, maps
}

// mayMap decides about a map id by id, with sets.
func mayMap(g *Grant, maps []specs.LinuxIDMapping) bool {
	yours := map[uint64]bool{}
	for _, r := range g.SubUIDs {
		for id := uint64(r.First); id < uint64(r.First)+uint64(r.Count); id++ {
			yours[id] = g.Setuid
		}
	}
	for _, id := range g.TakenUIDs {
		if id != g.UID {
			yours[uint64(id)] = false
		}
	}
	inside, outside := map[uint64]bool{}, map[uint64]bool{}
	for _, m := range maps {
		if m.Size == 0 || m.Size > 100 { // no range of this world is so long
			return false
		}
		for i := range uint64(m.Size) {
			c, h := uint64(m.ContainerID)+i, uint64(m.HostID)+i
			own := h == uint64(g.UID) && m.Size == 1
			if h == 0 || h > 4294967294 || c > 4294967294 || !own && !yours[h] || inside[c] || outside[h] {
				return false
			}
			inside[c], outside[h] = true, true
		}
	}
	return true
}

func FuzzMaps(f *testing.F) {
	f.Add([]byte{4, 1, 1, 8, 7, 0, 1, 0, 5, 1, 0, 1, 8, 8, 0})
	f.Add([]byte{4, 1, 2, 8, 7, 0xf0, 7, 1, 9, 2, 0, 8, 1, 0, 0xf0, 0xf8, 7, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		g, maps := smallWorld(data)
		if got, want := checkMap(g, maps), mayMap(g, maps); (got == "") != want {
			t.Errorf("%+v\n%v\nmodel: %v, problems: %q", g, maps, want, got)
		}
	})
}

// TestMapsModel runs the fuzz target's model on inputs that are not chosen by anybody.
func TestMapsModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 40)
	mapped := 0
	for range 30000 {
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		g, maps := smallWorld(data)
		got, want := checkMap(g, maps), mayMap(g, maps)
		if (got == "") != want {
			t.Fatalf("%+v\n%v\nmodel: %v, problems: %q", g, maps, want, got)
		}
		if want {
			mapped++
		}
	}
	if mapped < 300 {
		t.Errorf("only %d maps of this world are allowed: the model shows little", mapped)
	}
}
