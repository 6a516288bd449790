package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// spoken is what a call of the shim said, word for word.
type spoken struct {
	code           int
	status         string
	stdout, stderr string
}

// speak runs the bundle with a status descriptor of the test's own choice; nil is a pipe that is read to its end.
func speak(t *testing.T, b *bundle, status *os.File, flags ...string) *spoken {
	t.Helper()
	if b.files == nil {
		b.write(t)
	}
	var reader *os.File
	if status == nil {
		r, w, err := os.Pipe()
		must(t, err)
		reader, status = r, w
	}
	var stdout, stderr bytes.Buffer
	c := exec.Command(shimPath, append([]string{"bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3"}, flags...)...)
	c.Stdout, c.Stderr, c.ExtraFiles = &stdout, &stderr, []*os.File{status}
	must(t, c.Start())
	status.Close()
	s := &spoken{}
	hangs := time.AfterFunc(patience(), func() { c.Process.Kill() })
	if reader != nil {
		text, err := io.ReadAll(reader)
		must(t, err)
		s.status = string(text)
		reader.Close()
	}
	c.Wait()
	if !hangs.Stop() {
		t.Fatalf("the shim did not end: %s%s", s.status, stderr.String())
	}
	s.code, s.stdout, s.stderr = c.ProcessState.ExitCode(), stdout.String(), stderr.String()
	return s
}

// objects are the lines of a status, each with its members.
func (s *spoken) objects(t *testing.T) []map[string]any {
	t.Helper()
	if !utf8.ValidString(s.status) {
		t.Errorf("the status is not UTF-8: %q", s.status)
	}
	if s.status != "" && !strings.HasSuffix(s.status, "\n") {
		t.Errorf("the last line has no end: %q", s.status)
	}
	var all []map[string]any
	for line := range strings.Lines(s.status) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Errorf("%q is no JSON object: %v", line, err)
		}
		all = append(all, o)
	}
	return all
}

// TestStatus: one line for each phase, in this order, and nothing anywhere else.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		did  string
		last string
		code int
	}{
		{"exit 0", `{"phase":"exited","code":0}`, 0},
		{"exit 7", `{"phase":"exited","code":7}`, 7},
		{"exit 255", `{"phase":"exited","code":255}`, 255},
		{"raise KILL", `{"phase":"exited","code":137,"signal":9}`, 137},
		{"raise TERM", `{"phase":"exited","code":143,"signal":15}`, 143},
	} {
		t.Run(c.did, func(t *testing.T) {
			b := newBundle(t).do(c.did)
			if strings.HasPrefix(c.did, "raise") {
				dropNamespace(b.spec, specs.PIDNamespace) // the first process of one is deaf to its own signals
				dropMount(b.spec, "/proc")
			}
			s := speak(t, b, nil)
			var pid string
			if o := s.objects(t); len(o) > 3 {
				n, _ := o[3]["pid"].(float64)
				pid = strconv.Itoa(int(n))
			}
			want := `{"phase":"opened"}
{"phase":"validated"}
{"phase":"compiled"}
{"phase":"cloned","pid":` + pid + `}
{"phase":"limited"}
{"phase":"running"}
` + c.last + "\n"
			if s.status != want || pid == "0" || pid == "1" {
				t.Errorf("the status is\n%swant\n%s", s.status, want)
			}
			if s.code != c.code || s.stderr != "" {
				t.Errorf("exit status %d, want %d; standard error %q", s.code, c.code, s.stderr)
			}
		})
	}
}

// TestStatusPid: the pid is the one that the caller sees.
func TestStatusPid(t *testing.T) {
	r := newBundle(t).do("list /", "line").start(t, nil)
	pid := r.await("cloned").Pid
	r.answer("list /") // the name is changed a moment after the memory, which is when the shim goes on
	if text, err := os.ReadFile("/proc/" + itoa(pid) + "/comm"); err != nil || string(text) != "probe\n" {
		t.Errorf("process %d is %q, %v", pid, text, err)
	}
	if parent := parentOf(pid); parent != r.cmd.Process.Pid {
		t.Errorf("its parent is %d, want the shim, %d", parent, r.cmd.Process.Pid)
	}
	r.say("go")
	r.wait().ok(t)
}

