package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadCommandLine: what the shim is told before there is a bundle. Nothing can be told on a status
// descriptor when the line does not say which.
func TestBadCommandLine(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	good := []string{"bundle", "run", "--bundle", b.dir, "--id", b.id}
	with := func(more ...string) []string { return append(good[:len(good):len(good)], more...) }
	for _, c := range thin([]struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "usage: locald-shim bundle run"},
		{"no verb", []string{"bundle"}, `unknown command "bundle"`},
		{"verb of a later version", []string{"bundle", "delete"}, "unknown command"},
		{"no flags", []string{"bundle", "run"}, "--bundle and --id are needed"},
		{"no bundle", []string{"bundle", "run", "--id", b.id}, "--bundle and --id are needed"},
		{"no id", []string{"bundle", "run", "--bundle", b.dir}, "--bundle and --id are needed"},
		{"empty bundle", []string{"bundle", "run", "--bundle", "", "--id", b.id}, "--bundle and --id are needed"},
		{"no value", with("--pid-file"), "--pid-file needs a value"},
		{"unknown flag", with("--rm"), `unknown flag "--rm"`},
		{"unknown flag with a value", with("--log=/tmp/x"), `unknown flag "--log"`},
		{"value for a flag that has none", with("--dry-run=yes"), "--dry-run"},
		{"argument", with("now"), `unexpected argument "now"`},
		{"end of flags", with("--", "now"), "--"},
		{"bundle twice", with("--bundle", "/"), "--bundle is given twice"},
		{"bundle twice, once short", with("-b", "/"), "given twice"},
		{"id twice", with("--id=x"), "--id is given twice"},
		{"empty console socket", with("--console-socket="), "the path of the console socket is empty"},
		{"console socket twice", with("--console-socket", "/x", "--console-socket", "/x"), "--console-socket is given twice"},
		{"dry-run twice", with("--dry-run", "--dry-run"), "--dry-run is given twice"},
	}) {
		t.Run(c.name, func(t *testing.T) { refuseLine(t, c.args, c.want) })
	}
}

// TestBadOCICommandLine: the same for the command line that engines use, with its exit status.
func TestBadOCICommandLine(t *testing.T) {
	for _, c := range thin([]struct {
		name string
		code int
		args []string
		want string
	}{
		{"flag before bundle run", 1, []string{"--debug", "bundle", "run"}, `unknown command "bundle"`},
		{"escape sequence", 1, []string{"\x1b[2J"}, "unknown command"},
		{"no id", 1, []string{"start"}, "the container's id is needed"},
		{"no id for exec", 255, []string{"exec"}, "the container's id is needed"},
		{"two ids", 1, []string{"start", "a", "b"}, `unexpected argument "b"`},
		{"bad id", 1, []string{"state", "../x"}, "is not valid"},
		{"unknown flag", 1, []string{"delete", "--now", "a"}, `unknown flag "--now"`},
		{"unknown flag before the verb", 1, []string{"--now", "delete", "a"}, `unknown flag "--now"`},
		{"flag of another verb", 1, []string{"start", "--bundle", "x", "a"}, `unknown flag "--bundle"`},
		{"no value", 1, []string{"create", "a", "--bundle"}, "--bundle needs a value"},
		{"value where there is none", 1, []string{"delete", "--force=yes", "a"}, "--force takes no value"},
		{"unknown signal", 1, []string{"kill", "a", "HUPP"}, `unknown signal "HUPP"`},
		{"signal out of range", 1, []string{"kill", "a", "65"}, "not one of 1 to 64"},
		{"unknown format", 1, []string{"list", "--format", "xml"}, `--format "xml" is not table or json`},
		{"missing container", 1, []string{"start", "nobody"}, `container "nobody" does not exist`},
		{"exec in a missing container", 255, []string{"exec", "nobody", "true"}, `container "nobody" does not exist`},
		{"checkpoint", 1, []string{"checkpoint", "--image-path", "x", "a"}, "checkpoint is not supported"},
		{"spec in a bundle", 1, []string{"spec", "--bundle", "x"}, "locald-shim spec > x/config.json"},
		{"log in a missing directory", 1, []string{"--log", "/nowhere/log", "state", "a"}, "/nowhere/log"},
	}) {
		t.Run(c.name, func(t *testing.T) { refuseLineWith(t, c.code, c.args, c.want) })
	}
}

