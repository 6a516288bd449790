package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// badInput is a call of the shim that must fail: with this exit status, these errors, and nothing left.
type badInput struct {
	name string
	who  func(t *testing.T) // skips in places that the row is not about
	make func(t *testing.T, a *attempt)
	code int         // 125 when 0
	want []wantError // every error that is told
	more bool        // others may be told as well
}

// wantError is one error. Empty fields, apart from the pointer, are not looked at.
type wantError struct {
	pointer, errno, message string // message is a part of it
}

// attempt is a bundle that need not be one.
type attempt struct {
	*bundle
	config func() error       // makes config.json when it is not that of spec
	args   []string           // of "bundle run", without --status-fd; the usual ones when nil
	change func(*exec.Cmd)    // of the call
	after  func(t *testing.T) // looks at what the call must not have touched
}

// patience is how long a call may take that has nothing to do but refuse: so long that only one that hangs does.
func patience() time.Duration {
	if here.guest {
		return time.Minute
	}
	return 5 * time.Second
}

// thin takes a few rows only where the machine is emulated and slow: for tables that are the same on any.
func thin[T any](rows []T) []T {
	if !here.guest {
		return rows
	}
	var few []T
	for i := 0; i < len(rows); i += 6 {
		few = append(few, rows[i])
	}
	return few
}

// refuse runs every row twice: for a program, with --status-fd, and for a person.
func refuse(t *testing.T, rows []badInput) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.who != nil {
				row.who(t)
			}
			a := &attempt{bundle: newBundle(t)}
			for _, dir := range []string{"proc", "dev", "tmp"} { // so that no mount point has to be made
				must(t, os.Mkdir(filepath.Join(a.rootfs, dir), 0o755))
			}
			if row.make != nil {
				row.make(t, a)
			}
			a.writeConfig(t)
			if a.args == nil {
				a.args = []string{"--bundle", a.dir, "--id", a.id}
			}
			before := describeFiles(t, a.dir)
			row.forProgram(t, a)
			if !here.guest { // which is slow, and no other in this
				row.forPerson(t, a)
			}
			compareDescribed(t, before, describeFiles(t, a.dir))
			if a.after != nil {
				a.after(t)
			}
		})
	}
}

func (a *attempt) writeConfig(t *testing.T) {
	t.Helper()
	if a.config == nil {
		a.write(t)
		return
	}
	must(t, a.config())
	a.files = listFiles(a.dir, a.rootfs)
}

// call runs the shim and sees that it ends.
func (a *attempt) call(t *testing.T, args ...string) *result {
	t.Helper()
	r := launch(t, a.bundle, a.change, append([]string{"bundle", "run"}, args...)...)
	hangs := time.AfterFunc(patience(), func() { r.kill(a.bundle) })
	res := r.wait()
	if !hangs.Stop() {
		t.Fatalf("the shim did not end within %v: %s", patience(), res)
	}
	if res.stdout != "" {
		t.Errorf("standard output: %q", res.stdout)
	}
	return res
}

func (row *badInput) exitCode() int {
	if row.code == 0 {
		return 125
	}
	return row.code
}

// forProgram: all errors come on the status descriptor, and nothing else does after the first of them.
func (row *badInput) forProgram(t *testing.T, a *attempt) {
	t.Helper()
	res := a.call(t, append(slices.Clone(a.args), "--status-fd", "3")...)
	if res.code != row.exitCode() {
		t.Errorf("exit status is not %d: %s", row.exitCode(), res)
	}
	if res.stderr != "" {
		t.Errorf("standard error with --status-fd: %q", res.stderr)
	}
	failures := failuresOf(res)
	if len(res.status) > 0 && res.status[len(res.status)-1].Message == "" {
		t.Errorf("the last line of the status is no error: %s", res)
	}
	for _, w := range row.want {
		if !slices.ContainsFunc(failures, w.matches) {
			t.Errorf("no error about %q with %q and %q: %s", w.pointer, w.errno, w.message, res)
		}
	}
	if len(failures) > len(row.want) && !row.more {
		t.Errorf("%d errors, want %d: %s", len(failures), len(row.want), res)
	}
}

func failuresOf(res *result) []statusLine {
	return slices.DeleteFunc(slices.Clone(res.status), func(s statusLine) bool { return s.Message == "" })
}

func (w wantError) matches(s statusLine) bool {
	return s.Pointer == w.pointer && (w.errno == "" || s.Errno == w.errno) && strings.Contains(s.Message, w.message)
}

// forPerson: the same in words, each line with the name of who says it.
func (row *badInput) forPerson(t *testing.T, a *attempt) {
	t.Helper()
	res := a.call(t, a.args...)
	if res.code != row.exitCode() {
		t.Errorf("without --status-fd the exit status is not %d: %s", row.exitCode(), res)
	}
	if len(res.status) != 0 {
		t.Errorf("status without --status-fd: %v", res.status)
	}
	for _, w := range row.want {
		pointer := strings.ReplaceAll(w.pointer, "\x1b", "?")
		if strings.HasPrefix(w.message, "exec: ") {
			pointer = "" // these words are those that clients of other runtimes look for
		}
		if !strings.Contains(res.stderr, w.message) || !strings.Contains(res.stderr, pointer) {
			t.Errorf("standard error says nothing about %q with %q: %s", w.pointer, w.message, res)
		}
	}
	for line := range strings.Lines(res.stderr) {
		if !strings.HasPrefix(line, "locald-shim: ") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), isControl) {
			t.Errorf("a line on standard error is %q", line)
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// describeFiles describes every file below a directory.
func describeFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		is := info.Mode().String() + owner(info)
		switch {
		case info.Mode().IsRegular():
			is += fmt.Sprintf(" %d bytes, %v", info.Size(), info.ModTime())
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			is += " -> " + to
		}
		all[path] = is
		return nil
	})
	must(t, err)
	return all
}

func compareDescribed(t *testing.T, before, after map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if before[path] != after[path] {
			t.Errorf("changed: %s is %q, was %q", path, after[path], before[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if _, is := after[path]; !is {
			t.Errorf("gone: %s", path)
		}
	}
}

// badText makes config.json of a text.
func badText(s string) func(*testing.T, *attempt) {
	return func(_ *testing.T, a *attempt) {
		a.config = func() error { return os.WriteFile(filepath.Join(a.dir, "config.json"), []byte(s), 0o644) }
	}
}

// good is the text of the config.json that the attempt would have had.
func (a *attempt) good(t *testing.T) string {
	t.Helper()
	s, err := json.Marshal(a.spec)
	must(t, err)
	return string(s)
}

// instead makes config.json of the good text, with one part of it exchanged.
func instead(old, new string) func(*testing.T, *attempt) {
	return func(t *testing.T, a *attempt) {
		good := a.good(t)
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q does not stand once in %s", old, good)
		}
		badText(strings.Replace(good, old, new, 1))(t, a)
	}
}

// badSpec makes config.json of a changed spec.
func badSpec(f func(s *specs.Spec)) func(*testing.T, *attempt) {
	return func(_ *testing.T, a *attempt) { f(a.spec) }
}

// badArgs makes config.json run something else.
func badArgs(args ...string) func(*testing.T, *attempt) {
	return badSpec(func(s *specs.Spec) { s.Process.Args = args })
}
