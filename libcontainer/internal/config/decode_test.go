package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestDecodeAccepts(t *testing.T) {
	for name, doc := range map[string]string{
		"empty object":          `{}`,
		"white space":           " \t\r\n{ \"hostname\" :\t\"x\" , \"mounts\" : [ { } , null ] , \"linux\" : { } }\r\n ",
		"escapes":               `{"hostname":"\"\\\/\b\f\n\r\t\u0041\u00e9\u2603\ud83d\ude00\uD83D\uDE00","domainname":"a\nb"}`,
		"NUL":                   `{"hostname":"a\u0000b","annotations":{"\u0000":"\u0000"}}`,
		"replacement character": `{"hostname":"\ufffd` + "\ufffd" + `"}`,
		"UTF-8":                 `{"hostname":"é☃😀","annotations":{"ключ":"значение"}}`,
		"delete":                "{\"hostname\":\"\x7f\"}",
		"escaped known name":    `{"\u0070roc\u0065ss":{"\u0061rgs":["x"]}}`,
		"minus zero":            `{"process":{"oomScoreAdj":-0}}`,
		"empty but there":       `{"mounts":[],"annotations":{},"process":{"args":[],"env":[]},"linux":{"namespaces":[],"sysctl":{}}}`,
		"empty after others":    `{"process":{"args":["a"],"env":[],"capabilities":{"bounding":["b"],"ambient":[]}}}`,
		"null":                  `{"mounts":null,"annotations":null,"process":{"args":null,"user":null,"terminal":null},"vm":null}`,
		"null in arrays":        `{"mounts":[null],"process":{"args":["a",null,"c"],"user":{"additionalGids":[null,5]}}}`,
		"null in maps":          `{"annotations":{"a":null,"b":"x","c":null},"linux":{"rdma":null,"timeOffsets":{"a":null}}}`,
		"zero after a value":    `{"linux":{"timeOffsets":{"a":{"secs":5,"nanosecs":6},"b":{"secs":7},"c":{}}}}`,
		"other platforms":       `{"windows":{"layerFolders":["a"],"credentialSpec":{"x":[1.5e3]}},"solaris":{},"vm":{"kernel":{"path":"/k"}},"zos":{},"freebsd":{"jail":{}}}`,
		"unknown":               `{"x":{"y":[1,-2.5e+10,0E-0,true,false,null,"\u0000",{},[]]},"process":{"xy":1e999},"linux":{"resources":{"z":[]}}}`,
		"unknown, case alike":   `{"foo":1,"Foo":2,"x":{"path":1,"Path":2}}`,
		"map keys, case alike":  `{"annotations":{"Process":"1","process":"2","PROCESS":"3"}}`,
		"64 deep":               nest(maxDepth - 1),
		"as large as allowed":   `{"hostname":"` + strings.Repeat("x", MaxSize-15) + `"}`,
		"as many as allowed":    `{"x":[` + strings.Repeat("0,", maxValues-2) + `0]}`,
		"many strings":          `{"process":{"args":[` + strings.Repeat(`"a",`, 1000) + `"b"],"env":[` + strings.Repeat(`"c",`, 200) + `"d"]}}`,
		"many mounts":           `{"mounts":[` + strings.Repeat(`{"options":["a","b"]},`, 1000) + `{"destination":"/"}]}`,
	} {
		t.Run(name, func(t *testing.T) { same(t, []byte(doc)) })
	}
}