// TestStatusFailures: an error says after which phase it came, and has all six members.
func TestStatusFailures(t *testing.T) {
	phases := []string{"started", "opened", "validated", "compiled", "cloned", "limited", "running"}
	inChild := "compiled" // a child that shares memory has come to its end when the parent hears of it
	if !here.root {
		inChild = "limited"
	}
	for _, c := range []struct {
		phase  string
		name   string
		change func(t *testing.T, b *bundle)
		flags  []string
		code   int
		op     string // the beginning of it
		want   wantError
		hint   bool
	}{
		{"started", "no such bundle", func(t *testing.T, b *bundle) { b.write(t); b.dir += "/nowhere" }, nil, 125, "open bundle", wantError{"", "ENOENT", "open bundle"}, true},
		{"started", "no JSON", func(t *testing.T, b *bundle) {
			b.write(t)
			must(t, os.WriteFile(b.dir+"/config.json", []byte("x"), 0o644))
		}, nil, 125, "", wantError{"", "", "an object is expected"}, false},
		{"opened", "invalid", func(_ *testing.T, b *bundle) { b.spec.Process.Cwd = "x" }, nil, 125, "", wantError{"/process/cwd", "", "cwd must be an absolute path"}, false},
		{"validated", "not on this host", func(t *testing.T, b *bundle) {
			must(t, os.Symlink("/", b.dir+"/link"))
			b.spec.Root.Path = "link"
		}, nil, 125, "", wantError{"/root/path", "", "must not be the host's root"}, true},
		{"compiled", "no such namespace", func(_ *testing.T, b *bundle) {
			dropNamespace(b.spec, specs.IPCNamespace)
			addNamespace(b.spec, specs.IPCNamespace, "/nowhere")
		}, nil, 125, "open ", wantError{"/linux/namespaces/" + itoa(len(profile("").Linux.Namespaces)-1), "ENOENT", "/nowhere"}, false},
		{inChild, "cwd is a file", func(_ *testing.T, b *bundle) { b.spec.Process.Cwd = "/probe" }, nil, 125, "enter the working directory", wantError{"/process/cwd", "ENOTDIR", "/probe"}, false},
		{inChild, "no such program", func(_ *testing.T, b *bundle) { b.spec.Process.Args = []string{"nowhere"} }, nil, 127, "find ", wantError{"/process/args/0", "ENOENT", "executable file not found in $PATH"}, false},
		{"running", "no such directory for the pid file", func(_ *testing.T, b *bundle) { b.do("forever") }, []string{"--pid-file", "/nowhere/pid"}, 125, "write the pid file", wantError{"", "ENOENT", "/nowhere/pid"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBundle(t)
			c.change(t, b)
			s := speak(t, b, nil, c.flags...)
			objects := s.objects(t)
			if s.code != c.code || s.stderr != "" || s.stdout != "" || len(objects) == 0 {
				t.Fatalf("exit status %d, want %d; status %s; standard error %q", s.code, c.code, s.status, s.stderr)
			}
			for i, o := range objects[:len(objects)-1] {
				if o["phase"] != phases[i+1] {
					t.Errorf("line %d is %v, want phase %s", i, o, phases[i+1])
				}
			}
			o := objects[len(objects)-1]
			told := statusLine{}
			line := s.status[strings.LastIndexByte(strings.TrimSuffix(s.status, "\n"), '\n')+1:]
			must(t, json.Unmarshal([]byte(line), &told))
			if told.Phase != c.phase || !strings.HasPrefix(told.Op, c.op) || c.op == "" && told.Op != "" || !c.want.matches(told) || c.hint && told.Hint == "" {
				t.Errorf("the error is %s", line)
			}
			if last := slices.Index(phases, c.phase); len(objects) != last+1 {
				t.Errorf("%d lines, want the phases up to %q and an error:\n%s", len(objects), c.phase, s.status)
			}
			for _, key := range []string{"phase", "op", "pointer", "errno", "message", "hint"} {
				if _, ok := o[key].(string); !ok {
					t.Errorf("%q is %v", key, o[key])
				}
			}
			if len(o) != 6 {
				t.Errorf("%d members: %s", len(o), line)
			}
		})
	}
}

// TestStatusHostile: whatever a config.json or a caller puts into a name, a line of the status is one line of JSON
// and says the name.
func TestStatusHostile(t *testing.T) {
	for _, c := range thin([][2]string{
		{"quotes", `a"b'c`}, {"backslash", `a\b\\u0041\n`}, {"newline", "a\n{\"phase\":\"exited\",\"code\":0}\nb"}, {"tab and return", "a\tb\rc"}, {"escape", "\x1b[2J\x1b]0;x\x07"}, {"DEL", "a\x7fb"}, {"all controls", "\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x1f"}, {"line separator", "a\u2028b\u2029c"}, {"far plane", "a\U0001F600b"}, {"right to left", "a\u202eb"}, {"markup", "</script><!--&amp;"}, {"percent", "%s%n%d"},
	}) {
		name, s := c[0], c[1]
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			addMount(b.spec, "/"+s, "bind", "/nowhere/"+s, "bind")
			got := speak(t, b, nil)
			objects := got.objects(t)
			if got.code != 125 || len(objects) == 0 {
				t.Fatalf("%+v", got)
			}
			last := objects[len(objects)-1]
			if message, _ := last["message"].(string); !strings.Contains(message, "bind /nowhere/"+s) || last["pointer"] != "/mounts/3" {
				t.Errorf("the error is %q", last)
			}
			for _, o := range objects[:len(objects)-1] {
				if o["phase"] == "exited" {
					t.Errorf("a line was forged: %s", got.status)
				}
			}
		})
	}
	t.Run("no UTF-8", func(t *testing.T) {
		b := newBundle(t)
		b.write(t)
		b.dir += "/\xff\xfe"
		got := speak(t, b, nil)
		objects := got.objects(t)
		if message, _ := objects[0]["message"].(string); got.code != 125 || !strings.Contains(message, "\uFFFD") {
			t.Errorf("%q", objects)
		}
	})
	t.Run("pointer", func(t *testing.T) {
		b := newBundle(t)
		b.spec.Linux.Sysctl = map[string]string{"net/~\"\n": "1"}
		got := speak(t, b, nil)
		objects := got.objects(t)
		if last := objects[len(objects)-1]; last["pointer"] != "/linux/sysctl/net~1~0\"\n" {
			t.Errorf("the pointer is %q", last["pointer"])
		}
	})
}