// refuseLine wants exit status 125, one line or two of what a person can read, and nothing else.
func refuseLine(t *testing.T, args []string, want string) *result {
	t.Helper()
	return refuseLineWith(t, 125, args, want)
}

func refuseLineWith(t *testing.T, code int, args []string, want string) *result {
	t.Helper()
	res := shim(t, args...)
	if res.code != code || !strings.Contains(res.stderr, want) || res.stdout != "" || len(res.status) != 0 {
		t.Errorf("not refused with %q: %s", want, res)
	}
	for line := range strings.Lines(res.stderr) {
		if !strings.HasPrefix(line, "locald-shim: ") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), isControl) || len(line) > 500 {
			t.Errorf("a line on standard error is %q", line)
		}
	}
	return res
}

// TestBadContainerID: an id is a name of a directory and of a cgroup.
func TestBadContainerID(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	for _, c := range thin([]struct{ name, id, want string }{
		{"empty", "", "id"},
		{"slash", "a/b", "not valid"},
		{"absolute", "/a", "not valid"},
		{"dots", "..", "not valid"},
		{"dot", ".", "not valid"},
		{"way up", "../../../tmp/x", "not valid"},
		{"hidden", ".a", "not valid"},
		{"flag", "-a", "not valid"},
		{"space", "a b", "not valid"},
		{"newline", "a\nb", "not valid"},
		{"escape sequence", "a\x1b[2Jb", "not valid"},
		{"letter that is none of 62", "ä", "not valid"},
		{"no UTF-8", "a\xff", "not valid"},
		{"colon", "a:b", "not valid"},
		{"129 bytes", strings.Repeat("a", 129), "not valid"},
		{"100000 bytes", strings.Repeat("a", 100000), "not valid"},
	}) {
		t.Run(c.name, func(t *testing.T) {
			refuseLine(t, []string{"bundle", "run", "--bundle", b.dir, "--id", c.id}, c.want)
			refuseLine(t, []string{"bundle", "run", "--bundle", b.dir, "--id=" + c.id}, c.want)
		})
	}
}

// TestLongestContainerID: 128 bytes are one.
func TestLongestContainerID(t *testing.T) {
	b := newBundle(t).do("exit 0")
	b.id += strings.Repeat("x", 128-len(b.id))
	b.run(t).ok(t)
}

// TestContainerIDInUse: the second of two with the same id is refused, and the first does not notice.
func TestContainerIDInUse(t *testing.T) {
	first, second, third := newBundle(t).do("line", "exit 7"), newBundle(t).do("exit 0"), newBundle(t).do("exit 0")
	r := first.start(t, nil)
	r.await("running")
	second.id = first.id
	a := &attempt{bundle: second}
	second.write(t)
	for range 3 {
		res := a.call(t, "--bundle", second.dir, "--id", second.id, "--status-fd", "3")
		in := wantError{message: `container id "` + first.id + `" is in use`}
		if failures := failuresOf(res); res.code != 125 || len(failures) != 1 || !in.matches(failures[0]) {
			t.Errorf("not refused: %s", res)
		}
	}
	// Another id with the same cgroup is as bad: two containers would share limits, and one's end be the other's.
	third.spec.Linux.CgroupsPath = first.spec.Linux.CgroupsPath
	third.write(t)
	res := (&attempt{bundle: third}).call(t, "--bundle", third.dir, "--id", third.id, "--status-fd", "3")
	in := wantError{"/linux/cgroupsPath", "EEXIST", "create cgroup " + first.spec.Linux.CgroupsPath}
	if failures := failuresOf(res); res.code != 125 || len(failures) != 1 || !in.matches(failures[0]) {
		t.Errorf("a cgroup in use is not refused: %s", res)
	}
	r.say("go")
	if res := r.wait(); res.code != 7 {
		t.Errorf("the first container: %s", res)
	}
	second.run(t).ok(t) // and now the id is free
}

