package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// pidfdOf waits for a pidfd on a socket, and is the process's pid as well.
func pidfdOf(t *testing.T, socket *net.UnixListener) (fd, pid int) {
	t.Helper()
	c, err := socket.AcceptUnix()
	must(t, err)
	defer c.Close()
	text, control := make([]byte, 64), make([]byte, unix.CmsgSpace(16))
	n, used, _, _, err := c.ReadMsgUnix(text, control)
	must(t, err)
	messages, err := unix.ParseSocketControlMessage(control[:used])
	must(t, err)
	if len(messages) != 1 || n == 0 {
		t.Fatalf("%q came with %d control messages", text[:n], len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	must(t, err)
	t.Cleanup(func() { unix.Close(fds[0]) })
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fds[0]))
	must(t, err)
	for line := range strings.Lines(string(info)) {
		if text, ok := strings.CutPrefix(line, "Pid:\t"); ok {
			pid, err = strconv.Atoi(strings.TrimSpace(text))
			must(t, err)
			return fds[0], pid
		}
	}
	t.Fatalf("it is no pidfd: %s", info)
	return
}

// TestPidfdSocket: who listens gets a pidfd of the process that was made, by which it can be ended.
func TestPidfdSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pidfd")
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	defer socket.Close()
	b := newBundle(t).do("look", "line")
	r := b.create(t, "--pidfd-socket", path)
	fd, pid := pidfdOf(t, socket)
	if first := b.wantStatus(t, "created").Pid; pid != first {
		t.Errorf("the pidfd is of process %d, the container's is %d", pid, first)
	}
	shim(t, "start", b.id).ok(t)
	r.answer("look")

	x := launch(t, b, nil, "exec", "--pidfd-socket", path, b.id, "/probe", "look", "line")
	other, second := pidfdOf(t, socket)
	x.answer("look")
	if second == pid {
		t.Errorf("exec's pidfd is of process %d, which is the first", second)
	}
	must(t, unix.PidfdSendSignal(other, unix.SIGKILL, nil, 0))
	if res := x.wait(); res.code != 128+int(unix.SIGKILL) {
		t.Errorf("exec: %s", res)
	}

	must(t, unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
	r.closed()
	b.awaitStopped(t)
}

// TestPidfdSocketRefused: before anything exists.
func TestPidfdSocketRefused(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	path := filepath.Join(t.TempDir(), "pidfd")
	fails(t, 1, "connect to the pidfd socket "+path+": no such file", "create", "--bundle", b.dir, "--pidfd-socket", path, b.id)
	fails(t, 1, "does not exist", "state", b.id)
	must(t, unix.Mknod(path, unix.S_IFSOCK|0o666, 0))
	fails(t, 1, "nobody listens on it", "run", "--bundle", b.dir, "--pidfd-socket", path, b.id)
	fails(t, 1, "does not exist", "state", b.id)
}

