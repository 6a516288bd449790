package cli

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/internal/shim"
)

func TestHelperFinding(t *testing.T) {
	good := helperState{helper: shim.Helper{Path: "/x/locald-shim", Installed: true, Setuid: true}, bit: true, links: 1, version: shim.Version}
	with := func(change func(*helperState)) helperState {
		s := good
		change(&s)
		return s
	}
	for _, c := range []struct {
		name   string
		state  helperState
		status string
		detail string
	}{
		{"good", good, statusOK, "set-user-ID root"},
		{"root", with(func(s *helperState) { s.root, s.helper.Setuid, s.bit = true, false, false }), statusOK, shim.Version},
		{"missing", helperState{findErr: shim.ErrNotFound}, statusFail, "not installed"},
		{"mute", with(func(s *helperState) { s.versionErr = errors.New("exec format error") }), statusFail, "does not answer"},
		{"dumpable", with(func(s *helperState) { s.dumpable, s.versionErr = true, errors.New("exit status 125") }), statusFail, "fs.suid_dumpable is 1"},
		{"dumpable without the bit", with(func(s *helperState) { s.dumpable, s.helper.Setuid, s.bit = true, false, false }), statusWarn, "not set-user-ID"},
		{"old", with(func(s *helperState) { s.version = "0.0.1" }), statusFail, "[LD002] /x/locald-shim is 0.0.1"},
		{"writable", with(func(s *helperState) { s.unsafe = "/x can be written" }), statusFail, "[LD004]"},
		{"writable as root", with(func(s *helperState) { s.unsafe, s.root = "/x can be written", true }), statusFail, "[LD004]"},
		{"linked", with(func(s *helperState) { s.links = 2 }), statusFail, "hard link"},
		{"nosuid", with(func(s *helperState) { s.noSUID, s.helper.Setuid = true, false }), statusFail, "[LD003]"},
		{"no_new_privs", with(func(s *helperState) { s.helper.Setuid = false }), statusWarn, "no_new_privs"},
		{"no bit", with(func(s *helperState) { s.helper.Setuid, s.bit, s.unsafe = false, false, "mine" }), statusWarn, "not set-user-ID"},
	} {
		f := helperFinding(c.state)
		if f.Status != c.status || !strings.Contains(f.Detail, c.detail) || f.Status == statusFail && f.Fix == "" {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestKernelFinding(t *testing.T) {
	for release, want := range map[string]string{
		"5.14.0-427.el9.x86_64": statusOK, "6.1.0-18-amd64": statusOK, "10.0": statusOK,
		"5.13.19": statusFail, "4.18.0": statusFail, "": statusWarn, "strange": statusWarn,
	} {
		if f := kernelFinding(release); f.Status != want {
			t.Errorf("%q: %+v", release, f)
		}
	}
}

func TestNamespaceFinding(t *testing.T) {
	debian, ubuntu := forbiddenBy("0", ""), forbiddenBy("", "1")
	for _, c := range []struct {
		state namespaceState
		want  string
	}{
		{namespaceState{maximum: "1000"}, statusOK},
		{namespaceState{maximum: "1000", setuid: true, mayUse: true}, statusOK},
		{namespaceState{maximum: "1000", setuid: true}, statusFail},
		{namespaceState{maximum: "1000", setuid: true, mayUse: true, confErr: errors.New("line 1")}, statusFail},
		{namespaceState{maximum: "1000", forbidden: forbiddenBy("1", "0")}, statusOK},
		{namespaceState{maximum: "0", setuid: true, mayUse: true, mayBypass: true}, statusFail},
		{namespaceState{maximum: "0", root: true}, statusOK},
		{namespaceState{forbidden: debian}, statusFail},
		{namespaceState{forbidden: debian, setuid: true, mayUse: true}, statusFail},
		{namespaceState{forbidden: debian, setuid: true, mayUse: true, mayBypass: true}, statusOK},
		{namespaceState{forbidden: ubuntu}, statusFail},
	} {
		if f := namespaceFinding(c.state); f.Status != c.want || f.Status == statusFail && f.Fix == "" {
			t.Errorf("%+v: %+v", c.state, f)
		}
	}
}

func TestCgroupFinding(t *testing.T) {
	all := []string{"cpu", "memory", "pids"}
	for _, c := range []struct {
		state  cgroupState
		want   string
		detail string
	}{
		{cgroupState{version: "v2", controllers: all, root: false, setuid: true, conf: true}, statusOK, "v2: cpu memory pids"},
		{cgroupState{version: "v2", controllers: []string{"cpu"}, root: false, setuid: true, conf: true}, statusWarn, "limits need memory, pids"},
		{cgroupState{version: "hybrid", controllers: all, root: true, setuid: true, conf: true}, statusOK, "hybrid"},
		{cgroupState{version: "hybrid", controllers: all, root: false, setuid: true, conf: true}, statusWarn, "only root's"},
		{cgroupState{version: "v1", controllers: all, root: true, setuid: true, conf: true}, statusWarn, "no cgroup2"},
		{cgroupState{}, statusWarn, "no cgroup file system"},
		{cgroupState{version: "v2", controllers: all, conf: true}, statusWarn, "the set-user-ID helper"},
		{cgroupState{version: "v2", controllers: all, setuid: true}, statusWarn, "cgroup = no"},
		{cgroupState{version: "v2", controllers: all, root: true}, statusOK, ""},
	} {
		if f := cgroupFinding(c.state); f.Status != c.want || !strings.Contains(f.Detail, c.detail) || (f.Status == statusOK) != (f.Fix == "") {
			t.Errorf("%+v: %+v", c.state, f)
		}
	}
}

func TestOwnerFinding(t *testing.T) {
	ranges := []policy.Range{{First: 100000, Count: 65536}}
	all := policy.Grant{UID: 1000, SubUIDs: ranges, SubGIDs: ranges, Setuid: true}
	for _, c := range []struct {
		change       func(*policy.Grant)
		on           bool
		want, detail string
	}{
		{func(*policy.Grant) {}, true, statusOK, "works"},
		{func(*policy.Grant) {}, false, statusWarn, "idmap = no"},
		{func(g *policy.Grant) { g.UID = 0; g.Setuid = false }, false, statusOK, "works"},
		{func(g *policy.Grant) { g.Setuid = false }, true, statusWarn, "set-user-ID"},
		{func(g *policy.Grant) { g.SubGIDs = nil }, true, statusWarn, "/etc/subgid"},
	} {
		grant := all
		c.change(&grant)
		if f := ownerFinding(&grant, c.on); f.Status != c.want || !strings.Contains(f.Detail, c.detail) || (f.Status == statusWarn) != (f.Fix != "") {
			t.Errorf("%+v, %v: %+v", grant, c.on, f)
		}
	}
}

func TestSubordinateFinding(t *testing.T) {
	r := []policy.Range{{First: 100000, Count: 65536}}
	for _, c := range []struct {
		grant  policy.Grant
		want   string
		detail string
	}{
		{policy.Grant{}, statusOK, "root"},
		{policy.Grant{UID: 1000, Setuid: true, SubUIDs: r, SubGIDs: r}, statusOK, "uids 100000-165535, gids 100000-165535"},
		{policy.Grant{UID: 1000, SubUIDs: r, SubGIDs: r}, statusWarn, "only a set-user-ID"},
		{policy.Grant{UID: 1000, Setuid: true, SubUIDs: r}, statusWarn, "no range for alice"},
		{policy.Grant{UID: 1000, Setuid: true, SubUIDs: r, GIDNote: "/etc/subgid: in doubt"}, statusWarn, "in doubt"},
		{policy.Grant{UID: 1000, Setuid: true, SubUIDs: r, SubGIDs: r, TakenUIDs: []uint32{100000}}, statusWarn, "no range"},
	} {
		if f := subordinateFinding(&c.grant, "alice"); f.Status != c.want || !strings.Contains(f.Detail, c.detail) {
			t.Errorf("%+v: %+v", c.grant, f)
		}
	}
}

// TestHostFindings: what the machine of TestLocaldDoctorFinds cannot be.
func TestHostFindings(t *testing.T) {
	good := dataState{dir: "/d", fsType: "ext4", upper: true, notes: true, overlay: true, available: 4 << 30}
	data := func(change func(*dataState)) finding {
		s := good
		change(&s)
		return dataFinding(s)
	}
	enforcing, _ := selinuxFinding("1", false)
	for _, c := range []struct {
		f      finding
		want   string
		detail string
	}{
		{data(func(*dataState) {}), statusOK, "/d (ext4), 4096 MiB free"},
		{data(func(s *dataState) { s.fsType, s.upper = "nfs", false }), statusWarn, "nfs, which cannot take"},
		{data(func(s *dataState) { s.fsType, s.notes = "tmpfs", false }), statusWarn, "without extended attributes"},
		{data(func(s *dataState) { s.fsType = "9p" }), statusWarn, "slow"},
		{data(func(s *dataState) { s.overlay = false }), statusWarn, "does not know"},
		{enforcing, statusWarn, "keeps containers from running"},
	} {
		if c.f.Status != c.want || !strings.Contains(c.f.Detail, c.detail) || (c.f.Status == statusOK) != (c.f.Fix == "") {
			t.Errorf("%+v, want %s with %q", c.f, c.want, c.detail)
		}
	}
	if _, is := selinuxFinding("0", false); is {
		t.Error("SELinux that does not enforce is a finding")
	}
}

func TestUsable(t *testing.T) {
	one, two := policy.Range{First: 100, Count: 10}, policy.Range{First: 200, Count: 5}
	for _, c := range []struct {
		ranges []policy.Range
		taken  []uint32
		want   policy.Range
	}{
		{nil, nil, policy.Range{}},
		{[]policy.Range{one, two}, nil, one},
		{[]policy.Range{one, two}, []uint32{99, 110}, one},
		{[]policy.Range{one, two}, []uint32{103, 109}, policy.Range{First: 100, Count: 3}},
		{[]policy.Range{one, two}, []uint32{100}, two},
		{[]policy.Range{one}, []uint32{100}, policy.Range{}},
	} {
		if got := usable(c.ranges, c.taken); got != c.want {
			t.Errorf("%v %v: %v, want %v", c.ranges, c.taken, got, c.want)
		}
	}
}

func TestNoNamespaces(t *testing.T) {
	for _, c := range []struct {
		op, pointer, errno, forbidden string
		want                          bool
	}{
		{"clone3", "/linux/namespaces", "EPERM", "", true},
		{"clone3", "/linux/namespaces", "ENOSPC", "", true},
		{"clone3", "/linux/namespaces", "EINVAL", "x", false},
		{"mount tmpfs on /dev", "/mounts/1", "EACCES", "", false},
		{"mount tmpfs on /dev", "/mounts/1", "EACCES", "x", true},
		{"mount tmpfs on /dev", "/mounts/1", "ENOSPC", "x", false},
		{"execve /bin/sh", "/process/args/0", "EACCES", "x", false},
		{"", "/root/path", "", "x", false},
	} {
		if got := noNamespaces(shim.Failure{Op: c.op, Pointer: c.pointer, Errno: c.errno}, c.forbidden); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestFreeRange(t *testing.T) {
	for _, c := range []struct {
		name                  string
		subordinate, accounts []string
		want                  uint64
	}{
		{"none", nil, nil, 100000},
		{"after another", []string{"a:100000:65536\n"}, nil, 165536},
		{"after both files", []string{"a:100000:65536\n", "b:165536:10\n"}, nil, 165546},
		{"in a gap", []string{"a:165536:65536\n"}, nil, 100000},
		{"no gap", []string{"b:120000:1\na:100000:10\n"}, nil, 120001},
		{"around an account", nil, []string{"root:x:0:0\nldap:x:110000:5::\n"}, 110001},
		{"nested", []string{"a:100000:100000\nb:100010:5\n"}, nil, 200000},
		{"noise", []string{"\n#\nx:y:z\na:5\nb:100000:0\n"}, []string{"x\n+::\n"}, 100000},
	} {
		if got, err := freeRange(c.subordinate, c.accounts); err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", c.name, got, err, c.want)
		}
	}
	if got, err := freeRange([]string{"a:100000:600000000\n"}, nil); err == nil {
		t.Errorf("found %d in a full file", got)
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ before, after string }{
		{"", "x\n"}, {"a\n", "a\nx\n"}, {"a", "a\nx\n"}, {"x\n", "x\nx\n"},
	} {
		got := withLine(c.before, "x")
		if got != c.after {
			t.Errorf("%q: %q, want %q", c.before, got, c.after)
		}
		if back := strings.TrimSuffix(withoutLine(got, "x"), "\n"); back != strings.TrimSuffix(c.before, "\n") {
			t.Errorf("%q: taken away again: %q", c.before, back)
		}
	}
	if got := withoutLine("a\nxx\n", "x"); got != "a\nxx\n" {
		t.Errorf("%q", got)
	}
}

func TestRandomID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := randomID()
		if !bundle.ValidID(id) || len(id) != 12 || seen[id] {
			t.Errorf("%q", id)
		}
		seen[id] = true
	}
}

// TestManual holds locald(1) to the flags and the ids that there are.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/man/locald.1")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	for _, cmd := range append(a.command().Commands(), a.command()) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(string(manual), "Fl -"+f.Name) {
				t.Errorf("locald(1) does not have --%s of %s", f.Name, cmd.Name())
			}
		})
	}
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range regexp.MustCompile(`LD[0-9]{3}`).FindAllString(string(source), -1) {
		if !strings.Contains(string(manual), ".It "+id+"\n") {
			t.Errorf("locald(1) does not have %s", id)
		}
	}
}

