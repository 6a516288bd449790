// Package config decodes config.json of the OCI runtime specification into the specification's
// own Go types.
//
// It exists beside encoding/json for two reasons. The first is that config.json crosses a boundary
// of trust: an unprivileged caller writes it and a setuid program acts on it, so no two readers may
// understand the same bytes differently. encoding/json takes "Namespaces" for "namespaces", lets the
// last of two equal members win and mends broken UTF-8; this package refuses all three, and bounds
// size, depth and number of values. The second is time: every container's start decodes one config.json
// in a fresh process, where a decoder by reflection first has to study the types.
//
// Unknown members are skipped, as the specification demands (config.md, "Extensibility"), after the
// same checks of syntax. The members are those of runtime-spec v1.3.0 for Linux; of the other
// platforms' sections only the presence is kept. Whether the values make sense is not asked here.
//
// For JSON that is not a config.json, use encoding/json.
//
// The files in reading order: scan.go turns bytes into tokens, value.go turns tokens into Go values,
// and the others have one function for each struct of the specification.
package config

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// MaxSize is the largest config.json that is read, in bytes. With twenty mounts and an engine's
// seccomp profile one has 17 KB; each further mount adds 150 bytes or so.
const MaxSize = 4 << 20

// mostUnknown bounds the pointers to unknown members, in bytes.
const mostUnknown = 64 << 10

// Decode decodes one config.json. An error is always a *SyntaxError.
//
// The strings of the result share one copy of data; data itself may be reused.
func Decode(data []byte) (*specs.Spec, error) {
	var d decoder
	spec, err := d.decode(data)
	if err != nil {
		return nil, err
	}
	return spec, nil
}

// DecodeUnknown is Decode, and also tells the members that the specification does not know, as JSON
// pointers in the order of the document. Members below an unknown one, or below another platform's
// section, are not listed. The list ends early when it would grow over 64 KiB.
func DecodeUnknown(data []byte) (spec *specs.Spec, unknown []string, err error) {
	d := decoder{room: mostUnknown}
	s, e := d.decode(data)
	if e != nil {
		return nil, nil, e
	}
	return s, d.strangers, nil
}

// DecodeProcess decodes a process object that stands by itself, as engines hand it to exec, with its unknown members as
// DecodeUnknown has them. An error is always a *SyntaxError.
func DecodeProcess(data []byte) (*specs.Process, []string, error) { return part(data, process) }

// DecodeResources is DecodeProcess for linux.resources, as engines hand it to update.
func DecodeResources(data []byte) (*specs.LinuxResources, []string, error) {
	return part(data, resources)
}

func part[T any](data []byte, value func(*decoder, *T)) (*T, []string, error) {
	v := new(T)
	d := decoder{room: mostUnknown}
	if err := document(&d, data, v, value); err != nil {
		return nil, nil, err
	}
	return v, d.strangers, nil
}

// DecodeAnnotations is the annotations of a config.json, which is checked for its syntax and no further. An error is
// always a *SyntaxError.
func DecodeAnnotations(data []byte) (map[string]string, error) {
	m, _, err := part(data, annotations)
	if err != nil {
		return nil, err
	}
	return *m, nil
}

func annotations(d *decoder, m *map[string]string) {
	d.object()
	for d.member() {
		if d.name == "annotations" {
			dict(d, m, text)
		} else {
			d.skip()
		}
	}
}

func (d *decoder) decode(data []byte) (*specs.Spec, *SyntaxError) {
	s := new(specs.Spec)
	return s, document(d, data, s, spec)
}

// document decodes one object and nothing after it.
func document[T any](d *decoder, data []byte, v *T, value func(*decoder, *T)) *SyntaxError {
	if len(data) > MaxSize {
		return &SyntaxError{Offset: -1, Reason: "larger than 4 MiB"}
	}
	// RFC 8259 section 8.1: a byte order mark must not be written, and may be refused.
	if len(data) >= 3 && string(data[:3]) == "\xef\xbb\xbf" {
		return &SyntaxError{Reason: "a UTF-8 byte order mark is not allowed"}
	}
	d.text = string(data)
	if d.names == nil {
		d.names = make([]string, 0, 64)
	}
	c := d.peek()
	if d.i == len(d.text) {
		return &SyntaxError{Offset: -1, Reason: "empty"}
	}
	if c == '{' { // and not null, which object would let pass
		value(d, v)
	} else {
		d.expected("an object")
	}
	d.peek()
	if d.i < len(d.text) {
		d.expected("the end of the document")
	}
	return d.err
}

func spec(d *decoder, s *specs.Spec) {
	d.object()
	for d.member() {
		switch d.name {
		case "ociVersion":
			text(d, &s.Version)
		case "process":
			optional(d, &s.Process, process)
		case "root":
			optional(d, &s.Root, root)
		case "hostname":
			text(d, &s.Hostname)
		case "domainname":
			text(d, &s.Domainname)
		case "mounts":
			list(d, &s.Mounts, 16, mount)
		case "hooks":
			optional(d, &s.Hooks, hooks)
		case "annotations":
			dict(d, &s.Annotations, text)
		case "linux":
			optional(d, &s.Linux, linux)
		case "solaris":
			optional(d, &s.Solaris, present)
		case "windows":
			optional(d, &s.Windows, present)
		case "vm":
			optional(d, &s.VM, present)
		case "zos":
			optional(d, &s.ZOS, present)
		case "freebsd":
			optional(d, &s.FreeBSD, present)
		default:
			d.unknown("ociVersion process root hostname domainname mounts hooks annotations " +
				"linux solaris windows vm zos freebsd")
		}
	}
}

// present is the section of another platform. That it is there is all that a reader needs to know
// in order to refuse it.
func present[T any](d *decoder, _ *T) {
	d.object()
	for d.member() {
		d.skip()
	}
}

// unknown skips the member just begun, which is none of the known ones (their names, separated by
// spaces). A name that differs from a known one only in case is refused: encoding/json, and with it
// runc and the engines, would take it for the known one. EqualFold folds as encoding/json does, so
// that "\u212a" (kelvin sign) is a "k".
func (d *decoder) unknown(known string) {
	for k := range strings.SplitSeq(known, " ") {
		if strings.EqualFold(k, d.name) {
			d.fail(d.at, `unknown member that differs from "`+k+`" only in case`)
			return
		}
	}
	if d.room > 0 {
		p := d.pointer()
		if d.room -= len(p); d.room > 0 {
			d.strangers = append(d.strangers, p)
		}
	}
	d.skip()
}
