package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/image"
)

// newOwner is a caller with a store of its own, whose containers go at the end of the test.
func newOwner(t *testing.T) *caller {
	t.Helper()
	c := newCaller(t)
	home := filepath.Join(filepath.Dir(c.dir), "home")
	c.env = append(c.env, "LOCALD_HOME="+home)
	t.Cleanup(func() {
		ids := strings.Fields(c.locald(t, "ps", "-aq").stdout)
		if len(ids) > 0 {
			if r := c.locald(t, append([]string{"rm", "-f"}, ids...)...); r.code != 0 {
				t.Error(r)
			}
		}
		settle(t) // a monitor lets go of its container a moment before its end
		if left, _ := filepath.Glob(filepath.Join(home, "containers", "[0-9a-f]*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	return c
}

// detach starts the probe on its own and returns the id.
func (c *caller) detach(t *testing.T, flags []string, actions ...string) string {
	t.Helper()
	r := c.probe(t, append([]string{"-d", "--network", "none"}, flags...), actions...)
	id := strings.TrimSuffix(r.stdout, "\n")
	if r.code != 0 || len(id) != 12 {
		t.Fatal(r)
	}
	return id
}

type inspected struct {
	ID, Name string
	State    struct {
		Status   string
		PID      int
		Monitor  int
		ExitCode *int
		Restarts int
	}
}

func (c *caller) inspect(t *testing.T, word string) inspected {
	t.Helper()
	var list []inspected
	r := c.locald(t, "inspect", word).ok(t)
	must(t, json.Unmarshal([]byte(r.stdout), &list))
	return list[0]
}

// says wants what a verb prints and a good end.
func (c *caller) says(t *testing.T, want string, args ...string) {
	t.Helper()
	if r := c.locald(t, args...); r.code != 0 || r.stdout != want {
		t.Errorf("%v: want %q: %s", args, want, r)
	}
}

// until repeats an observation until it holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit()); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestDetached is the life of one container: what it writes, its exit code, its names.
func TestDetached(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"--name", "web", "-l", "a=b", "--cidfile", "cid"}, "look", "fail", "exit 7")
	if got := textOf(t, filepath.Join(c.dir, "cid")); got != id {
		t.Errorf("the file holds %q, not %s", got, id)
	}
	c.says(t, "7\n", "wait", "web")
	if r := c.locald(t, "logs", id[:4]).ok(t); !strings.Contains(r.stdout, `{"did":"look"`) {
		t.Error(r)
	}
	if r := c.locald(t, "ps"); strings.Contains(r.stdout, id) {
		t.Error(r)
	}
	if r := c.locald(t, "ps", "-a"); !strings.Contains(r.stdout, id+"  web   dir:rootfs  ") || !strings.Contains(r.stdout, "exited (7)") {
		t.Error(r)
	}
	c.says(t, "web 7 "+id+"\n", "ps", "-a", "--format", "{{.Name}} 7 {{.ID}}")
	var rows []struct {
		Schema int
		ID     string
		Labels map[string]string
	}
	must(t, json.Unmarshal([]byte(c.locald(t, "ps", "-a", "--format", "json").stdout), &rows))
	if len(rows) != 1 || rows[0].Schema != 1 || rows[0].ID != id || rows[0].Labels["a"] != "b" {
		t.Errorf("%+v", rows)
	}
	c.locald(t, "run", "-d", "--name", "web", "--network", "none", "dir:rootfs", "/probe").failed(t, 125, "the name web is in use by another container. [LD120]")
	c.locald(t, "logs", "nobody").failed(t, 1, "there is no container nobody. [LD121]")
	c.locald(t, "run", "-d", "--network", "none", "dir:rootfs", "/missing").failed(t, 127, "[LD402]")
	c.says(t, "web\n", "rm", "web")
	c.says(t, "", "ps", "-aq")
}

// TestDetachedStop: stop asks, and then does not; kill and rm -f do not ask; exec runs beside.
func TestDetachedStop(t *testing.T) {
	c := newOwner(t)
	heeds := c.detach(t, nil, "trap 1", "exit 3")
	until(t, "the probe is ready", func() bool { return strings.Contains(c.locald(t, "logs", heeds).stdout, "ready") })
	if r := c.locald(t, "exec", "-e", "A=1", "-w", "/proc", heeds, "/probe", "look", "exit 4"); r.code != 4 || !strings.Contains(r.stdout, `"A=1"`) || !strings.Contains(r.stdout, `"/proc"`) {
		t.Error(r)
	}
	if r := c.locald(t, "exec", heeds, "/missing"); r.code != 127 {
		t.Error(r)
	}
	c.says(t, heeds+"\n", "stop", heeds)
	c.says(t, "3\n", "wait", heeds)
	deaf := c.detach(t, []string{"--stop-timeout", "0"}, "trap 1000")
	until(t, "the probe is ready", func() bool { return strings.Contains(c.locald(t, "logs", deaf).stdout, "ready") })
	c.locald(t, "rm", deaf).failed(t, 1, "runs. [LD122]")
	c.says(t, deaf+"\n", "stop", deaf)
	c.says(t, "137\n", "wait", deaf)
	c.says(t, deaf+"\n", "start", deaf)
	if s := c.inspect(t, deaf).State; s.Status != "running" || s.PID == 0 {
		t.Errorf("%+v", s)
	}
	c.says(t, deaf+"\n", "kill", deaf)
	c.says(t, "137\n", "wait", deaf)
	gone := c.detach(t, []string{"--rm"}, "forever")
	c.says(t, gone+"\n", "kill", gone)
	until(t, "the container is removed", func() bool { return !strings.Contains(c.locald(t, "ps", "-aq").stdout, gone) })
}

// TestDetachedRestart: a policy starts the program again, and no more often than it says.
func TestDetachedRestart(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"--restart", "on-failure:2"}, "exit 5")
	c.says(t, "5\n", "wait", id)
	if s := c.inspect(t, id).State; s.Restarts != 2 {
		t.Errorf("%+v", s)
	}
	always := c.detach(t, []string{"--restart", "always"}, "exit 0")
	until(t, "it was restarted", func() bool { return c.inspect(t, always).State.Restarts > 0 })
	c.says(t, always+"\n", "stop", always)
	if s := c.inspect(t, always).State; s.Status != "exited" {
		t.Errorf("%+v", s)
	}
}

