package libcontainer

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
)

// ErrPlatform is what running a container answers on a system that is not Linux. Everything pure
// (decode, validate, compile) works there.
//
//lint:ignore ST1005 the sentence is what users of other systems are told, word for word
var ErrPlatform = errors.New("Container execution requires Linux. Use Lima for macOS container support.")

// ErrInUse says that a container already has the id.
var ErrInUse = errors.New("container id is in use")

// What can be wrong with a container for what is asked of it. Clients look for these words.
var (
	ErrNotExist = errors.New("container does not exist")
	ErrRunning  = errors.New("container is not stopped")
	ErrStopped  = errors.New("container not running")
	ErrStarted  = errors.New("cannot start an already running container")
	ErrEnded    = errors.New("cannot start a container that has stopped")
	ErrPaused   = errors.New("container is paused")
)

// Problem is one finding about a config.json.
type Problem struct {
	Pointer string // JSON pointer (RFC 6901) into config.json: "/process/args/0"; "" is the whole document
	Reason  string // what is wrong, lower case, no full stop
	Hint    string // what to do about it; "" when the reason says it
}

// String is "config.json: POINTER: reason; hint".
func (p Problem) String() string {
	s := "config.json: "
	if p.Pointer != "" {
		s += p.Pointer + ": "
	}
	s += p.Reason
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// ProblemError is a config.json that was refused, with everything that is wrong with it.
type ProblemError struct {
	Problems []Problem // never empty
}

// Error has one line per problem.
func (e *ProblemError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// OpError is a step that the kernel refused: what was tried, for which part of config.json, and why.
type OpError struct {
	Phase  Phase         // where in the life of the container
	Index  int           // index of the op in the Program; -1 when the step was not the child's
	Op     string        // "mount tmpfs on /data"
	Origin string        // JSON pointer of what asked for it; "" when nothing in config.json did
	Err    syscall.Errno // the kernel's answer
	Hint   string        // what to do; "" when nothing better than the errno is known
}

// Error is "mount tmpfs on /data (config.json /mounts/4): operation not permitted".
func (e *OpError) Error() string {
	s := e.Op
	if e.Origin != "" {
		s += " (config.json " + e.Origin + ")"
	}
	return s + ": " + errnoText(e.Err)
}

// Unwrap is the errno, so that errors.Is(err, fs.ErrPermission) and friends work.
func (e *OpError) Unwrap() error { return e.Err }

// HookError is a hook that failed.
type HookError struct {
	Pointer string // "/hooks/createRuntime/0"
	Path    string
	Code    int    // exit status
	Signal  int    // that ended it; 0 for none
	Timeout int    // seconds after which it was killed; 0 when it ended by itself
	Stderr  string // the end of what it wrote there, at most 1 KiB
}

// Error is "hook /usr/bin/x (config.json /hooks/createRuntime/0): exit status 1: what it wrote".
func (e *HookError) Error() string {
	s := "hook " + e.Path + " (config.json " + e.Pointer + "): "
	switch {
	case e.Timeout != 0:
		s += "killed, because it did not end within " + strconv.Itoa(e.Timeout) + " s"
	case e.Signal != 0:
		s += "ended by signal " + strconv.Itoa(e.Signal)
	default:
		s += "exit status " + strconv.Itoa(e.Code)
	}
	if text := strings.ReplaceAll(strings.TrimSpace(e.Stderr), "\n", "; "); text != "" {
		s += ": " + text
	}
	return s
}

func errnoText(e syscall.Errno) string {
	if e == 0 {
		return "the kernel's answer was not the one that was needed"
	}
	if s := e.Error(); s != "" {
		return s
	}
	return "errno " + strconv.Itoa(int(e))
}

// Phase is a step in the life of one run, in this order.
type Phase string

// The phases of a run.
const (
	PhaseOpened    Phase = "opened"    // the bundle directory is held and config.json was read
	PhaseValidated Phase = "validated" // nothing is wrong with config.json
	PhaseCompiled  Phase = "compiled"  // the Program exists
	PhaseCloned    Phase = "cloned"    // the container's first process exists, blocked or at work on its Program
	PhaseLimited   Phase = "limited"   // id maps, cgroup and limits are in force
	PhaseCreated   Phase = "created"   // all is done but to execute the user's program, which waits for Start
	PhaseRunning   Phase = "running"   // the user's program has been executed
	PhaseExited    Phase = "exited"    // it has ended and nothing of it is left
)
