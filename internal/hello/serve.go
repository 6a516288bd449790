package hello

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Port is where serve answers.
const Port = 8080

// serve answers every GET with the report, until it is asked to end. It speaks as much of HTTP/1.0 (RFC 1945) as that
// takes: net/http would be half of the binary.
func serve(stdout, stderr io.Writer) int {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, os.Interrupt) // the first process of a container has to ask for them
	l, err := net.Listen("tcp", ":"+strconv.Itoa(Port))
	if err != nil {
		io.WriteString(stderr, "hello: "+err.Error()+"\n")
		return 1
	}
	io.WriteString(stdout, "hello: listening on port "+strconv.Itoa(Port)+"\n")
	go func() {
		<-ends
		l.Close()
	}()
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			go answer(c)
		case errors.Is(err, net.ErrClosed):
			return 0
		default:
			time.Sleep(50 * time.Millisecond) // no descriptors are left
		}
	}
}

// patience is how long a peer may take for its request, and longest how much that may be.
const (
	patience = 10 * time.Second
	longest  = 16 << 10
)

func answer(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(io.LimitReader(c, longest))
	request, err := in.ReadString('\n')
	for err == nil {
		var line string
		if line, err = in.ReadString('\n'); strings.TrimRight(line, "\r\n") == "" {
			break
		}
	}
	if err != nil {
		return
	}
	var body bytes.Buffer
	status := "200 OK"
	method, _, _ := strings.Cut(request, " ")
	switch method {
	case "GET", "HEAD":
		v := observe()
		v.startup = 0 // was some time ago
		v.write(&body)
	default:
		status = "405 Method Not Allowed"
		body.WriteString("hello answers GET\n")
	}
	head := "HTTP/1.0 " + status + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + strconv.Itoa(body.Len()) + "\r\nConnection: close\r\n\r\n"
	if method == "HEAD" {
		body.Reset()
	}
	c.Write(append([]byte(head), body.Bytes()...))
}
