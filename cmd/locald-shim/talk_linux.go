package main

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/locald/locald/internal/jsontext"
	"github.com/locald/locald/libcontainer"
	"golang.org/x/sys/unix"
)

// talk is where the OCI verbs tell of errors: on standard error and, when asked to, in a log file, which engines read
// the last error from.
type talk struct {
	fd    int // of the log; -1 without
	json  bool
	debug bool
}

// openLog opens the log with the caller's rights: a line is appended in one write.
func openLog(c *command) (*talk, error) {
	t := &talk{fd: -1, json: c.value("log-format") == "json", debug: c.has("debug") || c.value("log-level") == "debug"}
	if path := c.value("log"); path != "" {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0o644)
		if err != nil {
			return t, &os.PathError{Op: "open the log", Path: path, Err: err}
		}
		t.fd = fd
	}
	return t, nil
}

// line writes one line to the log: that of logrus, which engines parse.
func (t *talk) line(level, message string) {
	if t.fd < 0 {
		return
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if t.json {
		write(t.fd, `{"level":"`+level+`","msg":`+jsontext.String(message)+`,"time":"`+now+"\"}\n")
		return
	}
	write(t.fd, `time="`+now+`" level=`+level+` msg=`+strconv.Quote(message)+"\n")
}

// failed tells of an error; code is the exit status.
func (t *talk) failed(err error, code int) int {
	all := ""
	for i, c := range complaints(err) {
		if i > 0 {
			all += "; "
		}
		all += c.message
		if c.op == "" && c.pointer != "" {
			all = all[:len(all)-len(c.message)] + "config.json: " + c.pointer + ": " + c.message
		}
		write(2, c.text(err)+"\n")
	}
	t.line("error", all)
	return code
}

// output writes to standard output what the call is made for.
func output(s string) error {
	err := write(1, s)
	if err == nil {
		return nil
	}
	errno, _ := err.(syscall.Errno)
	return &libcontainer.OpError{Index: -1, Op: "write to standard output", Err: errno}
}

// write writes all of s and gives up on an error: os.File would end the process on EPIPE.
func write(fd int, s string) error {
	for len(s) > 0 {
		n, err := unix.Write(fd, []byte(s))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		s = s[n:]
	}
	return nil
}

func errnoName(e syscall.Errno) string {
	if e == 0 {
		return ""
	}
	return unix.ErrnoName(e)
}
