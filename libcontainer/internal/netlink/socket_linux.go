package netlink

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// Error is the kernel's refusal, and what it says about it; Text may be "".
type Error struct {
	Errno unix.Errno
	Text  string
}

func (e *Error) Error() string {
	if e.Text != "" {
		return e.Errno.Error() + ": " + e.Text
	}
	return e.Errno.Error()
}

// Unwrap is the errno.
func (e *Error) Unwrap() error { return e.Errno }

// Socket is a conversation with the network namespace that the thread was in when it was opened.
type Socket struct {
	fd  int
	seq uint32
}

// Open opens a socket in the network namespace of the calling thread.
func Open() (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	for _, option := range [...]int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK} { // errors with words, and without the request
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1)
		}
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Socket{fd: fd}, nil
}

// Close closes the socket.
func (s *Socket) Close() { unix.Close(s.fd) }

// Links are the namespace's devices.
func (s *Socket) Links() (all []Link, err error) {
	err = s.dump(func() { all = nil }, func(seq uint32) []byte {
		return message(typeGetLink, flagRequest|flagDump, seq, ifinfomsg(0, 0, 0))
	}, typeNewLink, func(body []byte) error {
		l, err := link(body)
		all = append(all, l)
		return err
	})
	return all, err
}

// Addresses are the permanent addresses of a device that are good anywhere.
func (s *Socket) Addresses(index int) (all []Address, err error) {
	err = s.dump(func() { all = nil }, func(seq uint32) []byte {
		return message(typeGetAddr, flagRequest|flagDump, seq, make([]byte, addrLen))
	}, typeNewAddr, func(body []byte) error {
		a, ok, err := address(body, index)
		if ok {
			all = append(all, a)
		}
		return err
	})
	return all, err
}

// Move moves a device to the network namespace behind ns, where it gets a name and an index.
func (s *Socket) Move(index, ns int, name string, newIndex int) error {
	s.seq++
	return s.ask(move(s.seq, index, ns, name, newIndex))
}

// Add gives a device an address.
func (s *Socket) Add(index int, a Address) error {
	s.seq++
	return s.ask(add(s.seq, index, a))
}

// Up sets a device up.
func (s *Socket) Up(index int) error {
	s.seq++
	return s.ask(message(typeSetLink, flagRequest|flagAck, s.seq, ifinfomsg(index, up, up)))
}

// ask sends a request and waits for its acknowledgement.
func (s *Socket) ask(request []byte) error {
	_, err := s.talk(request, 0, nil)
	return err
}

// maxTries bounds the dumps that were interrupted by a change.
const maxTries = 10

// dump asks for a list, and again when it has changed meanwhile.
func (s *Socket) dump(begin func(), request func(seq uint32) []byte, kind uint16, each func(body []byte) error) error {
	for try := 0; ; try++ {
		begin()
		s.seq++
		whole, err := s.talk(request(s.seq), kind, each)
		if err != nil || whole {
			return err
		}
		if try == maxTries {
			return unix.EINTR
		}
	}
}

// talk sends a request and reads its answer to the end. whole is false when a list may miss something.
func (s *Socket) talk(request []byte, kind uint16, each func(body []byte) error) (whole bool, err error) {
	if err := unix.Sendto(s.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, err
	}
	whole = true
	buf := make([]byte, 64<<10)
	for {
		n, from, err := unix.Recvfrom(s.fd, buf, unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, err
		}
		if n > len(buf) {
			return false, errShort
		}
		if k, ok := from.(*unix.SockaddrNetlink); !ok || k.Pid != 0 {
			continue // not the kernel
		}
		for b := buf[:n]; len(b) > 0; {
			var p part
			if p, b, err = split(b); err != nil {
				return false, err
			}
			if p.seq != s.seq {
				continue
			}
			if p.flags&flagInterrupted != 0 && p.kind != typeError {
				whole = false
			}
			switch p.kind {
			case typeDone, typeError:
				return whole, refusal(p)
			case kind:
				if err := each(p.body); err != nil {
					return false, err
				}
			}
		}
	}
}

// refusal is the error in the last message of an answer; nil when it is an acknowledgement.
func refusal(p part) error {
	if len(p.body) < 4 {
		return errShort
	}
	n := int32(binary.LittleEndian.Uint32(p.body))
	if n == 0 {
		return nil
	}
	e := &Error{Errno: unix.Errno(-n)}
	if p.kind == typeError && p.flags&flagAckAttrs != 0 {
		attrs, err := attributes(p.body, 4+headerLen)
		for _, a := range attrs {
			if err == nil && a.kind == 1 { // NLMSGERR_ATTR_MSG
				e.Text = strings.TrimRight(string(a.value), "\x00")
			}
		}
	}
	return e
}
