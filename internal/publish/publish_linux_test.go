package publish

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary stand for a container: a process in a network of its own.
func TestMain(m *testing.M) {
	if os.Getenv("PUBLISH_SERVER") != "" {
		os.Exit(server())
	}
	os.Exit(m.Run())
}

// server sends back what it is sent: on port 80 of 127.0.0.1, and on port 81 of ::1 alone. It ends with its input.
func server() int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 2
	}
	ifr, _ := unix.NewIfreq("lo")
	ifr.SetUint16(unix.IFF_UP)
	if unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr) != nil {
		return 3
	}
	said := "4"
	for _, address := range []string{"127.0.0.1:80", "[::1]:81"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if address[0] == '[' {
			said = "6"
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					io.Copy(c, c)
				}()
			}
		}()
	}
	os.Stdout.WriteString(said + "\n")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// newServer starts one; six says that it has IPv6.
func newServer(t *testing.T) (pid int, six bool) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PUBLISH_SERVER=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWNET | unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
			t.Skip("this machine forbids user namespaces")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the server ended:", err)
	}
	return cmd.Process.Pid, line == "6\n"
}

func dialTo(t *testing.T, address string, port uint16) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", net.JoinHostPort(address, strconv.Itoa(int(port))), 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(60 * time.Second))
	return c.(*net.TCPConn)
}

// echo sends data, says that this is all, and returns what came back until the other side said the same.
func echo(t *testing.T, address string, port uint16, data []byte) []byte {
	t.Helper()
	c := dialTo(t, address, port)
	defer c.Close()
	go func() {
		c.Write(data)
		c.CloseWrite()
	}()
	back, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return back
}

func TestPublish(t *testing.T) {
	pid, six := newServer(t)
	ports := []Port{{Container: 80}, {Container: 81}, {Container: 82}, {Address: "127.0.0.1", Container: 80}}
	p, err := Listen(ports)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, port := range ports {
		if port.Host == 0 {
			t.Fatal("no port was chosen:", ports)
		}
	}
	if err := p.Serve(pid); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("what is sent comes back, and then the end "), 50_000)
	var wait sync.WaitGroup
	for range 3 * batch {
		wait.Go(func() {
			if got := echo(t, "127.0.0.1", ports[0].Host, data); !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back, of %d", len(got), len(data))
			}
		})
	}
	wait.Wait()
	if got := echo(t, "127.0.0.1", ports[3].Host, []byte("x")); string(got) != "x" {
		t.Errorf("%q", got)
	}
	if six {
		for _, port := range []Port{ports[0], ports[1]} { // here, and there
			if got := echo(t, "::1", port.Host, []byte("x")); string(got) != "x" {
				t.Errorf("IPv6, port %d: %q", port.Container, got)
			}
		}
	}
	// Nobody listens on port 82.
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(int(ports[2].Host)))
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(60 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, unix.ECONNRESET) {
		t.Error(err)
	}
	// Every child has been waited for, but the server.
	var status unix.WaitStatus
	if child, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOHANG, nil); child != 0 || err != nil {
		t.Errorf("child %d, status %v, %v", child, status, err)
	}
	// Another process takes the place of the first.
	next, _ := newServer(t)
	if err := p.Serve(next); err != nil {
		t.Fatal(err)
	}
	if got := echo(t, "127.0.0.1", ports[0].Host, data); !bytes.Equal(got, data) {
		t.Errorf("the second process: %d bytes came back", len(got))
	}
	p.Close()
	if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(int(ports[0].Host))); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

// TestTaken: what cannot be listened on is named, and nothing stays behind.
func TestTaken(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := uint16(l.Addr().(*net.TCPAddr).Port)
	ports := []Port{{Container: 80}, {Host: taken, Container: 80}}
	_, err = Listen(ports)
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, unix.EADDRINUSE) || e.Port.Host != taken {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(int(ports[0].Host))); err == nil {
		c.Close()
		t.Error("the first port is still open")
	}
	if _, err = Listen([]Port{{Address: "192.0.2.1", Container: 80}}); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Error(err)
	}
}
