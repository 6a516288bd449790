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

// trial is candidates to be measured round-robin with each other.
type trial struct {
	title, base string // base is the candidate that the ratio column compares with
	candidates  []candidate
}

// measure runs everything, inside the namespaces.
func measure(o options) (*report, error) {
	r := &report{machine: machine()}
	var trials []trial
	done := func() error { return nil }
	if o.has("runtime") {
		trials, done = r.runtimeTrials()
	}
	if o.has("caller") {
		trials = append(trials, r.callerTrials()...)
	}
	for i := range trials {
		trials[i].candidates = r.verify(trials[i].candidates)
	}
	before := traces() // what the first run makes for good (/run/crun, the base cgroup) is no leftover
	for _, t := range trials {
		r.measure(t, o.rounds)
	}
	r.skip(done())
	var err error
	if o.has("runtime") {
		r.measureMany(trials[0].candidates, o)
		r.compareRuntimes()
		if o.trace {
			err = r.traceAll(o.rounds)
		}
	}
	if o.has("caller") {
		r.compareCallers()
	}
	if o.has("big") {
		r.measureBig()
	}
	time.Sleep(10 * pause)
	r.leftovers = leftovers(before, traces())
	return r, err
}

// runtimeTrials are those of the part "runtime". done ends the containers that some of them need.
func (r *report) runtimeTrials() (trials []trial, done func() error) {
	profiled, err := profiled()
	r.skip(err)
	execs, states, done, err := joiners()
	r.skip(err)
	return []trial{
		{"One container that runs true", crunRoot, runtimes()},
		{"locald run builtin:hello", localdShimRoot, r.localds()},
		{"Starting and ending", emptyGo, starts()},
		{"What engines do: a short life", crunRoot + lifeSuffix, lives()},
		{"What engines do: exec of true", crunRoot + execSuffix, execs},
		{"What engines do: state", crunRoot + stateSuffix, states},
		{"A profile of 350 rules", crunRoot + profileSuffix + coldSuffix, profiled},
	}, done
}

// measureMany measures what takes many containers, and the binaries.
func (r *report) measureMany(candidates []candidate, o options) {
	if o.many > 0 {
		r.startMany(candidates, o.many)
	}
	if o.crowd > 0 {
		r.measureCrowd(o.crowd, o.rounds)
	}
	for _, name := range []string{"locald-shim", "locald", "floor", "runc-embed"} {
		r.measureSize(name, bin(name))
	}
	for _, name := range []string{"crun", "runc"} {
		r.measureSize(name, peer(name))
	}
}

// localds are locald's own runs, of both callers.
func (r *report) localds() (list []candidate) {
	for _, l := range []struct {
		as         caller
		name, shim string
	}{{rootCaller, localdRoot, localdShimRoot}, {userCaller, localdUser, localdShimUser}} {
		pair, err := locald(l.as, l.name, l.shim)
		r.skip(err)
		list = append(list, pair...)
	}
	return list
}

// verify runs every candidate once and keeps those that exit with 0.
func (r *report) verify(candidates []candidate) (good []candidate) {
	for _, c := range candidates {
		if err := c.once(); err != nil {
			r.skip(err)
			continue
		}
		good = append(good, c)
	}
	return good
}

// once runs a candidate outside of what is measured.
func (c candidate) once() error {
	if c.before != nil {
		c.before()
	}
	_, _, err := c.spawn(bin("spawn"), 1, 1)
	return err
}

// skip notes why something is not measured; nil is nothing to note.
func (r *report) skip(err error) {
	if err != nil {
		r.skipped = append(r.skipped, oneLine(err))
	}
}

// oneLine is the beginning of an error's text.
func oneLine(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	return text[:min(len(text), 400)]
}

// measure measures candidates that belong in one table.
func (r *report) measure(t trial, n int) {
	if len(t.candidates) == 0 {
		return
	}
	fmt.Fprintf(os.Stderr, "bench: %s: %d candidates, %d rounds\n", t.title, len(t.candidates), n)
	runs, failed := rounds(bin("spawn"), t.candidates, n)
	for _, err := range failed {
		r.skip(err)
	}
	g := group{title: t.title, base: t.base, runs: runs}
	for _, c := range t.candidates {
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
func (r *report) measureCrowd(n, rounds int) {
	results, states, lists, done, err := crowd(n)
	r.crowds = results
	if err == nil {
		r.measure(trial{"One of many: state", crunRoot + crowdStateSuffix, states}, rounds)
		r.measure(trial{"One of many: list", crunRoot + crowdListSuffix, lists}, rounds)
	}
	r.skip(errors.Join(err, done()))
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
