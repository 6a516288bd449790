package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer"
)

// request is what the caller said. Every field is the caller's word: it is looked at with the caller's
// rights only.
type request struct {
	version  bool
	bundle   string
	id       string
	pidFile  string
	console  string // path of the socket for the terminal
	statusFD int    // -1 without
	dryRun   bool
}

// parse reads the command line: "--flag value", "--flag=value" or "-flag value". Each flag comes once. With
// an error the request holds what could be read all the same: also an error is told on the status descriptor.
func parse(args []string) (*request, error) {
	r := &request{statusFD: -1}
	if len(args) == 0 {
		return r, errors.New(exitUsageHint)
	}
	if args[0] == "--version" || args[0] == "-v" || args[0] == "version" {
		r.version = true
		return r, nil
	}
	if len(args) < 2 || args[0] != "bundle" || args[1] != "run" {
		return r, errors.New("unknown command " + quote(args[0]) + "; " + exitUsageHint)
	}
	err := r.flags(args[2:])
	switch {
	case err != nil:
	case r.bundle == "" || r.id == "" && !r.dryRun:
		err = errors.New("--bundle and --id are needed; " + exitUsageHint)
	case r.id != "" && !libcontainer.ValidID(r.id):
		err = errors.New(badID(r.id))
	}
	return r, err
}

// flags reads all flags and returns the first error.
func (r *request) flags(args []string) (first error) {
	seen := ""
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(arg, "=")
		name = strings.TrimPrefix(strings.TrimPrefix(name, "-"), "-")
		if name == "b" {
			name = "bundle"
		}
		var err error
		switch {
		case !strings.HasPrefix(arg, "-"):
			err = errors.New("unexpected argument " + quote(arg))
		case strings.Contains(seen, " "+name+" "):
			err = errors.New("--" + name + " is given twice")
		case name == "dry-run" && !hasValue:
			r.dryRun = true
		case name != "bundle" && name != "id" && name != "pid-file" && name != "console-socket" && name != "status-fd":
			err = errors.New("unknown flag " + quote("--"+name) + "; " + exitUsageHint)
		case !hasValue && len(args) == 0:
			err = errors.New("--" + name + " needs a value")
		default:
			if !hasValue {
				value, args = args[0], args[1:]
			}
			err = r.set(name, value)
		}
		seen += " " + name + " "
		if first == nil {
			first = err
		}
	}
	return first
}

func (r *request) set(name, value string) error {
	switch name {
	case "bundle":
		r.bundle = value
	case "id":
		if value == "" {
			return errors.New("the container id is empty")
		}
		r.id = value
	case "pid-file":
		r.pidFile = value
	case "console-socket":
		if value == "" {
			return errors.New("the path of the console socket is empty")
		}
		r.console = value
	case "status-fd":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n < 3 {
			return errors.New("--status-fd " + quote(value) + " is not the number of a descriptor above 2")
		}
		r.statusFD = int(n)
	}
	return nil
}

// quote shortens and quotes what a caller said, for a message.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strconv.Quote(s)
}
