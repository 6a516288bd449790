package systemd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeBus is the other end of a connection, with a systemd behind it or not. Its methods end the goroutine that serves,
// once the client has gone.
type fakeBus struct {
	net.Conn
	in []byte
}

// serve listens, and has each connection served in turn.
func serve(t *testing.T, behave func(*fakeBus)) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				defer conn.Close()
				behave(&fakeBus{Conn: conn})
			}()
			<-served
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

func (f *fakeBus) say(text string) {
	if _, err := io.WriteString(f, text); err != nil {
		runtime.Goexit()
	}
}

// hear reads until enough is there.
func (f *fakeBus) hear(enough func() bool) {
	for !enough() {
		buf := make([]byte, 65536)
		n, err := f.Read(buf)
		if err != nil {
			runtime.Goexit()
		}
		f.in = append(f.in, buf[:n]...)
	}
}

// wait goes on until the client has gone.
func (f *fakeBus) wait() { f.hear(func() bool { return false }) }

// welcome takes the client in, and answers Hello.
func (f *fakeBus) welcome() {
	f.hear(func() bool { return bytes.Contains(f.in, []byte("DATA\r\n")) })
	f.say("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n")
	f.hear(func() bool { return bytes.Contains(f.in, []byte("BEGIN\r\n")) })
	f.in = f.in[bytes.Index(f.in, []byte("BEGIN\r\n"))+7:]
	f.answer(f.call(), "s", ":1.1")
}

func (f *fakeBus) call() *message {
	f.hear(func() bool { return len(f.in) >= headerSize && len(f.in) >= messageSize(f.in) })
	n := messageSize(f.in)
	m, ok := parse(f.in[:n:n])
	if f.in = f.in[n:]; !ok {
		runtime.Goexit()
	}
	return m
}

func (f *fakeBus) send(m *message) { f.say(string(m.marshal())) }

func (f *fakeBus) answer(call *message, signature string, words ...string) {
	f.send(&message{kind: methodReturn, serial: 1, replySerial: call.serial, sender: ":1.7", signature: signature, body: body(signature, words)})
}

// body has the words for the texts of a signature, and zeros for its numbers.
func body(signature string, words []string) []byte {
	e := &encoder{}
	for _, c := range signature {
		switch c {
		case 'u':
			e.uint32(0)
		case 'v':
			e.variant(words[0])
			words = words[1:]
		default:
			e.string(words[0])
			words = words[1:]
		}
	}
	return e.b
}

func over1(sender, job, result string) *message {
	return &message{kind: methodSignal, serial: 9, path: managerPath, iface: managerInterface, member: "JobRemoved", sender: sender,
		signature: "uoss", body: body("uoss", []string{job, "x.scope", result})}
}

// systemd answers what StartScope asks, and says what it likes before the job is over.
func (f *fakeBus) systemd(before func(job string)) {
	for {
		switch m := f.call(); m.member {
		case "StartTransientUnit":
			f.answer(m, "o", "/job/1")
			before("/job/1")
			f.send(over1(":1.7", "/job/1", "done"))
		case "GetUnit":
			f.answer(m, "o", "/unit")
		case "Get":
			f.answer(m, "v", "/slice/x.scope")
		default:
			f.answer(m, "")
		}
	}
}

// within fails the test when something does not end.
func within(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not end")
	}
}

const (
	soon  = 100 * time.Millisecond // for what is never to come
	never = time.Hour              // for what comes
)

