package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The tests of this file are a user's, who controls how the shim is started.

// wrapped starts the shim by a program that changes something about itself and then executes the rest of its
// arguments.
func wrapped(program ...string) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		path, err := exec.LookPath(program[0])
		if err != nil {
			path = program[0] // which is then told by the start
		}
		c.Args = append(append(program[:len(program):len(program)], c.Path), c.Args[1:]...)
		c.Path = path
	}
}

// under puts a command under conditions, see conditionsName.
func under(conditions ...string) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		c.Args = slices.Concat([]string{conditionsName}, conditions, []string{"--", c.Path}, c.Args[1:])
		c.Path = "/proc/self/exe"
	}
}

// TestSetuidGodebug: the Go runtime obeys GODEBUG before main, with root's ids.
func TestSetuidGodebug(t *testing.T) {
	needsUser(t)
	b := newBundle(t).do("exit 0")
	for _, value := range []string{"inittrace=1", "gctrace=1", "containermaxprocs=1", "x"} {
		res := b.start(t, func(c *exec.Cmd) { c.Env = append(os.Environ(), "GODEBUG="+value) }).wait()
		wantOne(t, res, "refusing GODEBUG in setuid mode")
	}
	b.start(t, func(c *exec.Cmd) { c.Env = append(os.Environ(), "GODEBUG=") }).wait().ok(t)
}

// TestSetuidEnvironment: nothing else in the environment matters, and nothing of it comes into the container.
func TestSetuidEnvironment(t *testing.T) {
	needsUser(t)
	trap := filepath.Join(t.TempDir(), "trap")
	must(t, os.WriteFile(trap, []byte("#!/bin/sh\ntouch "+trap+".sprung\n"), 0o755))
	hostile := []string{
		"LD_PRELOAD=" + trap, "LD_LIBRARY_PATH=" + filepath.Dir(trap), "LD_AUDIT=" + trap, "PATH=" + filepath.Dir(trap), "HOME=" + trap, "TMPDIR=" + trap, "TZ=:" + trap, "ZONEINFO=" + trap,
		"GOTRACEBACK=crash", "GOGC=1", "GOMAXPROCS=1", "GOMEMLIMIT=1", "GOCOVERDIR=" + filepath.Dir(trap), "GORACE=log_path=" + trap, "XDG_RUNTIME_DIR=" + trap,
		"NOTIFY_SOCKET=" + trap, "LISTEN_FDS=1", "LISTEN_PID=1", "IFS=/", "=x", "novalue", "LOCALD_SHIM=" + trap, "LOCALD_ROOT=" + trap,
	}
	b := newBundle(t).do("look")
	res := b.start(t, func(c *exec.Cmd) { c.Env = hostile }).wait().ok(t)
	if got := res.look(t).Env; !slices.Equal(got, []string{"PATH=/", "HOME=/"}) {
		t.Errorf("the container's environment is %q", got)
	}
	entries, err := os.ReadDir(filepath.Dir(trap))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("the environment had an effect: %v", entries)
	}
}

// started is a shim that was started without package os/exec, which would mend what a test spoils.
type started struct {
	code   int
	status string
}

func startRaw(t *testing.T, argv []string, files []*os.File) *started {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	p, err := os.StartProcess(shimPath, argv, &os.ProcAttr{Files: append(files, w), Env: []string{}, Dir: "/"})
	w.Close()
	must(t, err)
	hangs := time.AfterFunc(patience(), func() { p.Kill() })
	text, err := io.ReadAll(r)
	must(t, err)
	state, err := p.Wait()
	must(t, err)
	if !hangs.Stop() {
		t.Fatal("the shim did not end")
	}
	return &started{state.ExitCode(), string(text)}
}

