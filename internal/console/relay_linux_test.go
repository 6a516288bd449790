package console

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds every wait of a test.
const limit = 30 * time.Second

// pty makes a terminal. Reads of either end can be bounded.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	peer, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if e != 0 {
		t.Fatal(e)
	}
	return file(t, fd, "master"), file(t, int(peer), "slave")
}

// file is a file whose reads have a deadline.
func file(t *testing.T, fd int, name string) *os.File {
	t.Helper()
	must(t, unix.SetNonblock(fd, true))
	f := os.NewFile(uintptr(fd), name)
	must(t, f.SetDeadline(time.Now().Add(limit)))
	t.Cleanup(func() { f.Close() })
	return f
}

// reopened is the same open file, for Start, which has it for itself.
func reopened(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(descriptor(t, f), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	return os.NewFile(uintptr(fd), f.Name())
}

// descriptor is that of f, which stays one that does not wait: File.Fd would change that.
func descriptor(t *testing.T, f *os.File) (fd uintptr) {
	t.Helper()
	c, err := f.SyscallConn()
	must(t, err)
	must(t, c.Control(func(n uintptr) { fd = n }))
	return fd
}

// terms are the settings of a terminal.
func terms(t *testing.T, f *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(descriptor(t, f)), unix.TCGETS)
	must(t, err)
	return s
}

// makeRaw lets bytes through a terminal as they are.
func makeRaw(t *testing.T, f *os.File) {
	t.Helper()
	s := terms(t, f)
	s.Iflag, s.Oflag = 0, 0
	s.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG | unix.IEXTEN
	must(t, unix.IoctlSetTermios(int(descriptor(t, f)), unix.TCSETS, s))
}

// box is a Relay, with what is on either side of it.
type box struct {
	*Relay
	user      *os.File // master of the caller's terminal: what is written here was typed
	own       *os.File // the caller's terminal
	container *os.File // the container's terminal, as its process has it
	path      string   // of that
}

// lend starts a Relay on a terminal.
func lend(t *testing.T, change ...func(b *box)) *box {
	t.Helper()
	b := &box{}
	var master *os.File
	b.user, b.own = pty(t)
	master, b.container = pty(t)
	number, err := unix.IoctlGetInt(int(descriptor(t, master)), unix.TIOCGPTN)
	must(t, err)
	b.path = "/dev/pts/" + strconv.Itoa(number)
	for _, f := range change {
		f(b)
	}
	b.Relay, err = Start(reopened(t, master), reopened(t, b.own), reopened(t, b.own))
	must(t, err)
	master.Close()
	return b
}

// through starts a Relay on a pipe at each side.
func through(t *testing.T) (b *box, in, out *os.File) {
	t.Helper()
	var master *os.File
	b = &box{}
	master, b.container = pty(t)
	inR, inW, err := os.Pipe()
	must(t, err)
	outR, outW, err := os.Pipe()
	must(t, err)
	for _, f := range []*os.File{inR, inW, outR, outW} {
		t.Cleanup(func() { f.Close() })
	}
	must(t, outR.SetReadDeadline(time.Now().Add(limit)))
	b.Relay, err = Start(reopened(t, master), inR, outW)
	must(t, err)
	master.Close()
	return b, inW, outR
}

// end ends the Relay, in time.
func (b *box) finish(t *testing.T, signals *os.File) {
	t.Helper()
	done := make(chan struct{})
	go func() { b.End(signals); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("the relay does not end")
	}
}

// wants reads as much as is wanted.
func wants(t *testing.T, f *os.File, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(f, got)
	if string(got[:n]) != want {
		t.Fatalf("%s reads %q (%v), want %q", f.Name(), got[:n], err, want)
	}
}

