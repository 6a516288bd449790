package e2e

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// agent decides on system calls of containers, for which it listens on a socket: mkdir gets EXDEV, getsid(7) gets
// 4242, everything else goes on as if nobody had been asked (seccomp_unotify(2)).
type agent struct {
	path    string
	socket  *net.UnixListener
	states  chan specs.ContainerProcessState
	gives   bool // it closes the descriptor as soon as it has it
	patient bool // connections may end without a word, and nobody reads the states

	mutex sync.Mutex
	calls []notified
	wait  sync.WaitGroup
}

// notified is a call that the agent was asked about.
type notified struct {
	pid, nr int
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	a := &agent{path: filepath.Join(dir, "agent"), states: make(chan specs.ContainerProcessState, 16)}
	var err error
	a.socket, err = net.ListenUnix("unix", &net.UnixAddr{Name: a.path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { a.socket.Close(); a.wait.Wait() })
	return a
}

// serve decides until the socket is closed.
func (a *agent) serve(t *testing.T) *agent {
	a.wait.Go(func() {
		for {
			c, err := a.socket.AcceptUnix()
			if err != nil {
				return
			}
			a.wait.Go(func() { a.one(t, c) })
		}
	})
	return a
}

// one takes one state, which must be all that comes, and decides on what its process calls.
func (a *agent) one(t *testing.T, c *net.UnixConn) {
	defer c.Close()
	text, control := make([]byte, 1<<16), make([]byte, unix.CmsgSpace(64))
	n, used, _, _, err := c.ReadMsgUnix(text, control)
	if a.patient && n <= 0 {
		return
	}
	if err != nil {
		t.Error("the agent's connection:", err)
		return
	}
	messages, err := unix.ParseSocketControlMessage(control[:used])
	if err != nil || len(messages) != 1 {
		t.Errorf("%d control messages: %v", len(messages), err)
		return
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Errorf("%d descriptors: %v", len(fds), err)
		return
	}
	var s specs.ContainerProcessState
	if err := json.Unmarshal(text[:n], &s); err != nil {
		t.Errorf("%v: %s", err, text[:n])
	}
	if !a.patient {
		a.states <- s
	}
	if n, err := c.Read(text); n != 0 || err == nil {
		t.Errorf("more than one state on a connection: %q", text[:n])
	}
	if !a.gives {
		a.decide(t, fds[0])
	}
	unix.Close(fds[0])
}

// decide answers until no process has the filter any more.
func (a *agent) decide(t *testing.T, fd int) {
	const receive, send, proceed = 0xc0502100, 0xc0182101, 1
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		}
		if p[0].Revents&unix.POLLIN == 0 {
			return
		}
		var q struct {
			id         uint64
			pid, flags uint32
			nr, arch   uint32
			ip         uint64
			args       [6]uint64
		}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), receive, uintptr(unsafe.Pointer(&q))); e == unix.ENOENT || e == unix.EINTR {
			continue // it was killed meanwhile
		} else if e != 0 {
			t.Error("ask for a call:", e)
			return
		}
		a.mutex.Lock()
		a.calls = append(a.calls, notified{int(q.pid), int(q.nr)})
		a.mutex.Unlock()
		r := struct {
			id           uint64
			value        int64
			errno, flags int32
		}{id: q.id}
		switch {
		case slices.Contains(mkdirCalls(), int(q.nr)):
			r.errno = -int32(unix.EXDEV)
		case q.nr == unix.SYS_GETSID && q.args[0] == 7:
			r.value = 4242
		default:
			r.flags = proceed
		}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), send, uintptr(unsafe.Pointer(&r))); e != 0 && e != unix.ENOENT {
			t.Error("answer a call:", e)
		}
	}
}

// asked is how often the agent was asked about a call of a process.
func (a *agent) asked(c notified) int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	n := 0
	for _, k := range a.calls {
		if k == c {
			n++
		}
	}
	return n
}