// TestSetuidClosedDescriptors: with 0, 1 or 2 closed, what the shim opens must not become one of them. Errors
// would be written to it.
func TestSetuidClosedDescriptors(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	must(t, err)
	defer null.Close()
	good := newBundle(t).do("exit 7")
	good.write(t)
	bad := newBundle(t, func(s *specs.Spec) { s.Process.Args = []string{"/nowhere"} })
	bad.write(t)
	for _, c := range []struct {
		name  string
		files []*os.File
	}{
		{"none", []*os.File{null, null, null}}, {"0", []*os.File{nil, null, null}}, {"1", []*os.File{null, nil, null}}, {"2", []*os.File{null, null, nil}},
		{"0 and 1", []*os.File{nil, nil, null}}, {"all", []*os.File{nil, nil, nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := etc(t)
			args := func(b *bundle) []string {
				return []string{"locald-shim", "bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3"}
			}
			if got := startRaw(t, args(good), c.files); got.code != 7 || !strings.Contains(got.status, `"phase":"exited"`) {
				t.Errorf("the container did not run: %+v", got)
			}
			if got := startRaw(t, args(bad), c.files); got.code != 127 || !strings.Contains(got.status, "/nowhere") {
				t.Errorf("the error is not told: %+v", got)
			}
			// Without a status descriptor the message goes to 2, which is closed: nowhere, not into a file.
			if got := startRaw(t, args(bad)[:7], c.files); got.code != 127 {
				t.Errorf("without status: %+v", got)
			}
			compareDescribed(t, before, etc(t))
		})
	}
}

// etc describes the files in /etc.
func etc(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/etc")
	must(t, err)
	all := map[string]string{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			all[e.Name()] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
		}
	}
	return all
}

// TestCVE_2021_4034: execve(2) takes an empty argv (CVE-2021-4034); new kernels make it one empty argument.
func TestCVE_2021_4034(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	must(t, err)
	defer null.Close()
	for _, argv := range [][]string{{}, {""}, {"bundle"}, {"--version=x"}} {
		if got := startRaw(t, argv, []*os.File{null, null, null}); got.code != 125 {
			t.Errorf("argv %q: %+v", argv, got)
		}
	}
}

// TestSetuidInheritedDescriptors: what the caller has open stays outside of the container.
func TestSetuidInheritedDescriptors(t *testing.T) {
	b := newBundle(t).do("look")
	root, err := os.Open("/")
	must(t, err)
	defer root.Close()
	res := b.start(t, func(c *exec.Cmd) {
		for range 40 {
			c.ExtraFiles = append(c.ExtraFiles, root)
		}
	}).wait().ok(t)
	if got := res.look(t).Fds; len(got) != 3 {
		t.Errorf("the container has %v", got)
	}
}

// TestSetuidUmask: the modes of what the shim makes are its own decision, and the container's umask config.json's.
func TestSetuidUmask(t *testing.T) {
	for _, umask := range []string{"0", "0777", "0022"} {
		t.Run(umask, func(t *testing.T) {
			b := newBundle(t).do("look", "create /tmp/x", "stat /tmp/x", "stat /", "stat /proc", "stat /dev", "stat /dev/null", "line")
			must(t, os.RemoveAll("/run/locald/u"+itoa(os.Getuid())+"/x"))
			r := b.start(t, wrapped("sh", "-c", "umask "+umask+`; exec "$0" "$@"`))
			r.await("running")
			state := "/run/locald/root"
			if !here.root {
				state = "/run/locald/u" + itoa(os.Getuid())
			}
			for path, want := range map[string]os.FileMode{state: 0o700, filepath.Join(state, b.id): 0o700, filepath.Join(state, b.id, "lock"): 0o600} {
				info, err := os.Stat(path)
				must(t, err)
				if info.Mode().Perm() != want {
					t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
				}
			}
			r.say("go")
			res := r.wait().ok(t)
			if got := res.look(t).Status["Umask"]; got != "0022" {
				t.Errorf("the container's umask is %s", got)
			}
			for did, want := range map[string]string{"stat /tmp/x": "file 644", "stat /proc": "dir 555", "stat /dev": "dir 755", "stat /dev/null": "char 666"} {
				if got := res.value(t, did); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %s, want %s", did, got, want)
				}
			}
		})
	}
}

