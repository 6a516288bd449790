package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ttyPath is the terminal of a container: the first one of a devpts of its own.
const ttyPath = "/dev/pts/0"

// TestTerminalOfContainer: the process has a terminal of the container's own on descriptors 0 to 2, which is its
// controlling terminal and /dev/console, and no other descriptor.
func TestTerminalOfContainer(t *testing.T) {
	uids := []uint32{0}
	if here.root {
		uids = []uint32{0, 5} // they are cloned in two ways
	}
	for _, uid := range uids {
		t.Run(fmt.Sprint("uid ", uid), func(t *testing.T) {
			b := newBundle(t, withTerminal)
			b.spec.Process.User.UID = uid
			b.spec.Process.ConsoleSize = &specs.Box{Height: 33, Width: 301}
			p := b.do("size", "isatty 0", "isatty 1", "isatty 2", "session", "stat "+ttyPath, "stat /dev/console", "look",
				"write /dev/tty controlling", "write /dev/console console", "list /dev/pts").startOnPty(t, nil)
			if p.name != "/dev/ptmx" {
				t.Errorf("the terminal came under the name %q", p.name)
			}
			if got := p.value("size"); got != "33 301" {
				t.Errorf("the size is %q when the program starts, want 33 301", got)
			}
			for fd := range 3 {
				p.value(fmt.Sprint("isatty ", fd))
			}
			if got := p.value("session"); got != "1 1" {
				t.Errorf("the process's session and the terminal's are %q, want 1 1", got)
			}
			tty := p.value("stat " + ttyPath)
			if want := fmt.Sprintf("char 620 %d:0 136:0", uid); tty != want {
				t.Errorf("the terminal is %q, want %q", tty, want)
			}
			if got := p.value("stat /dev/console"); got != tty {
				t.Errorf("/dev/console is %q, the terminal %q", got, tty)
			}
			look := p.answer("look").Look
			for fd, link := range look.Fds {
				if !slices.Contains([]string{"0", "1", "2"}, fd) || link != ttyPath {
					t.Errorf("descriptor %s is %s", fd, link)
				}
			}
			if i := slices.IndexFunc(look.Mounts, func(m probe.Mount) bool { return m.Point == "/dev/console" }); i < 0 || look.Mounts[i].Type != "devpts" || look.Mounts[i].Root != "/0" {
				t.Errorf("the mount on /dev/console is not the terminal: %+v", look.Mounts)
			}
			p.value("write /dev/tty controlling")
			p.value("write /dev/console console")
			if got := p.value("list /dev/pts"); got != "0 ptmx" {
				t.Errorf("/dev/pts holds %q", got)
			}
			if got, want := p.rest(), "controllingconsole"; got != want {
				t.Errorf("the terminal showed %q, want %q", got, want)
			}
			r := p.wait().ok(t)
			if r.stdout != "" || r.stderr != "" {
				t.Errorf("the container wrote past its terminal: %s", r)
			}
		})
	}
}

// TestTerminalOwner: the terminal is the process's, and in the group of terminals where one is given.
func TestTerminalOwner(t *testing.T) {
	needsSubIDs(t)
	b := newBundle(t, withRange)
	b.spec.Process.Terminal = true
	b.spec.Process.User = specs.User{UID: 33, GID: 34}
	addMount(b.spec, "/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
	p := b.do("stat "+ttyPath, "write "+ttyPath+" x").startOnPty(t, nil)
	if got := p.value("stat " + ttyPath); got != "char 620 33:5 136:0" {
		t.Errorf("the terminal is %q, want char 620 33:5 136:0", got)
	}
	p.value("write " + ttyPath + " x")
	p.wait().ok(t)
}

// TestTerminalInput: what is typed gets in, edited and echoed by the kernel, and Ctrl-C is a signal.
func TestTerminalInput(t *testing.T) {
	b := newBundle(t, withTerminal)
	p := b.do("line", "trap 1", "exit 4").startOnPty(t, nil)
	fmt.Fprint(p.master, "typpo\x7f\x7fed\n")
	if got := p.value("line"); got != "typed\n" {
		t.Errorf("the container read %q", got)
	}
	p.answer("ready")
	fmt.Fprint(p.master, "\x03")
	p.answer("signal SIGINT")
	if r := p.wait(); r.code != 4 {
		t.Error(r)
	}
	if echo := p.rest(); !strings.HasPrefix(echo, "typpo") {
		t.Errorf("the terminal echoed %q", echo)
	}
}

// TestTerminalResize: a new size is a signal to the process.
func TestTerminalResize(t *testing.T) {
	p := newBundle(t, withTerminal).do("trap 1", "size").startOnPty(t, nil)
	p.answer("ready")
	must(t, unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 11, Col: 22}))
	p.answer("signal SIGWINCH")
	if got := p.value("size"); got != "11 22" {
		t.Errorf("the size is %q, want 11 22", got)
	}
	p.wait().ok(t)
}

