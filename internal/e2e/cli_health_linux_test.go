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

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/image"
)

// healthState is what inspect says of the checks of a container.
type healthState struct {
	Dir    string
	Helper struct{ Path, StateHome string }
	State  struct {
		PID    int
		Health *struct {
			Status  string
			Failing int
			Checks  []struct {
				Started  time.Time
				ExitCode int
				Output   string
			}
		}
	}
}

func (c *caller) health(t *testing.T, word string) healthState {
	t.Helper()
	var list []healthState
	must(t, json.Unmarshal([]byte(c.locald(t, "inspect", word).ok(t).stdout), &list))
	return list[0]
}

// becomes waits for a status and the exit code of the last check.
func (c *caller) becomes(t *testing.T, word, status string, code int) {
	t.Helper()
	until(t, word+" is "+status, func() bool {
		h := c.health(t, word).State.Health
		if h == nil {
			t.Fatalf("%s has no checks", word)
		}
		n := len(h.Checks)
		return h.Status == status && n > 0 && h.Checks[n-1].ExitCode == code
	})
}

// processes is how many the container has, as the kernel sees it: those in its pid namespace that have not ended.
func (h *healthState) processes(t *testing.T) (n int) {
	t.Helper()
	ns := pidNamespace(h.State.PID)
	if ns == "" {
		t.Fatal("the container has ended")
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, dir := range dirs {
		stat, _ := os.ReadFile(dir + "/stat")
		_, rest, _ := strings.Cut(string(stat), ") ")
		if pid, _ := strconv.Atoi(filepath.Base(dir)); pidNamespace(pid) == ns && !strings.HasPrefix(rest, "Z") {
			n++
		}
	}
	return n
}

func pidNamespace(pid int) string {
	link, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	return link
}

// checking is the pid of the check that is at it, 0 for none.
func (h *healthState) checking() int {
	text, _ := os.ReadFile(filepath.Join(h.Dir, "health.pid"))
	pid, _ := strconv.Atoi(string(text))
	if pidNamespace(pid) != pidNamespace(h.State.PID) {
		return 0
	}
	return pid
}

// newWard is an owner whose containers have a shell that takes its command for an action of the probe, and start, which
// starts one with a check.
func newWard(t *testing.T) (c *caller, start func(name, command string, flags ...string)) {
	t.Helper()
	c = newOwner(t)
	c.put(t, "rootfs/bin/sh", "#!/probe\n", 0o755)
	return c, func(name, command string, flags ...string) {
		t.Helper()
		c.detach(t, append([]string{"--name", name, "--health-cmd", command, "--health-interval", "20ms", "--health-retries", "2"}, flags...), "forever")
	}
}

// TestHealth: a check is run in the container, as its program is, by its monitor and by the one after that; its exit
// code is the health.
func TestHealth(t *testing.T) {
	seenOnHost(t)
	c, start := newWard(t)
	start("well", "look", "-t")
	c.becomes(t, "well", "healthy", 0)
	h := c.health(t, "well")
	if out := h.State.Health.Checks[0].Output; !strings.Contains(out, `"Hostname":"well"`) || !strings.Contains(out, `"NoNewPrivs":"1"`) {
		t.Errorf("the check does not run inside: %q", out)
	}
	c.says(t, "well healthy\n", "ps", "--filter", "health=healthy", "--format", "{{.Name}} {{.Health}}")
	c.says(t, "", "ps", "-q", "--filter", "health=unhealthy")
	if r := c.locald(t, "ps").ok(t); !strings.Contains(r.stdout, "  HEALTH  ") || !strings.Contains(r.stdout, "  healthy  ") {
		t.Error(r)
	}
	killMonitor(t, c.inspect(t, "well").State.Monitor)
	start("ill", "exit 3")
	c.becomes(t, "ill", "unhealthy", 3)
	before := time.Now()
	until(t, "the next monitor goes on with it", func() bool {
		checks := c.health(t, "well").State.Health.Checks
		return checks[len(checks)-1].Started.After(before)
	})
	c.becomes(t, "well", "healthy", 0)

	// One that cannot be run is a failure as well.
	must(t, os.Remove(filepath.Join(c.dir, "rootfs/bin/sh")))
	start("none", "look")
	c.becomes(t, "none", "unhealthy", 255)
	for _, name := range []string{"well", "ill", "none"} {
		c.says(t, name+"\n", "kill", name)
		c.locald(t, "wait", name) // of one that was adopted, the exit code may be unknown
	}
	c.says(t, "", "ps", "-q", "--filter", "health=healthy")
	c.locald(t, "run", "--health-cmd", "look", "--network", "none", "dir:rootfs", "/probe").failed(t, 125, "--health-cmd is for a container on its own. [LD020]")
	c.locald(t, "run", "-d", "--health-retries", "2", "--network", "none", "dir:rootfs", "/probe").failed(t, 125, "need a --health-cmd")
}

// TestHealthTimeout: a check that takes too long is killed, with what it has started, and one that is at it does not
// hold up the end of the container.
func TestHealthTimeout(t *testing.T) {
	seenOnHost(t)
	c, start := newWard(t)
	start("busy", "forever", "--health-timeout", "1h")
	h := c.health(t, "busy")
	until(t, "a check is at it", func() bool { return h.checking() != 0 })
	// A monitor that is killed leaves it to the next one, which ends it.
	old := h.checking()
	killMonitor(t, c.inspect(t, "busy").State.Monitor)
	until(t, "the next monitor has a check of its own", func() bool {
		h = c.health(t, "busy")
		now := h.checking()
		return now != 0 && now != old
	})
	until(t, "the program and a check are left", func() bool { return h.processes(t) == 2 })
	c.put(t, "rootfs/bin/sh", "#!/probe spawn child\n", 0o755)
	start("slow", "forever", "--health-timeout", "50ms", "--health-interval", "100ms")
	c.becomes(t, "slow", "unhealthy", -1)
	h = c.health(t, "slow")
	until(t, "nothing of two checks is left", func() bool { return h.processes(t) == 1 })
	for _, name := range []string{"busy", "slow"} {
		c.says(t, name+"\n", "kill", name)
		c.locald(t, "wait", name)
		if s := c.inspect(t, name).State; s.Status != "exited" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestHealthHelperKilled: a helper that is killed leaves a process that somebody has to wait for, or the container would
// have no end.
func TestHealthHelperKilled(t *testing.T) {
	seenOnHost(t)
	c, start := newWard(t)
	start("web", "forever", "--health-timeout", "1h")
	h := c.health(t, "web")
	until(t, "a check is at it", func() bool { return h.checking() != 0 })
	must(t, unix.Kill(parentOf(h.checking()), unix.SIGKILL))
	c.becomes(t, "web", "starting", -1)
	c.says(t, "web\n", "kill", "web")
	c.says(t, "137\n", "wait", "web")
}

// TestHealthPaused: a container that is paused is not checked, and a check that was at it does not count.
func TestHealthPaused(t *testing.T) {
	seenOnHost(t)
	c, start := newWard(t)
	start("web", "forever", "--health-timeout", "3s", "--health-retries", "1")
	h := c.health(t, "web")
	shim := func(verb string) *result {
		t.Helper()
		cmd := exec.Command(h.Helper.Path, verb, filepath.Base(h.Dir))
		if h.Helper.StateHome != "" {
			cmd.Env = []string{"XDG_RUNTIME_DIR=" + h.Helper.StateHome}
		}
		out, _ := cmd.CombinedOutput()
		return &result{code: cmd.ProcessState.ExitCode(), stderr: string(out)}
	}
	first := 0
	until(t, "a check that has time left is paused", func() bool {
		shim("pause").ok(t)
		info, err := os.Stat(filepath.Join(h.Dir, "health.pid"))
		if first = h.checking(); first != 0 && err == nil && time.Since(info.ModTime()) < time.Second {
			return true
		}
		shim("resume").ok(t)
		return false
	})
	before := len(c.health(t, "web").State.Health.Checks)
	// In a paused container of cgroup v1 nothing ends: it is resumed once the check was to be killed.
	until(t, "the check is killed", func() bool {
		status, _ := os.ReadFile("/proc/" + strconv.Itoa(first) + "/status")
		return len(status) == 0 || strings.Contains(string(status), "SigPnd:\t0000000000000100") || strings.Contains(string(status), "ShdPnd:\t0000000000000100")
	})
	shim("resume").ok(t)
	until(t, "the next check is at it", func() bool { now := h.checking(); return now != 0 && now != first })
	if checks := c.health(t, "web").State.Health.Checks; len(checks) != before {
		t.Errorf("%d, then %+v", before, checks)
	}
}

// TestHealthImage: the check of an image, and the flags that change it.
func TestHealthImage(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	t.Cleanup(func() { c.locald(t, "rmi", "--all").ok(t) })
	check := &image.Healthcheck{Test: []string{"CMD", "/probe", "exit 4"}, Interval: 20 * time.Millisecond, Retries: 1}
	writeImage(t, filepath.Join(c.dir, "image.tar"), "checked", image.Process{Cmd: []string{"/probe", "forever"}, Healthcheck: check}, testLayers(t)...)
	c.locald(t, "load", "-i", "image.tar").ok(t)
	for name, flags := range map[string][]string{"image": nil, "flags": {"--health-retries", "1000000"}, "off": {"--no-healthcheck"}} {
		c.locald(t, append(append([]string{"run", "-d", "--network", "none", "--name", name}, flags...), "checked")...).ok(t)
	}
	c.becomes(t, "image", "unhealthy", 4)
	c.becomes(t, "flags", "starting", 4)
	c.says(t, "off\n", "ps", "--filter", "health=none", "--format", "{{.Name}}")
	c.locald(t, "rm", "-f", "image", "flags", "off").ok(t)
}
