package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// leaves are the patterns of all properties of a type that are values.
func leaves(t reflect.Type, prefix string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return leaves(t.Elem(), prefix)
	case reflect.Slice, reflect.Map:
		return leaves(t.Elem(), prefix+"/*")
	case reflect.Struct:
		var list []string
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				list = append(list, leaves(f.Type, prefix)...)
			default:
				list = append(list, leaves(f.Type, prefix+"/"+name)...)
			}
		}
		return list
	}
	return []string{prefix}
}

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
	all := leaves(reflect.TypeFor[specs.Spec](), "")
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

// put sets the leaf of a pattern in a spec, making what is missing on the way; of arrays and maps it takes
// the first element. The n-th value of its kind is set; more is false after the last.
func put(v reflect.Value, path []string, n int) (more bool) {
	if len(path) == 0 && v.Kind() != reflect.Pointer {
		return putValue(v, n)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return put(v.Elem(), path, n)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		return put(v.Index(0), path[1:], n)
	case reflect.Map:
		key := reflect.ValueOf("k")
		if keys := v.MapKeys(); len(keys) > 0 {
			key = keys[0]
		} else {
			v.Set(reflect.MakeMap(v.Type()))
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			elem.Set(old)
		}
		more = put(elem, path[1:], n)
		v.SetMapIndex(key, elem)
		return more
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && name == "" {
				if _, ok := f.Type.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, path[0]) }); ok {
					return put(v.Field(i), path, n)
				}
			} else if name == path[0] {
				return put(v.Field(i), path[1:], n)
			}
		}
	}
	panic("no " + strings.Join(path, "/") + " in " + v.Type().String())
}

// putValue sets a value; the first is none that asks for nothing.
func putValue(v reflect.Value, n int) (more bool) {
	words := []string{"x", "", "/", "..", "a\x00b", "CAP_SYS_ADMIN", "/proc/self/fd/7", "18446744073709551616", strings.Repeat("x", 5000)}
	ints := []int64{1, 0, -1, 1000, math.MaxInt64, math.MinInt64}
	uints := []uint64{1, 0, 1000, math.MaxUint64}
	switch v.Kind() {
	case reflect.String:
		v.SetString(words[n])
		return n+1 < len(words)
	case reflect.Bool:
		v.SetBool(n == 0)
		return n == 0
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(ints[n] >> (64 - v.Type().Bits()))
		if n == 0 {
			v.SetInt(1)
		}
		return n+1 < len(ints)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uints[n] & (math.MaxUint64 >> (64 - v.Type().Bits())))
		return n+1 < len(uints)
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
		return false
	}
	panic("a value of kind " + v.Kind().String())
}

// TestAllowedRows: a property that is allowed is so with every value.
func TestAllowedRows(t *testing.T) {
	for _, r := range Rows {
		if r.Verdict != Allowed {
			continue
		}
		for n, more := 0, true; more; n++ {
			spec := testSpec()
			more = put(reflect.ValueOf(spec), strings.Split(r.Pattern, "/")[1:], n)
			if p := Check(spec, testGrant()); len(p) > 0 {
				t.Errorf("%s, value %d: refused:\n%s", r.Pattern, n, render(p))
			}
		}
	}
}

// TestRefusedRows: a property that is refused is so when it asks for something.
func TestRefusedRows(t *testing.T) {
	for _, leaf := range leaves(reflect.TypeFor[specs.Spec](), "") {
		i := slices.IndexFunc(Rows[:], func(r Row) bool { return covers(r.Pattern, leaf) })
		if i < 0 || Rows[i].Verdict != Refused {
			continue
		}
		spec := testSpec()
		put(reflect.ValueOf(spec), strings.Split(leaf, "/")[1:], 0)
		refused := false
		for _, p := range Check(spec, testGrant()) {
			refused = refused || about(p.Pointer, leaf) && p.Reason != ""
		}
		if !refused {
			t.Errorf("%s is not refused", leaf)
		}
	}
}
