package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"start","Package":"m/a"}
not an event
{"Action":"run","Package":"m/a","Test":"TestP"}
{"Action":"pass","Package":"m/a","Test":"TestP","Elapsed":0.1}
{"Action":"run","Package":"m/a","Test":"TestS"}
{"Action":"output","Package":"m/a","Test":"TestS","Output":"=== RUN   TestS\n"}
{"Action":"output","Package":"m/a","Test":"TestS","Output":"    s_test.go:3: first a note\n"}
{"Action":"output","Package":"m/a","Test":"TestS","Output":"    s_test.go:4: needs root\n"}
{"Action":"output","Package":"m/a","Test":"TestS","Output":"--- SKIP: TestS (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestS","Elapsed":0}
{"Action":"pass","Package":"m/a","Elapsed":0.2}
`

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		outcomes     string // of TestP, TestS and TestD
		broken       int
	}{
		{"all well", stream, "pass skip ", 0},
		{"a test that died", stream + `{"Action":"run","Package":"m/b","Test":"TestD"}` + "\n" + `{"Action":"fail","Package":"m/b"}`, "pass skip fail", 0},
		{"failed outside of tests", stream + `{"Action":"fail","Package":"m/b"}`, "pass skip ", 1},
		{"a package that did not end", stream + `{"Action":"run","Package":"m/b","Test":"TestD"}`, "pass skip ", 1},
		{"nothing", "", "  ", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace("host-root")
			paths := []string{"m/a"}
			if strings.Contains(c.stream, "m/b") {
				paths = append(paths, "m/b")
			}
			p.read(strings.NewReader(c.stream), paths)
			var got []string
			for _, key := range []test{{"m/a", "TestP"}, {"m/a", "TestS"}, {"m/b", "TestD"}} {
				outcome := ""
				if r := p.tests[key]; r != nil {
					outcome = r.outcome
				}
				got = append(got, outcome)
			}
			if s := strings.Join(got, " "); s != c.outcomes || len(p.broken) != c.broken {
				t.Errorf("%q, broken %q", s, p.broken)
			}
			if r := p.tests[test{"m/a", "TestS"}]; r != nil && r.reason() != "needs root" {
				t.Errorf("reason %q", r.reason())
			}
		})
	}
}

func TestReport(t *testing.T) {
	a, b := ranIn("host-root", "TestA=pass", "TestB=fail", "TestC=skip x"), ranIn("host-user", "TestA=pass", "TestC=pass")
	var out strings.Builder
	// one test that failed and one skip that is not on the list
	if n := report(&out, []*place{a, b}, nil); n != 2 {
		t.Errorf("%d failures", n)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; last != "3 passed, 2 failed, 1 skipped" {
		t.Errorf("the last line is %q", last)
	}
	if !strings.Contains(out.String(), "TestC\thost-root\tx\n") {
		t.Errorf("the skipped test is not listed:\n%s", out.String())
	}
}
