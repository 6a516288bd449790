package main

import (
	"os"

	"github.com/locald/locald/internal/console"
	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// terminal is where the terminal of a container goes: to whoever listens on the console socket, or else, when
// there is one at all, it is relayed to standard input and output.
type terminal struct {
	socket *os.File       // for Container.Console; nil without a terminal
	ours   *os.File       // its other end, when this program relays
	relay  *console.Relay // since lend
}

// connectTerminal connects to the console socket at a path; "" is none. A socket without a terminal is connected to
// all the same: that it is one too many is for libcontainer to say.
func connectTerminal(path string, p *specs.Process) (*terminal, error) {
	var err error
	t := &terminal{}
	if path != "" {
		t.socket, err = libcontainer.ConnectConsole(path)
	} else if p != nil && p.Terminal {
		t.ours, t.socket, err = console.Pair()
	}
	return t, err
}

// lend begins to relay, once the container has started.
func (t *terminal) lend(c *libcontainer.Container) error {
	if t.ours == nil {
		return nil
	}
	t.socket.Close()
	master, err := console.Receive(t.ours)
	if err != nil {
		return err
	}
	t.ours.Close()
	if t.relay, err = console.Start(master, os.Stdin, os.Stdout); err != nil {
		return err
	}
	c.OnSignal = t.relay.Signal
	return nil
}

// giveBack ends what lend began.
func (t *terminal) giveBack(signals *os.File) {
	if t.relay != nil {
		t.relay.End(signals)
	}
}