// TestSetuidResourceLimits: the caller's limits hold for the shim too. It works with them or it does not, but it
// says so, and leaves nothing: the Go runtime ends the program with 2 when it gets no memory or thread.
func TestSetuidResourceLimits(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit []string
		works bool // in any case
	}{
		{"no limit", []string{"--core=0"}, true},
		{"10 descriptors", []string{"--nofile=10"}, false},
		{"30 descriptors", []string{"--nofile=30"}, false},
		{"200 descriptors", []string{"--nofile=200"}, true},
		{"files of 0 bytes", []string{"--fsize=0"}, false},
		{"40 MB of addresses", []string{"--as=40000000"}, false},
		{"200 MB of addresses", []string{"--as=200000000"}, false},
		{"2 GB of addresses", []string{"--as=2000000000"}, false},
		{"1 process", []string{"--nproc=1"}, false},
		{"no locked memory", []string{"--memlock=0"}, true},
		{"small stack", []string{"--stack=131072"}, true},
		{"1 s of processor time", []string{"--cpu=1"}, true},
		{"no signals", []string{"--sigpending=0"}, false},
		{"core files of any size", []string{"--core=unlimited:"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBundle(t).do("exit 0")
			b.put(t, "true", tinyProgram, 0o755) // the probe needs memory and threads, and is not what is tested
			b.spec.Process.Args = []string{"/true"}
			r := b.start(t, wrapped(append([]string{"prlimit"}, c.limit...)...))
			hangs := time.AfterFunc(patience(), func() { r.kill(b) })
			res := r.wait()
			switch {
			case !hangs.Stop():
				t.Errorf("the shim did not end within %v: %s", patience(), res)
			case res.code == 0 && res.signal == 0:
			case c.works:
				t.Errorf("the container did not run: %s", res)
			case res.code == 125 && len(failuresOf(res)) == 1 && res.stderr == "":
			case res.code == 125 && res.stderr == "locald-shim: RLIMIT_SIGPENDING is too low (ulimit -i): 64 are needed\n":
			case res.code == 2 && (strings.HasPrefix(res.stderr, "runtime: ") || strings.HasPrefix(res.stderr, "fatal error: ")):
				t.Logf("the Go runtime gave up: %.100q", res.stderr)
			default:
				t.Errorf("no clean failure: %s", res)
			}
			if strings.Contains(res.stderr, "goroutine ") {
				t.Errorf("a stack trace: %s", res)
			}
		})
	}
}

// TestSetuidSwitchedOff: where the bit has no effect the shim is an ordinary program: it runs what an
// unprivileged user can, or says why not.
func TestSetuidSwitchedOff(t *testing.T) {
	needsUser(t)
	dir := t.TempDir()
	runtimeDir := filepath.Join(dir, "run")
	must(t, os.Mkdir(runtimeDir, 0o700))
	plain := filepath.Join(dir, "locald-shim")
	must(t, copyFile(plain, filepath.Join(binDir, "locald-shim"), 0o755))
	asPlain := func(c *exec.Cmd) { c.Path, c.Args[0] = plain, plain }
	for _, c := range []struct {
		name  string
		start func(*exec.Cmd)
	}{
		{"copy", asPlain},
		{"no new privileges", wrapped("setpriv", "--no-new-privs")},
		{"traced by the caller", wrapped("strace", "-f", "-o", "/dev/null")},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBundle(t).do("look", "exit 7")
			b.spec.Linux.CgroupsPath = ""
			start := func(c2 *exec.Cmd) {
				c.start(c2)
				c2.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+runtimeDir)
			}
			res := b.start(t, start).wait()
			switch {
			case res.code == 7:
				if got := res.look(t); got.Uid != [3]int{} {
					t.Errorf("uids are %v", got.Uid)
				}
			case res.code == 125 && len(failuresOf(res)) == 1 && strings.Contains(failuresOf(res)[0].Hint, "locald doctor"): // where the host forbids it
			default:
				t.Errorf("neither run nor refused in words: %s", res)
			}
			// What takes the bit is refused before anything happens.
			b.spec.Linux.CgroupsPath = "/locald/u" + itoa(os.Getuid()) + "/" + b.id
			res = b.start(t, start).wait()
			if p := res.problem(t, "/linux/cgroupsPath"); !strings.Contains(p.Message, "not yours") {
				t.Error(res)
			}
			b.spec.Linux.CgroupsPath = ""
			b.spec.Linux.UIDMappings = append(b.spec.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 1 << 30, Size: 10})
			res = b.start(t, start).wait()
			if p := res.problem(t, "/linux/uidMappings/1"); !strings.Contains(p.Message, "can be mapped only by the set-user-ID helper") {
				t.Error(res)
			}
			b.spec.Linux.UIDMappings = b.spec.Linux.UIDMappings[:1]
			res = b.start(t, func(c *exec.Cmd) { start(c); c.Env = []string{"XDG_RUNTIME_DIR=/nowhere"} }).wait()
			wantOne(t, res, "no place to keep container state")
			if entries, _ := os.ReadDir(runtimeDir + "/locald-shim"); len(entries) > 0 {
				t.Errorf("state is left: %v", entries)
			}
		})
	}
}

