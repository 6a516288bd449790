package e2e

import (
	"bufio"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// get asks an HTTP server for its report, as curl would.
func get(t *testing.T, address, port string) (string, error) {
	t.Helper()
	c, err := net.DialTimeout("tcp", net.JoinHostPort(address, port), 30*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\nHost: x\r\n\r\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	return string(text), err
}

// greets waits until builtin:hello answers on a port of this machine.
func greets(t *testing.T, port string) {
	t.Helper()
	text := ""
	until(t, "an answer on port "+port, func() bool {
		text, _ = get(t, "127.0.0.1", port)
		return text != ""
	})
	if !strings.HasPrefix(text, "HTTP/1.0 200 OK\r\n") || !strings.Contains(text, "Hello from inside a container.") || !strings.Contains(text, "pid           1\n") {
		t.Error(text)
	}
}

// TestPublishForeground: -p without root and without a network daemon, for both loopback addresses, as long as the
// container lives.
func TestPublishForeground(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	cmd := c.command("run", "--name", "front", "-p", "8080", "builtin:hello", "serve")
	pipe, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(pipe).ReadString('\n')
	must(t, err)
	port, found := strings.CutPrefix(strings.TrimSpace(line), "locald: note: -p: ")
	if port, _, _ = strings.Cut(port, "->"); !found {
		t.Fatalf("%q", line)
	}
	go io.Copy(io.Discard, pipe)
	greets(t, port)
	c.says(t, port+"->8080/tcp\n", "ps", "--format", "{{.Ports}}")
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		if text, err := get(t, "::1", port); err != nil || !strings.Contains(text, "Hello") {
			t.Error(text, err)
		}
	}
	must(t, cmd.Process.Signal(unix.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := get(t, "127.0.0.1", port); err == nil {
		t.Error("the port is still open")
	}
}

// TestPublishDetached: the monitor listens; another one goes on where it was killed, and so does the next start.
func TestPublishDetached(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	r := c.locald(t, "run", "-d", "--name", "web", "-p", "8080", "builtin:hello", "serve")
	if r.code != 0 {
		t.Fatal(r)
	}
	ports := strings.TrimSpace(c.locald(t, "ps", "--format", "{{.Ports}}").stdout)
	port, inside, _ := strings.Cut(ports, "->")
	if inside != "8080/tcp" {
		t.Fatal(ports)
	}
	greets(t, port)
	first := c.inspect(t, "web").State.Monitor
	must(t, unix.Kill(first, unix.SIGKILL))
	until(t, "another monitor", func() bool { return c.inspect(t, "web").State.Monitor != first })
	greets(t, port)
	c.says(t, "web\n", "stop", "web")
	until(t, "the port to be closed", func() bool { _, err := get(t, "127.0.0.1", port); return err != nil })
	c.says(t, "web\n", "start", "web")
	greets(t, port)
	c.says(t, "web\n", "rm", "-f", "web")
}

// TestPublishRefused: what is said of ports that cannot be had, before anything is started.
func TestPublishRefused(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for _, detach := range []string{"--rm", "-d"} {
		r := c.locald(t, "run", detach, "-p", port+":80", "builtin:hello")
		r.failed(t, 125, "port "+port+" is already used by ")
		r.failed(t, 125, "(pid "+strconv.Itoa(os.Getpid())+", ")
		if !strings.Contains(r.stderr, " [LD202]\n  try: -p ") {
			t.Error(r)
		}
	}
	c.locald(t, "run", "-p", "192.0.2.1:8080:80", "builtin:hello").failed(t, 125, "port 8080 cannot be published on 192.0.2.1: this machine does not have that address. [LD203]")
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if text := strings.TrimSpace(string(first)); err == nil && text != "0" && !here.root {
		c.locald(t, "run", "-p", "1:80", "builtin:hello").failed(t, 125, "cannot publish port 1: ports below "+text+" need permission on this machine. [LD201]")
	}
}
