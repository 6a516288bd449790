package container

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/console"
)

// Attachment is somebody who sees what a container writes as it comes, and may write to it.
type Attachment struct {
	Stdin          *os.File // nil for none
	Stdout, Stderr *os.File
	Keys           []byte // what is typed on a terminal to leave; empty for nothing
	Proxy          bool   // signals go to the container
}

// ErrDetached says that somebody left a container that goes on.
var ErrDetached = errors.New("detached")

// ErrSignal is the signal that ended an attachment which does not pass signals on.
type ErrSignal syscall.Signal

func (e ErrSignal) Error() string { return "signal " + strconv.Itoa(int(e)) }

// StartAttached starts the container's program, and misses nothing of what it writes; see Attach.
func (c *Container) StartAttached(a Attachment) (code *int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := newSeat(fds[0]), os.NewFile(uintptr(fds[1]), socketName)
	err = c.spawn("start", theirs)
	theirs.Close()
	if err == nil {
		err = c.Load()
	}
	if err == ErrNotExist { // it has ended, and was removed: all that it said is in the socket
		err = nil
	}
	if err != nil {
		ours.Close()
		return nil, err
	}
	return c.attached(a, ours, false)
}

// Attach lasts until the container has ended, whose exit code it returns, nil for an unknown one. ErrDetached and
// ErrSignal say that the container goes on.
func (c *Container) Attach(a Attachment) (code *int, err error) {
	s, err := c.connect()
	if err != nil {
		return nil, err
	}
	return c.attached(a, s, true)
}

// attached goes on with the next monitor when one is killed.
func (c *Container) attached(a Attachment, s *seat, again bool) (*int, error) {
	at := &attached{Attachment: a, c: c, again: again, left: make(chan struct{}), signals: make(chan os.Signal, 16)}
	if a.Stdin != nil && c.Stdin != "" && c.Terminal {
		at.raw = console.NewRaw(a.Stdin)
	}
	signal.Notify(at.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT)
	defer signal.Stop(at.signals)
	defer at.raw.Restore()
	for {
		code, ended, err := at.sit(s)
		if ended || err != nil {
			return code, err
		}
		if err := c.Attend(); err != nil {
			return nil, err
		}
		if c.State.Status != Running {
			return c.State.ExitCode, nil
		}
		if s, err = c.connect(); err != nil {
			return nil, err
		}
	}
}

// connect finds the monitor's socket. Its name is too long for an address where the home directory's is.
func (c *Container) connect() (*seat, error) {
	dir, err := unix.Open(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	defer unix.Close(dir)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	name := filepath.Join("/proc/self/fd", strconv.Itoa(dir), socketName)
	// A monitor that takes over listens a moment after it has the lock.
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: name})
		if err == nil {
			return newSeat(fd), nil
		}
		if time.Now().After(end) {
			unix.Close(fd)
			return nil, os.NewSyscallError("connect to the container's monitor", err)
		}
	}
}

// attached is an Attachment at work.
type attached struct {
	Attachment
	c       *Container
	again   bool // it is no start: what is on the terminal is to be drawn once more
	raw     *console.Raw
	signals chan os.Signal
	left    chan struct{}           // closed by keys
	input   atomic.Pointer[os.File] // what came with the greeting
	seat    atomic.Pointer[seat]
	reads   bool // standard input is being read
}

// signal passes one on, or ends the attachment.
func (a *attached) signal(s os.Signal) error {
	number, _ := s.(syscall.Signal)
	switch {
	case number == syscall.SIGCONT:
		a.raw.Make()
		a.resize(0)
	case number == syscall.SIGWINCH:
		a.resize(0)
	case !a.Proxy:
		return ErrSignal(number)
	default:
		a.c.Kill(strconv.Itoa(int(number))) // one that has ended is heard of soon
	}
	return nil
}

// packet is one from the monitor, or its end.
type packet struct {
	kind byte
	text []byte
	fd   int
	err  error
}

