package bundle

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestWrite(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			spec := must(Generate(c.options))
			dir := t.TempDir()
			if err := Write(dir, spec); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "config.json")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var back specs.Spec
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatal(err)
			}
			// Compared as JSON: an empty slice and none are the same there.
			if a, b := must(json.Marshal(back)), must(json.Marshal(spec)); string(a) != string(b) {
				t.Errorf("got %s\nwant %s", a, b)
			}
			if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if err := Write(dir, spec); !os.IsExist(err) {
				t.Errorf("a second Write: %v", err)
			}
		})
	}
}

func TestWriteMakesRootfs(t *testing.T) {
	dir := t.TempDir()
	o := options(root, func(o *Options) { o.Rootfs = "rootfs" })
	if err := Write(dir, must(Generate(o))); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "rootfs")); err != nil || !info.IsDir() {
		t.Errorf("%v", err)
	}
}

func TestHello(t *testing.T) {
	program := filepath.Join(t.TempDir(), "locald")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	cache := t.TempDir()
	rootfs := must(CachedProgram(cache, HelloPath, program))
	checkHello(t, rootfs, "one")
	if again := must(CachedProgram(cache, HelloPath, program)); again != rootfs {
		t.Errorf("%s was made beside %s", again, rootfs)
	}
	write("other")
	second := must(CachedProgram(cache, HelloPath, program))
	checkHello(t, second, "other")
	checkHello(t, rootfs, "one")

	// What is old goes when something new is made, a half-made one too.
	half := filepath.Join(cache, "builtin", "new-x")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * programAge)
	for _, dir := range []string{half, filepath.Dir(rootfs)} {
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
	}
	write("a third")
	third := must(CachedProgram(cache, HelloPath, program))
	entries := must(os.ReadDir(filepath.Join(cache, "builtin")))
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Join(cache, "builtin", e.Name(), "rootfs"))
	}
	if len(names) != 2 || !strings.Contains(strings.Join(names, " "), second) || !strings.Contains(strings.Join(names, " "), third) {
		t.Errorf("the cache holds %v", names)
	}
}

func checkHello(t *testing.T, rootfs, program string) {
	t.Helper()
	text, err := os.ReadFile(rootfs + HelloPath)
	if err != nil || string(text) != program {
		t.Errorf("%q, %v; want %q", text, err, program)
	}
	for _, dir := range append(programDirs[:], ".", "..") {
		if info, err := os.Stat(filepath.Join(rootfs, dir)); err != nil || !info.IsDir() || info.Mode().Perm()&0o755 != 0o755 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
}

func TestHelloTogether(t *testing.T) {
	program, cache := filepath.Join(t.TempDir(), "locald"), t.TempDir()
	if err := os.WriteFile(program, []byte("one"), 0o700); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		rootfs string
		err    error
	}
	answers := make(chan answer)
	for range 8 {
		go func() {
			rootfs, err := CachedProgram(cache, HelloPath, program)
			answers <- answer{rootfs, err}
		}()
	}
	for range 8 {
		a := <-answers
		if a.err != nil {
			t.Error(a.err)
			continue
		}
		checkHello(t, a.rootfs, "one")
	}
	if entries := must(os.ReadDir(filepath.Join(cache, "builtin"))); len(entries) != 1 {
		t.Errorf("%d directories are left", len(entries))
	}
}

func TestReadRootfs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only openat2 follows an absolute link inside the rootfs")
	}
	base := t.TempDir()
	rootfs := filepath.Join(base, "rootfs")
	for _, dir := range []string{"etc", "nix"} {
		if err := os.MkdirAll(filepath.Join(rootfs, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{
		filepath.Join(base, "secret"): "secret", filepath.Join(rootfs, "nix/passwd"): "inside",
		filepath.Join(rootfs, "etc/plain"): "plain", filepath.Join(rootfs, "etc/big"): strings.Repeat("x", textMax+1),
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"absolute": "/nix/passwd", "out": "../../secret", "outabs": filepath.Join(base, "secret"),
		"magic": "/proc/self/environ", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(rootfs, "etc", name)); err != nil {
			t.Fatal(err)
		}
	}
	makeFIFO(t, filepath.Join(rootfs, "etc/fifo"))
	for _, c := range []struct {
		name, want string
		fails      bool
	}{
		{"etc/plain", "plain", false},
		{"etc/absolute", "inside", false},
		{"etc/missing", "", false},
		{"etc/out", "", false},    // ".." stops at the rootfs, where there is no such file
		{"etc/outabs", "", false}, // and the absolute path starts again there
		{"etc/magic", "", false},
		{"etc/loop", "", true},
		{"etc/big", "", true},
		{"etc/fifo", "", true},
		{"etc", "", true},
	} {
		got, err := ReadRootfs(rootfs, c.name)
		if (err != nil) != c.fails || !c.fails && got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	if _, err := ReadRootfs(filepath.Join(base, "secret"), "x"); err == nil {
		t.Error("a file was taken for a rootfs")
	}
}

func TestErrorText(t *testing.T) {
	if got := (&Error{Flag: "--memory", Value: "12q", Reason: "no"}).Error(); got != "--memory 12q: no" {
		t.Error(got)
	}
	if got := (&Error{Flag: "CMD", Reason: "no"}).Error(); got != "CMD: no" {
		t.Error(got)
	}
	if !reflect.DeepEqual(Limits{}.resources(), (*specs.LinuxResources)(nil)) {
		t.Error("no limits are no resources")
	}
}
