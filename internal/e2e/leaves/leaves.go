// Package leaves finds the properties of the runtime specification's types and sets them, for tests of what is
// allowed: nothing that the specification has can be forgotten then.
package leaves

import (
	"math"
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Of are the patterns of all properties of a type that are values, such as "/mounts/*/options/*": "*" is any index or
// key.
func Of(t reflect.Type) []string { return below(t, "") }

func below(t reflect.Type, prefix string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return below(t.Elem(), prefix)
	case reflect.Slice, reflect.Map:
		return below(t.Elem(), prefix+"/*")
	case reflect.Struct:
		var list []string
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				list = append(list, below(f.Type, prefix)...)
			default:
				list = append(list, below(f.Type, prefix+"/"+name)...)
			}
		}
		return list
	}
	return []string{prefix}
}

// Put sets the leaf of a pattern in a spec, making what is missing on the way; of arrays and maps it takes the first
// element. The n-th value of its kind is set; more is false after the last. The first asks for something plain, the
// others are of the kind that programs trip over.
func Put(spec *specs.Spec, pattern string, n int) (more bool) {
	return put(reflect.ValueOf(spec), strings.Split(pattern, "/")[1:], n)
}

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
