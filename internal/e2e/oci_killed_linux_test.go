package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// underStrace calls a verb under strace(1), which kills its first thread, and with it the process, at the nth system
// call; 0 is never. It returns the calls of that thread.
func underStrace(t *testing.T, b *bundle, nth int, args ...string) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("these tests need strace: apt-get install strace")
	}
	out := filepath.Join(t.TempDir(), "calls")
	r := launch(t, b, func(c *exec.Cmd) {
		flags := []string{strace, "-qq", "-o", out}
		if nth > 0 {
			flags = append(flags, "-e", "inject=all:signal=SIGKILL:when="+strconv.Itoa(nth))
		}
		c.Args = append(append(flags, c.Path), c.Args[1:]...)
		c.Path = strace
	}, args...)
	r.returned()
	return linesOf(t, out)
}

// TestVerbsKilled: a verb is killed at a system call, and what is left is nothing, or a container that the other verbs
// know how to deal with. Every 9th call is tried; LOCALD_E2E_LONG=1 tries all.
func TestVerbsKilled(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	needsRoot(t, "watches a process of root's")
	step := 9
	if os.Getenv("LOCALD_E2E_LONG") != "" {
		step = 1
	}
	b := newBundle(t).do("line")
	b.write(t)
	create := []string{"create", "--bundle", b.dir, b.id}
	start := []string{"start", b.id}
	for _, c := range []struct {
		name   string
		before [][]string
		verb   []string
	}{
		{"create", nil, create},
		{"start", [][]string{create}, start},
		{"exec", [][]string{create, start}, []string{"exec", "--detach", b.id, "/probe", "line"}},
		{"delete", [][]string{create, start}, []string{"delete", "--force", b.id}},
		{"run", nil, []string{"run", "--detach", "--bundle", b.dir, b.id}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ready := func() {
				for _, args := range c.before {
					if code := launch(t, b, nil, args...).returned(); code != 0 {
						t.Fatalf("%s: exit status %d", args[0], code)
					}
				}
			}
			ready()
			calls := underStrace(t, b, 0, c.verb...)
			b.gone(t, "no kill")
			first := len(calls)
			for i, line := range calls {
				if strings.HasPrefix(line, "close_range(") { // the shim's own first call
					first = i
					break
				}
			}
			if len(calls)-first < 10 {
				t.Fatalf("only %d calls: strace's output is not what this test expects", len(calls))
			}
			for n := first + 1; n <= len(calls); n += step {
				ready()
				underStrace(t, b, n, c.verb...)
				b.gone(t, "killed at "+calls[n-1])
			}
		})
	}
}

// gone sees that the container is absent or has a state, that delete --force removes all of it, and that its id can
// be used again.
func (b *bundle) gone(t *testing.T, when string) {
	t.Helper()
	if r := shim(t, "state", b.id); r.code != 0 && !strings.Contains(r.stderr, "does not exist") {
		t.Errorf("%s: state: %s", when, r)
	}
	for _, args := range [][]string{{"delete", "--force", b.id}, {"create", "--bundle", b.dir, b.id}, {"delete", "--force", b.id}} {
		r := launch(t, b, nil, args...)
		ended := make(chan bool)
		go func() { r.returned(); close(ended) }()
		reapUntil(ended, r.cmd.Process.Pid)
		if code := r.returned(); code != 0 {
			t.Fatalf("%s: %s: exit status %d: %s", when, args[0], code, r.errors.String())
		}
		if args[0] != "delete" {
			continue
		}
		if _, err := os.Lstat(filepath.Join(stateRoot(), b.id)); !os.IsNotExist(err) {
			t.Fatalf("%s: delete leaves the state: %v", when, err)
		}
		if _, err := os.Lstat(cgroupDir(t, b.spec.Linux.CgroupsPath)); !os.IsNotExist(err) {
			t.Fatalf("%s: delete leaves the cgroup: %v", when, err)
		}
	}
}

// reapUntil waits for what a killed shim has left to this process, which is a subreaper: the first process of a pid
// namespace does not end before all others are waited for. Another call's own process is left to it.
func reapUntil(ended <-chan bool, except int) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
		lists, _ := filepath.Glob("/proc/self/task/*/children")
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			for _, field := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(field); err == nil && pid != except {
					unix.Wait4(pid, nil, unix.WNOHANG, nil)
				}
			}
		}
	}
}
