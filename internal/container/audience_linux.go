package container

import (
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// socketName is where a monitor listens for who wants to see what its container writes as it comes, and to write to it.
//
// The monitor speaks first: a packet hello, with a descriptor where there is something to write to: the terminal, or
// the end of the container's standard input. Then each packet is one byte, stream or exit, and what was written, or the
// exit code. A packet packetEnd from the other side says that no more input comes.
const socketName = "attach"

// The first bytes of packets.
const (
	packetHello  = 'h'
	packetStdout = 'o'
	packetStderr = 'e'
	packetExit   = 'x'
	packetEnd    = 'i' // the other way: no more input
)

// patience is how long a container waits for one of those who look at it. Who takes nothing for so long is let go.
const patience = 10 * time.Second

// audience are those who are attached to a container.
type audience struct {
	mu    sync.Mutex
	seats []*seat
	ready bool
	input int  // descriptor of what they may write to; -1 when there is nothing
	once  bool // the input is for one of them alone, and ends when that one says so
}

// seat is one of them. The descriptor is the file's, which File.Fd would make one that waits.
type seat struct {
	*os.File
	fd int
}

func newSeat(fd int) *seat { return &seat{os.NewFile(uintptr(fd), socketName), fd} }

// open listens in the working directory, which is the container's.
func (a *audience) open() error {
	a.input = -1
	os.Remove(socketName)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	listener := newSeat(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socketName}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 8); err != nil {
		return os.NewSyscallError("listen", err)
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	go func() {
		for {
			one := -1
			err := raw.Read(func(fd uintptr) bool {
				var e error
				one, _, e = unix.Accept4(int(fd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
				return e != unix.EAGAIN
			})
			if err != nil {
				return
			}
			if one >= 0 {
				a.admit(newSeat(one))
			}
		}
	}()
	return nil
}

// begin says what there is to write to, -1 for nothing, and takes it over.
func (a *audience) begin(input int, once bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready, a.input, a.once = true, input, once
	for _, s := range a.seats { // who was there before the start
		a.greet(s)
	}
}

// admit takes one more.
func (a *audience) admit(s *seat) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seats = append(a.seats, s)
	if a.ready {
		a.greet(s)
	}
}

// greet hands out the descriptor, and waits for the end of the one who got it.
func (a *audience) greet(s *seat) {
	var rights []byte
	if a.input >= 0 {
		rights = unix.UnixRights(a.input)
	}
	unix.Sendmsg(s.fd, []byte{packetHello}, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	mine := -1
	if a.once {
		mine, a.input = a.input, -1
	}
	go a.hear(s, mine)
}

// hear waits until one leaves, or says that no more input comes, which ends that of the container when it is theirs
// alone.
func (a *audience) hear(s *seat, input int) {
	var buf [1]byte
	for {
		n, err := s.Read(buf[:])
		if input >= 0 {
			unix.Close(input)
			input = -1
		}
		if n == 0 || err != nil {
			a.mu.Lock()
			a.remove(s)
			a.mu.Unlock()
			return
		}
	}
}

func (a *audience) remove(s *seat) {
	if at := slices.Index(a.seats, s); at >= 0 {
		a.seats = slices.Delete(a.seats, at, at+1)
		s.Close()
	}
}

// tell sends what the container wrote. It waits for those who are slow, as a terminal would, and not for ever.
func (a *audience) tell(kind byte, text []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seats) == 0 {
		return
	}
	packet := append([]byte{kind}, text...)
	for _, s := range slices.Clone(a.seats) {
		s.SetWriteDeadline(time.Now().Add(patience))
		if _, err := s.Write(packet); err != nil {
			a.remove(s)
		}
	}
}

// end tells the exit code, nil for an unknown one, and lets everybody go.
func (a *audience) end(code *int) {
	text := ""
	if code != nil {
		text = strconv.Itoa(*code)
	}
	a.tell(packetExit, []byte(text))
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.seats) > 0 {
		a.remove(a.seats[0])
	}
	if a.input >= 0 {
		unix.Close(a.input)
	}
	a.ready, a.input = false, -1
}