func startScope(path string, patience time.Duration, description string) (cgroup string, err error) {
	c, err := connect(path, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.StartScope(Unit{"x.scope", "slice.slice"}, description, 1, nil)
}

// TestHostileBus: a bus is whatever listens where the user's environment says. It can do no more than make the request
// fail: in time, and within bounds.
func TestHostileBus(t *testing.T) {
	if strings.HasPrefix(os.Getenv("LOCALD_TEST_PLACE"), "guest") {
		t.Skip("is seen on the host")
	}
	signal := string(over1(":1.9", "/job/9", "done").marshal())
	size := func(kind byte, n uint32) string { // the start of a message of that size
		return string([]byte{'l', kind, 0, 1, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 9, 0, 0, 0, 0, 0, 0, 0})
	}
	endless := func(f *fakeBus, text string) {
		for {
			f.say(text)
		}
	}
	for _, tt := range []struct {
		name     string
		patience time.Duration
		want     string // of the error
		behave   func(*fakeBus)
	}{
		{"silent", soon, "timed out", (*fakeBus).wait},
		{"gone", never, "reach the bus", func(*fakeBus) {}},
		{"refuses", never, "does not take us", func(f *fakeBus) { endless(f, "REJECTED EXTERNAL\r\n") }},
		{"an endless line", never, "malformed", func(f *fakeBus) { endless(f, "DATA") }},
		{"another byte order", never, "malformed", func(f *fakeBus) { f.welcome(); f.say("B" + size(methodReturn, 8)[1:]); f.wait() }},
		{"noise", never, "malformed", func(f *fakeBus) { f.welcome(); f.say(strings.Repeat("\xff", 64)); f.wait() }},
		{"an answer of 100 MB", never, "malformed", func(f *fakeBus) { f.welcome(); f.say(size(methodReturn, 100<<20)); f.wait() }},
		{"a signal of 2 GB", never, "malformed", func(f *fakeBus) { f.welcome(); f.say(size(methodSignal, 2<<30)); f.wait() }},
		{"an endless signal", soon, "timed out", func(f *fakeBus) {
			f.welcome()
			f.say(size(methodSignal, 100<<20))
			f.wait()
		}},
		{"endless signals", soon, "timed out", func(f *fakeBus) { f.welcome(); endless(f, strings.Repeat(signal, 100)) }},
		{"endless large signals", soon, "timed out", func(f *fakeBus) {
			f.welcome()
			endless(f, size(methodSignal, 1<<20)+strings.Repeat("x", 1<<20))
		}},
		{"a byte at a time", soon, "timed out", func(f *fakeBus) {
			f.welcome()
			for i := 0; ; i = (i + 1) % len(signal) {
				f.say(signal[i : i+1])
			}
		}},
		{"an answer of another type", never, "malformed", func(f *fakeBus) {
			f.welcome()
			f.answer(f.call(), "")
			f.answer(f.call(), "")
			f.answer(f.call(), "u")
			f.wait()
		}},
		{"others say that the job is over", soon, "timed out", func(f *fakeBus) {
			f.welcome()
			f.systemd(func(job string) {
				f.send(over1(":1.9", job, "done"))
				f.send(over1("", job, "done"))
				f.wait()
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := serve(t, tt.behave)
			within(t, func() {
				cgroup, err := startScope(path, tt.patience, "test")
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%q, %v, want %q", cgroup, err, tt.want)
				}
			})
		})
	}
}

// TestPatientClient: what others say, however much and large, does not stand in the way.
func TestPatientClient(t *testing.T) {
	path := serve(t, func(f *fakeBus) {
		f.welcome()
		f.systemd(func(job string) {
			for range 2 * maxOver {
				f.send(over1(":1.9", job, "failed"))
			}
			f.send(&message{kind: methodSignal, serial: 9, path: "/a", iface: "a.b", member: "C", signature: "s", body: body("s", []string{strings.Repeat("x", 1<<20)})})
			f.send(&message{kind: methodCall, serial: 9, path: "/a", iface: "a.b", member: "C"})
			f.send(over1(":1.7", "/job/2", "failed"))
		})
	})
	within(t, func() {
		if cgroup, err := startScope(path, never, "test"); err != nil || cgroup != "/slice/x.scope" {
			t.Errorf("%q, %v", cgroup, err)
		}
	})
}

// TestDeafBus: one that reads nothing.
func TestDeafBus(t *testing.T) {
	release := make(chan struct{})
	path := serve(t, func(f *fakeBus) { f.welcome(); f.answer(f.call(), ""); f.answer(f.call(), ""); <-release })
	within(t, func() {
		if _, err := startScope(path, soon, strings.Repeat("x", 16<<20)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Error(err)
		}
	})
	close(release)
}

// TestBusOfStranger: an abstract address can be anybody's.
func TestBusOfStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to be somebody else")
	}
	fd := make(chan int)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its ids
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(s, &unix.SockaddrUnix{Name: "@locald-test-stranger"})
		}
		if _, _, e := syscall.RawSyscall(unix.SYS_SETRESUID, 12345, 12345, 12345); err == nil && e != 0 {
			err = e
		}
		if err == nil {
			err = unix.Listen(s, 1)
		}
		if err != nil {
			t.Error(err)
		}
		fd <- s
	}()
	defer func(s int) { unix.Close(s) }(<-fd)
	if _, err := Connect("@locald-test-stranger"); err == nil || !strings.Contains(err.Error(), "belongs to the user 12345") {
		t.Error(err)
	}
}
