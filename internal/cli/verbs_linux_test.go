package cli

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/locald/locald/internal/shim"
)

func TestVerbs(t *testing.T) {
	c := newCall(t)
	for _, v := range []struct {
		args           string
		code           int
		stdout, stderr string // prefixes
	}{
		{"version", 0, "locald version " + shim.Version + " (go", ""},
		{"--version", 0, "locald version " + shim.Version + "\n", ""},
		{"", 0, "locald runs containers without a daemon", ""},
		{"help run", 0, "Run a program in a new container", ""},
		{"run --help", 0, "Run a program in a new container", ""},
		{"version --format yaml", 2, "", "locald: --format yaml: the formats are text and json. [LD020]\n"},
		{"version extra", 2, "", "locald: unknown command \"extra\" for \"locald version\". [LD020]\n"},
		{"doctor --colour", 2, "", "locald: unknown flag: --colour. [LD020]\n"},
		{"rnu builtin:hello", 2, "", "locald: there is no command rnu. [LD020]\n  try: locald run   or locald rm"},
		{"zzzzzz -a", 2, "", "locald: there is no command zzzzzz. [LD020]\n  try: locald help\n"},
		{"--colour", 2, "", "locald: unknown flag: --colour. [LD020]\n"},
	} {
		code, stdout, stderr := c.locald(t, strings.Fields(v.args)...)
		if code != v.code || !strings.HasPrefix(stdout, v.stdout) || !strings.HasPrefix(stderr, v.stderr) || (v.stdout == "") != (stdout == "") || (v.stderr == "") != (stderr == "") {
			t.Errorf("%q: %d\nstdout %q\nstderr %q", v.args, code, stdout, stderr)
		}
	}
}

// TestCommandFor: a verb that is made alone is the same as among the others.
func TestCommandFor(t *testing.T) {
	for _, c := range (&app{}).command().Commands() {
		name := c.Name()
		alone, _, err := (&app{}).commandFor([]string{name}).Find([]string{name})
		if err != nil || alone.Name() != name || alone.UsageString() != c.UsageString() || alone.Long != c.Long {
			t.Errorf("%s: %v\n%s", name, err, alone.UsageString())
		}
	}
	for _, name := range []string{"run", "try", "version"} {
		if n := len((&app{}).commandFor([]string{name, "x"}).Commands()); n != 1 {
			t.Errorf("%s: %d commands were made", name, n)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	_, stdout, _ := newCall(t).locald(t, "version", "--format", "json")
	var v struct {
		Schema                int
		Version, Go, OS, Arch string
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Schema != 1 || v.Version != shim.Version || v.OS != runtime.GOOS {
		t.Errorf("%s: %v", stdout, err)
	}
}

// doctor is looked at whole, without its container: the helper of this test runs none.
func TestDoctor(t *testing.T) {
	c := newCall(t)
	code, stdout, stderr := c.locald(t, "doctor", "--format", "json")
	var v struct {
		Schema int
		OK     bool
		Checks []finding
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Schema != 1 || stderr != "" {
		t.Fatalf("%s%s: %v", stdout, stderr, err)
	}
	var names []string
	for _, f := range v.Checks {
		names = append(names, f.Check)
		if f.Status != statusOK && f.Status != statusWarn && f.Status != statusFail || f.Detail == "" {
			t.Errorf("%+v", f)
		}
	}
	if got := strings.Join(names, " "); got != "kernel shim namespaces cgroups ids container" {
		t.Errorf("checks %s", got)
	}
	if v.OK != (code == 0) || code != 0 && code != 1 {
		t.Errorf("ok %v, code %d", v.OK, code)
	}
}

func TestSetupNeedsRoot(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may")
	}
	c := newCall(t)
	for _, args := range [][]string{{"setup"}, {"setup", "--undo"}} {
		command := "locald " + strings.Join(args, " ")
		want := "locald: setup changes files of root's. [LD701]\n  try: sudo " + command + "   or " + command + " --dry-run\n"
		if code, stdout, stderr := c.locald(t, args...); code != 1 || stdout != "" || stderr != want {
			t.Errorf("%d, %q, %q", code, stdout, stderr)
		}
	}
}
