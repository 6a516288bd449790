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
	groups    []group
	many      []manyResult
	crowds    []crowdResult
	sizes     []size
	figures   []figure
	monitorMB float64
	trace     string
	skipped   []string
	leftovers []string
}

// group is candidates that were measured round-robin with each other.
type group struct {
	title string
	base  string // the candidate that the ratio column compares with
	names []string
	runs  map[string]series
}

// manyResult is the time in which a candidate ran n containers.
type manyResult struct {
	name string
	n    int
	all  time.Duration
}

// crowdResult is what many containers of a runtime's cost that are alive at once.
type crowdResult struct {
	name        string
	n           int
	first, last time.Duration // median of create and start, of the first and of the last fiftieth
	resident    int           // processes of the runtime's that live as long as the containers
}

type size struct {
	name  string
	bytes int64
}

// figure is one row of the goals: a ratio of two candidates, or what its name says with a unit.
type figure struct {
	what  string
	value float64 // 0: not measured
	least float64 // the ratio of the two fastest runs, which other load on the machine moves least
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

// size is that of a binary in MB.
func (r *report) size(name string) float64 {
	for _, s := range r.sizes {
		if s.name == name {
			return float64(s.bytes) / 1e6
		}
	}
	return 0
}

// add adds the figure of two candidates.
func (r *report) add(what, a, b string, goal, later float64) {
	x, y := r.runs(a), r.runs(b)
	f := figure{what: what, goal: goal, later: later}
	if len(x) > 0 && len(y) > 0 {
		f.value, f.least = ratio(x, y), float64(sorted(x, wall)[0])/float64(sorted(y, wall)[0])
	}
	r.figures = append(r.figures, f)
}

// compareRuntimes fills in the figures of the part "runtime".
func (r *report) compareRuntimes() {
	r.add("root, against crun", shimRoot, crunRoot, 0.6, 0.5)
	r.add("root, against runc", shimRoot, runcRoot, 0.2, 0.12)
	r.add("root, against the C floor", shimRoot, floorRoot, 1.8, 1.4)
	r.add("user through the set-user-ID bit, against root", shimUser, shimRoot, 1.3, 1.15)
	r.add("`locald run builtin:hello` against `bundle run` of its bundle, root", localdRoot, localdShimRoot, 2.5, 2)
	r.add("`locald run builtin:hello` against `bundle run` of its bundle, user", localdUser, localdShimUser, 2.5, 2)
	r.add("`locald-shim --version` against an empty Go program", versionShim, emptyGo, 1.25, 1.15)
	r.add("`locald version` against an empty Go program", versionUser, emptyGo, 1.5, 1.3)
	for _, f := range []struct{ what, suffix string }{{"create, start and delete of true", lifeSuffix}, {"exec of true into a container", execSuffix}} {
		r.add(f.what+", against crun", shimRoot+f.suffix, crunRoot+f.suffix, 0.6, 0.5)
		r.add(f.what+", against runc", shimRoot+f.suffix, runcRoot+f.suffix, 0.2, 0.12)
	}
	r.add("state, against crun", shimRoot+stateSuffix, crunRoot+stateSuffix, 1, 0.6)
	r.add("run with a profile of 350 rules, against crun, cold", shimRoot+profileSuffix, crunRoot+profileSuffix+coldSuffix, 0.7, 0.6)
	for _, c := range r.crowds {
		if c.name == shimRoot {
			r.figures = append(r.figures, figure{what: fmt.Sprintf("start of the last of %d containers against the first", c.n), value: float64(c.last) / float64(c.first), goal: 1.5, later: 1.2})
		}
	}
	r.add("state of one of many, against crun", shimRoot+crowdStateSuffix, crunRoot+crowdStateSuffix, 1, 0.6)
	r.add("list of many, against crun", shimRoot+crowdListSuffix, crunRoot+crowdListSuffix, 1, 0.6)
	r.figures = append(r.figures, figure{what: "size of locald-shim, MB", value: r.size("locald-shim"), goal: 3.5, later: 3})
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
	fmt.Fprintf(b, "## %s\n\n%d rounds.\n\n", g.title, len(g.runs[g.base]))
	base := g.runs[g.base]
	var rows [][]string
	for _, name := range g.names {
		s := g.runs[name]
		if len(s) == 0 {
			continue
		}
		times := sorted(s, wall)
		rows = append(rows, []string{
			name, ms(times[0]), ms(s.median()), ms(quantile(times, 0.9)),
			fmt.Sprintf("%.2f", ratio(s, base)), ms(quantile(sorted(s, cpu), 0.5)),
			fmt.Sprint(quantile(sorted(s, minor), 0.5)), fmt.Sprint(slices.Max(sorted(s, peak))),
		})
	}
	table(b, []string{"", "min ms", "median ms", "p90 ms", "÷ " + g.base, "CPU ms", "page faults", "peak KB"}, rows)
}

// markdown is the report as it is printed and written.
func (r *report) markdown() string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "# Benchmark\n\n%s\n\n", r.machine)
	b.WriteString("Medians; each round runs every candidate of a table once, in an order drawn anew. Wall time is from vfork to the end of wait4;\n")
	b.WriteString("CPU time and page faults (medians) are those of the candidate and the children it waited for, peak memory that of the largest of these processes.\n\n")
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
	var rows [][]string
	if len(r.crowds) > 0 {
		fmt.Fprintf(b, "## %d containers alive at once\n\n", r.crowds[0].n)
		for _, c := range r.crowds {
			rows = append(rows, []string{c.name, ms(c.first), ms(c.last), fmt.Sprint(c.resident)})
		}
		table(b, []string{"", "create and start of the first, ms", "of the last, ms", "resident processes of the runtime's"}, rows)
		rows = nil
	}
	if len(r.sizes) > 0 {
		b.WriteString("## Size of the binaries\n\n")
		for _, s := range r.sizes {
			rows = append(rows, []string{s.name, fmt.Sprintf("%.2f", float64(s.bytes)/1e6)})
		}
		table(b, []string{"", "MB"}, rows)
		rows = nil
	}
	b.WriteString("## Goals\n\n")
	for _, f := range r.figures {
		value, least, verdict := "not measured", "", ""
		if f.value > 0 {
			value, verdict = fmt.Sprintf("%.2f", f.value), "missed"
			if f.value <= f.goal {
				verdict = "reached"
			}
		}
		if f.least > 0 {
			least = fmt.Sprintf("%.2f", f.least)
		}
		rows = append(rows, []string{f.what, value, least, fmt.Sprintf("≤ %g", f.goal), verdict, fmt.Sprintf("≤ %g", f.later)})
	}
	table(b, []string{"", "of medians", "of minima", "goal", "", "where we are going"}, rows)
	b.WriteString(r.trace)
	for _, s := range r.skipped {
		fmt.Fprintf(b, "Not measured: %s\n\n", s)
	}
	for _, l := range r.leftovers {
		fmt.Fprintf(b, "Left behind: %s\n\n", l)
	}
	return b.String()
}
