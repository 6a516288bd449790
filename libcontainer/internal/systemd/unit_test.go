package systemd

import (
	"reflect"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	for _, test := range []struct {
		path   string
		user   bool
		want   Unit
		reason string
	}{
		{"system.slice:locald:web", false, Unit{"locald-web.scope", "system.slice"}, ""},
		{"", false, Unit{"locald-id.scope", "system.slice"}, ""},
		{"", true, Unit{"locald-id.scope", "user.slice"}, ""},
		{"a-b.slice::web", false, Unit{"web.scope", "a-b.slice"}, ""},
		{":cri-containerd:x_1.2", false, Unit{"cri-containerd-x_1.2.scope", "system.slice"}, ""},
		{"-.slice:p:a+b c/d", false, Unit{`p-a\x2bb\x20c\x2fd.scope`, "-.slice"}, ""},
		{"/locald/web", false, Unit{}, "slice:prefix:name"},
		{"a:b", false, Unit{}, "slice:prefix:name"},
		{"a:b:c:d", false, Unit{}, "slice:prefix:name"},
		{"system:locald:web", false, Unit{}, "ends in .slice"},
		{"a--b.slice:locald:web", false, Unit{}, "dash"},
		{"system.slice:locald:", false, Unit{}, "empty"},
		{"system.slice:locald:x.slice", false, Unit{}, "slice's"},
		{"../x.slice:locald:x", false, Unit{}, "character"},
		{"system.slice:locald:" + strings.Repeat("x", 250), false, Unit{}, "too long"},
	} {
		got, reason := ParsePath(test.path, "id", test.user)
		if got != test.want || (reason == "") != (test.reason == "") || !strings.Contains(reason, test.reason) {
			t.Errorf("%q: %+v, %q", test.path, got, reason)
		}
	}
}

