package bundle

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestEncode compares encode with encoding/json on Specs whose every field may be set: the generated ones
// use few of them, but nothing may be lost from one that uses others.
func TestEncode(t *testing.T) {
	for seed := range uint64(300) {
		spec := &specs.Spec{}
		fill(reflect.ValueOf(spec).Elem(), rand.New(rand.NewPCG(seed, 1)), 0)
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(spec); err != nil {
			t.Fatal(err)
		}
		if got := encode(spec); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want.Bytes())
		}
	}
}

var words = []string{"", "a", `q"\`, "tab\tnl\ncr\r\b\f\x01\x1f\x7f", "é\u2028\u2029\U0001f600", "bad\xff\xc3", "<&>"}

// fill sets each field with a chance of two in three, and now and then to its zero value.
func fill(v reflect.Value, r *rand.Rand, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if r.IntN(3) > 0 {
				fill(v.Field(i), r, depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), r, depth+1)
	case reflect.Slice:
		n := r.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), r, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, r, depth+1)
			fill(value, r, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(3)) - 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.IntN(3)))
	}
}
