package main

import (
	"strings"
	"testing"
	"time"
)

func TestReportSaysWhatIsReachedAndWhatIsNot(t *testing.T) {
	of := func(ms int) series {
		return series{{wall: time.Duration(ms) * time.Millisecond, cpu: 2 * time.Millisecond, peakKB: 1000, minorFaults: 7}}
	}
	r := &report{sizes: []size{{"locald-shim", 3_000_000}}}
	r.groups = []group{{
		title: "One container", base: crunRoot, names: []string{shimRoot, crunRoot, runcRoot},
		runs: map[string]series{shimRoot: of(5), crunRoot: of(10), runcRoot: of(20)},
	}}
	r.compareRuntimes()
	text := r.markdown()
	for _, want := range []string{
		"| locald-shim, root | 5.00 | 5.00 | 5.00 | 0.50 | 2.00 | 7 | 1000 |\n",
		"| root, against crun | 0.50 | 0.50 | ≤ 0.6 | reached | ≤ 0.5 |\n",
		"| root, against runc | 0.25 | 0.25 | ≤ 0.2 | missed | ≤ 0.12 |\n",
		"| root, against the C floor | not measured |  | ≤ 1.8 |  | ≤ 1.4 |\n",
		"| size of locald-shim, MB | 3.00 |  | ≤ 3.5 | reached | ≤ 3 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}
