package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed reasons.txt
var reasonsText string

// reason is why locald-shim does not pass lines of a program that another runtime passes.
type reason struct {
	program    string
	start, end string // of the lines; what is between is any text
	why        string
}

type reasons []reason

// readReasons reads reasons.txt, whose head says what a line is.
func readReasons() (list reasons, err error) {
	for line := range strings.Lines(reasonsText) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != 3 {
			return nil, fmt.Errorf("reasons.txt: %q has not the three parts", line)
		}
		start, end, _ := strings.Cut(fields[1], "*")
		list = append(list, reason{fields[0], start, end, fields[2]})
	}
	return list, nil
}

func (r reason) covers(line string) bool {
	return len(line) >= len(r.start)+len(r.end) && strings.HasPrefix(line, r.start) && strings.HasSuffix(line, r.end)
}

// apply divides the lines that a program fails into those that are nobody's excuse, each with who passes it, and the
// reasons for the others, as one text. A reason that covers none of the lines is no longer true.
func (list reasons) apply(program string, lines map[string]string) (bad []string, why string) {
	excused := map[string]bool{}
	var all []string
	for _, r := range list {
		if r.program != program {
			continue
		}
		used := false
		for line := range lines {
			if r.covers(line) {
				excused[line], used = true, true
			}
		}
		if !used {
			bad = append(bad, program+": reasons.txt excuses "+r.start+"*"+r.end+", which nothing needs any more")
			continue
		}
		all = append(all, r.why)
	}
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		if !excused[line] {
			bad = append(bad, program+": "+line+", which "+lines[line]+" passes")
		}
	}
	return bad, strings.Join(all, "; ")
}