// TestNotifySocket: start ends when the container says that it is ready, and then says so to who started it. Nothing
// else that the container says goes out.
func TestNotifySocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "systemd")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer systemd.Close()
	with := func(c *exec.Cmd) { c.Env = append(os.Environ(), "NOTIFY_SOCKET="+path) }
	said := func() string {
		text := make([]byte, 4096)
		n, err := systemd.Read(text)
		must(t, err)
		return string(text[:n])
	}
	silent := func() {
		t.Helper()
		file, err := systemd.File()
		must(t, err)
		defer file.Close()
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(file.Fd()), Events: unix.POLLIN}}, 0); n != 0 || err != nil {
			t.Errorf("systemd was told of something: %v", err)
		}
		must(t, unix.SetNonblock(int(file.Fd()), true))
	}
	if !here.root {
		// A set-user-ID program does not look at its environment.
		b := newBundle(t).do("look")
		if env := b.creates(t, with, "run").wait().ok(t).look(t).Env; slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "NOTIFY_SOCKET") }) {
			t.Errorf("the environment is %q", env)
		}
		silent()
		return
	}
	for _, user := range []string{"root", "range"} {
		t.Run(user, func(t *testing.T) {
			b := newBundle(t)
			if user == "range" {
				needsSubIDs(t)
				withRange(b.spec)
				b.spec.Process.User = specs.User{UID: 7, GID: 7}
			}
			b.do("look", "notify STATUS=x", "line", "notify STATUS=y READY=1", "line")
			r := b.creates(t, with, "create")
			if code := r.returned(); code != 0 {
				t.Fatalf("create: %s", r.closed())
			}
			start := launch(t, nil, with, "start", b.id)
			look := r.answer("look").Look
			if !slices.Contains(look.Env, "NOTIFY_SOCKET=/run/notify/notify.sock") {
				t.Errorf("the environment is %q", look.Env)
			}
			if a := r.answer("notify STATUS=x"); a.Errno != "" {
				t.Errorf("it cannot notify: %s", a.Errno)
			}
			silent()
			r.say("go")
			r.answer("notify STATUS=y READY=1")
			if code := start.returned(); code != 0 {
				t.Errorf("start: %s", start.closed())
			}
			if got, want := said(), "MAINPID="+strconv.Itoa(b.state(t).Pid)+"\nREADY=1\n"; got != want {
				t.Errorf("systemd was told %q, want %q", got, want)
			}
			silent()
			r.say("go")
			r.closed()
			b.awaitStopped(t)
			shim(t, "delete", b.id).ok(t)
			if _, err := os.Stat(filepath.Join(stateRoot(), b.id)); !os.IsNotExist(err) {
				t.Error("something is left of the container:", err)
			}
		})
	}
	t.Run("foreground", func(t *testing.T) {
		b := newBundle(t).do("notify READY=1", "line")
		r := b.creates(t, with, "run")
		if got := said(); !strings.HasSuffix(got, "\nREADY=1\n") {
			t.Errorf("systemd was told %q", got)
		}
		r.say("go")
		r.wait().ok(t)
	})
	t.Run("never", func(t *testing.T) {
		b := newBundle(t).do("exit 3")
		if r := b.creates(t, with, "run", "--detach").wait(); r.code != 0 {
			t.Errorf("run: %s", r)
		}
		silent()
	})
}

// TestListenFDs: descriptors that systemd has opened come before those of --preserve-fds, and the process is told of
// them, in its own pid. Not so when another process was meant, nor for a set-user-ID program, whose environment is
// its caller's word.
func TestListenFDs(t *testing.T) {
	run := func(t *testing.T, pid string, change func(*specs.Spec)) *result {
		b := newBundle(t, change).do("look")
		return b.creates(t, func(c *exec.Cmd) {
			c.Args = append([]string{"sh", "-c", `LISTEN_PID=` + pid + ` LISTEN_FDS=1 LISTEN_FDNAMES=web exec "$@"`, "sh"}, c.Args...)
			c.Path = "/bin/sh"
			null, err := os.Open("/dev/null")
			must(t, err)
			t.Cleanup(func() { null.Close() })
			c.ExtraFiles = append(c.ExtraFiles, null)
		}, "run", "--preserve-fds", "1").wait()
	}
	listen := func(env []string) []string {
		return slices.DeleteFunc(slices.Clone(env), func(e string) bool { return !strings.HasPrefix(e, "LISTEN_") })
	}
	none := func(*specs.Spec) {}
	r := run(t, "$$", none).ok(t).look(t)
	want, fds := []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=web", "LISTEN_PID=1"}, 2
	if !here.root {
		want, fds = nil, 1
	}
	if got := listen(r.Env); !slices.Equal(got, want) {
		t.Errorf("the environment has %q, want %q", got, want)
	}
	if r.Fds["3"] == "" || (r.Fds["4"] == "/dev/null") != (fds == 2) {
		t.Errorf("the descriptors are %v, want %d beyond the first three", r.Fds, fds)
	}
	r = run(t, "1", none).ok(t).look(t)
	if got := listen(r.Env); len(got) > 0 || r.Fds["4"] == "/dev/null" {
		t.Errorf("those of another process came: %q, %v", got, r.Fds)
	}
	if here.root {
		if res := run(t, "$$", func(s *specs.Spec) { dropNamespace(s, specs.PIDNamespace); dropMount(s, "/proc") }); res.code != 1 || !strings.Contains(res.stderr, "LISTEN_FDS needs a new pid namespace") {
			t.Errorf("without a pid namespace: %s", res)
		}
	}
}
