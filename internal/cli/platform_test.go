package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestPlatform is for the systems that run no containers: one line, word for word, and bundles all the same.
func TestPlatform(t *testing.T) {
	rootfs := t.TempDir()
	bundle := filepath.Join(t.TempDir(), "b")
	call := func(args ...string) (int, string) {
		stderr, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer stderr.Close()
		code := Main(append([]string{"locald"}, args...), os.Stdin, os.Stdout, stderr)
		text, err := os.ReadFile(stderr.Name())
		if err != nil {
			t.Fatal(err)
		}
		return code, string(text)
	}
	if code, text := call("run", "--print-bundle", bundle, "dir:"+rootfs, "/bin/true"); code != 0 {
		t.Errorf("--print-bundle: %d, %s", code, text)
	}
	if runtime.GOOS == "linux" {
		return
	}
	for _, image := range []string{"builtin:hello", "alpine"} {
		code, text := call("run", image)
		if code != 125 || text != "Container execution requires Linux. Use Lima for macOS container support.\n" {
			t.Errorf("run %s: %d, %q", image, code, text)
		}
	}
}
