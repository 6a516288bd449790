package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestForeground: without a console socket the container's terminal is relayed to the shim's own: as large from the
// first instruction on, and with every key. In the end the shim's is as it was.
func TestForeground(t *testing.T) {
	b := newBundle(t, withTerminal)
	p := b.do("size", "look", "session", "line", "trap 1", "exit 7").foreground(t, unix.Winsize{Row: 19, Col: 91})
	if got := p.value("size"); got != "19 91" {
		t.Errorf("the size is %q, want 19 91", got)
	}
	for fd, link := range p.answer("look").Look.Fds {
		if link != ttyPath {
			t.Errorf("descriptor %s is %s", fd, link)
		}
	}
	if got := p.value("session"); got != "1 1" {
		t.Errorf("the process's session and the terminal's are %q, want 1 1", got)
	}
	fmt.Fprint(p.master, "typpo\x7f\x7fed\r") // Enter is \r, which the container's terminal makes \n
	if got := p.value("line"); got != "typed\n" {
		t.Errorf("the container read %q", got)
	}
	p.answer("ready")
	fmt.Fprint(p.master, "\x03")
	p.answer("signal SIGINT")
	if r := p.wait(); r.code != 7 {
		t.Error(r)
	}
	after, err := unix.IoctlGetTermios(int(p.own.Fd()), unix.TCGETS)
	must(t, err)
	if !reflect.DeepEqual(after, p.settings) {
		t.Errorf("the terminal is left as %+v, was %+v", after, p.settings)
	}
}

// TestForegroundSignals: what is sent to the shim reaches the container, and a new size of the terminal as a new size.
func TestForegroundSignals(t *testing.T) {
	p := newBundle(t, withTerminal).do("trap 2", "size").foreground(t, unix.Winsize{Row: 19, Col: 91})
	p.answer("ready")
	p.send(unix.SIGUSR1)
	p.answer("signal SIGUSR1")
	must(t, unix.IoctlSetWinsize(int(p.own.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 6})) // the kernel tells the shim
	p.answer("signal SIGWINCH")
	if got := p.value("size"); got != "5 6" {
		t.Errorf("the size is %q, want 5 6", got)
	}
	p.wait().ok(t)
}

// TestForegroundGone: the shim's terminal goes away, as with a connection that breaks.
func TestForegroundGone(t *testing.T) {
	p := newBundle(t, withTerminal).do("trap 1", "exit 9").foreground(t, unix.Winsize{Row: 19, Col: 91})
	p.answer("ready")
	must(t, p.master.Close())
	if r := p.wait(); r.code != 9 {
		t.Errorf("the container heard nothing of it: %s", r)
	}
}

// TestForegroundPipes: neither side is a terminal. The container reads the end of its input, and all of its output
// arrives, in the words of a terminal.
func TestForegroundPipes(t *testing.T) {
	long := strings.Repeat("word ", 1500)
	b := newBundle(t, withTerminal)
	b.put(t, "long", long, 0o644)
	b.spec.Process.ConsoleSize = &specs.Box{Height: 3, Width: 4}
	run := b.do("size", "line", "line", "read /long", "say the end", "exit 5").start(t, nil)
	run.say("typed")
	must(t, run.stdin.Close())
	r := run.wait()
	if r.code != 5 {
		t.Fatal(r)
	}
	if got := r.value(t, "size"); got != "3 4" {
		t.Errorf("the size is %q, want 3 4", got)
	}
	lines := r.answers()
	if len(lines) < 4 || lines[1].Value != "typed\n" || lines[2].Errno != "EOF" {
		t.Errorf("the container read %+v", lines)
	}
	if got := r.value(t, "read /long"); got != long {
		t.Errorf("%d bytes of %d arrived", len(got), len(long))
	}
	if !strings.HasSuffix(r.stdout, "the end\r\n{\"did\":\"say the end\"}\r\n") || r.stderr != "" {
		t.Errorf("the output ends in %q, standard error is %q", r.stdout[max(0, len(r.stdout)-40):], r.stderr)
	}
}

// TestForegroundReaderGone: nobody reads the output any more, which the shim finds when there is some.
func TestForegroundReaderGone(t *testing.T) {
	out, theirs, err := os.Pipe()
	must(t, err)
	must(t, out.Close())
	b := newBundle(t, withTerminal).do("trap 1", "exit 9")
	run := b.start(t, func(c *exec.Cmd) { c.Stdout = theirs })
	theirs.Close()
	if r := run.wait(); r.code != 9 {
		t.Errorf("the container heard nothing of it: %s", r)
	}
}
