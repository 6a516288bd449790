package config

import (
	"slices"
	"strconv"
	"strings"
)

// The functions here decode the value at the current position into *p. A null leaves *p as it is,
// which is zero, because no member is decoded twice; so does encoding/json.

// null passes a null and tells whether there was one (or what began like one, which is an error).
func (d *decoder) null() bool {
	if d.peek() != 'n' {
		return false
	}
	d.literal("null")
	return true
}

// text decodes a string.
func text[S ~string](d *decoder, p *S) {
	switch d.peek() {
	case '"':
		*p = S(d.str())
	case 'n':
		d.literal("null")
	default:
		d.expected("a string")
	}
}

func boolean(d *decoder, p *bool) {
	switch d.peek() {
	case 't':
		d.literal("true")
		*p = true
	case 'f':
		d.literal("false")
	case 'n':
		d.literal("null")
	default:
		d.expected("a boolean")
	}
}

// integer has every type of number in the specification. It knows no others.
type integer interface {
	~int | ~int32 | ~int64 | ~uint | ~uint16 | ~uint32 | ~uint64
}

func number[T integer](d *decoder, p *T) {
	if d.null() {
		return
	}
	if c := d.peek(); c != '-' && !isDigit(c) {
		d.expected("an integer")
		return
	}
	start := d.i
	n := d.numeral()
	v := T(n.magnitude)
	fits := v >= 0 && uint64(v) == n.magnitude
	if n.negative {
		v = -v
		// Sign-extended and negated it is the magnitude again, unless something was lost. An unsigned
		// type takes no minus, not even before 0; nor does encoding/json.
		signed := ^T(0) < 0
		fits = signed && v <= 0 && -uint64(v) == n.magnitude
	}
	switch {
	case !n.whole:
		d.fail(start, "an integer is expected, found a number with a fraction or an exponent")
	case n.overflow || !fits:
		d.fail(start, "number out of range: "+rangeOf[T]())
	}
	*p = v
}

// rangeOf is "uint16 holds 0 to 65535".
func rangeOf[T integer]() string {
	bits := 0
	for one := T(1); one != 0; one <<= 1 {
		bits++
	}
	name := "int" + strconv.Itoa(bits) + " holds "
	if ^T(0) > 0 {
		return "u" + name + "0 to " + strconv.FormatUint(1<<bits-1, 10)
	}
	last := int64(1<<(bits-1) - 1)
	return name + strconv.FormatInt(-last-1, 10) + " to " + strconv.FormatInt(last, 10)
}

// optional decodes a value that may be left out.
func optional[T any](d *decoder, p **T, value func(*decoder, *T)) {
	if d.null() {
		return
	}
	*p = new(T)
	value(d, *p)
}

// list decodes an array. Room is made for size elements at first: often all that come.
func list[T any](d *decoder, p *[]T, size int, value func(*decoder, *T)) {
	if d.null() {
		return
	}
	s := []T{}
	d.array()
	for d.element() {
		if len(s) == cap(s) {
			s = slices.Grow(s, max(size, len(s)))
		}
		var zero T
		s = append(s, zero)
		value(d, &s[len(s)-1])
	}
	*p = s
}

// texts decodes an array of strings. Those are so many, in seccomp's rules above all, that they
// share larger arrays.
func texts(d *decoder, p *[]string) {
	if d.null() {
		return
	}
	start := len(d.spare)
	d.array()
	for d.element() {
		if len(d.spare) == cap(d.spare) {
			had := d.spare[start:]
			d.spare = append(make([]string, 0, max(128, 2*len(had), len(had)+d.elementsLeft())), had...)
			start = 0
		}
		d.spare = append(d.spare, "")
		text(d, &d.spare[len(d.spare)-1])
	}
	*p = []string{}
	if end := len(d.spare); end > start {
		*p = d.spare[start:end:end] // an append by the caller must not run into the next array
	}
}

// elementsLeft guesses how many elements of an array of strings follow: as many as there are commas
// before the next bracket. It is exact where the strings hold neither.
func (d *decoder) elementsLeft() int {
	rest, _, _ := strings.Cut(d.text[d.i:], "]")
	return min(1+strings.Count(rest, ","), maxValues)
}

// dict decodes an object whose names are not the specification's.
func dict[V any](d *decoder, p *map[string]V, value func(*decoder, *V)) {
	if d.null() {
		return
	}
	m := map[string]V{}
	v := new(V) // one for all: value, called through a variable, would move each to the heap
	d.object()
	for d.member() {
		name := d.name
		var zero V
		*v = zero
		value(d, v)
		m[name] = *v
	}
	*p = m
}
