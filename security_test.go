package locald

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/security-tests.md and testdata/shim-packages.txt")

// securityRow is a line of testdata/security-tests.txt.
type securityRow struct {
	section, name, what string
	tests               []string
	why                 string // there are none
}

func securityRows(t *testing.T) (rows []securityRow) {
	t.Helper()
	text, err := os.ReadFile("testdata/security-tests.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, _ := strings.Cut(string(text), "\n\n")
	section := ""
	for line := range strings.Lines(text2) {
		line = strings.TrimSpace(line)
		if name, is := strings.CutPrefix(line, "# "); is {
			section = name
			continue
		}
		if line == "" {
			continue
		}
		f := strings.Split(line, "\t")
		switch {
		case len(f) == 4 && f[2] == "-":
			rows = append(rows, securityRow{section, f[0], f[1], nil, f[3]})
		case len(f) == 3 && f[2] != "":
			rows = append(rows, securityRow{section, f[0], f[1], strings.Split(f[2], ", "), ""})
		default:
			t.Errorf("neither three fields nor four with a dash: %q", line)
		}
	}
	return rows
}

// securityPlaces are the places where tests run that talk to the kernel, and their letters in the document.
var securityPlaces = []struct{ name, letter string }{{"host-root", "R"}, {"host-user", "U"}, {"guest-root", "r"}, {"guest-user", "u"}}

// whereTestsRun says for every test in which places it runs, by testdata/skips.txt: what talks to the kernel does in
// four, as test/runtests has it, and the rest in one, "·".
func whereTestsRun(t *testing.T) map[string]string {
	t.Helper()
	isTest := regexp.MustCompile("^(Test|Fuzz)[^a-z]")
	kernel, tests := map[string]bool{}, map[string][]string{} // directory; test to directories
	for _, file := range goFiles(t) {
		kernel[path.Dir(file)] = kernel[path.Dir(file)] || strings.HasSuffix(file, "_linux_test.go")
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && isTest.MatchString(fn.Name.Name) {
				tests[fn.Name.Name] = append(tests[fn.Name.Name], path.Dir(file))
			}
		}
	}
	skips, err := os.ReadFile("testdata/skips.txt")
	if err != nil {
		t.Fatal(err)
	}
	where := map[string]string{}
	for name, dirs := range tests {
		if !slices.ContainsFunc(dirs, func(dir string) bool { return kernel[dir] }) {
			where[name] = "·"
			continue
		}
		for _, p := range securityPlaces {
			if !regexp.MustCompile(`(?m)^` + name + `\t([a-z,?-]*,)?` + p.name + `[,\t]`).Match(skips) {
				where[name] += p.letter
			}
		}
	}
	return where
}

var (
	advisory = regexp.MustCompile(`CVE-\d{4}-\d+|GHSA(-[0-9a-z]{4}){3}`)
	numbers  = regexp.MustCompile(`\d{4}_\d{3,}|GHSA(_[0-9a-z]{4}){3}`)
)

// advisories are those that a test is named after: "2014_8989" of TestCVE_2018_7169_2014_8989.
func advisories(test string) []string { return numbers.FindAllString(test, -1) }

// TestSecurityTests: every known mistake and every threat has tests that exist and run somewhere, or a reason, which few
// have; and the document says so.
func TestSecurityTests(t *testing.T) {
	rows, where := securityRows(t), whereTestsRun(t)
	out := `# Known mistakes and threats, and the tests that keep them out

Container runtimes and set-user-ID programs have made most of these mistakes before; the threats are what a caller, an image or another user may try here. Each row names what goes wrong and the tests that fail if it goes wrong here. A test that is named after an advisory plays what happened there; ` + "`go test ./internal/e2e -run 2024_21626`" + ` runs it. Behind a test stands where it runs: as root (R) and as a user through the set-user-ID bit (U) on the host, as root (r) and as a user (u) in a guest with cgroup v2, or, where it does not talk to the kernel, once (·). What runs as root may watch users of its own from outside.

This file is made of ` + "`testdata/security-tests.txt` and `testdata/skips.txt`" + `; ` + "`TestSecurityTests`" + ` sees that it is, that every test exists, and that each runs somewhere.
`
	section, nowhere := "", 0
	threats := map[string]bool{}
	for _, row := range rows {
		if row.section != section {
			section = row.section
			out += "\n## " + section + "\n\n| known as | what goes wrong | tests here |\n|---|---|---|\n"
		}
		threats[row.name] = true
		cell := "none: " + row.why
		if row.why != "" {
			nowhere++
		}
		for _, id := range advisory.FindAllString(row.name, -1) {
			own := strings.ReplaceAll(strings.TrimPrefix(id, "CVE-"), "-", "_")
			if row.why == "" && !slices.ContainsFunc(row.tests, func(name string) bool { return slices.Contains(advisories(name), own) }) {
				t.Errorf("%s has no test of its own", id)
			}
		}
		for i, name := range row.tests {
			if where[name] == "" {
				t.Errorf("%s: %s does not exist, or is skipped everywhere", row.name, name)
			}
			if i == 0 {
				cell = ""
			} else {
				cell += ", "
			}
			cell += "`" + name + "` " + where[name]
		}
		out += "| " + row.name + " | " + row.what + " | " + cell + " |\n"
	}
	for n := 1; n <= 48; n++ {
		if !threats[fmt.Sprintf("T%02d", n)] {
			t.Errorf("T%02d has no row", n)
		}
	}
	if nowhere > 8 || len(rows) < 90 {
		t.Errorf("%d of %d rows have no test", nowhere, len(rows))
	}
	const file = "docs/security-tests.md"
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != out {
		t.Errorf("%s is not what it is made of: go test -run TestSecurityTests . -update (%v)", file, err)
	}
}
