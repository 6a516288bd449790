package e2e

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const mkdirTmp = "mkdir /tmp/directory"

// mkdirCalls are the calls of mkdir(2): on amd64 there is an older one.
func mkdirCalls() []int {
	if runtime.GOARCH == "amd64" {
		return []int{unix.SYS_MKDIRAT, 83}
	}
	return []int{unix.SYS_MKDIRAT}
}

// notifying has an agent decide on mkdir, getsid and execve: the last is made before there is a program.
func notifying(path string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		filtered(rule(specs.ActNotify, nil, "mkdir", "mkdirat", "getsid", "execve"))(s)
		s.Linux.Seccomp.ListenerPath, s.Linux.Seccomp.ListenerMetadata = path, `who "me"`
		s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv, specs.LinuxSeccompFlagSpecAllow}
		s.Annotations = map[string]string{"a": "b"}
	}
}

// decided sees what the process saw of the agent's answers.
func decided(t *testing.T, answer func(string) probe.Answer) {
	t.Helper()
	if a := answer(mkdirTmp); a.Errno != "EXDEV" {
		t.Errorf("mkdir: errno %q, and the agent said EXDEV", a.Errno)
	}
	if a := answer(getsid + " 7"); a.Value != "4242" {
		t.Errorf("getsid: %q, errno %q, and the agent said 4242", a.Value, a.Errno)
	}
}

// wantState compares what came with the descriptor.
func (a *agent) wantState(t *testing.T, b *bundle, pid, first int, status specs.ContainerState) {
	t.Helper()
	s := <-a.states
	if s.Version != specs.Version || len(s.Fds) != 1 || s.Fds[0] != specs.SeccompFdName || s.Metadata != `who "me"` {
		t.Errorf("the state is %+v", s)
	}
	if s.Pid != pid || s.State.Pid != first || s.State.ID != b.id || s.State.Bundle != b.dir || s.State.Status != status || s.State.Annotations["a"] != "b" {
		t.Errorf("the state is %+v; want the process %d of container %s, %d, which is %s", s, pid, b.id, first, status)
	}
	if n := a.asked(notified{pid, unix.SYS_EXECVE}); n != 1 {
		t.Errorf("the agent was asked %d times about execve of process %d", n, pid)
	}
}

// TestNotify: an agent decides on system calls of a container, from execve on.
func TestNotify(t *testing.T) {
	everyPrivilege(t, func(t *testing.T, privileges func(*specs.Spec)) {
		a := newAgent(t).serve(t)
		r := newBundle(t, privileges, notifying(a.path)).do(mkdirTmp, getsid+" 7", getsid+" 0", "look")
		res := r.run(t).ok(t)
		decided(t, func(did string) probe.Answer { return res.answer(t, did) })
		if v := res.value(t, getsid+" 0"); v != "1" {
			t.Errorf("getsid(0), which the agent let through, is %q", v)
		}
		if fds := res.look(t).Fds; len(fds) > 4 {
			t.Errorf("descriptors %v", fds)
		}
		a.wantState(t, r, res.pid(), res.pid(), specs.StateCreating)
	})
}

// TestNotifyCreate: the agent hears of a container when it starts, and then of each process of exec.
func TestNotifyCreate(t *testing.T) {
	a := newAgent(t)
	b := newBundle(t, notifying(a.path)).do("look", mkdirTmp, getsid+" 7", "line")
	r := b.create(t)
	first := b.wantStatus(t, "created").Pid
	file, err := a.socket.File()
	must(t, err)
	defer file.Close()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(file.Fd()), Events: unix.POLLIN}}, 0); n != 0 || err != nil {
		t.Errorf("%d connections before the container starts: %v", n, err)
	}
	must(t, unix.SetNonblock(int(file.Fd()), true)) // File has made it wait
	a.serve(t)
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	decided(t, r.answer)
	a.wantState(t, b, first, first, specs.StateCreated)
	if _, err := os.Lstat(filepath.Join(stateRoot(), b.id, "seccomp")); !os.IsNotExist(err) {
		t.Error("the socket is still there:", err)
	}

	res := shim(t, "exec", b.id, "/probe", mkdirTmp, getsid+" 7").ok(t)
	decided(t, func(did string) probe.Answer { return res.answer(t, did) })
	s := <-a.states
	if s.Pid == first || s.State.Pid != first || s.State.Status != specs.StateRunning || a.asked(notified{s.Pid, unix.SYS_EXECVE}) != 1 {
		t.Errorf("exec's state is %+v", s)
	}
	b.ends(t, r)
}

// TestNotifyRefused: without the program or the listener that it takes, there is no container.
func TestNotifyRefused(t *testing.T) {
	const pointer = "/linux/seccomp/listenerPath"
	with := func(make func(t *testing.T, path string)) func(*testing.T, *attempt) {
		return func(t *testing.T, a *attempt) {
			path := filepath.Join(t.TempDir(), "agent")
			make(t, path)
			notifying(path)(a.spec)
		}
	}
	one := func(errno string) []wantError {
		return []wantError{{pointer, errno, "connect to the seccomp listener"}}
	}
	refuse(t, []badInput{
		{name: "missing", make: with(func(*testing.T, string) {}), want: one("ENOENT")},
		{name: "file", make: with(func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o666)) }), want: one("ENOTSOCK")},
		{name: "nobody listens", make: with(func(t *testing.T, path string) { must(t, unix.Mknod(path, unix.S_IFSOCK|0o666, 0)) }), want: one("ECONNREFUSED")},
		{name: "not for the caller", who: needsUser, make: func(t *testing.T, a *attempt) {
			g := newAgent(t)
			must(t, os.Chmod(g.path, 0))
			notifying(g.path)(a.spec)
		}, want: one("EACCES")},
		{name: "sendmsg", make: badSpec(func(s *specs.Spec) {
			notifying("/run/agent")(s)
			s.Linux.Seccomp.Syscalls[0].Names = append(s.Linux.Seccomp.Syscalls[0].Names, "sendmsg")
		}), want: []wantError{{"/linux/seccomp/syscalls/0/names/4", "", "by which the listener gets its descriptor"}}},
	})
}

