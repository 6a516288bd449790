package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// report prints the table, the skipped tests and what differs from the list, and returns the number of
// failures, in which the differences count.
func report(w io.Writer, results []*place, list []entry) int {
	total := map[string]int{}
	failed := 0
	fmt.Fprintf(w, "\n%-10s  %7s %7s %7s %9s\n", "place", "passed", "failed", "skipped", "time")
	for _, p := range results {
		count := map[string]int{}
		for _, r := range p.tests {
			count[r.outcome]++
			total[r.outcome]++
		}
		failed += len(p.broken)
		note := strings.Join(p.broken, "; ")
		if p.notRun != "" {
			note = "not run: " + p.notRun
		}
		fmt.Fprintf(w, "%-10s  %7d %7d %7d %9s  %s\n", p.name, count["pass"], count["fail"], count["skip"], p.took.Round(time.Second), note)
	}

	printSlowest(w, results)
	printSkipped(w, results)
	problems := compareSkips(results, list)
	for i, line := range problems {
		if i == 0 {
			fmt.Fprintf(w, "\ntestdata/skips.txt and this run differ:\n")
		}
		fmt.Fprintf(w, "  %s\n", line)
	}
	failed += total["fail"] + len(problems)
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", total["pass"], failed, total["skip"])
	return failed
}

// printSlowest names the tests that take longest, without their subtests: where to begin when a place takes too long.
func printSlowest(w io.Writer, results []*place) {
	for _, p := range results {
		slow := slices.DeleteFunc(slices.Collect(maps.Keys(p.tests)), func(t test) bool {
			return strings.Contains(t.name, "/") || p.tests[t].seconds < 1
		})
		slices.SortFunc(slow, func(a, b test) int { return cmp.Compare(p.tests[b].seconds, p.tests[a].seconds) })
		for i, t := range slow[:min(len(slow), 12)] {
			if i == 0 {
				fmt.Fprintf(w, "\nslowest in %s:\n", p.name)
			}
			fmt.Fprintf(w, "  %6.1f s  %s\n", p.tests[t].seconds, t.name)
		}
	}
}

// printSkipped lists the skipped tests, those of one test and reason in a line.
func printSkipped(w io.Writer, results []*place) {
	type skip struct{ name, why string }
	where := map[skip][]string{}
	for _, p := range results {
		for key, r := range p.tests {
			if r.outcome == "skip" {
				s := skip{key.name, r.reason()}
				where[s] = append(where[s], p.name)
			}
		}
	}
	if len(where) == 0 {
		return
	}
	fmt.Fprintf(w, "\nskipped:\n")
	for _, s := range slices.SortedFunc(maps.Keys(where), func(a, b skip) int { return strings.Compare(a.name+a.why, b.name+b.why) }) {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.name, strings.Join(where[s], ","), s.why)
	}
}