// TestStatusDryRun: nothing is started, and the phases after the Program are not reached.
func TestStatusDryRun(t *testing.T) {
	s := speak(t, newBundle(t), nil, "--dry-run")
	if want := "{\"phase\":\"opened\"}\n{\"phase\":\"validated\"}\n{\"phase\":\"compiled\"}\n"; s.code != 0 || s.status != want || s.stderr != "" || !strings.Contains(s.stdout, "execve(\"/probe\"") {
		t.Errorf("%+v", s)
	}
}

// TestStatusElsewhere: a status that is not read by a living program harms nobody; one that is a pipe or a socket
// without a reader is the caller's end, and the container's.
func TestStatusElsewhere(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		b := newBundle(t).do("exit 7")
		b.write(t)
		name := filepath.Join(t.TempDir(), "status")
		f, err := os.Create(name)
		must(t, err)
		if s := speak(t, b, f); s.code != 7 {
			t.Errorf("%+v", s)
		}
		s := &spoken{status: textOf(t, name)}
		if o := s.objects(t); len(o) != 7 || o[6]["phase"] != "exited" {
			t.Errorf("the file holds %s", s.status)
		}
	})
	t.Run("null", func(t *testing.T) {
		f, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
		must(t, err)
		if s := speak(t, newBundle(t).do("exit 7"), f); s.code != 7 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("full", func(t *testing.T) {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		must(t, err)
		if s := speak(t, newBundle(t).do("exit 7"), f); s.code != 7 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("pipe without a reader", func(t *testing.T) {
		r, w, err := os.Pipe()
		must(t, err)
		r.Close()
		if s := speak(t, newBundle(t).do("forever"), w); s.code != 137 && s.code != 125 || s.stderr != "" { // 125: before its program ran
			t.Errorf("%+v", s)
		}
	})
	t.Run("socket without a peer", func(t *testing.T) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		unix.Close(fds[0])
		if s := speak(t, newBundle(t).do("forever"), os.NewFile(uintptr(fds[1]), "socket")); s.code != 137 && s.code != 125 || s.stderr != "" { // 125: before its program ran
			t.Errorf("%+v", s)
		}
	})
}

// TestStatusReaders: as long as one reader is there, the container lives.
func TestStatusReaders(t *testing.T) {
	b := newBundle(t).do("line", "exit 7")
	r := b.start(t, nil)
	second, err := unix.FcntlInt(r.status.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	r.await("running")
	must(t, r.status.Close())
	r.say("go")
	r.answer("line")
	unix.Close(second)
	if res := r.wait(); res.code != 7 && res.code != 137 { // the container ends by itself, or is ended just before
		t.Error(res)
	}
}

// TestErrorsForPeople: without --status-fd an error is a line, and its hint, if there is one, another.
func TestErrorsForPeople(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	res := shim(t, "bundle", "run", "--bundle", b.dir+"/nowhere", "--id", b.id)
	want := "locald-shim: open bundle " + b.dir + "/nowhere: no such file or directory\nlocald-shim: hint: --bundle names a directory that holds config.json\n"
	if res.code != 125 || res.stderr != want || res.stdout != "" {
		t.Errorf("%s, want\n%s", res, want)
	}
	b.spec.Process.Cwd, b.spec.Root.Path, b.spec.Hostname = "", "", strings.Repeat("x", 65)
	b.write(t)
	res = shim(t, "bundle", "run", "--bundle", b.dir, "--id", b.id)
	for _, line := range []string{
		"locald-shim: config.json: /process/cwd: cwd is missing; \"/\" is always there\n",
		"locald-shim: config.json: /root/path: root.path is empty; name the directory of the container's file system\n",
		"locald-shim: config.json: /hostname: longer than 64 bytes\n",
	} {
		if !strings.Contains(res.stderr, line) {
			t.Errorf("standard error has no line %q: %s", line, res)
		}
	}
}
