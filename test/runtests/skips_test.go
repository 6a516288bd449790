package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeSkips(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "skips.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReadSkips(t *testing.T) {
	got, err := readSkips(writeSkips(t, "# TestX\tnot\tan entry\n\nTestA\thost-root,guest-user?\tneeds a\n# nowhere\nTestB/c d\tneeds b\n"))
	want := []entry{
		{"TestA", "host-root", false, "needs a", 3},
		{"TestA", "guest-user", true, "needs a", 3},
		{"TestB/c d", nowhere, false, "needs b", 5},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{
		"TestA host-root why\n", "TestA\thost-root\n", "TestA\thost\twhy\n", "TestA\tnowhere\twhy\n", "TestA\thost-root,\twhy\n",
		"TestA\thost-root\t\n", "\thost-root\twhy\n", "TestA\thost-root\twhy\tmore\n", "# nowhere\nTestA\n",
	} {
		if got, err := readSkips(writeSkips(t, text)); err == nil || !strings.Contains(err.Error(), "skips.txt:") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := readSkips(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing list is read")
	}
}

// ranIn is a place with results written as "Test=pass" or "Test=skip reason".
func ranIn(name string, results ...string) *place {
	p := newPlace(name)
	for _, text := range results {
		test1, rest, _ := strings.Cut(text, "=")
		outcome, why, _ := strings.Cut(rest, " ")
		p.tests[test{"m/p", test1}] = &result{outcome: outcome, output: []string{"=== RUN   " + test1 + "\n", "    a_test.go:12: " + why + "\n"}}
	}
	return p
}

func TestCompareSkips(t *testing.T) {
	notRun := ranIn("guest-root")
	notRun.notRun = "no QEMU"
	broken := ranIn("guest-root")
	broken.broken = []string{"died"}
	for _, c := range []struct {
		name    string
		list    string
		results []*place
		want    []string // a part of each problem
	}{
		{"nothing", "", nil, nil},
		{"passes", "", []*place{ranIn("host-root", "TestA=pass")}, nil},
		{"on the list", "TestA\thost-user\tneeds root\n", []*place{ranIn("host-root", "TestA=pass"), ranIn("host-user", "TestA=skip needs root")}, nil},
		{"a part of the reason", "TestA\thost-user\troot\n", []*place{ranIn("host-root", "TestA=pass"), ranIn("host-user", "TestA=skip needs root")}, nil},
		{"not on the list", "", []*place{ranIn("host-root", "TestA=pass"), ranIn("host-user", "TestA=skip needs root")}, []string{"not on the list: TestA\thost-user\tneeds root"}},
		{"another place", "TestA\thost-root\tx\n", []*place{ranIn("host-root", "TestA=pass"), ranIn("host-user", "TestA=skip x")}, []string{"not on the list: TestA\thost-user", "line 1 is stale"}},
		{"another reason", "TestA\thost-user\tneeds a user\n", []*place{ranIn("host-root", "TestA=pass"), ranIn("host-user", "TestA=skip needs root")}, []string{"not on the list"}},
		{"another test", "TestA/b\thost-user\tx\n", []*place{ranIn("host-root", "TestA=pass"), ranIn("host-user", "TestA=skip x")}, []string{"not on the list", "stale"}},
		{"stale", "TestA\thost-root\tx\n", []*place{ranIn("host-root", "TestA=pass")}, []string{"line 1 is stale: TestA was not skipped"}},
		{"gone", "TestB\thost-root\tx\n", []*place{ranIn("host-root", "TestA=pass")}, []string{"line 1 is stale: TestB was not skipped"}},
		{"maybe", "TestA\thost-root?\tx\n", []*place{ranIn("host-root", "TestA=pass")}, nil},
		{"maybe, skipped everywhere", "TestA\thost-root?\tx\n", []*place{ranIn("host-root", "TestA=skip x")}, nil},
		{"a place that did not run", "TestA\tguest-root\tx\n", []*place{ranIn("host-root", "TestA=pass"), notRun}, nil},
		{"a place that broke", "TestA\tguest-root\tx\n", []*place{ranIn("host-root", "TestA=pass"), broken}, nil},
		{"ran in no place", "TestA\thost-root,host-user\tx\n", []*place{ranIn("host-root", "TestA=skip x"), ranIn("host-user", "TestA=skip x")}, []string{"ran in no place: TestA (m/p)"}},
		{"may run in the place left out", "TestA\thost-root\tx\n", []*place{ranIn("host-root", "TestA=skip x"), notRun}, nil},
		{"nowhere", "# nowhere\nTestA\tx\n", []*place{ranIn("host-root", "TestA=skip x"), ranIn("host-user", "TestA=skip x")}, nil},
		{"not nowhere", "# nowhere\nTestA\tx\n", []*place{ranIn("host-root", "TestA=skip x"), ranIn("host-user", "TestA=pass")}, []string{"does run somewhere"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := readSkips(writeSkips(t, c.list))
			if err != nil {
				t.Fatal(err)
			}
			got := compareSkips(c.results, list)
			if len(got) != len(c.want) {
				t.Fatalf("%d problems %q, want %q", len(got), got, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q, want %q", got[i], want)
				}
			}
		})
	}
}
