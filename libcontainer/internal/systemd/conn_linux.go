package systemd

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds one request, from the call to the end of the job that it starts.
const patience = 30 * time.Second

// Conn is a connection to the bus that a manager is on. It is not for use from several goroutines at once.
type Conn struct {
	fd       int
	serial   uint32
	patience time.Duration // for a request
	deadline time.Time
	in       []byte // read and not yet taken
	skip     int    // bytes of a message that is passed over and has not come yet
	removed  []over // jobs whose end nobody has waited for yet
	watching bool   // Subscribe was called
	op       string // of the request under way, for an Error
}

// over says that a job has ended.
type over struct{ sender, job, result string }

// maxOver bounds how many are kept. systemd says so after it has said which job is ours.
const maxOver = 256

// Nothing that comes from the bus is trusted to be of any size, or to end: that of a user is whatever the user's
// environment names. A request has its deadline, however much comes in, and what is kept has its bound.

// SystemBus is where the machine's bus is.
const SystemBus = "/run/dbus/system_bus_socket"

// Connect reaches the manager whose bus is the socket at path: SystemBus, or what Address says. The hint of an error
// is how to do without it.
func Connect(path string) (*Conn, error) { return connect(path, patience) }

func connect(path string, patience time.Duration) (*Conn, error) {
	c := &Conn{fd: -1, patience: patience}
	c.begin("reach the bus at " + path)
	if err := c.connect(path); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) connect(path string) (err error) {
	// A listener whose queue is full is waited for, as long as a send may take, and not polled (unix(7)).
	if c.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
		err = unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)})
	}
	if err == nil {
		err = unix.Connect(c.fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.SetNonblock(c.fd, true)
	}
	if err == nil && path != SystemBus {
		if uid, ok := c.stranger(); ok {
			return &Error{Op: c.op, Message: "it belongs to the user " + strconv.Itoa(uid), Hint: "set DBUS_SESSION_BUS_ADDRESS to a bus of your own"}
		}
	}
	if err != nil {
		e := &Error{Op: c.op, Err: errno(err), Hint: "without systemd cgroups are made with the cgroup driver cgroupfs"}
		if path != SystemBus {
			e.Hint = "the bus of a user comes with a session and the package dbus-user-session (loginctl enable-linger); " + e.Hint
		}
		return e
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	_, err = c.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", nil)
	return err
}

// stranger is who listens, when it is neither this user nor root: an abstract address (unix(7)) is anybody's to take
// whose owner is gone.
func (c *Conn) stranger() (uid int, is bool) {
	peer, err := unix.GetsockoptUcred(c.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || peer.Uid == 0 || peer.Uid == uint32(unix.Geteuid()) {
		return 0, false
	}
	return int(peer.Uid), true
}

// Close ends the connection.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
	c.fd = -1
}

// authenticate has the kernel tell the bus who we are (SASL EXTERNAL, without an id of our own: in a user namespace
// we are somebody else to ourselves).
func (c *Conn) authenticate() error {
	if err := c.send([]byte("\x00AUTH EXTERNAL\r\nDATA\r\n")); err != nil {
		return err
	}
	for _, want := range [...]string{"DATA", "OK "} {
		line, err := c.line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, want) {
			return &Error{Op: c.op, Message: "the bus does not take us: " + strconv.Quote(line)}
		}
	}
	return c.send([]byte("BEGIN\r\n"))
}

// line reads a line, of what comes before messages.
func (c *Conn) line() (string, error) {
	for {
		if line, rest, found := strings.Cut(string(c.in), "\r\n"); found {
			c.in = []byte(rest)
			return line, nil
		}
		if len(c.in) > 4096 {
			return "", c.malformed()
		}
		if err := c.receive(); err != nil {
			return "", err
		}
	}
}

func (c *Conn) malformed() error { return &Error{Op: c.op, Message: "the answer is malformed"} }

// call sends a method call and waits for its answer.
func (c *Conn) call(destination, path, iface, member, signature string, body []byte) (*message, error) {
	c.serial++
	m := &message{kind: methodCall, serial: c.serial, path: path, iface: iface, member: member, destination: destination, signature: signature, body: body}
	if err := c.send(m.marshal()); err != nil {
		return nil, err
	}
	for {
		answer, err := c.next()
		if err != nil {
			return nil, err
		}
		if answer.replySerial != m.serial {
			continue
		}
		switch answer.kind {
		case methodReturn:
			return answer, nil
		case methodError:
			e := &Error{Op: c.op, Name: answer.errorName}
			if words := answer.strings(); len(words) > 0 {
				e.Message = words[0]
			}
			if e.Unwrap() == unix.EACCES {
				e.Hint = "the machine's systemd makes scopes for root alone; users have a manager of their own"
			}
			return nil, e
		}
	}
}

// next is the next message. A signal that a job is over is kept for whoever waits for it. One that is too large is passed
// over: on the machine's bus anybody may send signals to anybody.
func (c *Conn) next() (*message, error) {
	for {
		n := min(c.skip, len(c.in))
		c.skip -= n
		c.in = c.in[n:]
		if c.skip == 0 && len(c.in) >= headerSize {
			size := messageSize(c.in)
			switch {
			case size == 0 || size > maxMessage && c.in[1] != methodSignal:
				return nil, c.malformed()
			case size > maxMessage:
				c.skip = size
				continue
			case len(c.in) >= size:
				m, ok := parse(c.in[:size:size])
				c.in = c.in[size:]
				if !ok {
					return nil, c.malformed()
				}
				c.keep(m)
				return m, nil
			}
		}
		if err := c.receive(); err != nil {
			return nil, err
		}
	}
}

func (c *Conn) keep(m *message) {
	if m.kind != methodSignal || m.member != "JobRemoved" || m.iface != managerInterface {
		return
	}
	// u id, o job, s unit, s result
	if words := m.strings(); len(words) == 3 && len(c.removed) < maxOver {
		c.removed = append(c.removed, over{m.sender, words[0], words[2]})
	}
}

func (c *Conn) send(b []byte) error {
	for len(b) > 0 {
		n, err := unix.SendmsgN(c.fd, b, nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			if err := c.poll(unix.POLLOUT); err != nil {
				return err
			}
		default:
			return &Error{Op: c.op, Err: errno(err)}
		}
	}
	return nil
}

// receive reads what there is, and waits until there is something. A bus that never stops talking has no more time than
// one that says nothing.
func (c *Conn) receive() error {
	buf := make([]byte, 16384)
	for {
		if time.Now().After(c.deadline) {
			return &Error{Op: c.op, Err: unix.ETIMEDOUT}
		}
		n, err := unix.Read(c.fd, buf)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := c.poll(unix.POLLIN); err != nil {
				return err
			}
		case err != nil:
			return &Error{Op: c.op, Err: errno(err)}
		case n == 0:
			return &Error{Op: c.op, Message: "the bus closed the connection"}
		default:
			c.in = append(c.in, buf[:n]...)
			return nil
		}
	}
}

func (c *Conn) poll(events int16) error {
	left := time.Until(c.deadline)
	if left <= 0 {
		return &Error{Op: c.op, Err: unix.ETIMEDOUT}
	}
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: events}}, int(left/time.Millisecond)+1)
	if err != nil && err != unix.EINTR {
		return &Error{Op: c.op, Err: errno(err)}
	}
	return nil
}

func errno(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return unix.EIO
}
