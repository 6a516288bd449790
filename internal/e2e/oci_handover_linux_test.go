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
	if got := listen(r.Env); got != nil && len(got) > 0 || r.Fds["4"] == "/dev/null" {
		t.Errorf("those of another process came: %q, %v", got, r.Fds)
	}
	if here.root {
		if res := run(t, "$$", func(s *specs.Spec) { dropNamespace(s, specs.PIDNamespace); dropMount(s, "/proc") }); res.code != 1 || !strings.Contains(res.stderr, "LISTEN_FDS needs a new pid namespace") {
			t.Errorf("without a pid namespace: %s", res)
		}
	}
}
