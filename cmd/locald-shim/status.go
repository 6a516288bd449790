package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/locald/locald/internal/jsontext"
	"github.com/locald/locald/libcontainer"
)

// status tells how far a run has come: as one JSON object per line on a descriptor, for programs; or, for
// people, as nothing but an error at the end, on standard error.
type status struct {
	w     *os.File // nil without --status-fd
	fd    int      // of w
	phase libcontainer.Phase
}

// reached writes {"phase":"cloned","pid":17}; fields is what follows the phase.
func (s *status) reached(p libcontainer.Phase, fields string) {
	s.phase = p
	if s.w != nil {
		write(s.fd, `{"phase":"`+string(p)+`"`+fields+"}\n")
	}
}

// failed reports an error and says what to exit with.
func (s *status) failed(err error) int {
	var problems *libcontainer.ProblemError
	if errors.As(err, &problems) {
		for _, p := range problems.Problems {
			s.line("", p.Pointer, "", p.Reason, p.Hint, "locald-shim: "+visible(p.String()))
		}
		return exitNotRun
	}
	var op *libcontainer.OpError
	if !errors.As(err, &op) {
		s.line("", "", "", err.Error(), "", "locald-shim: "+visible(err.Error()))
		return exitNotRun
	}
	code := exitNotRun
	message := op.Error()
	if op.Origin == "/process/args/0" {
		code = exitNotExec
		if op.Err == syscall.ENOENT || op.Err == syscall.ENOTDIR {
			code = exitNotFound
			if strings.HasPrefix(op.Op, "find ") { // the words that clients look for
				message = "exec: " + strings.TrimSuffix(strings.TrimPrefix(op.Op, "find "), " in PATH") + ": executable file not found in $PATH"
			}
		}
	}
	text := "locald-shim: " + visible(message)
	if op.Hint != "" {
		text += "\nlocald-shim: hint: " + visible(op.Hint)
	}
	s.line(op.Op, op.Origin, errnoName(op.Err), message, op.Hint, text)
	return code
}

// warn reports what does not stop the container. An object with a warning has no message, which would be an error.
func (s *status) warn(problems []libcontainer.Problem) {
	for _, p := range problems {
		if s.w == nil {
			write(2, "locald-shim: warning: "+visible(p.String())+"\n")
		} else {
			write(s.fd, `{"phase":`+jsontext.String(string(s.phase))+`,"pointer":`+jsontext.String(p.Pointer)+`,"warning":`+jsontext.String(p.Reason+"; "+p.Hint)+"}\n")
		}
	}
}

// line writes one error: to the status descriptor if there is one, else the text to standard error.
func (s *status) line(op, pointer, errno, message, hint, text string) {
	if s.w == nil {
		write(2, text+"\n")
		return
	}
	write(s.fd, `{"phase":`+jsontext.String(string(s.phase))+`,"op":`+jsontext.String(op)+`,"pointer":`+jsontext.String(pointer)+
		`,"errno":`+jsontext.String(errno)+`,"message":`+jsontext.String(message)+`,"hint":`+jsontext.String(hint)+"}\n")
}

// visible takes out what a terminal would obey: names in config.json may hold escape sequences and newlines.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// exited is what is told of a container that has run.
func exited(e libcontainer.Exit) string {
	s := `,"code":` + strconv.Itoa(e.Code)
	if e.Signal != 0 {
		s += `,"signal":` + strconv.Itoa(e.Signal)
	}
	if e.OOMKilled {
		s += `,"oom":true`
	}
	return s
}
