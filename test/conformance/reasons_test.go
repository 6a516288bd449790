//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestReasons(t *testing.T) {
	list := reasons{{"a", "mounts[", " in order", "first"}, {"a", "hostname", "", "second"}, {"b", "hostname", "", "other"}}
	for _, test := range []struct {
		lines []string
		bad   int
		why   string
	}{
		{[]string{"mounts[1] in order", "mounts[2] in order", "hostname"}, 0, "first; second"},
		{[]string{"mounts[1] in order", "mounts[1] out of order", "hostname"}, 1, "first; second"},
		{[]string{"mounts[1]", "mounts[2] in order", "hostname"}, 1, "first; second"},
		{[]string{"mounts[1] in order"}, 1, "first"}, // the second reason excuses nothing
		{nil, 2, ""},
	} {
		lines := map[string]string{}
		for _, line := range test.lines {
			lines[line] = "runc"
		}
		bad, why := list.apply("a", lines)
		if len(bad) != test.bad || why != test.why {
			t.Errorf("%q: %q, %q", test.lines, bad, why)
		}
	}
}

// TestReasonsFile: each line of the file can be read, and none is there twice.
func TestReasonsFile(t *testing.T) {
	list, err := readReasons()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if r.why == "" || slices.Contains(list[:i], r) {
			t.Errorf("%+v", r)
		}
	}
}
