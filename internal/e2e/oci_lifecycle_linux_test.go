package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestLifecycle goes through the verbs of the runtime specification (runtime.md, Lifecycle).
func TestLifecycle(t *testing.T) {
	b := newBundle(t).do("look", "line", "exit 0")
	b.spec.Annotations = map[string]string{"org.example.b": "2", "org.example.a": "\"1\""}
	pidFile := filepath.Join(t.TempDir(), "pid")
	r := b.create(t, "--pid-file", pidFile)

	s := b.wantStatus(t, "created")
	text, err := os.ReadFile(pidFile)
	must(t, err)
	if s.Pid == 0 || string(text) != strconv.Itoa(s.Pid) {
		t.Errorf("the pid is %d, and %q in the pid file", s.Pid, text)
	}
	if s.OCIVersion != "1.3.0" || s.ID != b.id || s.Bundle != b.dir || s.Rootfs != b.rootfs || s.Created.IsZero() || len(s.Annotations) != 2 || s.Annotations["org.example.a"] != `"1"` {
		t.Errorf("the state is %+v", s)
	}
	if parent := parentOf(s.Pid); parent == r.cmd.Process.Pid {
		t.Errorf("the process is still %d's", parent)
	}
	fails(t, 1, "already exists", "create", "--bundle", b.dir, b.id)
	fails(t, 1, "is not stopped", "delete", b.id)

	shim(t, "start", b.id).ok(t)
	if report := r.answer("look").Look; report == nil || report.Pid != 1 {
		t.Errorf("it says %+v", report)
	}
	if now := b.wantStatus(t, "running"); now.Pid != s.Pid || !now.Created.Equal(s.Created) {
		t.Errorf("state before start %+v, after it %+v", s, now)
	}
	fails(t, 1, "already running", "start", b.id)
	fails(t, 1, "is not stopped", "delete", b.id)

	r.say("go")
	r.closed()
	b.awaitStopped(t)
	fails(t, 1, "has stopped", "start", b.id)
	fails(t, 1, "container not running", "kill", b.id, "TERM")
	fails(t, 255, "container not running", "exec", b.id, "/probe")
	shim(t, "delete", b.id).ok(t)
	fails(t, 1, "does not exist", "delete", b.id)
	fails(t, 1, "does not exist", "state", b.id)
	shim(t, "delete", "--force", b.id).ok(t)
}

// TestCreatedWaits: before start the program has not run, and nothing of the caller's is open in its process.
func TestCreatedWaits(t *testing.T) {
	b := newBundle(t).do("look")
	r := b.create(t)
	s := b.wantStatus(t, "created")
	if here.root {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.Pid)); strings.HasSuffix(exe, "/probe") {
			t.Error("the program runs")
		}
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid))
		must(t, err)
		for _, fd := range fds {
			to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", s.Pid, fd.Name()))
			if n, _ := strconv.Atoi(fd.Name()); n > 2 && !strings.HasPrefix(to, "pipe:") && !strings.HasSuffix(to, "/start") && !strings.HasSuffix(to, "/report") {
				t.Errorf("it holds %s open", to)
			}
		}
	}
	shim(t, "delete", "--force", b.id).ok(t)
	if res := r.closed(); res.stdout != "" {
		t.Errorf("it said %s", res.stdout)
	}
}

// TestCreateFindsProgram: that a program cannot run is said by create, with the words that engines look for.
func TestCreateFindsProgram(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"by PATH":        {[]string{"nowhere"}, `exec: "nowhere": executable file not found in $PATH`},
		"by name":        {[]string{"/nowhere"}, "no such file or directory"},
		"not executable": {[]string{"/data"}, "permission denied"},
		"in a file":      {[]string{"/data/x"}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.put(t, "data", "x", 0o644)
			b.spec.Process.Args = c.args
			b.write(t)
			fails(t, 1, c.want, "create", "--bundle", b.dir, b.id)
			fails(t, 1, "does not exist", "state", b.id)
		})
	}
	b := newBundle(t)
	b.spec.Process.Args = []string{"probe", "exit 0"}
	b.spec.Process.Env = []string{"PATH=/nowhere:/proc/version:/:/tmp"}
	r := b.create(t)
	shim(t, "start", b.id).ok(t)
	r.closed()
}

// TestStartTellsOfExecve: what only execve(2) can tell is said by start.
func TestStartTellsOfExecve(t *testing.T) {
	b := newBundle(t)
	b.put(t, "script", "#!/nowhere\n", 0o755)
	b.spec.Process.Args = []string{"/script"}
	r := b.create(t)
	fails(t, 1, "no such file or directory", "start", b.id)
	r.closed()
	b.awaitStopped(t)
	shim(t, "delete", b.id).ok(t)
}

