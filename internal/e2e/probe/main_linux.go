package probe

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Name is the base name under which the test binary is the probe.
const Name = "probe"

// Asked reports whether this process was started as the probe.
func Asked() bool { return len(os.Args) > 0 && filepath.Base(os.Args[0]) == Name }

// Main does the actions in its arguments, in their order, and exits with 0; an action that fails writes its
// errno, and the next one is done all the same. An action is one argument, a verb and words; see verbs.go.
func Main() {
	runtime.LockOSThread() // namespaces and ids belong to threads
	for _, action := range os.Args[1:] {
		Say(do(action))
	}
	os.Exit(0)
}

// Say writes an answer as one line, in one write.
func Say(a Answer) {
	line, err := json.Marshal(a)
	if err != nil {
		line = []byte(`{"did":"marshal","errno":"` + err.Error() + `"}`)
	}
	os.Stdout.Write(append(line, '\n'))
}

func do(action string) Answer {
	a := Answer{Did: action}
	words := strings.Fields(action)
	if len(words) == 0 {
		a.Errno = "empty action"
		return a
	}
	if words[0] == "look" {
		a.Look = look()
		return a
	}
	verb := find(words[0])
	if verb == nil || len(words)-1 < verb.words {
		a.Errno = "unknown action"
		return a
	}
	var err error
	a.Value, err = verb.do(words[1:])
	a.Errno = errnoName(err)
	return a
}

// errnoName is "EROFS" for an error that holds an errno, else its text.
func errnoName(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return ""
	case errors.As(err, &errno):
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
		return errno.Error()
	}
	return err.Error()
}
