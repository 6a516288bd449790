package main

import (
	"fmt"
	"strconv"
	"strings"
)

// table is the results, a row for each program of the suite.
type table struct {
	runtimes []runtimeUnderTest
	rows     [][]string
	sums     []int // tests passed, then failed, for each runtime
}

// add adds a row and returns it as a line of text.
func (t *table) add(test string, all []outcome, reason string) string {
	if t.sums == nil {
		t.sums = make([]int, 2*len(all))
	}
	row := []string{test}
	for i, o := range all {
		t.sums[2*i] += len(o.passed)
		t.sums[2*i+1] += len(o.failed)
		cell := strconv.Itoa(len(o.passed)) + " / " + strconv.Itoa(len(o.failed))
		if len(o.passed)+len(o.failed) == 0 {
			cell = "exit " + o.exit
		}
		row = append(row, cell)
	}
	row = append(row, reason)
	t.rows = append(t.rows, row)
	return fmt.Sprintf("%-36s %s", test, strings.Join(row[1:], " | "))
}

func (t *table) total() string {
	s := "total, passed / failed:"
	for i, r := range t.runtimes {
		if t.sums != nil {
			s += fmt.Sprintf(" %s %d / %d", r.name, t.sums[2*i], t.sums[2*i+1])
		}
	}
	return s
}

func (t *table) markdown() string {
	var b strings.Builder
	b.WriteString("# Conformance\n\nThe validation suite of opencontainers/runtime-tools, as `make conformance` runs it. A cell is how many different tests of a program passed and failed; " +
		"a program that tells its result by its exit status alone has that. Where another runtime passes what locald-shim does not, the reason stands beside it.\n\n")
	head := []string{"program"}
	for _, r := range t.runtimes {
		head = append(head, r.name)
	}
	head = append(head, "remark")
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	b.WriteString("\n" + t.total() + "\n")
	return b.String()
}