// TestDetachedNames: of two containers that want one name at once, one gets it.
func TestDetachedNames(t *testing.T) {
	c := newOwner(t)
	codes := make(chan int, 4)
	for range cap(codes) {
		go func() {
			cmd := c.command("run", "-d", "--name", "one", "--network", "none", "dir:rootfs", "/probe", "forever")
			cmd.Run()
			codes <- cmd.ProcessState.ExitCode()
		}()
	}
	won := 0
	for range cap(codes) {
		switch code := <-codes; code {
		case 0:
			won++
		case 125:
		default:
			t.Errorf("exit code %d", code)
		}
	}
	if n := len(strings.Fields(c.locald(t, "ps", "-aq").stdout)); won != 1 || n != 1 {
		t.Errorf("%d got the name, and %d containers are there", won, n)
	}
}

// TestDetachedMonitorKilled: a container outlives its monitor, and the next command finds another one. An exit code that
// no monitor saw is the kernel's word, or unknown.
func TestDetachedMonitorKilled(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, nil, "trap 1", "look", "exit 9")
	until(t, "the probe is ready", func() bool { return strings.Contains(c.locald(t, "logs", id).stdout, "ready") })
	before := c.inspect(t, id)
	killMonitor(t, before.State.Monitor)
	after := c.inspect(t, id)
	if after.State.PID != before.State.PID || after.State.Monitor == before.State.Monitor || after.State.Status != "running" {
		t.Errorf("%+v, then %+v", before, after)
	}
	c.says(t, id+"\n", "kill", "-s", "TERM", id)
	c.locald(t, "wait", id)
	if s := c.inspect(t, id).State; s.Status != "exited" || s.ExitCode != nil && *s.ExitCode != 9 {
		t.Errorf("%+v", s)
	}
	if r := c.locald(t, "logs", id); !strings.Contains(r.stdout, "look") {
		t.Errorf("what it wrote after the first monitor is lost: %s", r)
	}

	// Both die: nobody can know.
	id = c.detach(t, nil, "forever")
	s := c.inspect(t, id).State
	killMonitor(t, s.Monitor)
	must(t, unix.Kill(s.PID, unix.SIGKILL))
	until(t, "its end is noticed", func() bool { return c.inspect(t, id).State.Status == "exited" })
	if s := c.inspect(t, id).State; s.ExitCode != nil && *s.ExitCode != 137 {
		t.Errorf("an exit code that nobody knows: %+v", s)
	}
}

// killMonitor kills it and waits until it has gone.
func killMonitor(t *testing.T, pid int) {
	t.Helper()
	if text := textOf(t, "/proc/"+strconv.Itoa(pid)+"/cmdline"); !strings.HasPrefix(text, "locald-monitor\x00") {
		t.Fatalf("%d is %q", pid, text)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); err != nil {
		t.Fatal(err)
	}
}

