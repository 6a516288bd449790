package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/image"
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
	if got := strings.Join(names, " "); got != "kernel shim namespaces cgroups ids owner data logout cores dns container" {
		t.Errorf("checks %s", got)
	}
	if v.OK != (code == 0) || code != 0 && code != 1 {
		t.Errorf("ok %v, code %d", v.OK, code)
	}
}

func TestHasOverlay(t *testing.T) {
	if !hasOverlay("nodev\tproc\nnodev\toverlay\n\text4\n") {
		t.Error("/proc/filesystems is misread")
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

// TestCompletion: what a shell offers is what there is, without a word of anything else.
func TestCompletion(t *testing.T) {
	c := newCall(t)
	store := container.Open(filepath.Join(c.dir, "store"), "")
	for _, name := range []string{"web", "db"} {
		if _, err := store.Create(container.Record{Schema: container.Schema, ID: randomID(), Name: name, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	images, err := image.Open(filepath.Join(c.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	alpine, _ := image.ParseReference("alpine:3.22")
	if err := images.Add(alpine, image.Descriptor{MediaType: image.TypeManifest}); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"rm |":                 "db web",
		"rm w|":                "web",
		"rm web |":             "db",
		"inspect |":            "db web",
		"stop |":               "", // none runs
		"exec |":               "",
		"rmi |":                "alpine:3.22",
		"tag |":                "alpine:3.22",
		"save |":               "alpine:3.22",
		"run a|":               "alpine:3.22",
		"run |":                "alpine:3.22 builtin:hello host:",
		"create |":             "alpine:3.22 builtin:hello host:",
		"run --network |":      "host none",
		"run --pull |":         "always missing never",
		"ps --format |":        "json jsonl table",
		"version --format |":   "json text",
		"version |":            "",
		"rm missing-no-such-|": "",
	} {
		words := strings.Split(strings.TrimSuffix(line, "|"), " ")
		code, stdout, stderr := c.locald(t, append([]string{"__complete"}, words...)...)
		offers, directive, _ := strings.Cut(stdout, ":")
		if i := strings.LastIndex(stdout, "\n:"); i >= 0 {
			offers, directive = stdout[:i], stdout[i+2:]
		}
		got := strings.Fields(offers)
		slices.Sort(got)
		if code != 0 || strings.Join(got, " ") != want || strings.Contains(stderr, "LD") || directive == "" {
			t.Errorf("%s: %d, %q, want %q\n%s", line, code, got, want, stderr)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, stdout, _ := c.locald(t, "completion", shell); code != 0 || !strings.Contains(stdout, "__complete") {
			t.Errorf("%s: %d\n%.200s", shell, code, stdout)
		}
	}
}