func TestDecodeUnknown(t *testing.T) {
	doc := `{"x":{"y":1},"process":{"":2,"args":["a"],"a/b~":[{"c":1}]},"mounts":[{},{"opts":[]}],
		"annotations":{"free":"x"},"linux":{"netDevices":{"eth0":{"mtu":9000}},"timeOffsets":null},"windows":{"z":1}}`
	spec, unknown, err := DecodeUnknown([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/x", "/process/", "/process/a~1b~0", "/mounts/1/opts", "/linux/netDevices/eth0/mtu"}
	if !slices.Equal(unknown, want) {
		t.Errorf("got  %q\nwant %q", unknown, want)
	}
	if len(spec.Process.Args) != 1 || spec.Windows == nil || len(spec.Linux.NetDevices) != 1 {
		t.Errorf("known members beside unknown ones were lost: %+v", spec)
	}
}

// TestDecodeUnknownIsBounded has a name so long that it must not be repeated for each of the members
// below it.
func TestDecodeUnknownIsBounded(t *testing.T) {
	doc := `{"first":0,"linux":{"netDevices":{"` + strings.Repeat("n", 1<<20) + `":{"a":1,"b":2}}},"last":0}`
	_, unknown, err := DecodeUnknown([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(unknown, []string{"/first"}) {
		t.Errorf("got %.200q", unknown)
	}
}

// TestDecodeOwnsItsStrings overwrites the input, and appends to an array, without harm to the rest.
func TestDecodeOwnsItsStrings(t *testing.T) {
	data := []byte(`{"hostname":"abc","process":{"args":["x"],"env":["y"]},"annotations":{"k":"v"}}`)
	spec, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	_ = append(spec.Process.Args, "overflow")
	want := &specs.Spec{
		Hostname:    "abc",
		Process:     &specs.Process{Args: []string{"x"}, Env: []string{"y"}},
		Annotations: map[string]string{"k": "v"},
	}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got %+v, process %+v", spec, spec.Process)
	}
}

func TestSyntaxErrorIsPrintable(t *testing.T) {
	long := strings.Repeat("é", 200)
	for _, tt := range []struct{ pointer, want string }{
		{"", `config.json: why (byte 7)`},
		{"/a/é", `config.json: /a/é: why (byte 7)`},
		{"/\x1b[2J\n", `config.json: "/\x1b[2J\n": why (byte 7)`},
		{"/\u202egnp", `config.json: "/\u202egnp": why (byte 7)`},
		{"/" + long, `config.json: /` + long[:254] + `...: why (byte 7)`},
	} {
		e := &SyntaxError{Offset: 7, Pointer: tt.pointer, Reason: "why"}
		if e.Error() != tt.want {
			t.Errorf("got  %s\nwant %s", e, tt.want)
		}
	}
}

// TestDecodeAllocations holds what the start of a container pays for.
func TestDecodeAllocations(t *testing.T) {
	data := testdata(t, "podman.json")
	n := testing.AllocsPerRun(20, func() {
		if _, err := Decode(data); err != nil {
			t.Fatal(err)
		}
	})
	if n > 150 { // 105, some more under the race detector; encoding/json needs 1161
		t.Errorf("%v allocations for %d bytes", n, len(data))
	}
}

// FuzzDecode: what Decode accepts, encoding/json accepts and understands the same; what encoding/json
// alone accepts, Decode refuses for one of the reasons for which it exists.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"runc-spec.json", "unprivileged.json", "podman.json", "containerd.json"} {
		f.Add(testdata(f, name))
	}
	all, err := json.Marshal(maximal())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	for _, doc := range []string{
		`{"root":{},"\u0072oot":{}}`, `{"x":[{"y":{"~":1,"~":1}}]}`, `{"windows":{"x":1},"vm":null}`,
		`{"hostname":"\ud83d\ude00\ud800"}`, `{"annotations":{"":null,"\u0000":"\/"},"mounts":[null,{}]}`,
		`{"process":{"user":{"uid":-0},"oomScoreAdj":-0,"args":[null]}}`, `{"x":-1.5E+10,"Linux":{}}`, "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := Decode(data)
		if err == nil {
			same(t, data)
			if m, err := DecodeAnnotations(data); err != nil || !maps.Equal(m, spec.Annotations) {
				t.Errorf("the annotations alone are %v, %v", m, err)
			}
			return
		}
		e, ok := err.(*SyntaxError)
		if !ok || e.Offset < -1 || e.Offset > len(data) || e.Reason == "" {
			t.Errorf("%#v", err)
		}
		if e.Pointer != "" && e.Pointer[0] != '/' {
			t.Errorf("no JSON pointer: %q", e.Pointer)
		}
		if _, err := oracle(data); err == nil && !stricter(e) {
			t.Errorf("encoding/json accepts, Decode says %v", e)
		}
	})
}

// stricter tells whether an error is one of those that encoding/json does not have.
func stricter(e *SyntaxError) bool {
	for _, prefix := range []string{
		"duplicate member", "unknown member that differs", "invalid UTF-8", "lone surrogate",
		"nested more than", "more than", "larger than",
	} {
		if strings.HasPrefix(e.Reason, prefix) {
			return true
		}
	}
	return e.Pointer == "" && e.Reason == "an object is expected, found null"
}

// large is a config.json of n times the mounts and seccomp rules of podman.json.
func large(b *testing.B, n int) []byte {
	b.Helper()
	spec, err := Decode(testdata(b, "podman.json"))
	if err != nil {
		b.Fatal(err)
	}
	spec.Mounts = slices.Repeat(spec.Mounts, n)
	spec.Linux.Seccomp.Syscalls = slices.Repeat(spec.Linux.Seccomp.Syscalls, n)
	data, err := json.Marshal(spec)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct {
		name string
		data []byte
	}{{"17KB", testdata(b, "podman.json")}, {"230KB", large(b, 20)}} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(bb.data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bb.name+"/encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(bb.data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := json.Unmarshal(bb.data, new(specs.Spec)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzDecodeParts: the documents of exec and update are read as the same parts of a config.json are.
func FuzzDecodeParts(f *testing.F) {
	for _, doc := range []string{
		`{"args":["sh"],"cwd":"/","user":{"uid":1,"gid":2,"additionalGids":[3]},"capabilities":{"bounding":["CAP_KILL"]},"rlimits":[{"type":"RLIMIT_CPU","hard":2,"soft":1}]}`,
		`{"memory":{"limit":-1,"swap":5},"pids":{"limit":0},"cpu":{"quota":-1,"period":100000},"devices":[{"allow":true,"major":1}],"unified":{"memory.high":"1"}}`,
		`null`, `{"args":null,"args":[]}`, `{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":10}]},"hugepageLimits":[{}],"rdma":{"":{}}}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxDepth-4 { // "{},{}" is something else inside of another
			return
		}
		process, _, e1 := DecodeProcess(data)
		resources, _, e2 := DecodeResources(data)
		whole, w1 := Decode(slices.Concat([]byte(`{"process":`), data, []byte(`}`)))
		other, w2 := Decode(slices.Concat([]byte(`{"linux":{"resources":`), data, []byte(`}}`)))
		if e1 == nil && w1 == nil && whole.Process != nil && !reflect.DeepEqual(process, whole.Process) {
			t.Errorf("%+v is %+v in a config.json", process, whole.Process)
		}
		if e2 == nil && w2 == nil && other.Linux.Resources != nil && !reflect.DeepEqual(resources, other.Linux.Resources) {
			t.Errorf("%+v is %+v in a config.json", resources, other.Linux.Resources)
		}
		if object := bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")); object && ((e1 == nil) != (w1 == nil) || (e2 == nil) != (w2 == nil)) {
			t.Errorf("%v and %v, but in a config.json %v and %v", e1, e2, w1, w2)
		}
	})
}