func TestMistake(t *testing.T) {
	t.Setenv("GOTRACEBACK", "")
	os.Unsetenv("GOTRACEBACK")
	var b strings.Builder
	code := func() (code int) {
		defer caught(&b, &code)
		var nothing []int
		return nothing[len(b.String())]
	}()
	if want := "locald: this is a mistake in locald: runtime error: index out of range [0] with length 0. [LD900]\n"; code != 125 || !strings.HasPrefix(b.String(), want) || strings.Contains(b.String(), "goroutine") {
		t.Errorf("%d, %s", code, b.String())
	}
}

func TestFailureText(t *testing.T) {
	var b strings.Builder
	(&failure{id: "LD999", what: "no", why: []string{"because"}, try: []string{"this", "that"}}).write(&b)
	if want := "locald: no. [LD999]\n  because\n  try: this   or that\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	f := asFailure(errors.New("first\n\n\tsecond\n"))
	if f.id != idUsage || f.what != "first" || !slices.Equal(f.why, []string{"second"}) {
		t.Errorf("%+v", f)
	}
}

// TestListPrintable: what a container's maker chose does not speak to the terminal, in the table and in a template.
func TestListPrintable(t *testing.T) {
	for _, format := range []string{formatTable, "{{.Command}}", "{{ .Command }}"} {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		bad := []string{"a\x1b]0;x\x07b\u009bc\nd"}
		l := &listing{rows: []any{}, head: []string{"COMMAND"}, names: []string{"Command"}, cells: [][]string{bad}, field: [][]string{bad}}
		if err := (&app{stdout: file}).list(format, l); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file.Name())
		if err != nil || !strings.HasSuffix(string(text), "a?]0;x?b?c?d\n") {
			t.Errorf("%s: %q, %v", format, text, err)
		}
	}
}
