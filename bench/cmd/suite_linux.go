package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// measure runs everything, inside the namespaces.
func measure(o options) (*report, error) {
	r := &report{machine: machine(), rounds: o.rounds}
	groups := []struct {
		title, base string
		candidates  []candidate
	}{
		{"One container that runs true", crunRoot, runtimes()},
		{"locald run builtin:hello", localdShimRoot, nil},
		{"Starting and ending", emptyGo, starts()},
		{"What engines do: a short life", crunRoot + lifeSuffix, lives()},
		{"What engines do: exec of true", crunRoot + execSuffix, nil},
		{"What engines do: state", crunRoot + stateSuffix, nil},
		{"A profile of 350 rules", crunRoot + profileSuffix + coldSuffix, nil},
	}
	var err error
	if groups[6].candidates, err = profiled(); err != nil {
		r.skipped = append(r.skipped, oneLine(err))
	}
	execs, states, done, err := joiners()
	groups[4].candidates, groups[5].candidates = execs, states
	if err != nil {
		r.skipped = append(r.skipped, oneLine(err))
	}
	groups[1].candidates = r.localds()
	for i := range groups {
		var skipped []string
		groups[i].candidates, skipped = verify(groups[i].candidates)
		r.skipped = append(r.skipped, skipped...)
	}
	before := traces() // what the first run makes for good (/run/crun, the base cgroup) is no leftover
	for _, g := range groups {
		if len(g.candidates) == 0 {
			continue
		}
		r.group(g.title, g.base, g.candidates)
	}
	if err := done(); err != nil {
		r.skipped = append(r.skipped, oneLine(err))
	}
	if o.many > 0 {
		r.startMany(groups[0].candidates, o.many)
	}
	if o.crowd > 0 {
		r.measureCrowd(o.crowd)
	}
	for _, name := range []string{"locald-shim", "locald", "floor", "runc-embed"} {
		r.measureSize(name, bin(name))
	}
	for _, name := range []string{"crun", "runc"} {
		r.measureSize(name, peer(name))
	}
	r.compare()
	if o.trace {
		err = r.traceAll(o.rounds)
	}
	time.Sleep(10 * pause)
	r.leftovers = leftovers(before, traces())
	return r, err
}

// localds are locald's own runs, of both callers.
func (r *report) localds() (list []candidate) {
	for _, l := range []struct {
		as         caller
		name, shim string
	}{{rootCaller, localdRoot, localdShimRoot}, {userCaller, localdUser, localdShimUser}} {
		pair, err := locald(l.as, l.name, l.shim)
		if err != nil {
			r.skipped = append(r.skipped, oneLine(err))
		}
		list = append(list, pair...)
	}
	return list
}

// verify runs every candidate once and keeps those that exit with 0. Of the others
// it returns why.
func verify(candidates []candidate) (good []candidate, skipped []string) {
	for _, c := range candidates {
		if _, _, err := c.spawn(bin("spawn"), 1, 1); err != nil {
			skipped = append(skipped, oneLine(err))
			continue
		}
		good = append(good, c)
	}
	return good, skipped
}

// oneLine is the beginning of an error's text.
func oneLine(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	return text[:min(len(text), 400)]
}

// group measures candidates that belong in one table.
func (r *report) group(title, base string, candidates []candidate) {
	fmt.Fprintf(os.Stderr, "bench: %s: %d candidates, %d rounds\n", title, len(candidates), r.rounds)
	runs, failed := rounds(bin("spawn"), candidates, r.rounds)
	for _, err := range failed {
		r.skipped = append(r.skipped, oneLine(err))
	}
	g := group{title: title, base: base, runs: runs}
	for _, c := range candidates {
		g.names = append(g.names, c.name)
	}
	r.groups = append(r.groups, g)
}

// startMany starts n containers, a few at a time, with each candidate in turn.
func (r *report) startMany(candidates []candidate, n int) {
	for _, c := range candidates {
		fmt.Fprintf(os.Stderr, "bench: %d containers: %s\n", n, c.name)
		time.Sleep(10 * pause)
		_, all, err := c.spawn(bin("spawn"), n, slots)
		if err != nil {
			r.skipped = append(r.skipped, fmt.Sprintf("%d at a time: %s", slots, oneLine(err)))
			continue
		}
		r.many = append(r.many, manyResult{c.name, n, all})
	}
}

// measureCrowd measures while n containers of each runtime are alive.
func (r *report) measureCrowd(n int) {
	results, states, lists, done, err := crowd(n)
	r.crowds = results
	if err == nil {
		r.group("One of many: state", crunRoot+crowdStateSuffix, states)
		r.group("One of many: list", crunRoot+crowdListSuffix, lists)
	}
	if err = errors.Join(err, done()); err != nil {
		r.skipped = append(r.skipped, oneLine(err))
	}
}

func (r *report) measureSize(name, file string) {
	if st, err := os.Stat(file); err == nil {
		r.sizes = append(r.sizes, size{name, st.Size()})
	}
}

// machine says on what the figures were taken.
func machine() string {
	var u unix.Utsname
	unix.Uname(&u)
	field := func(file, key string) string {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
				return strings.TrimSpace(v)
			}
		}
		return "?"
	}
	load, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("Linux %s, %s, %d CPUs, load %s at the start, %s. Other load makes medians upper bounds; the minima suffer least.", bytes.TrimRight(u.Release[:], "\x00"),
		field("/proc/cpuinfo", "model name"), runtime.NumCPU(), one, runtime.Version())
}
