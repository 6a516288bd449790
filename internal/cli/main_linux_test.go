package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/shim"
)

// TestMain lets the test binary stand for the helper, for locald, and for itself in a root directory of its own.
func TestMain(m *testing.M) {
	switch {
	case strings.Contains(filepath.Base(os.Args[0]), shim.Name): // setup tries a copy under another name
		os.Exit(fakeHelper())
	case len(os.Args) > 1 && os.Args[1] == "run": // by doctor
		os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	case os.Getenv(scratchEnv) != "":
		os.Exit(enterScratch(os.Getenv(scratchEnv)))
	}
	os.Exit(m.Run())
}

// fakeHelper runs no container: it does what the variables of its config.json say, so that a test can give
// any answer with -e. FAKE_SAVE is a file to copy config.json to, FAKE_STATUS are lines for the status pipe
// (one a '|'), FAKE_STDERR is text, FAKE_EXIT a code and FAKE_KILL a signal to end by.
func fakeHelper() int {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(os.Args[0]), "version"))
		if err != nil {
			text = []byte(shim.Version)
		}
		os.Stdout.WriteString(shim.Name + " version " + strings.TrimSpace(string(text)) + "\n")
		return 0
	}
	dir := os.Args[slices.Index(os.Args, "--bundle")+1]
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return 99
	}
	var spec specs.Spec
	if json.Unmarshal(text, &spec) != nil {
		return 98
	}
	value := map[string]string{}
	for _, entry := range spec.Process.Env {
		name, v, _ := strings.Cut(entry, "=")
		value[name] = v
	}
	if name := value["FAKE_SAVE"]; name != "" {
		os.WriteFile(name, text, 0o600)
	}
	os.Stderr.WriteString(value["FAKE_STDERR"])
	status := os.NewFile(3, "status")
	for _, line := range strings.Split(value["FAKE_STATUS"], "|") {
		status.WriteString(line + "\n")
	}
	if slices.Contains(os.Args, "--dry-run") {
		os.Stdout.WriteString("a listing\n")
	}
	if n, _ := strconv.Atoi(value["FAKE_KILL"]); n != 0 {
		syscall.Kill(os.Getpid(), syscall.Signal(n))
		select {}
	}
	n, _ := strconv.Atoi(value["FAKE_EXIT"])
	return n
}

// call is one locald in this process, with a fake helper and directories of its own.
type call struct {
	dir string // working directory, emptied afterwards
}

func newCall(t *testing.T) *call {
	t.Helper()
	c := &call{dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(c.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(c.dir, "bin", shim.Name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOCALD_SHIM", link)
	t.Setenv("XDG_RUNTIME_DIR", c.dir)
	t.Setenv("LOCALD_CACHE", filepath.Join(c.dir, "cache"))
	t.Setenv("LOCALD_HOME", filepath.Join(c.dir, "store"))
	t.Chdir(c.dir)
	if err := os.MkdirAll("rootfs/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// locald runs a command line and returns what it printed.
func (c *call) locald(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var files [2]*os.File
	for i := range files {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	code = Main(append([]string{"locald"}, args...), null, files[0], files[1])
	var text [2]string
	for i, f := range files {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		text[i] = string(b)
	}
	return code, text[0], text[1]
}

// spec is the config.json that the helper was handed.
func (c *call) spec(t *testing.T, args ...string) *specs.Spec {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "config.json")
	args = append([]string{"run", "-e", "FAKE_SAVE=" + saved, "-e", `FAKE_STATUS={"phase":"exited"}`}, args...)
	if code, _, stderr := c.locald(t, args...); code != 0 {
		t.Fatalf("%v: %d\n%s", args, code, stderr)
	}
	text, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	spec := &specs.Spec{}
	if err := json.Unmarshal(text, spec); err != nil {
		t.Fatal(err)
	}
	return spec
}