// TestNoProcess: a container without a process can be created, and cannot be started (runtime.md, Lifecycle).
func TestNoProcess(t *testing.T) {
	b := newBundle(t)
	b.spec.Process = nil
	r := b.create(t)
	b.wantStatus(t, "created")
	fails(t, 1, "has no process", "start", b.id)
	r.closed()
	b.awaitStopped(t)
	shim(t, "delete", b.id).ok(t)
}

// TestStartOnce: of many starts at once one wins, and so it is with delete.
func TestStartOnce(t *testing.T) {
	b := newBundle(t).do("line")
	r := b.create(t)
	atOnce := func(want string, args ...string) {
		t.Helper()
		var results [8]*result
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() { results[i] = shim(t, args...) })
		}
		all.Wait()
		won := 0
		for _, res := range results {
			if res.code == 0 {
				won++
			} else if !strings.Contains(res.stderr, "in use") && !strings.Contains(res.stderr, want) {
				t.Errorf("%s: %s", args[0], res)
			}
		}
		if won != 1 {
			t.Errorf("%d of %s won", won, args[0])
		}
	}
	atOnce("already running", "start", b.id)
	r.say("go")
	r.closed()
	b.awaitStopped(t)
	atOnce("does not exist", "delete", b.id)
}

// TestFrozenConfig: what is done to config.json after create is no concern of the container's (runtime.md, Lifecycle).
func TestFrozenConfig(t *testing.T) {
	b := newBundle(t).do("look", "line")
	b.spec.Annotations = map[string]string{"when": "before"}
	b.spec.Process.Env = append(b.spec.Process.Env, "WHEN=before")
	r := b.create(t)
	b.spec.Annotations["when"] = "after"
	b.spec.Process.Env[1] = "WHEN=after"
	b.spec.Process.Args = []string{"/nowhere"}
	b.write(t)
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	if got := b.state(t).Annotations["when"]; got != "before" {
		t.Errorf("the annotation is of %s", got)
	}
	if env := shim(t, "exec", b.id, "/probe", "look").ok(t).look(t).Env; !strings.Contains(strings.Join(env, " "), "WHEN=before") {
		t.Errorf("exec has the environment %q", env)
	}
	shim(t, "kill", b.id, "KILL").ok(t)
	r.closed()
}

// TestKill sends signals by all their names.
func TestKill(t *testing.T) {
	for _, name := range []string{"10", "USR1", "SIGUSR1", "sigusr1"} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t).do("trap 1")
			r := b.create(t)
			shim(t, "start", b.id).ok(t)
			r.answer("ready")
			shim(t, "kill", b.id, "0").ok(t) // is it there?
			shim(t, "kill", b.id, name).ok(t)
			r.answer("signal SIGUSR1")
			r.closed()
		})
	}
}

// TestDeleteForce ends everything, in whatever state it is.
func TestDeleteForce(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, b *bundle) *running{
		"created": func(t *testing.T, b *bundle) *running { return b.create(t) },
		"running": func(t *testing.T, b *bundle) *running {
			r := b.create(t)
			shim(t, "start", b.id).ok(t)
			return r
		},
		"paused": func(t *testing.T, b *bundle) *running {
			r := b.create(t)
			shim(t, "start", b.id).ok(t)
			shim(t, "pause", b.id).ok(t)
			b.wantStatus(t, "paused")
			fails(t, 255, "paused", "exec", b.id, "/probe")
			return r
		},
		"run in the foreground": func(t *testing.T, b *bundle) *running {
			r := b.start(t, nil)
			r.await("running")
			b.wantStatus(t, "running")
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t).do("line")
			r := make(t, b)
			pid := b.state(t).Pid
			shim(t, "delete", "--force", b.id).ok(t)
			if !awaitEnd(pid, limit()) {
				t.Errorf("process %d lives", pid)
			}
			r.returned()
			r.closed()
			fails(t, 1, "does not exist", "state", b.id)
		})
	}
}

// TestPause freezes every process, and lets them go on.
func TestPause(t *testing.T) {
	b := newBundle(t).do("line", "exit 0")
	r := b.create(t)
	fails(t, 255, "does not exist", "exec", "nobody", "x")
	shim(t, "start", b.id).ok(t)
	shim(t, "pause", b.id).ok(t)
	b.wantStatus(t, "paused")
	r.say("go")
	shim(t, "resume", b.id).ok(t)
	r.closed()
	b.awaitStopped(t)
	fails(t, 1, "not running", "pause", b.id)
}
