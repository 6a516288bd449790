package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report is everything that one run of the benchmark found.
type report struct {
	machine   string
	rounds    int
	groups    []group
	many      []manyResult
	sizes     []size
	figures   []figure
	trace     string
	skipped   []string
	leftovers []string
}

// group is candidates that were measured round-robin with each other.
type group struct {
	title string
	base  string // the candidate that the ratio column compares with
	names []string
	notes map[string]string
	runs  map[string]series
}

// manyResult is the time in which a candidate ran n containers.
type manyResult struct {
	name string
	n    int
	all  time.Duration
}

type size struct {
	name  string
	bytes int64
}

// figure is one row of the goals: a ratio, or a size in MB.
type figure struct {
	what  string
	value float64 // 0: not measured
	goal  float64 // at the end of the first milestone
	later float64
}

func (r *report) runs(name string) series {
	for _, g := range r.groups {
		if s := g.runs[name]; len(s) > 0 {
			return s
		}
	}
	return nil
}

func (r *report) size(name string) float64 {
	for _, s := range r.sizes {
		if s.name == name {
			return float64(s.bytes) / 1e6
		}
	}
	return 0
}

// compare fills the figures in from the runs.
func (r *report) compare() {
	of := func(a, b string) float64 { return ratio(r.runs(a), r.runs(b)) }
	r.figures = []figure{
		{"root, against crun", of(shimRoot, crunRoot), 0.6, 0.5},
		{"root, against runc", of(shimRoot, runcRoot), 0.2, 0.12},
		{"root, against the C floor", of(shimRoot, floorRoot), 1.8, 1.4},
		{"user through the set-user-ID bit, against root", of(shimUser, shimRoot), 1.3, 1.15},
		{"`locald run builtin:hello` against `bundle run` of its bundle, root", of(localdRoot, localdShimRoot), 2.5, 2},
		{"`locald run builtin:hello` against `bundle run` of its bundle, user", of(localdUser, localdShimUser), 2.5, 2},
		{"`locald-shim --version` against an empty Go program", of(versionShim, emptyGo), 1.25, 1.15},
		{"size of locald-shim, MB", r.size("locald-shim"), 3.5, 3},
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }

// table writes a markdown table; the first column is text, the others numbers.
func table(b *strings.Builder, head []string, rows [][]string) {
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	line(rule)
	for _, r := range rows {
		line(r)
	}
	b.WriteString("\n")
}

func (g *group) table(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", g.title)
	base := g.runs[g.base]
	var rows [][]string
	for _, name := range g.names {
		s := g.runs[name]
		if len(s) == 0 {
			continue
		}
		times := sorted(s, wall)
		title := name
		if note := g.notes[name]; note != "" {
			title += " (" + note + ")"
		}
		rows = append(rows, []string{
			title, ms(times[0]), ms(s.median()), ms(quantile(times, 0.9)),
			fmt.Sprintf("%.2f", ratio(s, base)),
			fmt.Sprint(quantile(sorted(s, minor), 0.5)), fmt.Sprint(slices.Max(sorted(s, peak))),
		})
	}
	table(b, []string{"", "min ms", "median ms", "p90 ms", "÷ " + g.base, "page faults", "peak KB"}, rows)
}

// markdown is the report as it is printed and written.
func (r *report) markdown() string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "# Benchmark\n\n%s\n\n", r.machine)
	fmt.Fprintf(b, "Medians of %d rounds; each round runs every candidate of a table once, in an order drawn anew. Wall time is from vfork to the end of wait4;\n", r.rounds)
	b.WriteString("page faults (minor ones, median) are those of the candidate and the children it waited for, peak memory that of the largest of these processes.\n\n")
	for i := range r.groups {
		r.groups[i].table(b)
	}
	if len(r.many) > 0 {
		fmt.Fprintf(b, "## %d containers, %d at a time\n\n", r.many[0].n, slots)
		var rows [][]string
		for _, m := range r.many {
			rows = append(rows, []string{m.name, ms(m.all), fmt.Sprintf("%.2f", float64(m.all)/float64(m.n)/1e6)})
		}
		table(b, []string{"", "all, ms", "per container, ms"}, rows)
	}
	b.WriteString("## Size of the binaries\n\n")
	var rows [][]string
	for _, s := range r.sizes {
		rows = append(rows, []string{s.name, fmt.Sprintf("%.2f", float64(s.bytes)/1e6)})
	}
	table(b, []string{"", "MB"}, rows)
	b.WriteString("## Goals\n\n")
	rows = nil
	for _, f := range r.figures {
		value, verdict := "not measured", ""
		if f.value > 0 {
			value, verdict = fmt.Sprintf("%.2f", f.value), "missed"
			if f.value <= f.goal {
				verdict = "reached"
			}
		}
		rows = append(rows, []string{f.what, value, fmt.Sprintf("≤ %g", f.goal), verdict, fmt.Sprintf("≤ %g", f.later)})
	}
	table(b, []string{"", "measured", "goal", "", "where we are going"}, rows)
	b.WriteString(r.trace)
	for _, s := range r.skipped {
		fmt.Fprintf(b, "Not measured: %s\n\n", s)
	}
	for _, l := range r.leftovers {
		fmt.Fprintf(b, "Left behind: %s\n\n", l)
	}
	return b.String()
}
