package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
)

// beyond names what one has in powers that none of the others has.
func beyond(got *probe.Powers, others ...*probe.Powers) (all []string) {
	some := func(have func(*probe.Powers) bool) bool { return slices.ContainsFunc(others, have) }
	for _, what := range got.Can {
		if !some(func(p *probe.Powers) bool { return slices.Contains(p.Can, what) }) {
			all = append(all, "can "+what)
		}
	}
	for what, n := range got.Most {
		if !some(func(p *probe.Powers) bool { most, known := p.Most[what]; return known && n <= most }) {
			all = append(all, fmt.Sprintf("has %s %d", what, n))
		}
	}
	for _, ids := range got.UIDs {
		if !some(func(p *probe.Powers) bool { return within(ids, p.UIDs) }) {
			all = append(all, fmt.Sprintf("is uid %d, %d of them", ids.First, ids.Count))
		}
	}
	for _, ids := range got.GIDs {
		if !some(func(p *probe.Powers) bool { return within(ids, p.GIDs) }) {
			all = append(all, fmt.Sprintf("is gid %d, %d of them", ids.First, ids.Count))
		}
	}
	slices.Sort(all)
	return all
}

// within says whether ids are all inside one of the ranges.
func within(ids probe.IDs, ranges []probe.IDs) bool {
	return slices.ContainsFunc(ranges, func(r probe.IDs) bool {
		return ids.First >= r.First && ids.First+ids.Count <= r.First+r.Count && ids.First+ids.Count >= ids.First
	})
}

// looser names what a configuration leaves open in one place and in the other does not.
func looser(got, other *probe.Powers) (all []string) {
	for _, what := range got.Has {
		if !slices.Contains(other.Has, what) {
			all = append(all, "has "+what)
		}
	}
	return all
}

// TestBeyond: each kind of power that is more is seen, and no other.
func TestBeyond(t *testing.T) {
	base := func() *probe.Powers {
		return &probe.Powers{
			Can: []string{"read own", "write own"}, Has: []string{"privileges from files"}, Most: map[string]int64{"RLIMIT_CPU": 10, "-nice": 20},
			UIDs: []probe.IDs{{First: 1000, Count: 1}, {First: 100000, Count: 65536}}, GIDs: []probe.IDs{{First: 1000, Count: 1}},
		}
	}
	for _, c := range []struct {
		name   string
		change func(p *probe.Powers)
		want   string // "" for no more
	}{
		{"the same", func(*probe.Powers) {}, ""},
		{"less", func(p *probe.Powers) {
			p.Can, p.Has, p.UIDs, p.Most = p.Can[:1], nil, p.UIDs[:1], map[string]int64{"-nice": 1}
		}, ""},
		{"a part of a range", func(p *probe.Powers) { p.UIDs[1] = probe.IDs{First: 100001, Count: 65535} }, ""},
		{"a deed", func(p *probe.Powers) { p.Can = append(p.Can, "read secret") }, "can read secret"},
		{"a capability", func(p *probe.Powers) { p.Can = append(p.Can, "capability 2 in the machine's user namespace, CapEff") }, "can capability 2 in the machine's user namespace, CapEff"},
		{"a higher limit", func(p *probe.Powers) { p.Most["RLIMIT_CPU"] = 11 }, "has RLIMIT_CPU 11"},
		{"a limit that the other has not", func(p *probe.Powers) { p.Most["real time"] = 1 }, "has real time 1"},
		{"root's uid", func(p *probe.Powers) { p.UIDs = append(p.UIDs, probe.IDs{Count: 1}) }, "is uid 0, 1 of them"},
		{"one id before the range", func(p *probe.Powers) { p.UIDs[1] = probe.IDs{First: 99999, Count: 2} }, "is uid 99999, 2 of them"},
		{"one id after it", func(p *probe.Powers) { p.UIDs[1].Count++ }, "is uid 100000, 65537 of them"},
		{"ids that wrap", func(p *probe.Powers) { p.UIDs[1] = probe.IDs{First: 100000, Count: 1<<64 - 1} }, "is uid 100000, 18446744073709551615 of them"},
		{"a uid for a gid", func(p *probe.Powers) { p.GIDs[0] = p.UIDs[1] }, "is gid 100000, 65536 of them"},
		{"an open thing", func(p *probe.Powers) { p.Has = append(p.Has, "a shared mount /") }, "has a shared mount /"},
	} {
		got := base()
		c.change(got)
		more := append(beyond(got, base(), &probe.Powers{}), looser(got, base())...)
		if strings.Join(more, "\n") != c.want {
			t.Errorf("%s: %q, want %q", c.name, more, c.want)
		}
	}
	if more := beyond(base()); len(more) != 7 {
		t.Errorf("against nobody: %q", more)
	}
}
