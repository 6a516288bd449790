package cgroup

import "syscall"

// Error is a step that the kernel refused.
type Error struct {
	Pointer string        // JSON pointer into config.json of what asked for the step; "" when nothing there did
	Op      string        // "write 67108864 to memory.max"
	Err     syscall.Errno // the kernel's answer
	Hint    string        // what to do; "" when nothing better than the errno is known
}

// Error is "write 67108864 to memory.max (config.json /linux/resources/memory/limit): device or
// resource busy".
func (e *Error) Error() string {
	s := e.Op
	if e.Pointer != "" {
		s += " (config.json " + e.Pointer + ")"
	}
	return s + ": " + e.Err.Error()
}

// Unwrap is the errno, so that errors.Is(err, fs.ErrExist) and friends work.
func (e *Error) Unwrap() error { return e.Err }
