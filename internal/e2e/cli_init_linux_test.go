package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInit: with --init the program is not the container's first process, which ends as the program does and says why
// one does not run. Nothing of it is made in the root file system.
func TestInit(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	look := c.probe(t, []string{"--init"}, "look", "exit 0").ok(t).look(t)
	if look.Pid == 1 || look.Ppid != 1 || look.Status["NoNewPrivs"] != "1" {
		t.Errorf("pid %d, parent %d, %v", look.Pid, look.Ppid, look.Status)
	}
	if _, err := os.Lstat(filepath.Join(c.dir, "rootfs/dev", "locald-init")); err == nil {
		t.Error("the init is left in the root file system")
	}
	c.put(t, "rootfs/bin/plain", "no program", 0o644)
	c.put(t, "rootfs/bin/garbage", "\x01\x02\x03\x04", 0o755)
	for _, bad := range []struct {
		code int
		text string
		args []string
	}{
		{7, "", []string{"/probe", "exit 7"}},
		{137, "", []string{"/probe", "raise KILL"}},
		{127, `locald: "bsh" was not found in the container's PATH (/bin:/sbin). [LD402]`, []string{"bsh"}},
		{127, `locald: "/missing" was not found in the container. [LD402]`, []string{"/missing"}},
		{126, `locald: "plain" cannot be executed: permission denied. [LD401]`, []string{"plain"}},
		{126, `locald: "garbage" cannot be executed: exec format error. [LD401]`, []string{"garbage"}},
	} {
		r := c.locald(t, append([]string{"-q", "run", "--init", "--network", "none", "-e", "PATH=/bin:/sbin", "dir:rootfs"}, bad.args...)...)
		if r.code != bad.code || strings.TrimSuffix(r.stderr, "\n") != bad.text {
			t.Errorf("%v: want %d and %q: %s", bad.args, bad.code, bad.text, r)
		}
	}
	c.locald(t, "run", "--init", "--no-init", "dir:rootfs", "/probe").failed(t, 125, "contradict each other. [LD020]")
	c.put(t, "other/file", "", 0o644)
	c.locald(t, "run", "--init", "-v", "./other:/dev/locald-init", "dir:rootfs", "/probe").failed(t, 125, "with --init the container needs a /dev of its own")
}

// TestInitReaps: what a program leaves behind becomes the child of the first process, which waits for it, and signals to
// that reach the program.
func TestInitReaps(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	id := c.detach(t, []string{"--init"}, "trap 1", "exit 5")
	until(t, "the probe is ready", func() bool { return strings.Contains(c.locald(t, "logs", id).stdout, "ready") })
	first := c.inspect(t, id).State.PID
	c.locald(t, "exec", id, "/probe", "spawn quiet").ok(t)
	orphan := 0
	until(t, "the orphan is the first process's child", func() bool {
		for _, pid := range childrenOf(t, first) {
			if text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); strings.Contains(string(text), "sign\x00forever") {
				orphan = pid
			}
		}
		return orphan != 0
	})
	must(t, unix.Kill(orphan, unix.SIGKILL))
	until(t, "somebody has waited for the orphan", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(orphan))
		return err != nil
	})
	if r := c.locald(t, "ps", "--format", "{{.Command}}"); strings.Contains(r.stdout, "init") {
		t.Errorf("the command is %s", r)
	}
	c.says(t, id+"\n", "kill", "-s", "USR2", id)
	c.says(t, "5\n", "wait", id)
	if r := c.locald(t, "logs", id); !strings.Contains(r.stdout, "signal SIGUSR2") {
		t.Error(r)
	}
}

func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, dir := range dirs {
		if one, _ := strconv.Atoi(filepath.Base(dir)); parentOf(one) == pid {
			pids = append(pids, one)
		}
	}
	return pids
}

// TestInitDefaultAction: the kernel gives a first process no signal that it does not handle; its child it does.
func TestInitDefaultAction(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	r := launch(t, nil, func(cmd *exec.Cmd) {
		call := c.command("-q", "run", "--init", "--network", "none", "dir:rootfs", "/probe", "look", "line")
		cmd.Path, cmd.Args, cmd.Dir, cmd.Env = call.Path, call.Args, call.Dir, call.Env
	})
	r.answer("look")
	must(t, r.cmd.Process.Signal(unix.SIGTERM))
	for range r.lines { // until nobody has the standard output any more; wait closes the standard input
	}
	if r := r.wait(); r.code != 143 {
		t.Error(r)
	}
}

// TestInitTerminal: the terminal belongs to the program and not to the first process.
func TestInitTerminal(t *testing.T) {
	seenOnHost(t)
	p := newCaller(t).onTerminal(t, unix.Winsize{Row: 19, Col: 91},
		"run", "-it", "--init", "--network", "none", "dir:rootfs", "/probe", "look", "session", "line", "trap 1", "trap 1", "exit 7")
	pid := p.answer("look").Look.Pid
	if got := p.value("session"); got != "1 1" {
		t.Errorf("the process's session and the terminal's are %q, want 1 1", got)
	}
	fmt.Fprint(p.master, "typed\r")
	if got := p.value("line"); got != "typed\n" {
		t.Errorf("process %d, in the foreground, read %q", pid, got)
	}
	p.answer("ready")
	fmt.Fprint(p.master, "\x03")
	p.answer("signal SIGINT")
	p.answer("ready")
	must(t, unix.IoctlSetWinsize(int(p.own.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 6}))
	p.answer("signal SIGWINCH")
	if r := p.wait(); r.code != 7 {
		t.Error(r)
	}
	p.restored(t)
}
