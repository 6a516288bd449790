package cgroup

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The kernel's verifier takes every program that the compiler makes.
func TestLoadDevices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	r := rand.New(rand.NewPCG(3, 4))
	longest := make([]specs.LinuxDeviceCgroup, maxDevices)
	for i := range longest {
		major, minor := int64(8+i%2), int64(i)
		longest[i] = specs.LinuxDeviceCgroup{Allow: i%3 != 0, Major: &major, Minor: &minor, Access: []string{"r", "w"}[i%2]}
	}
	for i := range 200 {
		rules := longest
		if i > 0 {
			rules = randomRules(r)
		}
		insns := CompileDevices(rules, refuseReports(t))
		if insns == nil {
			continue
		}
		fd, err := loadDevices(insns)
		if err != nil {
			t.Fatalf("%v for\n%s%s", err, describe(rules), ListDevices(insns))
		}
		unix.Close(fd)
	}
}

// The filter decides what a process in the cgroup can open, and ends with the cgroup.
func TestFilterDevices(t *testing.T) {
	l := needRoot(t)
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		t.Skip("needs /dev/kmsg")
	}
	path := parentPath(t, l) + "/x"
	n := func(n int64) *int64 { return &n }
	dir := t.TempDir()
	const script = `
try() { ( "$@" ) 2>/dev/null && echo yes || echo no; }
read_() { : <"$1"; }
write_() { : >>"$1"; }
both_() { : <>"$1"; }
try read_ /dev/null; try both_ /dev/null
try read_ /dev/kmsg; try write_ /dev/kmsg; try both_ /dev/kmsg
try mknod "$dir/node" c 1 11; rm -f "$dir/node"
`
	for _, test := range []struct {
		name  string
		rules []specs.LinuxDeviceCgroup
		want  string // /dev/null read, both; /dev/kmsg read, write, both; mknod
	}{
		{"none", nil, "yes yes yes yes yes yes"},
		{"deny all", []specs.LinuxDeviceCgroup{{Access: "rwm"}}, "yes yes no no no yes"},
		{"allow reading", []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: n(1), Minor: n(11), Access: "r"}}, "yes yes yes no no yes"},
		{"allow one by one", []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: n(1), Access: "r"}, {Allow: true, Type: "c", Minor: n(11), Access: "w"}},
			"yes yes yes yes yes yes"},
		{"deny writing", []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}, {Type: "c", Major: n(1), Minor: n(11), Access: "w"}}, "yes yes yes no no yes"},
		{"a block device", []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "b", Major: n(1), Minor: n(11), Access: "rw"}}, "yes yes no no no yes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustCreate(t, l, path, nil)
			if err := c.FilterDevices(CompileDevices(test.rules, refuseReports(t))); err != nil {
				t.Error(explain(err))
			}
			cmd, out := start(t, c, "dir='"+dir+"'"+script)
			finish(t, cmd)
			got := strings.Join(strings.Fields(out.String()), " ")
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			mustRemove(t, c)
		})
	}
}