// TestTerminalSizeOfCaller: without consoleSize the terminal is as large as the caller's own.
func TestTerminalSizeOfCaller(t *testing.T) {
	master, slave := openPty(t)
	defer master.Close()
	must(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 17, Col: 71}))
	p := newBundle(t, withTerminal).do("size").startOnPty(t, onTerminal(slave))
	slave.Close()
	if got := p.value("size"); got != "17 71" {
		t.Errorf("the size is %q, want 17 71", got)
	}
	p.wait().ok(t)
}

// TestTerminalHangup: when whoever has the terminal goes, the process gets SIGHUP.
func TestTerminalHangup(t *testing.T) {
	p := newBundle(t, withTerminal).do("trap 1", "exit 9").startOnPty(t, nil)
	p.answer("ready")
	must(t, p.master.Close())
	if r := p.wait(); r.code != 9 {
		t.Errorf("the process heard of no signal: %s", r)
	}
}

// TestTerminalOfCaller: input that the container makes up (TIOCSTI, CVE-2017-5226, CVE-2016-2779) goes to its own
// terminal, and none of its descriptors is the caller's.
func TestTerminalOfCaller(t *testing.T) {
	master, slave := openPty(t)
	defer master.Close()
	defer slave.Close()
	raw, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	must(t, err)
	raw.Lflag &^= unix.ICANON | unix.ECHO
	must(t, unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, raw))
	p := newBundle(t, withTerminal).do("tiocsti", "write /dev/tty out", "look").startOnPty(t, onTerminal(slave))
	if a := p.answer("tiocsti"); a.Errno != "" && a.Errno != "EIO" { // EIO: sysctl dev.tty.legacy_tiocsti is 0
		t.Errorf("TIOCSTI: %s", a.Errno)
	}
	for fd, link := range p.answer("look").Look.Fds {
		if link != ttyPath {
			t.Errorf("descriptor %s is %s", fd, link)
		}
	}
	p.wait().ok(t)
	if n, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ); err != nil || n != 0 {
		t.Errorf("%d bytes of input in the caller's terminal (%v)", n, err)
	}
	if n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCINQ); err != nil || n != 0 {
		t.Errorf("%d bytes on the caller's terminal (%v)", n, err)
	}
}

// TestConsoleInImage: in a /dev that the image brought, /dev/console is the terminal as well, whatever lies there; a
// link leads the bind nowhere.
func TestConsoleInImage(t *testing.T) {
	for _, kind := range []string{"nothing", "file", "link"} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") }, withTerminal)
			must(t, os.MkdirAll(b.rootfs+"/dev/pts", 0o755))
			switch kind {
			case "file":
				must(t, os.WriteFile(b.rootfs+"/dev/console", []byte("image"), 0o666))
			case "link":
				must(t, os.Symlink("/proc/sys/kernel/core_pattern", b.rootfs+"/dev/console"))
				b.run(t, "--console-socket", listenConsole(t, filepath.Join(t.TempDir(), "s")).Addr().String()).problem(t, "/process/terminal")
				return
			}
			p := b.do("stat /dev/console", "stat "+ttyPath).startOnPty(t, nil)
			console, tty := p.value("stat /dev/console"), p.value("stat "+ttyPath)
			if console != tty {
				t.Errorf("/dev/console is %q, the terminal %q", console, tty)
			}
			p.wait().ok(t)
		})
	}
}