// TestDetachedLog: logs -f goes on until the end, and follows the log into the next file.
func TestDetachedLog(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, nil, "trap 1", "look", "exit 0")
	cmd := c.command("logs", "-f", id)
	out, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer out.Close()
	cmd.Stdout = out
	must(t, cmd.Start())
	until(t, "the probe is ready", func() bool { return strings.Contains(textOf(t, out.Name()), "ready") })
	c.says(t, id+"\n", "kill", "-s", "USR1", id)
	must(t, cmd.Wait())
	all := textOf(t, out.Name())
	if !strings.Contains(all, `{"did":"look"`) {
		t.Errorf("%q", all)
	}
	c.says(t, all, "logs", id)
	lines := strings.SplitAfter(strings.TrimSuffix(all, "\n"), "\n")
	c.says(t, lines[len(lines)-1]+"\n", "logs", "--tail", "1", id)
	if r := c.locald(t, "logs", "-t", "--since", "1h", id); !strings.HasPrefix(r.stdout, time.Now().UTC().Format("2006-")) {
		t.Error(r)
	}
}

// TestDetachedTerminal: a container with a terminal is logged, and ends with its monitor.
func TestDetachedTerminal(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"-t"}, "session", "trap 1", "exit 0")
	until(t, "the probe is ready", func() bool { return strings.Contains(c.locald(t, "logs", id).stdout, "ready") })
	if r := c.locald(t, "logs", id); !strings.Contains(r.stdout, `"1 1"`) {
		t.Error(r)
	}
	killMonitor(t, c.inspect(t, id).State.Monitor)
	until(t, "its end is noticed", func() bool { return c.inspect(t, id).State.Status == "exited" })
}

// TestDetachedImage: what a container wrote on top of an image is there when it is started again, and its layers stay
// as long as it runs.
func TestDetachedImage(t *testing.T) {
	c, store := newImages(t)
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", image.Process{Entrypoint: []string{"/probe"}}, testLayers(t)...)
	c.locald(t, "load", "-i", "image.tar").ok(t)
	args := []string{"-q", "run", "-d", "--name", "box", "--network", "none", "probe:1", "create /new x", "trap 1", "exit 0"}
	var fs unix.Statfs_t
	must(t, unix.Statfs(store, &fs))
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		c.locald(t, args...).failed(t, 125, "cannot take what a container writes. [LD123]")
		return
	}
	if r := c.locald(t, args...); r.code != 0 {
		t.Fatal(r)
	}
	ready := func(n int) func() bool {
		return func() bool { return strings.Count(c.locald(t, "logs", "box").stdout, `"ready"`) == n }
	}
	until(t, "the probe is ready", ready(1))
	killMonitor(t, c.inspect(t, "box").State.Monitor)
	c.says(t, "docker.io/library/probe:1\n", "rmi", "probe:1")
	if r := c.locald(t, "exec", "box", "/probe", "read /new", "read /changed", "create /other y"); r.code != 0 || r.value(t, "read /new") != "x" || r.value(t, "read /changed") != "above" {
		t.Error(r)
	}
	c.says(t, "box\n", "stop", "box")
	c.says(t, "box\n", "start", "box")
	until(t, "the probe is ready again", ready(2))
	if r := c.locald(t, "exec", "box", "/probe", "read /other"); r.code != 0 || r.value(t, "read /other") != "y" {
		t.Error(r)
	}
	c.says(t, "box\n", "rm", "-f", "box")
	if left, _ := filepath.Glob(filepath.Join(store, "containers", "[0-9a-f]*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDetachedBoot: a container of an earlier boot has ended, with an exit code that nobody knows, and is not started
// by a look at it.
func TestDetachedBoot(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"--restart", "always"}, "forever")
	s := c.inspect(t, id).State
	killMonitor(t, s.Monitor)
	file := filepath.Join(filepath.Dir(c.dir), "home", "containers", id, "state.json")
	boot := strings.TrimSpace(textOf(t, "/proc/sys/kernel/random/boot_id"))
	must(t, os.WriteFile(file, []byte(strings.Replace(textOf(t, file), boot, "another", 1)), 0o600))
	if s := c.inspect(t, id).State; s.Status != "exited" || s.ExitCode != nil || s.PID != 0 {
		t.Errorf("%+v", s)
	}
	if r := c.locald(t, "ps", "-a"); !strings.Contains(r.stdout, "exited (unknown)") {
		t.Error(r)
	}
	c.locald(t, "wait", id).failed(t, 1, "is unknown. [LD122]")
}
