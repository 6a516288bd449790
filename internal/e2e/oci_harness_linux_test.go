package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ociState is what the verb state prints.
type ociState struct {
	OCIVersion  string `json:"ociVersion"`
	ID          string
	Pid         int
	Status      string
	Bundle      string
	Rootfs      string
	Created     time.Time
	Annotations map[string]string
}

// create creates the container of the bundle, and sees that it is deleted when the test ends. What is returned is the
// call of create, which has ended; the container has its pipes.
func (b *bundle) create(t *testing.T, flags ...string) *running {
	t.Helper()
	r := b.creates(t, nil, append([]string{"create"}, flags...)...)
	if code := r.returned(); code != 0 {
		t.Fatalf("create: exit status %d: %s", code, r.closed())
	}
	return r
}

// creates calls create or run, with the bundle and the id.
func (b *bundle) creates(t *testing.T, change func(*exec.Cmd), args ...string) *running {
	t.Helper()
	b.write(t)
	r := launch(t, b, change, append(args, "--bundle", b.dir, b.id)...)
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(stateRoot(), b.id)); err == nil {
			shim(t, "delete", "--force", b.id)
		}
	})
	return r
}

// stateRoot is where the shim keeps the state of this place's containers.
func stateRoot() string {
	if here.root {
		return "/run/locald/root"
	}
	return "/run/locald/u" + strconv.Itoa(os.Getuid())
}

// returned waits for the end of the shim, whose pipes may be a container's by now, and is its exit status.
func (r *running) returned() int {
	r.t.Helper()
	if !r.waited {
		r.waited = true
		r.cmd.Wait()
		r.timer.Stop()
	}
	return r.cmd.ProcessState.ExitCode()
}

// closed waits until nobody has the pipes any more.
func (r *running) closed() *result {
	r.t.Helper()
	r.stdin.Close()
	done := make(chan struct{})
	go func() { r.copies.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit()):
		r.t.Fatal("somebody still holds the pipes of the container open")
	}
	r.result.code, r.result.stdout, r.result.stderr = r.cmd.ProcessState.ExitCode(), r.output.String(), r.errors.String()
	return &r.result
}

// state is the container's state.
func (b *bundle) state(t *testing.T) ociState {
	t.Helper()
	res := shim(t, "state", b.id).ok(t)
	var s ociState
	if err := json.Unmarshal([]byte(res.stdout), &s); err != nil {
		t.Fatalf("%v: %s", err, res.stdout)
	}
	return s
}

// wantStatus fails the test unless the container has the status.
func (b *bundle) wantStatus(t *testing.T, want string) ociState {
	t.Helper()
	s := b.state(t)
	if s.Status != want {
		t.Errorf("the container is %s, want %s", s.Status, want)
	}
	return s
}

// awaitStopped waits for the end of the container's first process.
func (b *bundle) awaitStopped(t *testing.T) {
	t.Helper()
	s := b.state(t)
	if s.Status != "stopped" && !awaitEnd(s.Pid, limit()) {
		t.Fatalf("process %d does not end", s.Pid)
	}
	b.wantStatus(t, "stopped")
}

// fails calls the shim and wants it to fail with these words.
func fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	if res := shim(t, args...); res.code != code || !strings.Contains(res.stderr, want) {
		t.Errorf("%s: not refused with %d and %q: %s", strings.Join(args, " "), code, want, res)
	}
}
