package systemd

import (
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds one request, from the call to the end of the job that it starts.
const patience = 30 * time.Second

// systemBus is where the machine's bus is.
const systemBus = "/run/dbus/system_bus_socket"

// Conn is a connection to the bus that a manager is on. It is not for use from several goroutines at once.
type Conn struct {
	fd       int
	serial   uint32
	deadline time.Time
	in       []byte     // read and not yet taken
	removed  []*message // JobRemoved signals that nobody has waited for yet
	watching bool       // Subscribe was called
	op       string     // of the request under way, for an Error
}

// Connect reaches the manager of the machine, or of the user whose bus is at path, see Address.
func Connect(user bool, path string) (*Conn, error) {
	c := &Conn{fd: -1, op: "reach the bus", deadline: time.Now().Add(patience)}
	if !user {
		path = systemBus
	}
	if path == "" {
		return nil, &Error{Op: c.op, Message: "the user has no bus: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set"}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		c.fd = fd
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		c.Close()
		return nil, &Error{Op: "reach the bus at " + path, Err: errno(err)}
	}
	if err := c.authenticate(); err != nil {
		c.Close()
		return nil, err
	}
	if _, err := c.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
	c.fd = -1
}

// authenticate says who we are, which the kernel tells the bus as well (SASL EXTERNAL).
func (c *Conn) authenticate() error {
	uid := ""
	for _, digit := range strconv.Itoa(unix.Geteuid()) { // in hexadecimal, as every text here
		uid += "3" + string(digit)
	}
	if err := c.send([]byte("\x00AUTH EXTERNAL " + uid + "\r\n")); err != nil {
		return err
	}
	for end := 0; ; {
		for ; end+1 < len(c.in); end++ {
			if c.in[end] != '\r' || c.in[end+1] != '\n' {
				continue
			}
			line := string(c.in[:end])
			c.in = c.in[end+2:]
			if len(line) < 3 || line[:3] != "OK " {
				return &Error{Op: c.op, Message: "the bus does not take us for uid " + strconv.Itoa(unix.Geteuid()) + ": " + strconv.Quote(line)}
			}
			return c.send([]byte("BEGIN\r\n"))
		}
		if len(c.in) > 4096 {
			return c.malformed()
		}
		if err := c.receive(); err != nil {
			return err
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
			return nil, e
		}
	}
}

// next is the next message. A signal that a job is over is kept for whoever waits for it.
func (c *Conn) next() (*message, error) {
	for {
		if len(c.in) >= headerSize {
			size := messageSize(c.in)
			if size == 0 {
				return nil, c.malformed()
			}
			if len(c.in) >= size {
				m, ok := parse(c.in[:size:size])
				c.in = c.in[size:]
				if !ok {
					return nil, c.malformed()
				}
				if m.kind == methodSignal && m.member == "JobRemoved" && m.iface == managerInterface {
					c.removed = append(c.removed, m)
				}
				return m, nil
			}
		}
		if err := c.receive(); err != nil {
			return nil, err
		}
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

// receive reads what there is, and waits until there is something.
func (c *Conn) receive() error {
	buf := make([]byte, 16384)
	for {
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
