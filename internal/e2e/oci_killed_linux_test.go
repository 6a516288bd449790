package e2e

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sweeper calls the verbs of one caller's container, as root or as a user through the set-user-ID bit.
type sweeper struct {
	*bundle
	as *account // nil for root
}

func (w *sweeper) launch(t *testing.T, args ...string) *running {
	t.Helper()
	if w.as == nil {
		return launch(t, w.bundle, nil, args...)
	}
	return w.as.launch(t, w.bundle, args...)
}

// underStrace calls a verb under strace(1), which does something to its first thread at the nth system call of that;
// 0 is never, or, with the name of a call in inject, at that. It returns the calls of the thread.
func (w *sweeper) underStrace(t *testing.T, inject string, nth int, args ...string) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("these tests need strace: apt-get install strace")
	}
	out := filepath.Join(t.TempDir(), "calls")
	r := launch(t, w.bundle, func(c *exec.Cmd) {
		flags := []string{strace, "-qq", "-o", out}
		if w.as != nil {
			c.Path = w.as.shim
			flags = append(flags, "-u", w.as.name)
		}
		if nth > 0 {
			flags = append(flags, "-e", "inject=all:"+inject+":when="+strconv.Itoa(nth))
		} else if inject != "" {
			flags = append(flags, "-e", "inject="+inject)
		}
		c.Args = append(append(flags, c.Path), c.Args[1:]...)
		c.Path = strace
	}, args...)
	r.returned()
	return linesOf(t, out)
}

// TestVerbsKilled: a verb is killed at a system call, and what is left is nothing, or a container that the other verbs
// know how to deal with.
func TestVerbsKilled(t *testing.T) { sweepVerbs(t, "signal=SIGKILL") }

// TestVerbsFail: a system call of a verb's fails, which it may get over or not. What is left is the same.
func TestVerbsFail(t *testing.T) { sweepVerbs(t, "error=ENOMEM") }

// sweepVerbs lets something happen at the system calls of every verb. Some calls are tried, other ones in each run;
// LOCALD_E2E_LONG=1 tries all.
func sweepVerbs(t *testing.T, inject string) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	for _, as := range []*account{nil, u} {
		name := "root"
		w := &sweeper{newBundle(t), as}
		if as != nil {
			name, w.bundle = "user", u.bundle(t)
		}
		t.Run(name, func(t *testing.T) {
			w.do("line").write(t)
			create := []string{"create", "--bundle", w.dir, w.id}
			start, pause := []string{"start", w.id}, []string{"pause", w.id}
			for _, c := range []struct {
				name   string
				before [][]string
				verb   []string
			}{
				{"create", nil, create},
				{"start", [][]string{create}, start},
				{"exec", [][]string{create, start}, []string{"exec", "--detach", w.id, "/probe", "line"}},
				{"kill", [][]string{create, start}, []string{"kill", w.id, "TERM"}},
				{"pause", [][]string{create, start}, pause},
				{"resume", [][]string{create, start, pause}, []string{"resume", w.id}},
				{"delete", [][]string{create, start}, []string{"delete", "--force", w.id}},
				{"run", nil, []string{"run", "--detach", "--bundle", w.dir, w.id}},
			} {
				t.Run(c.name, func(t *testing.T) { w.sweep(t, inject, c.before, c.verb) })
			}
		})
	}
}

func (w *sweeper) sweep(t *testing.T, inject string, before [][]string, verb []string) {
	ready := func() {
		for _, args := range before {
			if r := w.launch(t, args...); r.returned() != 0 {
				t.Fatalf("%s: exit status %d: %s", args[0], r.returned(), r.errors.String())
			}
		}
	}
	ready()
	calls := w.underStrace(t, "", 0, verb...)
	w.gone(t, "nothing")
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
	step, offset := 1, 0
	if os.Getenv("LOCALD_E2E_LONG") == "" {
		step = max(1, (len(calls)-first)/6)
		offset = rand.IntN(step)
		t.Logf("every %dth call from %d on", step, offset)
	}
	for n := first + 1 + offset; n <= len(calls); n += step {
		ready()
		w.underStrace(t, inject, n, verb...)
		w.gone(t, inject+" at "+calls[n-1])
	}
}

// gone sees that the container is absent or has a state, that delete --force removes all of it, and that its id can
// be used again.
func (w *sweeper) gone(t *testing.T, when string) {
	t.Helper()
	if r := w.launch(t, "state", w.id).wait(); r.code != 0 && !strings.Contains(r.stderr, "does not exist") {
		t.Errorf("%s: state: %s", when, r)
	}
	root := "/run/locald/root/"
	if w.as != nil {
		root = "/run/locald/u" + itoa(w.as.uid) + "/"
	}
	for _, args := range [][]string{{"delete", "--force", w.id}, {"create", "--bundle", w.dir, w.id}, {"delete", "--force", w.id}} {
		r := w.launch(t, args...)
		ended := make(chan bool)
		go func() { r.returned(); close(ended) }()
		reapUntil(ended, r.cmd.Process.Pid)
		if code := r.returned(); code != 0 {
			t.Fatalf("%s: %s: exit status %d: %s", when, args[0], code, r.errors.String())
		}
		if args[0] != "delete" {
			continue
		}
		if _, err := os.Lstat(root + w.id); !os.IsNotExist(err) {
			t.Fatalf("%s: delete leaves the state: %v", when, err)
		}
		if _, err := os.Lstat(cgroupDir(t, w.spec.Linux.CgroupsPath)); !os.IsNotExist(err) {
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