// TestNotifyCreateRefused: create wants a socket, start somebody who listens. Until there is one the container waits.
func TestNotifyCreateRefused(t *testing.T) {
	a := newAgent(t) // before the bundle: it ends when its process has been waited for (Linux before 6.11)
	path := filepath.Join(t.TempDir(), "agent")
	b := newBundle(t, notifying(path)).do(mkdirTmp)
	if r := b.creates(t, nil, "create"); r.returned() != 1 {
		t.Errorf("create without a socket: %s", r.closed())
	}
	fails(t, 1, "does not exist", "state", b.id)

	must(t, unix.Mknod(path, unix.S_IFSOCK|0o666, 0))
	r := b.create(t)
	fails(t, 1, "connection refused", "start", b.id)
	b.wantStatus(t, "created")
	must(t, os.Remove(path))
	a.serve(t)
	must(t, os.Symlink(a.path, path))
	shim(t, "start", b.id).ok(t)
	if e := r.answer(mkdirTmp).Errno; e != "EXDEV" {
		t.Errorf("mkdir: errno %q", e)
	}
	r.closed()
	b.awaitStopped(t)
}

// TestNotifyGone: an agent that lets go of its descriptor has every call answered with ENOSYS.
func TestNotifyGone(t *testing.T) {
	a := newAgent(t)
	a.gives = true
	b := newBundle(t, notifying(a.serve(t).path)).do(mkdirTmp)
	b.spec.Linux.Seccomp.Syscalls[0].Names = []string{"mkdir", "mkdirat"}
	r := b.do("line", mkdirTmp).start(t, nil)
	<-a.states
	a.socket.Close()
	a.wait.Wait() // its descriptor is closed
	r.say("go")
	r.wait().ok(t).wantErrno(t, mkdirTmp, "ENOSYS")
}

// TestNotifyLost: an agent that has gone between the connection and the container's program fails the start, and leaves
// nothing of the container.
func TestNotifyLost(t *testing.T) {
	a := newAgent(t)
	b := newBundle(t, notifying(a.path)).do(mkdirTmp)
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, unix.Mkfifo(fifo, 0o666))
	b.addHook("createRuntime", "read "+fifo)
	r := b.start(t, nil)
	c, err := a.socket.AcceptUnix()
	must(t, err)
	c.Close()
	write, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits for the hook
	must(t, err)
	write.Close()
	res := r.wait()
	if res.code != 125 {
		t.Errorf("exit status %d: %s", res.code, res)
	}
	if p := res.problem(t, "/linux/seccomp/listenerPath"); p.Errno != "EPIPE" {
		t.Errorf("the error is %+v", p)
	}
	if _, err := os.Stat(filepath.Join(stateRoot(), b.id)); !os.IsNotExist(err) {
		t.Error("something is left of the container:", err)
	}
}

// TestNotifyStartKilled: a start that is killed at any of its system calls leaves a container that has run, or that has
// ended, or that waits for another start; or one that waits for a decision of nobody, which another start says. delete
// --force removes it.
func TestNotifyStartKilled(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	needsRoot(t, "watches a process of root's")
	step := 9
	if os.Getenv("LOCALD_E2E_LONG") != "" {
		step = 1
	}
	a := newAgent(t)
	a.patient = true
	b := newBundle(t, notifying(a.serve(t).path)).do("line")
	b.write(t)
	create := func() {
		if code := launch(t, b, nil, "create", "--bundle", b.dir, b.id).returned(); code != 0 {
			t.Fatalf("create: exit status %d", code)
		}
	}
	var calls []string
	first := -1
	for tries := 0; first < 0; tries++ { // on a busy machine the program may be on another thread by then
		create()
		calls = b.underStrace(t, "", "start", b.id)
		b.wantStatus(t, "running")
		b.gone(t, "no kill")
		first = slices.IndexFunc(calls, func(line string) bool { return strings.HasPrefix(line, "close_range(") })
		if tries == 20 {
			t.Fatalf("%d calls: strace's output is not what this test expects", len(calls))
		}
	}
	again := 0
	for n := first; n < len(calls)-1; n += step { // the last one ends it
		if !strings.Contains(calls[n], "(") {
			continue // a signal
		}
		create()
		b.underStrace(t, injectAt("signal=SIGKILL", calls, n), "start", b.id)
		if b.state(t).Status == "created" {
			again++
			if r := shim(t, "start", b.id); r.code != 0 && !strings.Contains(r.stderr, "already running") && b.state(t).Status != "stopped" {
				t.Errorf("killed at %s: another start: %s", calls[n], r)
			}
		}
		b.gone(t, "killed at "+calls[n])
	}
	if again == 0 {
		t.Error("no container was left waiting")
	}
}

// injectAt names one of the calls of a verb for strace, which counts each system call for itself.
func injectAt(inject string, calls []string, i int) string {
	name, _, _ := strings.Cut(calls[i], "(")
	n := 0
	for _, line := range calls[:i+1] {
		if strings.HasPrefix(line, name+"(") {
			n++
		}
	}
	return name + ":" + inject + ":when=" + strconv.Itoa(n)
}
