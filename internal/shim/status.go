package shim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"github.com/locald/locald/libcontainer"
)

// Failure is one reason why a container did not run, in the helper's words.
type Failure struct {
	Phase   libcontainer.Phase `json:"phase"`   // the last phase that was reached
	Op      string             `json:"op"`      // "mount tmpfs on /data"
	Pointer string             `json:"pointer"` // JSON pointer into config.json; "" when nothing in it asked
	Errno   string             `json:"errno"`   // "EPERM"; "" when it was not the kernel that refused
	Message string             `json:"message"`
	Hint    string             `json:"hint"`
}

// Status is what the status pipe of one run said.
type Status struct {
	Reached  libcontainer.Phase // the last phase; "" when not even the bundle was opened
	PID      int                // the container's first process, in the caller's ids
	Exited   bool               // Code and Signal are the program's own
	Code     int
	Signal   int  // the signal that ended the program, 0 when none did
	OOM      bool // the memory limit did
	Failures []Failure
	Warnings []string // what config.json asks for and the container runs without
}

// line is any object of the protocol. Members that are not known are for a later version.
type line struct {
	Failure
	PID    int  `json:"pid"`
	Code   int  `json:"code"`
	Signal int  `json:"signal"`
	OOM    bool `json:"oom"`

	Warning string `json:"warning"`
}

const (
	lineMax    = 256 << 10 // a message holds at most a few paths
	failureMax = 256       // problems or warnings of one config.json; the rest would not be read by anyone
)

// readStatus reads to the end of the pipe, which comes when the helper has gone. It calls running once, when
// the program has been executed. A line that is no such object is skipped: it can only be the work of a
// helper that is not ours, and the run still ends with that helper's exit code.
func readStatus(r io.Reader, running func(pid int)) Status {
	var s Status
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), lineMax)
	for lines.Scan() {
		text := bytes.TrimSpace(lines.Bytes())
		var l line
		if len(text) == 0 || json.Unmarshal(text, &l) != nil {
			continue
		}
		if l.Message != "" {
			if len(s.Failures) < failureMax {
				s.Failures = append(s.Failures, l.Failure)
			}
			continue
		}
		if l.Warning != "" {
			if len(s.Warnings) < failureMax {
				s.Warnings = append(s.Warnings, l.Warning)
			}
			continue
		}
		s.Reached = l.Phase
		switch l.Phase {
		case libcontainer.PhaseCloned:
			s.PID = l.PID
		case libcontainer.PhaseRunning:
			if running != nil {
				running(s.PID)
				running = nil
			}
		case libcontainer.PhaseExited:
			s.Exited, s.Code, s.Signal, s.OOM = true, l.Code, l.Signal, l.OOM
		}
	}
	io.Copy(io.Discard, r) // a line that was too long must not block the helper
	return s
}

// The exit codes of a container whose program never ran (as Docker has them).
const (
	CodeCannotRun     = 125
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// code is the exit code of the run: the program's own, 128 and its signal, or the helper's.
func (s *Status) code(helper, helperSignal int) int {
	switch {
	case s.Exited && s.Signal != 0:
		return 128 + s.Signal
	case s.Exited:
		return s.Code
	case helperSignal != 0:
		return 128 + helperSignal
	case helper == 0 && len(s.Failures) > 0:
		return CodeCannotRun
	}
	return helper
}
