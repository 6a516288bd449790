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
	statusFD int // -1 without
	dryRun   bool
}

// parse reads the command line: "--flag value", "--flag=value" or "-flag value". Each flag comes once.
func parse(args []string) (*request, error) {
	r := &request{statusFD: -1}
	if len(args) == 0 {
		return nil, errors.New(exitUsageHint)
	}
	if args[0] == "--version" || args[0] == "-v" || args[0] == "version" {
		r.version = true
		return r, nil
	}
	if len(args) < 2 || args[0] != "bundle" || args[1] != "run" {
		return nil, errors.New("unknown command " + quote(args[0]) + "; " + exitUsageHint)
	}
	seen := ""
	for i := 2; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		name = strings.TrimPrefix(strings.TrimPrefix(name, "-"), "-")
		if !strings.HasPrefix(args[i], "-") {
			return nil, errors.New("unexpected argument " + quote(args[i]))
		}
		if strings.Contains(seen, " "+name+" ") {
			return nil, errors.New("--" + name + " is given twice")
		}
		seen += " " + name + " "
		if name == "dry-run" && !hasValue {
			r.dryRun = true
			continue
		}
		if !hasValue {
			if i++; i == len(args) {
				return nil, errors.New("--" + name + " needs a value")
			}
			value = args[i]
		}
		if err := r.set(name, value); err != nil {
			return nil, err
		}
	}
	if r.bundle == "" || r.id == "" && !r.dryRun {
		return nil, errors.New("--bundle and --id are needed; " + exitUsageHint)
	}
	if r.id != "" && !libcontainer.ValidID(r.id) {
		return nil, errors.New("container id " + quote(r.id) + " is not valid: letters, digits, '_', '.' and '-', at most 128, not starting with '.' or '-'")
	}
	return r, nil
}

func (r *request) set(name, value string) error {
	switch name {
	case "bundle", "b":
		r.bundle = value
	case "id":
		if value == "" {
			return errors.New("the container id is empty")
		}
		r.id = value
	case "pid-file":
		r.pidFile = value
	case "status-fd":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n < 3 {
			return errors.New("--status-fd " + quote(value) + " is not the number of a descriptor above 2")
		}
		r.statusFD = int(n)
	default:
		return errors.New("unknown flag --" + name + "; " + exitUsageHint)
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
