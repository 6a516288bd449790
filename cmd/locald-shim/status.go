package main

import (
	"os"
	"strconv"
	"strings"

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

// warnOf tells of what went wrong and changes nothing.
func (s *status) warnOf(err error) {
	if s.w == nil {
		write(2, "locald-shim: warning: "+visible(err.Error())+"\n")
		return
	}
	s.reached(s.phase, `,"warning":`+jsontext.String(err.Error()))
}

// failed reports an error and says what to exit with.
func (s *status) failed(err error) int {
	code := exitNotRun
	for _, c := range complaints(err) {
		code = c.code
		if s.w == nil {
			write(2, c.text(err)+"\n")
			continue
		}
		write(s.fd, `{"phase":`+jsontext.String(string(s.phase))+`,"op":`+jsontext.String(c.op)+`,"pointer":`+jsontext.String(c.pointer)+
			`,"errno":`+jsontext.String(c.errno)+`,"message":`+jsontext.String(c.message)+`,"hint":`+jsontext.String(c.hint)+"}\n")
	}
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
