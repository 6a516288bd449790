package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal runs locald as a shell would: in the foreground of a terminal of this test's, of this size.
func (c *caller) onTerminal(t *testing.T, size unix.Winsize, args ...string) *onPty {
	t.Helper()
	p := newPty(t, size)
	p.running = launch(t, nil, func(cmd *exec.Cmd) {
		call := c.command(args...)
		cmd.Path, cmd.Args, cmd.Dir, cmd.Env = filepath.Join(binDir, "locald"), call.Args, call.Dir, append(call.Env, "TERM=vt220")
		onTerminal(p.own)(cmd)
		cmd.Stdout = p.own
	})
	go p.read()
	return p
}

func (p *onPty) restored(t *testing.T) {
	t.Helper()
	after, err := unix.IoctlGetTermios(int(p.own.Fd()), unix.TCGETS)
	must(t, err)
	if !reflect.DeepEqual(after, p.settings) {
		t.Errorf("the terminal is left as %+v, was %+v", after, p.settings)
	}
}

// TestLocaldTerminal: run -it has the size of the caller's terminal from the first instruction on, every key, a change
// of the size, and leaves the terminal as it was.
func TestLocaldTerminal(t *testing.T) {
	p := newCaller(t).onTerminal(t, unix.Winsize{Row: 19, Col: 91},
		"run", "-it", "--network", "none", "dir:rootfs", "/probe", "size", "look", "session", "line", "trap 1", "trap 1", "size", "exit 7")
	if got := p.value("size"); got != "19 91" {
		t.Errorf("the size is %q, want 19 91", got)
	}
	if look := p.answer("look").Look; !strings.Contains(strings.Join(look.Env, "\n"), "TERM=vt220") {
		t.Errorf("TERM is not in %q", look.Env)
	}
	if got := p.value("session"); got != "1 1" {
		t.Errorf("the process's session and the terminal's are %q, want 1 1", got)
	}
	fmt.Fprint(p.master, "typpo\x7f\x7fed\r")
	if got := p.value("line"); got != "typed\n" {
		t.Errorf("the container read %q", got)
	}
	p.answer("ready")
	fmt.Fprint(p.master, "\x03")
	p.answer("signal SIGINT")
	p.answer("ready")
	must(t, unix.IoctlSetWinsize(int(p.own.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 6}))
	p.answer("signal SIGWINCH")
	if got := p.value("size"); got != "5 6" {
		t.Errorf("the size is %q, want 5 6", got)
	}
	if r := p.wait(); r.code != 7 {
		t.Error(r)
	}
	p.restored(t)
}

// TestLocaldTerminalShimKilled: a shim that is killed takes the container along, and cannot leave the terminal raw.
func TestLocaldTerminalShimKilled(t *testing.T) {
	c := newCaller(t)
	p := c.onTerminal(t, unix.Winsize{Row: 19, Col: 91}, "run", "-it", "--network", "none", "dir:rootfs", "/probe", "trap 1000")
	p.answer("ready")
	shims := children(p.cmd.Process.Pid)
	if len(shims) != 1 {
		t.Fatalf("locald has the children %v, not one shim", shims)
	}
	must(t, unix.Kill(shims[0], unix.SIGKILL))
	if r := p.wait(); r.code != 137 || !strings.Contains(r.stderr, "ended by signal 9 while the program ran") {
		t.Error(r)
	}
	p.restored(t)
	settle(t)
	c.probe(t, []string{"--network", "none"}, "exit 0").ok(t) // and takes away what the dead shim could not
}

// TestLocaldTerminalExec: exec -it has the size of the caller's terminal from the first instruction on as well.
func TestLocaldTerminalExec(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	name := c.detach(t, []string{"-t"}, "trap 1000")
	p := c.onTerminal(t, unix.Winsize{Row: 19, Col: 91}, "exec", "-it", name, "/probe", "size", "exit 7")
	if got := p.value("size"); got != "19 91" {
		t.Errorf("the size is %q, want 19 91", got)
	}
	if r := p.wait(); r.code != 7 {
		t.Error(r)
	}
	p.restored(t)
}

// TestLocaldTerminalWithout: -t without a terminal says so and goes on.
func TestLocaldTerminalWithout(t *testing.T) {
	r := newCaller(t).locald(t, "run", "-t", "--network", "none", "dir:rootfs", "/probe", "session")
	if r.code != 0 || !strings.Contains(r.stdout, "1 1") || !strings.Contains(r.stderr, "note: -t: standard input is no terminal") {
		t.Error(r)
	}
}
