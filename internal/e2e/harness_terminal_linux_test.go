package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// withTerminal gives the process a terminal, and the container the devpts that it takes.
func withTerminal(s *specs.Spec) {
	s.Process.Terminal = true
	addMount(s, "/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620")
}

// onPty is a container whose terminal this test has, as conmon(8) would.
type onPty struct {
	*running
	name   string   // that came with the terminal
	master *os.File // the test's end
	lines  chan probe.Answer
	text   strings.Builder // what was no answer; complete when lines is closed

	// Of foreground:
	own      *os.File      // the other end, which is the shim's terminal
	settings *unix.Termios // of it, before the shim was started
}

// startOnPty starts the bundle with a console socket, and takes the terminal from it.
func (b *bundle) startOnPty(t *testing.T, change func(*exec.Cmd), flags ...string) *onPty {
	t.Helper()
	path := filepath.Join(t.TempDir(), "console")
	l := listenConsole(t, path)
	p := &onPty{lines: make(chan probe.Answer, 4096)}
	p.running = b.start(t, change, append([]string{"--console-socket", path}, flags...)...)
	p.name, p.master = receiveConsole(t, l)
	t.Cleanup(func() { p.master.Close() })
	go p.read()
	return p
}

func listenConsole(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// receiveConsole takes one descriptor and its name, with nothing to spare: containerd's client demands a control
// message of exactly this length.
func receiveConsole(t *testing.T, l *net.UnixListener) (name string, master *os.File) {
	t.Helper()
	must(t, l.SetDeadline(time.Now().Add(limit())))
	c, err := l.AcceptUnix()
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(limit())))
	text, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, cn, flags, _, err := c.ReadMsgUnix(text, control)
	must(t, err)
	if n == 0 || cn != len(control) || flags&unix.MSG_CTRUNC != 0 {
		t.Fatalf("a message of %d bytes with a control message of %d, flags %#x", n, cn, flags)
	}
	messages, err := unix.ParseSocketControlMessage(control)
	must(t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	must(t, err)
	unix.CloseOnExec(fds[0])
	must(t, unix.SetNonblock(fds[0], true)) // so that Close ends a Read
	return string(text[:n]), os.NewFile(uintptr(fds[0]), "console")
}

// read sorts what the container writes: answers of the probe, and the rest.
func (p *onPty) read() {
	defer close(p.lines)
	in := bufio.NewReader(p.master)
	for {
		text, err := in.ReadString('\n')
		var a probe.Answer
		other, answer, found := strings.Cut(text, `{"did":`)
		if found && json.Unmarshal([]byte(`{"did":`+answer), &a) == nil {
			p.lines <- a
			text = other
		}
		p.text.WriteString(text)
		if err != nil {
			return // EIO: nobody has the other end any more (pty(7))
		}
	}
}

// answer waits until the probe has done an action.
func (p *onPty) answer(did string) probe.Answer {
	p.t.Helper()
	for a := range p.lines {
		if a.Did == did {
			return a
		}
	}
	p.t.Fatalf("the terminal was hung up before the container did %q: %s", did, p.wait())
	return probe.Answer{}
}

// value is the value of an action that must have worked.
func (p *onPty) value(did string) string {
	p.t.Helper()
	a := p.answer(did)
	if a.Errno != "" {
		p.t.Errorf("%s: %s", did, a.Errno)
	}
	return a.Value
}

// rest waits for the end of the container's output and is what was no answer.
func (p *onPty) rest() string {
	for range p.lines {
	}
	return p.text.String()
}

// newPty is a terminal of this test's, of a size, that nothing runs on yet.
func newPty(t *testing.T, size unix.Winsize) *onPty {
	t.Helper()
	master, slave := openPty(t)
	must(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &size))
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	must(t, master.Close())
	must(t, unix.SetNonblock(fd, true))
	p := &onPty{lines: make(chan probe.Answer, 4096), master: os.NewFile(uintptr(fd), "terminal"), own: slave}
	p.settings, err = unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	must(t, err)
	t.Cleanup(func() { p.master.Close(); slave.Close() })
	return p
}

// foreground starts the bundle on a terminal of this test's, which the shim relays: as in a shell. size is that of the
// terminal.
func (b *bundle) foreground(t *testing.T, size unix.Winsize) *onPty {
	t.Helper()
	p := newPty(t, size)
	p.running = b.start(t, func(c *exec.Cmd) {
		onTerminal(p.own)(c)
		c.Stdout = p.own
	})
	go p.read()
	return p
}