// sit copies from one monitor until its end or another.
func (a *attached) sit(s *seat) (code *int, ended bool, err error) {
	defer s.Close()
	packets, done := make(chan packet), make(chan struct{})
	defer close(done)
	go func() {
		for {
			p := s.receive()
			select {
			case packets <- p:
			case <-done:
				return
			}
			if p.err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-a.left:
			return nil, false, ErrDetached
		case number := <-a.signals:
			if err := a.signal(number); err != nil {
				return nil, false, err
			}
		case p := <-packets:
			switch {
			case p.err != nil:
				return nil, false, nil
			case p.kind == packetHello:
				a.greeted(s, p.fd)
			case p.kind == packetExit:
				if n, err := strconv.Atoi(string(p.text)); err == nil {
					code = &n
				}
				return code, true, nil
			case p.kind == packetStderr:
				_, err = a.Stderr.Write(p.text)
			default:
				_, err = a.Stdout.Write(p.text)
			}
			if err != nil {
				return nil, false, err
			}
		}
	}
}

// receive is the next packet.
func (s *seat) receive() (p packet) {
	buf, control := make([]byte, lineMax+1), make([]byte, unix.CmsgSpace(4))
	raw, err := s.SyscallConn()
	if err != nil {
		return packet{err: err}
	}
	var n, cn int
	p.fd = -1
	readErr := raw.Read(func(fd uintptr) bool {
		n, cn, _, _, err = unix.Recvmsg(int(fd), buf, control, unix.MSG_CMSG_CLOEXEC)
		return err != unix.EAGAIN
	})
	if p.err = errors.Join(readErr, err); p.err == nil && n == 0 {
		p.err = unix.EPIPE
	}
	if p.err != nil {
		return p
	}
	if messages, err := unix.ParseSocketControlMessage(control[:cn]); err == nil && len(messages) == 1 {
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			p.fd = fds[0]
		}
	}
	p.kind, p.text = buf[0], buf[1:n]
	return p
}

// greeted begins with the input, once it is known where it goes.
func (a *attached) greeted(s *seat, fd int) {
	a.seat.Store(s)
	if fd < 0 {
		return
	}
	if old := a.input.Swap(os.NewFile(uintptr(fd), "input")); old != nil {
		old.Close()
	}
	if a.again {
		a.resize(1) // a change of the size has programs draw what they show
	}
	a.resize(0)
	if a.Stdin == nil || a.c.Stdin == "" || a.reads {
		return
	}
	a.reads = true
	a.raw.Make()
	go a.typed()
}

// typed copies the input until its end, or the keys that leave.
func (a *attached) typed() {
	keys := keyFilter{keys: a.Keys}
	if a.raw == nil {
		keys.keys = nil
	}
	buf := make([]byte, 4096)
	for {
		n, err := a.Stdin.Read(buf)
		text, leave := keys.pass(buf[:n])
		if input := a.input.Load(); len(text) > 0 && input != nil {
			input.Write(text) // one that has ended is heard of soon
		}
		if leave {
			close(a.left)
			return
		}
		if err != nil || n == 0 {
			if a.c.Stdin == StdinOnce && !a.c.Terminal {
				a.input.Load().Close()
				a.seat.Load().Write([]byte{packetEnd})
			}
			return
		}
	}
}

// keyFilter looks for keys in what is typed.
type keyFilter struct {
	keys []byte
	held int // how many of them were the last that came
}

// pass is what goes on. What could be the beginning of the keys is held back until it is known not to be.
func (f *keyFilter) pass(typed []byte) (text []byte, leave bool) {
	for _, b := range typed {
		if len(f.keys) > 0 && b != f.keys[f.held] {
			text = append(text, f.keys[:f.held]...)
			f.held = 0
		}
		if len(f.keys) == 0 || b != f.keys[f.held] {
			text = append(text, b)
			continue
		}
		if f.held++; f.held == len(f.keys) {
			return text, true
		}
	}
	return text, false
}

// resize gives the container's terminal the size of this one, and some lines more.
func (a *attached) resize(more uint16) {
	input := a.input.Load()
	if !a.c.Terminal || input == nil {
		return
	}
	raw, err := input.SyscallConn()
	if err != nil {
		return
	}
	for _, f := range []*os.File{a.Stdout, a.Stdin} {
		if f == nil {
			continue
		}
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			size.Row += more
			raw.Control(func(fd uintptr) { unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
			return
		}
	}
}