func types(t *testing.T, f *os.File, text string) {
	t.Helper()
	_, err := f.WriteString(text)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRelay: every byte gets through as it is, both ways; what Ctrl-C and Enter mean is for the container's terminal
// to say. In the end the caller's terminal is as it was.
func TestRelay(t *testing.T) {
	var before unix.Termios
	b := lend(t, func(b *box) { makeRaw(t, b.container); before = *terms(t, b.own) })
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	types(t, b.user, string(every))
	wants(t, b.container, string(every))
	types(t, b.container, string(every))
	wants(t, b.user, string(every))
	if now := terms(t, b.own); now.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 {
		t.Errorf("the caller's terminal is not raw: %+v", now)
	}
	b.finish(t, nil)
	if now := terms(t, b.own); !reflect.DeepEqual(*now, before) {
		t.Errorf("the caller's terminal is %+v, was %+v", now, before)
	}
}

// TestRelaySize: the container's terminal is as large as the caller's, from the start and after SIGWINCH, which
// the container hears of from the kernel.
func TestRelaySize(t *testing.T) {
	size := func(f *os.File, rows, cols uint16) {
		must(t, unix.IoctlSetWinsize(int(descriptor(t, f)), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}))
	}
	check := func(f *os.File, rows, cols uint16) {
		t.Helper()
		if w, err := unix.IoctlGetWinsize(int(descriptor(t, f)), unix.TIOCGWINSZ); err != nil || w.Row != rows || w.Col != cols {
			t.Errorf("the size is %+v (%v), want %d rows %d columns", w, err, rows, cols)
		}
	}
	b := lend(t, func(b *box) { size(b.own, 12, 34) })
	check(b.container, 12, 34)
	size(b.own, 56, 78)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1} {
		if b.Signal(int(sig)) {
			t.Errorf("%v is not sent", sig)
		}
	}
	check(b.container, 12, 34)
	if !b.Signal(int(unix.SIGWINCH)) {
		t.Error("SIGWINCH is sent as well")
	}
	check(b.container, 56, 78)
	b.finish(t, nil)
	b.Signal(int(unix.SIGWINCH)) // too late, and no harm
}

// TestRelayContinued: a shell that has stopped this program has changed the terminal.
func TestRelayContinued(t *testing.T) {
	var cooked unix.Termios
	b := lend(t, func(b *box) { cooked = *terms(t, b.own) })
	raw := terms(t, b.own)
	must(t, unix.IoctlSetTermios(int(descriptor(t, b.own)), unix.TCSETS, &cooked))
	if !b.Signal(int(unix.SIGCONT)) {
		t.Error("SIGCONT is sent as well")
	}
	if now := terms(t, b.own); !reflect.DeepEqual(now, raw) {
		t.Errorf("the caller's terminal is %+v, want %+v", now, raw)
	}
	b.finish(t, nil)
}

// TestRelayLastOutput: what was written last is copied although the container is gone.
func TestRelayLastOutput(t *testing.T) {
	b, _, out := through(t)
	makeRaw(t, b.container)
	text := strings.Repeat("output\n", 1000)
	types(t, b.container, text)
	must(t, b.container.Close())
	b.finish(t, nil)
	b.Relay.out.Close()
	got, err := io.ReadAll(out)
	if err != nil || string(got) != text {
		t.Errorf("%d bytes arrived of %d: %v", len(got), len(text), err)
	}
}

// TestRelaySurvivor: a process that lives on and writes holds nothing up.
func TestRelaySurvivor(t *testing.T) {
	b, _, out := through(t)
	go io.Copy(io.Discard, out)
	started := make(chan struct{})
	go func() {
		line := bytes.Repeat([]byte("x"), 4096)
		b.container.Write(line)
		close(started)
		for {
			if _, err := b.container.Write(line); err != nil {
				return
			}
		}
	}()
	<-started
	b.finish(t, nil)
}

