package main

import (
	"errors"
	"os"

	"github.com/locald/locald/internal/audit"
	"github.com/locald/locald/internal/privilege"
	"github.com/locald/locald/libcontainer"
)

// use is one use of root's power, for the system's log; nil for what is none. What is said of it is said with the caller's
// ids and no effective capability, of a container that comes to be when all power is gone, while its child works: nobody
// waits for it.
type use struct {
	caller *privilege.Caller
	verb   string
	config []byte
}

// usesPower says whether a verb of the OCI command line keeps any power over privilege.Enter. The others need nothing of
// root's: the container and its cgroup are the caller's.
func usesPower(verb string) bool { return verb == "create" || verb == "run" || verb == "exec" }

// refusedAtOnce tells of a caller who was turned away before the command line was looked at.
func refusedAtOnce() {
	line := audit.Use{UID: os.Getuid(), Verb: "-", Verdict: "refused"}
	audit.Send(line.Line(os.Getpid()))
}

func (u *use) of(b *libcontainer.Bundle) {
	if u != nil {
		u.config = b.Config()
	}
}

func (u *use) tell(verdict string) {
	if u == nil || !u.caller.Setuid() {
		return
	}
	line := audit.Use{UID: u.caller.UID, Verb: u.verb, Config: u.config, Verdict: verdict}
	audit.Send(line.Line(os.Getpid()))
}

// ended is told of the error that is the end of a use, or of none. What came of a container that has been told of as
// allowed is told no more.
func (u *use) ended(err error) {
	var problems *libcontainer.ProblemError
	switch {
	case errors.As(err, &problems):
		u.tell("refused")
	case err != nil:
		u.tell("failed")
	}
}

// reached is told of each phase of a container.
func (u *use) reached(p libcontainer.Phase) {
	if p == libcontainer.PhaseLimited { // the maps are written, and all power is gone
		u.tell("allowed")
	}
}
