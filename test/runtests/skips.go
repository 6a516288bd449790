package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// entry is a line of the list of skips.
type entry struct {
	test, place string
	maybe       bool // the place is followed by "?": whether the test is skipped there depends on the machine
	why         string
	line        int
}

const nowhere = "nowhere"

// readSkips reads the list. Its format is described at its top.
func readSkips(file string) ([]entry, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []entry
	section, number := "", 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "# "+nowhere {
			section = nowhere
		}
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, "\t")
		if section == nowhere && len(fields) == 2 {
			fields = []string{fields[0], nowhere, fields[1]}
		}
		if len(fields) != 3 || fields[0] == "" || fields[2] == "" {
			return nil, fmt.Errorf("%s:%d: an entry is TestName<TAB>place[,place]<TAB>why, and TestName<TAB>why in the section %q", file, number, nowhere)
		}
		for where := range strings.SplitSeq(fields[1], ",") {
			where, maybe := strings.CutSuffix(where, "?")
			if !slices.Contains(places, where) && !(section == nowhere && where == nowhere) {
				return nil, fmt.Errorf("%s:%d: %q is not a place: %s", file, number, where, strings.Join(places, ", "))
			}
			list = append(list, entry{fields[0], where, maybe, fields[2], number})
		}
	}
	return list, nil
}

// covers says whether an entry speaks of a test in a place.
func (e entry) covers(name, where string) bool {
	return e.test == name && (e.place == where || e.place == nowhere)
}

// compareSkips lists where the list and the results differ.
func compareSkips(results []*place, list []entry) []string {
	problems := unlisted(results, list)
	problems = append(problems, stale(results, list)...)
	return append(problems, neverRan(results, list)...)
}

// unlisted are the skips that are not on the list, or are there for another reason.
func unlisted(results []*place, list []entry) []string {
	var problems []string
	for _, p := range results {
		for _, key := range slices.SortedFunc(maps.Keys(p.tests), compareTests) {
			r := p.tests[key]
			if r.outcome != "skip" {
				continue
			}
			i := slices.IndexFunc(list, func(e entry) bool {
				return e.covers(key.name, p.name) && strings.Contains(r.reason(), e.why)
			})
			if i < 0 {
				problems = append(problems, fmt.Sprintf("not on the list: %s\t%s\t%s", key.name, p.name, r.reason()))
			}
		}
	}
	return problems
}

// stale are the entries that are no longer true in a place that ran.
func stale(results []*place, list []entry) []string {
	var problems []string
	for _, e := range list {
		if e.maybe {
			continue
		}
		asked, skipped, passed := false, false, false
		for _, p := range results {
			if !p.ran() || !e.covers(e.test, p.name) {
				continue
			}
			asked = true
			for key, r := range p.tests {
				skipped = skipped || key.name == e.test && r.outcome == "skip"
				passed = passed || key.name == e.test && r.outcome == "pass"
			}
		}
		if asked && !skipped {
			problems = append(problems, fmt.Sprintf("line %d is stale: %s was not skipped (%s)", e.line, e.test, e.place))
		} else if e.place == nowhere && passed {
			problems = append(problems, fmt.Sprintf("line %d is stale: %s does run somewhere", e.line, e.test))
		}
	}
	return problems
}

// neverRan are the tests that were skipped in every place. It can only be said when all places ran.
func neverRan(results []*place, list []entry) []string {
	ran := map[test]bool{}
	for _, p := range results {
		if !p.ran() {
			return nil
		}
		for key, r := range p.tests {
			ran[key] = ran[key] || r.outcome != "skip"
		}
	}
	var problems []string
	for _, key := range slices.SortedFunc(maps.Keys(ran), compareTests) {
		excused := slices.ContainsFunc(list, func(e entry) bool {
			return e.test == key.name && (e.maybe || e.place == nowhere)
		})
		if !ran[key] && !excused {
			problems = append(problems, fmt.Sprintf("ran in no place: %s (%s)", key.name, key.pkg))
		}
	}
	return problems
}
