package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// shows waits until a container's log has a text.
func (c *caller) shows(t *testing.T, word, text string) {
	t.Helper()
	until(t, "the log has "+text, func() bool { return strings.Contains(c.locald(t, "logs", word).stdout, text) })
}

// background is a locald whose input and output are this test's.
func (c *caller) background(t *testing.T, args ...string) *running {
	t.Helper()
	return launch(t, nil, func(cmd *exec.Cmd) {
		call := c.command(args...)
		cmd.Path, cmd.Args, cmd.Dir, cmd.Env = filepath.Join(binDir, "locald"), call.Args, call.Dir, call.Env
	})
}

// TestAttachTerminal: who attaches to a terminal sees it in the own terminal's size, types on it, leaves by keys with
// the own terminal as it was, and comes back.
func TestAttachTerminal(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"-it"}, "trap 1", "line", "size", "line", "line", "line", "exit 7")
	c.shows(t, id, `"ready"`)
	p := c.onTerminal(t, unix.Winsize{Row: 19, Col: 91}, "attach", id)
	// The change of the size is the signal that the probe waits for.
	p.answer("signal SIGWINCH")
	fmt.Fprint(p.master, "\r") // goes the way of the size, behind it
	if got := p.value("size"); got != "19 91" {
		t.Errorf("the size is %q, want 19 91", got)
	}
	other := c.onTerminal(t, unix.Winsize{Row: 19, Col: 91}, "attach", id)
	fmt.Fprint(other.master, "zero\r")
	other.answer("line")
	p.answer("line")
	fmt.Fprint(p.master, "one\x10x\r") // a key that only begins like those that leave
	for _, who := range []*onPty{p, other} {
		if got := who.value("line"); got != "one\x10x\n" {
			t.Errorf("the container read %q", got)
		}
	}
	fmt.Fprint(p.master, "\x10\x11")
	if r := p.wait(); r.code != 0 {
		t.Error(r)
	}
	p.restored(t)
	if s := c.inspect(t, id).State; s.Status != "running" {
		t.Errorf("%+v", s)
	}
	fmt.Fprint(other.master, "two\r")
	if got := other.value("line"); got != "two\n" {
		t.Errorf("the container read %q", got)
	}
	if r := other.wait(); r.code != 7 {
		t.Error(r)
	}
	other.restored(t)
	c.locald(t, "attach", id).failed(t, 1, "does not run. [LD122]")
}

// TestStartAttached: start -a misses nothing, tells standard output from standard error, has the exit code; with -i the
// end of the input is the container's.
func TestStartAttached(t *testing.T) {
	c := newOwner(t)
	id := strings.TrimSpace(c.locald(t, "create", "-i", "--network", "none", "dir:rootfs", "/probe", "input", "say some words", "exit 3").ok(t).stdout)
	for range 2 { // a container is started again with a new input
		b := c.background(t, "start", "-ai", id)
		fmt.Fprint(b.stdin, "some\ninput")
		b.stdin.Close()
		r := b.wait()
		if got := r.value(t, "input"); r.code != 3 || got != "some\ninput" || !strings.Contains(r.stderr, "some words") || strings.Contains(r.stdout, "words\n") {
			t.Errorf("read %q: %s", got, r)
		}
	}
	c.locald(t, "start", "-a", id, id).failed(t, 2, "one container at a time. [LD020]")
}

// TestAttachInput: the input of a container that runs with -i has no end, whoever comes and goes.
func TestAttachInput(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, []string{"-i"}, "line", "line", "exit 4")
	for n, line := range []string{"one\n", "two\n"} {
		b := c.background(t, "attach", id)
		fmt.Fprint(b.stdin, line)
		b.stdin.Close()
		c.shows(t, id, `"value":"`+strings.TrimSpace(line))
		if n == 0 {
			killMonitor(t, c.inspect(t, id).State.Monitor) // and the next one takes them over
			continue
		}
		// Of a program that was adopted nobody but the kernel knows the exit code.
		if r := b.wait(); r.code != 4 && (r.code != 125 || !strings.Contains(r.stderr, "its exit code is unknown. [LD122]")) {
			t.Error(r)
		}
	}
}

// TestAttachSignals: signals reach the container, or end the attachment.
func TestAttachSignals(t *testing.T) {
	c := newOwner(t)
	id := c.detach(t, nil, "trap 1000")
	c.shows(t, id, `"ready"`)
	for _, proxy := range []string{"--sig-proxy=false", "--sig-proxy"} {
		b := c.background(t, "attach", proxy, id)
		until(t, "it is attached", func() bool {
			c.says(t, id+"\n", "kill", "-s", "USR1", id)
			return len(b.lines) > 0
		})
		must(t, unix.Kill(b.cmd.Process.Pid, unix.SIGTERM))
		if proxy == "--sig-proxy" {
			b.answer("signal SIGTERM")
			c.says(t, id+"\n", "kill", id)
			if r := b.wait(); r.code != 137 {
				t.Error(r)
			}
			continue
		}
		if r := b.wait(); r.code != 128+15 {
			t.Error(r)
		}
		if s := c.inspect(t, id).State; s.Status != "running" {
			t.Errorf("%+v", s)
		}
	}
}
