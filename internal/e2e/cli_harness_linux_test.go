package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
)

// caller is the surroundings of calls of locald: directories of its own, and the shim of this place.
type caller struct {
	dir    string // working directory, with rootfs/
	run    string // XDG_RUNTIME_DIR
	env    []string
	shim   string
	prefix []string // a program that starts locald
}

// newCaller makes them, and watches: when the test ends, nothing may be there that was not there now.
func newCaller(t *testing.T) *caller {
	t.Helper()
	top := t.TempDir()
	c := &caller{dir: filepath.Join(top, "work"), run: filepath.Join(top, "run"), shim: shimPath}
	must(t, os.MkdirAll(filepath.Join(c.dir, "rootfs"), 0o755))
	must(t, os.Mkdir(c.run, 0o700))
	must(t, os.Chmod(top, 0o755))
	must(t, os.Link(probeExe, filepath.Join(c.dir, "rootfs", probe.Name)))
	c.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "LOCALD_CACHE=" + filepath.Join(top, "cache"), "LOCALD_HOME=" + filepath.Join(top, "store"), "XDG_RUNTIME_DIR=" + c.run, "PASSED=on", "SECRET=s3cret"}
	watch(t, &bundle{})
	t.Cleanup(func() {
		for _, dir := range []string{filepath.Join(c.run, "locald"), filepath.Join(c.run, "locald-shim")} {
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left in %s: %v", dir, left)
			}
		}
	})
	return c
}

// put makes a file in the working directory.
func (c *caller) put(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(c.dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), mode))
}

// command is a call of locald.
func (c *caller) command(args ...string) *exec.Cmd {
	words := append(append(c.prefix[:len(c.prefix):len(c.prefix)], filepath.Join(binDir, "locald")), args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	if c.shim != "" {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "LOCALD_SHIM="+c.shim)
	}
	return cmd
}

// locald runs it to its end.
func (c *caller) locald(t *testing.T, args ...string) *result {
	t.Helper()
	cmd := c.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	must(t, cmd.Start())
	hangs := time.AfterFunc(limit(), func() { cmd.Process.Kill() })
	cmd.Wait()
	res := &result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	if !hangs.Stop() {
		t.Fatalf("locald did not end: %s", res)
	}
	return res
}

// probe runs the probe with locald run and these flags. Each action is one word of the command.
func (c *caller) probe(t *testing.T, flags []string, actions ...string) *result {
	t.Helper()
	return c.locald(t, append(append([]string{"run"}, flags...), append([]string{"dir:rootfs", "/probe"}, actions...)...)...)
}

// failed wants an exit status and the first line of what is said on standard error.
func (r *result) failed(t *testing.T, code int, line string) {
	t.Helper()
	first, _, _ := strings.Cut(r.stderr, "\n")
	if r.code != code || !strings.Contains(first, line) || !strings.HasPrefix(first, "locald: ") {
		t.Errorf("not exit status %d with %q: %s", code, line, r)
	}
}

// seenOnHost skips in the guest, which is slow, what the guest has nothing to add to.
func seenOnHost(t *testing.T) {
	t.Helper()
	if here.guest {
		t.Skip("is seen on the host")
	}
}
