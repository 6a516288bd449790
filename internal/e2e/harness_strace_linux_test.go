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

// underStrace calls a verb under strace(1), which injects something into its first thread; "" is nothing. It returns
// the calls of the thread.
func (b *bundle) underStrace(t *testing.T, inject string, args ...string) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("these tests need strace: apt-get install strace")
	}
	out := filepath.Join(t.TempDir(), "calls")
	r := launch(t, b, func(c *exec.Cmd) {
		flags := []string{strace, "-qq", "-o", out}
		if inject != "" {
			flags = append(flags, "-e", "inject="+inject)
		}
		c.Args = append(append(flags, c.Path), c.Args[1:]...)
		c.Path = strace
	}, args...)
	r.returned()
	return linesOf(t, out)
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
