package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/leaves"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// covers says whether a row's pattern is about a leaf.
func covers(pattern, leaf string) bool {
	if head, ok := strings.CutSuffix(pattern, "**"); ok {
		return strings.HasPrefix(leaf, head)
	}
	return pattern == leaf
}

// about says whether a problem's pointer is that of a leaf, or of something that the leaf is in.
func about(pointer, leaf string) bool {
	have, want := strings.Split(pointer, "/"), strings.Split(leaf, "/")
	if len(have) > len(want) {
		return false
	}
	for i := range have {
		if want[i] != "*" && want[i] != have[i] {
			return false
		}
	}
	return pointer != ""
}

func TestRowsAreComplete(t *testing.T) {
	all := leaves.Of(reflect.TypeFor[specs.Spec]())
	if len(all) < 200 {
		t.Fatalf("only %d properties found", len(all))
	}
	used := make([]bool, len(Rows))
	for _, leaf := range all {
		n := 0
		for i, r := range Rows {
			if covers(r.Pattern, leaf) {
				n++
				used[i] = true
			}
		}
		if n != 1 {
			t.Errorf("%s has %d rows", leaf, n)
		}
	}
	for i, r := range Rows {
		if !used[i] {
			t.Errorf("row %s is about no property", r.Pattern)
		}
		if i > 0 && r.Pattern <= Rows[i-1].Pattern {
			t.Errorf("row %s is not in order", r.Pattern)
		}
		if strings.HasSuffix(r.Pattern, "**") && r.Verdict != Refused {
			t.Errorf("row %s is %s: it may hide a property that nobody has thought about", r.Pattern, r.Verdict)
		}
		if r.Why == "" || (r.By == "") != (r.Verdict == Allowed) {
			t.Errorf("row %s does not say by what, or why: %+v", r.Pattern, r)
		}
	}
}

// TestRowsNameFunctions: what a row says refuses is a function of this package.
func TestRowsNameFunctions(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var functions []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				functions = append(functions, fn.Name.Name)
			}
		}
	}
	for _, r := range Rows {
		if r.By != "" && !slices.Contains(functions, r.By) {
			t.Errorf("row %s: there is no %s", r.Pattern, r.By)
		}
	}
}

// TestAllowedRows: a property that is allowed is so with every value.
func TestAllowedRows(t *testing.T) {
	for _, r := range Rows {
		if r.Verdict != Allowed {
			continue
		}
		for n, more := 0, true; more; n++ {
			spec := testSpec()
			more = leaves.Put(spec, r.Pattern, n)
			if p := Check(spec, testGrant()); len(p) > 0 {
				t.Errorf("%s, value %d: refused:\n%s", r.Pattern, n, render(p))
			}
		}
	}
}

// TestRefusedRows: a property that is refused is so when it asks for something.
func TestRefusedRows(t *testing.T) {
	for _, leaf := range leaves.Of(reflect.TypeFor[specs.Spec]()) {
		i := slices.IndexFunc(Rows[:], func(r Row) bool { return covers(r.Pattern, leaf) })
		if i < 0 || Rows[i].Verdict != Refused {
			continue
		}
		spec := testSpec()
		leaves.Put(spec, leaf, 0)
		refused := false
		for _, p := range Check(spec, testGrant()) {
			refused = refused || about(p.Pointer, leaf) && p.Reason != ""
		}
		if !refused {
			t.Errorf("%s is not refused", leaf)
		}
	}
}
