package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestBackgroundProcesses: whatever the first process leaves behind is gone when the shim is, with a pid
// namespace and, through the cgroup, without.
func TestBackgroundProcesses(t *testing.T) {
	for _, how := range []string{"child", "session", "orphan", "quiet"} {
		for _, shape := range []string{"pid namespace", "cgroup"} {
			t.Run(how+" in a "+shape, func(t *testing.T) {
				b := newBundle(t).do("spawn "+how, "spawn "+how, "exit 3")
				if shape == "cgroup" {
					// The probe finds itself in /proc, so there is one: the host's.
					dropNamespace(b.spec, specs.PIDNamespace)
					dropMount(b.spec, "/proc")
					addMount(b.spec, "/host-proc", "bind", "/proc", "rbind")
					must(t, os.Symlink("/host-proc", b.rootfs+"/proc"))
				}
				r := b.run(t)
				if r.code != 3 || r.answer(t, "spawn "+how).Errno != "" {
					t.Error(r)
				}
			})
		}
	}
}

// TestSubCgroups: a container that makes cgroups of its own, and leaves processes in them, is removed with them.
func TestSubCgroups(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/cg", "cgroup2", "cgroup2")
	r := b.do("mkdir /cg/a", "mkdir /cg/a/b", "mkdir /cg/a/b/c", "mkdir /cg/empty", "spawn session", "write /cg/a/b/c/cgroup.procs 1", "spawn orphan", "read /proc/self/cgroup", "exit 0").run(t).ok(t)
	for _, action := range []string{"mkdir /cg/a/b/c", "write /cg/a/b/c/cgroup.procs 1", "spawn orphan"} {
		r.wantErrno(t, action, "")
	}
	if got := r.value(t, "read /proc/self/cgroup"); !strings.Contains(got, "0::/a/b/c\n") {
		t.Errorf("the probe is in %q", got)
	}
}

// TestReaderGone: when nobody can read the status any more, the caller is dead, and the container ends.
func TestReaderGone(t *testing.T) {
	run := newBundle(t).do("spawn session", "look", "forever").start(t, nil)
	run.answer("look")
	run.await("running")
	must(t, run.status.Close())
	if r := run.wait(); r.code != 137 {
		t.Error(r)
	}
}

// TestCallerKilled: a caller that is killed takes the container with it.
func TestCallerKilled(t *testing.T) {
	b := newBundle(t).do("spawn session", "look", "forever")
	// The caller is a probe that starts the shim; it alone holds the other end of the status pipe.
	run := b.start(t, func(c *exec.Cmd) {
		c.Args = []string{"probe", "call " + c.Path + " " + strings.Join(c.Args[1:], " ")}
		c.Path = probeExe
	})
	run.answer("look")
	run.send(unix.SIGKILL)
	if r := run.wait(); r.signal != unix.SIGKILL {
		t.Error(r)
	}
	settle(t)
	if r := b.do("exit 8").run(t); r.code != 8 {
		t.Errorf("the call after: %s", r)
	}
}

// TestKillAtPhases stops the shim in the write of each status line, by a pipe that has room for the lines
// before it, and kills it there. The container is dead then, its program has not run if it was held at its
// gate, and the next call with the same id works and leaves nothing.
func TestKillAtPhases(t *testing.T) {
	phases := []string{"opened", "validated", "compiled", "cloned", "limited", "running"}
	for i, phase := range phases {
		t.Run(phase, func(t *testing.T) {
			b := newBundle(t)
			out := t.TempDir()
			addMount(b.spec, "/out", "bind", out)
			b.do("create /out/ran", "spawn session", "forever")
			b.write(t)
			kill := stall(t, b, phases[:i], i >= 3)
			kill()
			settle(t)
			if _, err := os.Stat(out + "/ran"); err == nil && (i < 3 || i == 3 && !here.root) {
				t.Error("the program ran before it was let go")
			}
			if r := b.do("exit 8").run(t); r.code != 8 {
				t.Errorf("the call after: %s", r)
			}
		})
	}
}

// stall starts the shim and waits until it has written the lines of some phases and sleeps, with its
// child when there must be one by then.
func stall(t *testing.T, b *bundle, before []string, child bool) (kill func()) {
	t.Helper()
	room := 0
	for _, phase := range before {
		room += len(`{"phase":"` + phase + "\"}\n")
		if phase == "cloned" {
			room += len(`,"pid":1`)
		}
	}
	r, w, err := os.Pipe()
	must(t, err)
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	must(t, err)
	const slack = 12 // for more digits of the pid; the shortest line is longer
	filled := size - room - slack
	_, err = w.Write(make([]byte, filled))
	must(t, err)
	cmd := exec.Command(shimPath, "bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3")
	cmd.ExtraFiles = []*os.File{w}
	must(t, cmd.Start())
	w.Close()
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
		r.Close()
	}
	deadline := time.Now().Add(limit())
	for {
		written, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
		must(t, err)
		if written >= filled+room && stateOf(cmd.Process.Pid) == "S" && (!child || hasChild(cmd.Process.Pid)) {
			return kill
		}
		if time.Now().After(deadline) {
			kill()
			t.Fatalf("the shim has written %d of %d bytes and is in state %s", written, filled+room, stateOf(cmd.Process.Pid))
		}
	}
}

// stateOf is the letter in /proc/PID/stat for the first thread: "S" is sleeping.
func stateOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest[:min(1, len(rest))]
}

func hasChild(pid int) bool {
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		if n, err := strconv.Atoi(d.Name()); err == nil && parentOf(n) == pid {
			return true
		}
	}
	return false
}

// TestKillAtRandom kills the shim wherever it is.
func TestKillAtRandom(t *testing.T) {
	rounds, most := 40, 40*time.Millisecond
	if here.guest {
		rounds, most = 8, 900*time.Millisecond
	}
	b := newBundle(t).do("spawn session", "spawn quiet", "forever")
	for range rounds {
		run := b.start(t, nil)
		after := time.Duration(rand.Int64N(int64(most)))
		time.Sleep(after) // the moment is the test's input, and nothing depends on what happens until then
		run.send(unix.SIGKILL)
		if r := run.wait(); r.signal != unix.SIGKILL {
			t.Errorf("after %v: %s", after, r)
		}
		settle(t)
	}
	if r := b.do("exit 8").run(t); r.code != 8 {
		t.Errorf("the call after: %s", r)
	}
}

// TestOthersCleanUp: what one killed shim left, another container's shim finds as well.
func TestOthersCleanUp(t *testing.T) {
	b := newBundle(t).do("look", "forever")
	run := b.start(t, nil)
	run.answer("look")
	run.send(unix.SIGKILL)
	run.wait()
	settle(t)
	newBundle(t).do("exit 0").run(t).ok(t)
}

// TestStopAndContinue: a shim that is stopped stops nothing, and goes on as it should.
func TestStopAndContinue(t *testing.T) {
	run := newBundle(t).do("look", "line", "exit 5").start(t, nil)
	run.answer("look")
	run.send(unix.SIGSTOP)
	run.say("")
	run.answer("line")
	run.send(unix.SIGCONT)
	if r := run.wait(); r.code != 5 {
		t.Error(r)
	}
}

// TestKillContainer: the first process is killed from outside, and the others are gone with it.
func TestKillContainer(t *testing.T) {
	run := newBundle(t).do("spawn session", "spawn orphan", "look", "forever").start(t, nil)
	run.answer("look")
	must(t, unix.Kill(run.await("cloned").Pid, unix.SIGKILL))
	if r := run.wait(); r.code != 137 {
		t.Error(r)
	}
}