// TestTerminalDevBound: in a /dev that is bound from outside, /dev/console is covered if it is there, and never made.
func TestTerminalDevBound(t *testing.T) {
	for _, has := range []bool{true, false} {
		t.Run(fmt.Sprint("console ", has), func(t *testing.T) {
			dev := t.TempDir()
			must(t, os.Mkdir(dev+"/pts", 0o755))
			if has {
				must(t, os.WriteFile(dev+"/console", []byte("outside"), 0o644))
			}
			b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev"); addMount(s, "/dev", "bind", dev, "rbind") }, withTerminal)
			p := b.do("stat /dev/console", "stat "+ttyPath).startOnPty(t, nil)
			if a := p.answer("stat /dev/console"); has && a.Value != p.value("stat "+ttyPath) || !has && a.Errno != "ENOENT" {
				t.Errorf("/dev/console is %+v", a)
			}
			p.wait().ok(t)
			text, err := os.ReadFile(dev + "/console")
			if has && string(text) != "outside" || !has && !os.IsNotExist(err) {
				t.Errorf("outside it is %q, %v", text, err)
			}
		})
	}
}

// TestConsoleSocketLongPath: a path need not fit into an address (unix(7): 108 bytes).
func TestConsoleSocketLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 60)+strings.Repeat("d", 200))
	must(t, os.MkdirAll(dir, 0o755))
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	l := listenConsole(t, fmt.Sprintf("/proc/self/fd/%d/console", fd))
	run := newBundle(t, withTerminal).do("exit 3").start(t, nil, "--console-socket", dir+"/console")
	_, master := receiveConsole(t, l)
	defer master.Close()
	if r := run.wait(); r.code != 3 {
		t.Error(r)
	}
}

// TestBadConsole: what cannot be given a terminal.
func TestBadConsole(t *testing.T) {
	socket := func(how func(t *testing.T, path string)) func(*testing.T, *attempt) {
		return func(t *testing.T, a *attempt) {
			path := filepath.Join(t.TempDir(), "console")
			how(t, path)
			withTerminal(a.spec)
			a.args = []string{"--bundle", a.dir, "--id", a.id, "--console-socket", path}
		}
	}
	named := func(path string) func(*testing.T, *attempt) {
		return func(t *testing.T, a *attempt) {
			withTerminal(a.spec)
			a.args = []string{"--bundle", a.dir, "--id", a.id, "--console-socket", path}
		}
	}
	listening := func(t *testing.T, path string) { listenConsole(t, path) }
	one := func(errno string) []wantError {
		return []wantError{{"/process/terminal", errno, "connect to the console socket"}}
	}
	refuse(t, []badInput{
		{name: "socket without terminal", make: func(t *testing.T, a *attempt) {
			socket(listening)(t, a)
			a.spec.Process.Terminal = false
		}, want: []wantError{{"/process/terminal", "", "there is no terminal"}}},
		{name: "no devpts", make: func(t *testing.T, a *attempt) {
			socket(listening)(t, a)
			dropMount(a.spec, "/dev/pts")
		}, want: []wantError{{"/process/terminal", "", "a terminal needs a devpts"}}},
		{name: "missing", make: socket(func(*testing.T, string) {}), want: one("ENOENT")},
		{name: "file", make: socket(func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o666)) }), want: one("ENOTSOCK")},
		{name: "FIFO", make: socket(func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o666)) }), want: one("ENOTSOCK")},
		{name: "directory", make: named("/"), want: one("ENOTSOCK")},
		{name: "nobody listens", make: socket(func(t *testing.T, path string) { must(t, unix.Mknod(path, unix.S_IFSOCK|0o666, 0)) }), want: one("ECONNREFUSED")},
		{name: "datagrams", make: socket(func(t *testing.T, path string) {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			must(t, err)
			t.Cleanup(func() { c.Close() })
		}), want: one("EPROTOTYPE")},
		{name: "not for the caller", who: needsUser, make: socket(func(t *testing.T, path string) {
			listening(t, path)
			must(t, os.Chmod(path, 0))
		}), want: one("EACCES")},
		{name: "no room", make: socket(func(t *testing.T, path string) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
			must(t, unix.Listen(fd, 0))
			first, err := net.Dial("unix", path)
			must(t, err)
			t.Cleanup(func() { first.Close() })
		}), want: one("EAGAIN")},
		{name: "name too long", make: named("/tmp/" + strings.Repeat("x", 256)), want: one("ENAMETOOLONG")},
		{name: "path too long", make: named(strings.Repeat("/x", 2048)), want: one("ENAMETOOLONG")},
	})
}