// TestRelayReopened: no process has the container's terminal open for a while.
func TestRelayReopened(t *testing.T) {
	b := lend(t, func(b *box) { makeRaw(t, b.container) })
	must(t, b.container.Close())
	fd, err := unix.Open(b.path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	again := file(t, fd, "slave")
	types(t, again, "again")
	wants(t, b.user, "again")
	b.finish(t, nil)
}

// TestRelayHungUpInside: a process in the container hangs the terminal up and opens it again, as getty(8) does.
func TestRelayHungUpInside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	b := lend(t, func(b *box) { makeRaw(t, b.container) })
	must(t, unix.IoctlSetInt(int(descriptor(t, b.container)), unix.TIOCVHANGUP, 0))
	fd, err := unix.Open(b.path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	again := file(t, fd, "slave")
	makeRaw(t, again)
	types(t, again, "again")
	wants(t, b.user, "again")
	types(t, b.user, "typed")
	wants(t, again, "typed")
	b.finish(t, nil)
}

// TestRelayEndOfInput: the end of an input that is no terminal is one for the container's program.
func TestRelayEndOfInput(t *testing.T) {
	for _, text := range []string{"", "line\n", "line\nno line"} {
		b, in, _ := through(t)
		types(t, in, text)
		must(t, in.Close())
		got, err := io.ReadAll(b.container)
		if err != nil || string(got) != text {
			t.Errorf("after %q the container reads %q, %v", text, got, err)
		}
		b.finish(t, nil)
	}
}

// TestRelayCallerGone: the caller's terminal goes, or whoever reads the output: the container's is hung up.
func TestRelayCallerGone(t *testing.T) {
	t.Run("terminal", func(t *testing.T) {
		b := lend(t)
		must(t, b.user.Close())
		if _, err := b.container.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("the container's terminal is not hung up: %v", err)
		}
		b.Signal(int(unix.SIGWINCH))
		b.finish(t, nil)
	})
	t.Run("reader", func(t *testing.T) {
		b, _, out := through(t)
		must(t, out.Close())
		types(t, b.container, "output\n")
		if _, err := b.container.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("the container's terminal is not hung up: %v", err)
		}
		b.finish(t, nil)
	})
}

// TestRelaySlowReader: somebody who does not read the output does not hold up the input, nor, when told to end, this
// program.
func TestRelaySlowReader(t *testing.T) {
	b, in, out := through(t)
	makeRaw(t, b.container)
	fill(t, b.Relay.out)
	types(t, b.container, "output")
	types(t, in, "input")
	wants(t, b.container, "input")
	signals, w, err := os.Pipe()
	must(t, err)
	defer signals.Close()
	defer w.Close()
	_, err = w.Write([]byte{byte(unix.SIGWINCH), byte(unix.SIGTERM)})
	must(t, err)
	b.finish(t, signals)
	if _, err := out.Read(make([]byte, 1)); err != nil { // kept open to here: it is slow, not gone
		t.Error(err)
	}
}

// fill fills a pipe.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	fd := int(w.Fd())
	must(t, unix.SetNonblock(fd, true))
	for {
		if _, err := unix.Write(fd, make([]byte, 4096)); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	must(t, unix.SetNonblock(fd, false))
}

// TestReceive takes one master and nothing else.
func TestReceive(t *testing.T) {
	master, _ := pty(t)
	null, err := os.Open("/dev/null")
	must(t, err)
	defer null.Close()
	m, n := int(descriptor(t, master)), int(null.Fd())
	for _, c := range []struct {
		name string
		fds  []int
		text string
		ok   bool
	}{
		{"master", []int{m}, "/dev/ptmx", true},
		{"nothing", nil, "", false},
		{"text", nil, "/dev/ptmx", false},
		{"no terminal", []int{n}, "x", false},
		{"two", []int{m, n}, "x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs, err := Pair()
			must(t, err)
			defer ours.Close()
			defer theirs.Close()
			if c.text != "" {
				must(t, unix.Sendmsg(int(theirs.Fd()), []byte(c.text), rights(c.fds), nil, 0))
			}
			before := open(t)
			got, err := Receive(ours)
			if (err == nil) != c.ok {
				t.Errorf("error: %v", err)
			}
			if err == nil {
				if _, err := unix.IoctlGetInt(int(got.Fd()), unix.TIOCGPTN); err != nil {
					t.Errorf("what was received is no master: %v", err)
				}
				flags, err := unix.FcntlInt(got.Fd(), unix.F_GETFD, 0)
				if err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("the descriptor is handed on by execve: %#x, %v", flags, err)
				}
				got.Close()
			}
			if after := open(t); after > before { // fewer when what other tests forgot is collected
				t.Errorf("%d descriptors are open, were %d", after, before)
			}
		})
	}
	t.Run("closed", func(t *testing.T) {
		ours, theirs, err := Pair()
		must(t, err)
		defer ours.Close()
		theirs.Close()
		if _, err := Receive(ours); err == nil {
			t.Error("something came out of a socket that is closed")
		}
	})
}

func rights(fds []int) []byte {
	if fds == nil {
		return nil
	}
	return unix.UnixRights(fds...)
}

// open is the number of descriptors.
func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}
