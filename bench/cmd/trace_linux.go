package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// traceAll says where the time of a container goes, in three tables, none of which
// slows down what it measures: what each stage of locald-shim adds to the one before,
// what each kind of system call of its Program takes in the kernel (from the floor,
// which makes the same calls), and the dearest single ones.
func (r *report) traceAll(n int) error {
	var b strings.Builder
	r.stages(&b, n)
	if err := calls(&b, n); err != nil {
		return err
	}
	r.trace = b.String()
	return nil
}

// dryRun is a run that stops before clone3.
func dryRun(as caller) candidate {
	return candidate{
		name: "dry run, " + as.String(), as: as,
		argv: []string{bin("locald-shim"), "bundle", "run", "--dry-run", "--bundle", bundleDir(as, "{slot}"), "--id", "bench-{slot}"},
	}
}

func (r *report) stages(b *strings.Builder, n int) {
	all := append(runtimes(), starts()...)
	all = append(all, dryRun(rootCaller), dryRun(userCaller))
	all = slices.DeleteFunc(all, func(c candidate) bool {
		return !slices.Contains([]string{shimRoot, shimUser, shimHere, floorRoot, versionShim, emptyGo, "dry run, root", "dry run, user"}, c.name)
	})
	all = r.verify(all)
	runs, _ := rounds(bin("spawn"), all, n)
	b.WriteString("## Where locald-shim's time goes: stages\n\nThe difference of two medians is what the stage adds.\n\n")
	var rows [][]string
	for _, as := range []caller{rootCaller, userCaller} {
		stages := [][2]string{
			{emptyGo, "the Go runtime: start and end"},
			{versionShim, "the program: its pages, package initialisation, arguments"},
			{"dry run, " + as.String(), "read, decode, validate, compile (and print the listing)"},
			{shimRoot, "cgroup, clone3, the child's system calls, wait, clean up"},
		}
		if !as.root() {
			stages[3] = [2]string{shimHere, "clone3, the child's system calls, wait, clean up"}
			stages = append(stages, [2]string{shimUser, "a cgroup of its own"})
		}
		before := series(nil)
		for _, stage := range stages {
			s := runs[stage[0]]
			if len(s) == 0 {
				continue
			}
			if !as.root() && (stage[0] == emptyGo || stage[0] == versionShim) {
				before = s // said for root already
				continue
			}
			rows = append(rows, []string{as.String() + ": " + stage[1], ms(s.median()), ms(s.median() - before.median()),
				fmt.Sprint(quantile(sorted(s, minor), 0.5)), fmt.Sprint(quantile(sorted(s, minor), 0.5) - medianFaults(before))})
			before = s
		}
	}
	s := runs[floorRoot]
	if len(s) > 0 {
		rows = append(rows, []string{"the C floor, for comparison", ms(s.median()), "", fmt.Sprint(medianFaults(s)), ""})
	}
	table(b, []string{"", "median ms", "added ms", "page faults", "added"}, rows)
}

func medianFaults(s series) int64 {
	if len(s) == 0 {
		return 0
	}
	return quantile(sorted(s, minor), 0.5)
}

// calls runs the floor that times its ops, and adds the medians up.
func calls(b *strings.Builder, n int) error {
	listing, err := os.ReadFile(bin("listing"))
	if err != nil {
		return err
	}
	lines := map[int]string{-1: "clone3"}
	for line := range strings.Lines(string(listing)) {
		number, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if op, err := strconv.Atoi(number); err == nil {
			lines[op] = strings.Join(strings.Fields(text), " ")
		}
	}
	times, err := opTimes(n)
	if err != nil {
		return err
	}
	type cost struct {
		name  string
		count int
		all   time.Duration
	}
	byCall := map[string]*cost{}
	var ops []cost
	var sum time.Duration
	for op, t := range times {
		slices.Sort(t)
		median := quantile(t, 0.5)
		name, _, _ := strings.Cut(lines[op], "(")
		if byCall[name] == nil {
			byCall[name] = &cost{name: name}
		}
		byCall[name].count++
		byCall[name].all += median
		sum += median
		ops = append(ops, cost{lines[op], 1, median})
	}
	dearest := func(a, b cost) int { return int(b.all - a.all) }
	var kinds []cost
	for _, c := range byCall {
		kinds = append(kinds, *c)
	}
	slices.SortFunc(kinds, dearest)
	slices.SortFunc(ops, dearest)
	fmt.Fprintf(b, "## Where the kernel's time goes: the Program's system calls, in the floor\n\n%d ops, %s ms together (medians of %d runs); execve and what follows is not among them.\n\n", len(times), ms(sum), n)
	var rows [][]string
	for _, c := range kinds[:min(12, len(kinds))] {
		rows = append(rows, []string{c.name, fmt.Sprint(c.count), micros(c.all)})
	}
	table(b, []string{"call", "times", "µs together"}, rows)
	rows = nil
	for _, c := range ops[:min(16, len(ops))] {
		rows = append(rows, []string{"`" + strings.ReplaceAll(c.name, "|", `\|`) + "`", micros(c.all)})
	}
	table(b, []string{"the dearest ops", "µs"}, rows)
	return nil
}

func micros(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Microsecond)) }

// opTimes runs the timing floor n times: the times of each op, by its number.
func opTimes(n int) (map[int][]time.Duration, error) {
	times := map[int][]time.Duration{}
	for range n {
		time.Sleep(pause)
		out, err := exec.Command(bin("floor-trace"), bundleDir(rootCaller, "0"), "/sys/fs/cgroup"+rootCaller.cgroupsPath(0)).Output()
		if err != nil {
			return nil, fmt.Errorf("floor-trace: %w", err)
		}
		for line := range bytes.Lines(out) {
			var op int
			var ns int64
			if _, err := fmt.Sscan(string(line), &op, &ns); err != nil {
				return nil, fmt.Errorf("floor-trace: line %q: %w", line, err)
			}
			times[op] = append(times[op], time.Duration(ns))
		}
	}
	return times, nil
}
