package publish

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Publisher listens on this machine for a container.
type Publisher struct {
	listeners []listener

	mutex   sync.Mutex
	pidfd   int   // of the container's first process; -1 without one
	sockets []int // made in its network namespace, and not used yet
	served  bool
	since   time.Time // of Serve
}

type listener struct {
	*net.TCPListener
	port uint16 // of the container
}

// Error says which port cannot be had.
type Error struct {
	Port Port
	Err  error // unix.EACCES, unix.EADDRINUSE, unix.EADDRNOTAVAIL
}

func (e *Error) Error() string {
	return "port " + strconv.Itoa(int(e.Port.Host)) + " cannot be published: " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Listen begins to listen on all ports. Where Host is 0 it becomes what the kernel chose.
func Listen(ports []Port) (*Publisher, error) {
	p := &Publisher{pidfd: -1}
	for i := range ports {
		if err := p.listen(&ports[i]); err != nil {
			p.Close()
			return nil, &Error{ports[i], err}
		}
	}
	return p, nil
}

// tries is how often another free port is looked for, when it is taken for the other address.
const tries = 16

func (p *Publisher) listen(port *Port) error {
	if port.Address != "" {
		l, err := listenOn(port.Address, port.Host)
		if err == nil {
			p.add(l, port)
		}
		return err
	}
	var err error
	for range tries {
		var four, six *net.TCPListener
		if four, err = listenOn("127.0.0.1", port.Host); err != nil {
			return err
		}
		// Where there is no IPv6 at all, localhost is not ::1 either.
		six, err = listenOn("::1", uint16(four.Addr().(*net.TCPAddr).Port))
		if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
			if p.add(four, port); err == nil {
				p.add(six, port)
			}
			return nil
		}
		four.Close()
		if port.Host != 0 {
			return err
		}
	}
	return err
}

func (p *Publisher) add(l *net.TCPListener, port *Port) {
	port.Host = uint16(l.Addr().(*net.TCPAddr).Port)
	p.listeners = append(p.listeners, listener{l, port.Container})
}

func listenOn(address string, port uint16) (*net.TCPListener, error) {
	network := "tcp4"
	if strings.Contains(address, ":") {
		network = "tcp6"
	}
	l, err := net.Listen(network, net.JoinHostPort(address, strconv.Itoa(int(port))))
	if err != nil {
		var e *os.SyscallError
		if errors.As(err, &e) {
			return nil, e.Err
		}
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// Serve hands connections to the container whose first process is pid, from now on. It may be called again, for the
// next process.
func (p *Publisher) Serve(pid int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.forget()
	p.pidfd, p.since = pidfd, time.Now()
	if !p.served {
		p.served = true
		for _, l := range p.listeners {
			go p.accept(l)
		}
	}
	return nil
}

func (p *Publisher) forget() {
	closeAll(p.sockets)
	p.sockets = nil
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
		p.pidfd = -1
	}
}

// Close ends listening. Connections that were made go on as long as both sides want them.
func (p *Publisher) Close() {
	for _, l := range p.listeners {
		l.Close()
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.forget()
}

func (p *Publisher) accept(l listener) {
	for {
		c, err := l.AcceptTCP()
		switch {
		case err == nil:
			go p.forward(c, l.port)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(20 * time.Millisecond) // no descriptors are left: others will end
		}
	}
}

// forward joins a connection to one that it makes to the container. Where nobody listens there, the peer sees a reset.
func (p *Publisher) forward(here *net.TCPConn, port uint16) {
	defer here.Close()
	there, err := p.dial(port)
	if err != nil {
		here.SetLinger(0)
		return
	}
	defer there.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(here, there)
	}()
	pass(there, here)
	<-done
}

// pass copies until the end (by splice(2), which is in the package net) and hands the end on.
func pass(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
	from.CloseRead()
}

// grace is how long a program may take to listen once it has been started.
const grace = 2 * time.Second

// dial connects to a port of the container, which a program that has just been started may not listen on yet.
func (p *Publisher) dial(port uint16) (*net.TCPConn, error) {
	for {
		c, err := p.dialOnce(port)
		p.mutex.Lock()
		starts := time.Since(p.since) < grace
		p.mutex.Unlock()
		if err != unix.ECONNREFUSED || !starts {
			return c, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// dialOnce connects to the container's loopback address, of IPv4 or else of IPv6.
func (p *Publisher) dialOnce(port uint16) (*net.TCPConn, error) {
	c, err := p.connect(unix.AF_INET, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}})
	if err == unix.ECONNREFUSED {
		six := &unix.SockaddrInet6{Port: int(port)}
		six.Addr[15] = 1
		c, err = p.connect(unix.AF_INET6, six)
	}
	return c, err
}

func (p *Publisher) connect(domain int, to unix.Sockaddr) (*net.TCPConn, error) {
	fd, err := p.take(domain)
	if err != nil {
		return nil, err
	}
	if err := connected(fd, to); err != nil {
		unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "container")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// patience is how long a connection may take. On a loopback it takes any time only while the server's queue is full.
const patience = 10 * time.Second

func connected(fd int, to unix.Sockaddr) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	err := unix.Connect(fd, to)
	if err != unix.EINPROGRESS && err != unix.EINTR {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(time.Until(end).Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return err
		}
		if n > 0 {
			result, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && result != 0 {
				err = syscall.Errno(result)
			}
			return err
		}
	}
	return unix.ETIMEDOUT
}

// batch is how many sockets one child makes.
const batch = 8

// take is a socket of the container.
func (p *Publisher) take(domain int) (fd int, err error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.pidfd < 0 {
		return -1, net.ErrClosed
	}
	if domain != unix.AF_INET {
		one, err := sockets(p.pidfd, domain, 1)
		if err != nil {
			return -1, err
		}
		return one[0], nil
	}
	if len(p.sockets) == 0 {
		if p.sockets, err = sockets(p.pidfd, domain, batch); err != nil {
			return -1, err
		}
	}
	fd = p.sockets[0]
	p.sockets = p.sockets[1:]
	return fd, nil
}