// TestSetuidOwnUserNamespace: root of a user namespace of the caller's own is not root.
func TestSetuidOwnUserNamespace(t *testing.T) {
	needsUser(t)
	b := newBundle(t).do("exit 7")
	res := b.start(t, wrapped("unshare", "--user", "--map-root-user")).wait()
	if res.code != 125 || len(failuresOf(res)) == 0 {
		t.Errorf("not refused: %s", res)
	}
}

// TestNestedRoot: root of a user namespace that somebody else has made, such as a rootless engine, has no say over root's
// directories and cgroups, and none over its groups: the container's state is the user's, and it stays in their cgroup.
func TestNestedRoot(t *testing.T) {
	needsUser(t)
	needs(t, !here.guest, "is seen on the host")
	b := newBundle(t).do("exit 7")
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings, b.spec.Linux.CgroupsPath = nil, nil, ""
	b.write(t)
	runtime := t.TempDir()
	call := func(args ...string) *result {
		t.Helper()
		return launch(t, nil, func(c *exec.Cmd) {
			wrapped("unshare", "--user", "--map-root-user")(c)
			c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+runtime)
		}, args...).wait()
	}
	if res := call("run", "--bundle", b.dir, b.id); res.code != 7 {
		t.Errorf("%s", res)
	}
	if entries, err := os.ReadDir(runtime + "/locald-shim"); err != nil || len(entries) > 0 {
		t.Errorf("state is elsewhere, or left: %v, %v", entries, err)
	}
	b.spec.Process.User.AdditionalGids = []uint32{0}
	b.write(t)
	if res := call("run", "--bundle", b.dir, b.id); res.code != 1 || !strings.Contains(res.stderr, "set the supplementary groups") {
		t.Errorf("groups that cannot be had: %s", res)
	}
}

// TestNestedTwice: root of a user namespace that was made before, whose containers have one of their own. Only where the
// mount namespace was made along with it may they copy mounts themselves.
func TestNestedTwice(t *testing.T) {
	needsUser(t)
	needs(t, !here.guest, "is seen on the host")
	for _, flags := range [][]string{{"--user"}, {"--user", "--mount"}} {
		b := newBundle(t).do("exit 7")
		b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings, b.spec.Linux.CgroupsPath = oneID(0), oneID(0), ""
		b.write(t)
		res := launch(t, nil, func(c *exec.Cmd) {
			wrapped(append(append([]string{"unshare"}, flags...), "--map-root-user")...)(c)
			c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		}, "run", "--bundle", b.dir, b.id).wait()
		if res.code != 7 {
			t.Errorf("%v: %s", flags, res)
		}
	}
}

// TestSetuidOtherNames: the shim is the same under another name, by a link of either kind.
func TestSetuidOtherNames(t *testing.T) {
	needsUser(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(shimPath, link))
	hard := filepath.Join(dir, "hard")
	if err := unix.Link(shimPath, hard); err != nil {
		hard = link // fs.protected_hardlinks, or another file system
	}
	for _, name := range []string{link, hard} {
		b := newBundle(t).do("exit 7")
		res := b.start(t, func(c *exec.Cmd) { c.Path, c.Args[0] = name, "-bash" }).wait()
		if res.code != 7 {
			t.Errorf("%s: %s", name, res)
		}
	}
}

// TestSetuidSignalsInherited: a caller that ignores and blocks every signal changes nothing.
func TestSetuidSignalsInherited(t *testing.T) {
	b := newBundle(t).do("look", "exit 7")
	res := b.start(t, under("ignore", "block")).wait()
	if res.code != 7 {
		t.Fatal(res)
	}
	look := res.look(t)
	for _, key := range []string{"SigBlk", "SigIgn"} {
		if got := look.Status[key]; strings.Trim(got, "0") != "" {
			t.Errorf("%s in the container is %s", key, got)
		}
	}
}
