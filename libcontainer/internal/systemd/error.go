package systemd

import "syscall"

// Error is a request that failed: refused by systemd or the bus, which have names for that, or by the kernel on the way
// there.
type Error struct {
	Op      string        // "start locald-web.scope"
	Name    string        // "org.freedesktop.systemd1.UnitExists"; "" when it did not come from the bus
	Message string        // what the bus says in words, or what was wrong with the answer
	Err     syscall.Errno // 0 when the bus answered
	Hint    string        // what to do; "" when the rest says it
}

// Error is "start locald-web.scope with systemd: Unit locald-web.scope already exists.", and the hint after that.
func (e *Error) Error() string {
	s := e.Op + " with systemd"
	if e.Message != "" {
		s += ": " + e.Message
	} else if e.Name != "" {
		s += ": " + e.Name
	}
	if e.Err != 0 {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap is the errno, or what comes closest to the error of the bus.
func (e *Error) Unwrap() error {
	switch {
	case e.Err != 0:
		return e.Err
	case e.Name == unitExists:
		return syscall.EEXIST
	case e.Name == noSuchUnit:
		return syscall.ENOENT
	case e.Name == "org.freedesktop.DBus.Error.AccessDenied" || e.Name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return syscall.EACCES
	}
	return nil
}

const (
	unitExists = "org.freedesktop.systemd1.UnitExists"
	noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
)
