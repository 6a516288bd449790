package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// test names a test or a subtest.
type test struct{ pkg, name string }

// result is what came of it.
type result struct {
	outcome string // pass, fail, skip; empty while it runs
	seconds float64
	output  []string
}

// event is a line of test2json (go doc cmd/test2json) or of go build -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// read takes events down until the stream ends. Packages in paths that did not end by then are broken.
func (p *place) read(stream io.Reader, paths []string) {
	ended := map[string]bool{}
	noise := map[string][]string{} // output of a package outside of its tests
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			if line != "" {
				fmt.Print(line)
			}
		} else if e.Action == "build-output" {
			fmt.Print(e.Output)
		} else if e.Test != "" {
			p.take(e)
		} else if e.Action == "output" {
			noise[e.Package] = append(noise[e.Package], e.Output)
		} else if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
			ended[e.Package] = true
			p.endPackage(e, noise[e.Package])
		}
		if err != nil {
			break
		}
	}
	for _, path := range paths {
		if !ended[path] {
			p.breakf("%s did not end", path)
		}
	}
}

func (p *place) take(e event) {
	key := test{e.Package, e.Test}
	r := p.tests[key]
	if r == nil {
		r = &result{}
		p.tests[key] = r
	}
	switch e.Action {
	case "output":
		r.output = append(r.output, e.Output)
	case "pass", "fail", "skip":
		r.outcome, r.seconds = e.Action, e.Elapsed
	}
}

// endPackage prints what became of a package, with the output of the tests that failed; in one piece, because
// places print at the same time.
func (p *place) endPackage(e event, noise []string) {
	count := map[string]int{}
	failed := []string{}
	for _, key := range slices.SortedFunc(maps.Keys(p.tests), compareTests) {
		r := p.tests[key]
		if key.pkg != e.Package {
			continue
		}
		if r.outcome == "" { // it ran when the binary died
			r.outcome = "fail"
		}
		count[r.outcome]++
		if r.outcome == "fail" {
			failed = append(failed, r.output...)
		}
	}
	line := fmt.Sprintf("%-10s  %-4s  %-55s %4d passed %3d failed %3d skipped %6.1f s\n",
		p.name, e.Action, e.Package, count["pass"], count["fail"], count["skip"], e.Elapsed)
	if e.Action != "fail" {
		fmt.Print(line)
		return
	}
	fmt.Print(line + strings.Join(append(failed, noise...), ""))
	if count["fail"] == 0 {
		p.breakf("%s failed outside of its tests", e.Package)
	}
}

func compareTests(a, b test) int {
	if c := strings.Compare(a.pkg, b.pkg); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

// failed says whether a test failed here.
func (p *place) failed() bool {
	for _, r := range p.tests {
		if r.outcome == "fail" {
			return true
		}
	}
	return len(p.broken) > 0
}

var position = regexp.MustCompile(`^\s*\w+\.go:\d+: `)

// reason is why a test was skipped: what it wrote last with its position in the source.
func (r *result) reason() string {
	why := ""
	for _, line := range r.output {
		if at := position.FindString(line); at != "" {
			why = strings.TrimSpace(line[len(at):])
		}
	}
	return why
}