func TestSlicePath(t *testing.T) {
	for slice, want := range map[string]string{
		"system.slice": "/system.slice", "a-b-c.slice": "/a.slice/a-b.slice/a-b-c.slice", "-.slice": "/",
		"-a.slice": "", "a-.slice": "", "a--b.slice": "", ".slice": "", "a": "", "a/b.slice": "", "": "",
	} {
		if got, reason := SlicePath(slice); got != want || (reason == "") != (want != "") {
			t.Errorf("%q: %q, %q", slice, got, reason)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, test := range []struct{ session, runtime, want string }{
		{"unix:path=/run/user/1000/bus", "/r", "/run/user/1000/bus"},
		{"unix:path=/run/user/1000/bus,guid=abc", "", "/run/user/1000/bus"},
		{"unix:guid=abc,abstract=/tmp/x", "", "@/tmp/x"},
		{"tcp:host=h,port=1;unix:path=/b", "", "/b"},
		{"unix:path=/a%20b%2fc", "", "/a b/c"},
		{"unix:path=/a%2", "/r", "/r/bus"},
		{"unix:path=/a%zz", "/r", "/r/bus"},
		{"tcp:host=h", "/r", "/r/bus"},
		{"", "/r", "/r/bus"},
		{"", "", ""},
	} {
		if got := Address(test.session, test.runtime); got != test.want {
			t.Errorf("%q, %q: %q, want %q", test.session, test.runtime, got, test.want)
		}
	}
}

func TestProperties(t *testing.T) {
	const max = ^uint64(0)
	for _, test := range []struct {
		name   string
		limits []Limit
		want   []Property
	}{
		{"memory", []Limit{{"memory.max", "4096"}, {"memory.low", "5"}, {"memory.high", "6"}, {"memory.min", "7"}, {"memory.swap.max", "max"}},
			[]Property{{"MemoryMax", uint64(4096)}, {"MemoryLow", uint64(5)}, {"MemoryHigh", uint64(6)}, {"MemoryMin", uint64(7)}, {"MemorySwapMax", max}}},
		{"the last one counts", []Limit{{"memory.max", "4096"}, {"memory.max", "8192"}}, []Property{{"MemoryMax", uint64(8192)}}},
		{"cpu", []Limit{{"cpu.weight", "100"}, {"cpu.max", "50000 20000"}}, []Property{{"CPUWeight", uint64(100)}, {"CPUQuotaPerSecUSec", uint64(2500000)}, {"CPUQuotaPeriodUSec", uint64(20000)}}},
		{"quota rounded up", []Limit{{"cpu.max", "33333"}}, []Property{{"CPUQuotaPerSecUSec", uint64(340000)}}},
		{"no quota", []Limit{{"cpu.max", "max 20000"}}, []Property{{"CPUQuotaPerSecUSec", max}, {"CPUQuotaPeriodUSec", uint64(20000)}}},
		{"pids", []Limit{{"pids.max", "7"}}, []Property{{"TasksMax", uint64(7)}}},
		{"cpuset", []Limit{{"cpuset.cpus", "0-1,9"}, {"cpuset.mems", "0"}}, []Property{{"AllowedCPUs", []byte{3, 2}}, {"AllowedMemoryNodes", []byte{1}}}},
		{"io", []Limit{{"io.weight", "200"}, {"io.weight", "8:0 300"}, {"io.weight", "8:16 400"}, {"io.max", "8:0 rbps=9 wiops=max"}, {"io.max", "8:16 rbps=10"}}, []Property{
			{"IOWeight", uint64(200)}, {"IODeviceWeight", []PathAmount{{"/dev/block/8:0", 300}, {"/dev/block/8:16", 400}}},
			{"IOReadBandwidthMax", []PathAmount{{"/dev/block/8:0", 9}, {"/dev/block/8:16", 10}}}, {"IOWriteIOPSMax", []PathAmount{{"/dev/block/8:0", max}}},
		}},
		{"nothing like it", []Limit{{"cpu.idle", "1"}, {"hugetlb.2MB.max", "0"}, {"memory.max", "many"}, {"cpu.max", ""}, {"cpu.max", "1 0"}, {"cpuset.cpus", "9-1"}, {"cpuset.cpus", ""}, {"cpuset.cpus", "0-65535"}}, nil},
	} {
		if got := Properties(test.limits); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestAnnotations(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       Property
		reason     string
	}{
		{"KillMode", "'control-group'", Property{"KillMode", "control-group"}, ""},
		{"Slice", "'a.slice'", Property{}, "runtime's"},
		{"Delegate", "false", Property{}, "runtime's"},
		{"Description", `"it's \"so\" \\"`, Property{"Description", `it's "so" \`}, ""},
		{"TimeoutStopUSec", "uint64 5", Property{"TimeoutStopUSec", uint64(5)}, ""},
		{"TimeoutStopSec", "5", Property{"TimeoutStopUSec", uint64(5000000)}, ""},
		{"TimeoutStopSec", "1.5", Property{"TimeoutStopUSec", uint64(1500000)}, ""},
		{"TimeoutStopSec", "-5", Property{}, "seconds"},
		{"TimeoutStopSec", "true", Property{}, "seconds"},
		{"DefaultDependencies", "true", Property{"DefaultDependencies", true}, ""},
		{"Nice", "int32 -3", Property{"Nice", int32(-3)}, ""},
		{"Wants", "['a.service', 'b.service']", Property{"Wants", []string{"a.service", "b.service"}}, ""},
		{"Wants", "@as []", Property{"Wants", []string{}}, ""},
		{"Wants", "['a' 'b']", Property{}, "text format"},
		{"Wants", "['a',]", Property{}, "text format"},
		{"Wants", "['a'", Property{}, "text format"},
		{"Xyz", "'open", Property{}, "text format"},
		{"Xyz", "byte 256", Property{}, "text format"},
		{"Xyz", "", Property{}, "text format"},
		{"Xyz", "{'a': 1}", Property{}, "text format"},
		{"xyz", "1", Property{}, "name"},
		{"X Y", "1", Property{}, "name"},
	} {
		reason := ""
		got := Annotations(map[string]string{AnnotationPrefix + test.name: test.text, "other": "x"}, func(_, r string) { reason = r })
		if test.reason != "" && (len(got) != 0 || !strings.Contains(reason, test.reason)) ||
			test.reason == "" && (reason != "" || len(got) != 1 || !reflect.DeepEqual(got[0], test.want)) {
			t.Errorf("%s=%s: %+v, %q", test.name, test.text, got, reason)
		}
	}
}

// Whatever is taken has a type that can be sent.
func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"'a'", "uint64 5", "@as []", "['a', \"b\"]", "true", "1.5", "byte 0x05"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := parseValue(s); ok && signature(v) == "" {
			t.Errorf("%q is %#v", s, v)
		}
	})
}
