package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// oracle decodes with encoding/json. Of the other platforms' sections it keeps the presence only,
// as Decode does.
func oracle(data []byte) (*specs.Spec, error) {
	type section = map[string]json.RawMessage
	var s struct {
		specs.Spec
		Solaris section `json:"solaris"`
		Windows section `json:"windows"`
		VM      section `json:"vm"`
		ZOS     section `json:"zos"`
		FreeBSD section `json:"freebsd"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	if s.Solaris != nil {
		s.Spec.Solaris = new(specs.Solaris)
	}
	if s.Windows != nil {
		s.Spec.Windows = new(specs.Windows)
	}
	if s.VM != nil {
		s.Spec.VM = new(specs.VM)
	}
	if s.ZOS != nil {
		s.Spec.ZOS = new(specs.ZOS)
	}
	if s.FreeBSD != nil {
		s.Spec.FreeBSD = new(specs.FreeBSD)
	}
	return &s.Spec, nil
}

// same fails the test unless Decode accepts data and understands it as encoding/json does.
func same(t *testing.T, data []byte) *specs.Spec {
	t.Helper()
	want, err := oracle(data)
	if err != nil {
		t.Fatalf("encoding/json refuses: %v\n%.2000s", err, data)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatalf("Decode refuses: %v\n%.2000s", err, data)
	}
	if !reflect.DeepEqual(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Fatalf("Decode differs from encoding/json for\n%.2000s\ngot  %.2000s\nwant %.2000s", data, g, w)
	}
	return got
}

// fill sets every field to a value that is not zero and not used anywhere else.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.String:
		v.SetString("text " + strconv.Itoa(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 3 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("the specification has a field of a new kind: " + v.Type().String())
	}
}

// maximal is a spec in which everything is set but the other platforms' sections.
func maximal() *specs.Spec {
	var s specs.Spec
	v, n := reflect.ValueOf(&s).Elem(), 0
	for i := range v.NumField() {
		switch v.Type().Field(i).Name {
		case "Solaris", "Windows", "VM", "ZOS", "FreeBSD":
		default:
			fill(v.Field(i), &n)
		}
	}
	return &s
}

// place is one value in the maximal spec, or rather one kind of value: of an array only the first
// element is visited.
type place struct {
	pointer string
	parent  any                        // the object or array it is in
	name    string                     // its name, when parent is an object
	value   any                        // as encoding/json decodes it into an interface
	object  func(inside string) string // parent is an object: the document with inside in its braces
	doc     func(value string) string  // the document with another value here and nothing around it
}

// places visits everything in the maximal spec.
func places(t *testing.T, visit func(place)) {
	t.Helper()
	data, err := json.Marshal(maximal())
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	var walk func(place)
	walk = func(p place) {
		if p.pointer != "" {
			visit(p)
		}
		switch v := p.value.(type) {
		case map[string]any:
			object := func(inside string) string { return p.doc("{" + inside + "}") }
			for name, value := range v {
				walk(place{p.pointer + "/" + name, v, name, value, object,
					func(s string) string { return object(strconv.Quote(name) + ":" + s) }})
			}
		case []any:
			walk(place{p.pointer + "/0", v, "", v[0], nil,
				func(s string) string { return p.doc("[" + s + "]") }})
		}
	}
	walk(place{value: doc, doc: func(s string) string { return s }})
}

// isMap tells whether the names of the object at a pointer are free.
func isMap(pointer string) bool {
	switch pointer {
	case "/annotations", "/linux/sysctl", "/linux/netDevices", "/linux/timeOffsets",
		"/linux/resources/rdma", "/linux/resources/unified":
		return true
	}
	return false
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDecodeMaximal fails when the specification has gained a member that is not decoded.
func TestDecodeMaximal(t *testing.T) {
	want := maximal()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	_, unknown, err := DecodeUnknown(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range unknown {
		t.Errorf("%s is not decoded", p)
	}
	if got := same(t, data); !reflect.DeepEqual(got, want) {
		t.Error("Decode(json.Marshal(spec)) is not spec")
	}
	n := 0
	places(t, func(place) { n++ })
	if n < 250 { // 283 in v1.3.0
		t.Errorf("the maximal spec has only %d places: is fill broken?", n)
	}
}

func TestDecodeRealistic(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data := testdata(t, filepath.Base(f))
			spec := same(t, data)
			if spec.Version == "" || len(spec.Mounts) == 0 || len(spec.Linux.Namespaces) == 0 {
				t.Error("nothing was decoded")
			}
			if _, unknown, _ := DecodeUnknown(data); len(unknown) > 0 {
				t.Errorf("unknown members: %q", unknown)
			}
			for n := range data {
				// The last byte that matters is the document's closing brace.
				if n <= bytes.LastIndexByte(data, '}') {
					if _, err := Decode(data[:n]); err == nil {
						t.Fatalf("the first %d bytes alone are accepted", n)
					}
				}
			}
		})
	}
}

// TestDecodeAnyValueAnywhere puts values of every kind, and the borders of every type of integer,
// in every place: Decode must accept what encoding/json accepts, and understand it the same.
func TestDecodeAnyValueAnywhere(t *testing.T) {
	values := []string{
		`null`, `true`, `false`, `""`, `"x"`, `"0"`, `[]`, `{}`, `[null]`, `[[]]`, `[{}]`, `[""]`, `[1]`, `[1,2,3]`,
		`{"x":null}`, `{"x":"y"}`, `{"x":{}}`, `{"":1}`, `{"x":[]}`,
		`0`, `-0`, `1`, `-1`, `1.0`, `1.5`, `1e2`, `0E0`, `-1e-1`,
		`65535`, `65536`, `2147483647`, `2147483648`, `-2147483648`, `-2147483649`, `4294967295`, `4294967296`,
		`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`,
		`18446744073709551615`, `18446744073709551616`, `-18446744073709551615`, `99999999999999999999999`,
	}
	accepted, refused := 0, 0
	places(t, func(p place) {
		for _, v := range values {
			doc := []byte(p.doc(v))
			if _, err := oracle(doc); err == nil {
				accepted++
				same(t, doc)
				continue
			}
			refused++
			_, err := Decode(doc)
			e, _ := err.(*SyntaxError)
			if e == nil {
				t.Errorf("accepted, not so by encoding/json: %s", doc)
			} else if len(e.Pointer) < len(p.pointer) || e.Pointer[:len(p.pointer)] != p.pointer {
				t.Errorf("%s: error is about %s: %s", p.pointer, e.Pointer, doc)
			}
		}
	})
	if accepted < 1000 || refused < 1000 {
		t.Errorf("%d accepted and %d refused: too one-sided to mean something", accepted, refused)
	}
}