// TestBadStatusFD: a status descriptor that cannot be one is refused before anything is done.
func TestBadStatusFD(t *testing.T) {
	b := newBundle(t).do("exit 0")
	b.write(t)
	call := func(n string) []string {
		return []string{"bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", n}
	}
	for _, c := range thin([]struct{ name, n, want string }{
		{"standard input", "0", "is not the number of a descriptor above 2"},
		{"standard output", "1", "is not the number of a descriptor above 2"},
		{"standard error", "2", "is not the number of a descriptor above 2"},
		{"negative", "-1", "is not the number"},
		{"word", "three", "is not the number"},
		{"empty", "", "is not the number"},
		{"hexadecimal", "0x3", "is not the number"},
		{"with more behind it", "3 ", "is not the number"},
		{"huge", "99999999999999999999", "is not the number"},
		{"not open", "19", "--status-fd 19 is not open for writing"},
		{"beyond all limits", "65535", "--status-fd 65535 is not open for writing"},
		{"and another error", "19=", "is not the number"},
	}) {
		t.Run(c.name, func(t *testing.T) { refuseLine(t, call(c.n), c.want) })
	}
}

// TestStatusFDNotWritable: what is read only takes no status. Refused in words, not taken for a reader that is gone.
func TestStatusFDNotWritable(t *testing.T) {
	b := newBundle(t).do("exit 0")
	b.write(t)
	pipe, w, err := os.Pipe()
	must(t, err)
	defer w.Close()
	dir, err := os.Open(b.dir)
	must(t, err)
	file, err := os.Open(filepath.Join(b.dir, "config.json"))
	must(t, err)
	for name, f := range map[string]*os.File{"read end of a pipe": pipe, "directory": dir, "file": file} {
		t.Run(name, func(t *testing.T) {
			r := launch(t, b, func(c *exec.Cmd) { c.ExtraFiles = append(c.ExtraFiles, f) }, "bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "4")
			if res := r.wait(); res.code != 125 || !strings.Contains(res.stderr, "--status-fd 4") {
				t.Errorf("not refused: %s", res)
			}
		})
		f.Close()
	}
}

// TestErrorsBeforeTheBundle: a program that reads only the status is told of these too.
func TestErrorsBeforeTheBundle(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"id", []string{"--status-fd", "3", "--bundle", b.dir, "--id", "a/b"}, "not valid"},
		{"id, flag behind", []string{"--bundle", b.dir, "--id", "a/b", "--status-fd", "3"}, "not valid"},
		{"no bundle", []string{"--id", b.id, "--status-fd=3"}, "--bundle and --id are needed"},
		{"unknown flag", []string{"--status-fd", "3", "--log", "x"}, `unknown flag "--log"`},
		{"twice", []string{"--status-fd", "3", "--status-fd", "3"}, "--status-fd is given twice"},
		{"unknown flag in front", []string{"--log", "--status-fd", "3"}, `unknown flag "--log"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := shim(t, append([]string{"bundle", "run"}, c.args...)...)
			failures := failuresOf(res)
			if res.code != 125 || len(failures) != 1 || !strings.Contains(failures[0].Message, c.want) || res.stderr != "" {
				t.Errorf("the status does not say %q: %s", c.want, res)
			}
		})
	}
}

// TestOutputNotTaken: a call whose answer nobody gets has failed, and says so.
func TestOutputNotTaken(t *testing.T) {
	b := newBundle(t).do("exit 0")
	b.write(t)
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"dry-run", 125, []string{"bundle", "run", "--dry-run", "--bundle", b.dir, "--id", b.id}},
		{"version", 125, []string{"--version"}},
		{"help", 1, []string{"--help"}},
		{"spec", 1, []string{"spec"}},
		{"features", 1, []string{"features"}},
		{"list", 1, []string{"list"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			must(t, err)
			defer full.Close()
			var stderr strings.Builder
			cmd := exec.Command(shimPath, c.args...)
			cmd.Stdout, cmd.Stderr = full, &stderr
			cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code || stderr.String() != "locald-shim: write to standard output: no space left on device\n" {
				t.Errorf("%d, %q", code, stderr.String())
			}
		})
	}
}
