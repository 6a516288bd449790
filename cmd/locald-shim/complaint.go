package main

import (
	"errors"
	"strings"
	"syscall"

	"github.com/locald/locald/libcontainer"
)

// complaint is one error in all the words that are told of it.
type complaint struct {
	op, pointer, errno string
	message, hint      string
	code               int // what docker's convention exits with: 125, 126 or 127
}

// complaints are what an error says, never none.
func complaints(err error) []complaint {
	var problems *libcontainer.ProblemError
	if errors.As(err, &problems) {
		list := make([]complaint, len(problems.Problems))
		for i, p := range problems.Problems {
			list[i] = complaint{pointer: p.Pointer, message: p.Reason, hint: p.Hint, code: exitNotRun}
		}
		return list
	}
	var hook *libcontainer.HookError
	if errors.As(err, &hook) {
		return []complaint{{op: "run the hook " + hook.Path, pointer: hook.Pointer, message: hook.Error(), code: exitNotRun}}
	}
	var op *libcontainer.OpError
	if !errors.As(err, &op) {
		return []complaint{{message: err.Error(), code: exitNotRun}}
	}
	c := complaint{op: op.Op, pointer: op.Origin, errno: errnoName(op.Err), message: op.Error(), hint: op.Hint, code: exitNotRun}
	if op.Origin == "/process/args/0" {
		c.code = exitNotExec
		missing := strings.HasPrefix(op.Op, "find ") // by PATH
		if op.Err == syscall.ENOENT || op.Err == syscall.ENOTDIR || missing {
			c.code = exitNotFound
		}
		if missing { // the words that clients look for
			c.message = "exec: " + strings.TrimSuffix(strings.TrimPrefix(op.Op, "find "), " in PATH") + ": executable file not found in $PATH"
		}
	}
	return []complaint{c}
}

// text is a complaint for a person: a line, or two with the hint.
func (c complaint) text(err error) string {
	var problems *libcontainer.ProblemError
	if errors.As(err, &problems) {
		return "locald-shim: " + visible(libcontainer.Problem{Pointer: c.pointer, Reason: c.message, Hint: c.hint}.String())
	}
	s := "locald-shim: " + visible(c.message)
	if c.hint != "" {
		s += "\nlocald-shim: hint: " + visible(c.hint)
	}
	return s
}
