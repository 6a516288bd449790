// Package console lends this program's terminal to a container in the foreground.
//
// The container has a terminal of its own (libcontainer.Container.Console), whose other end, the master, comes by a
// socket. A Relay copies between the master and the caller's terminal, which is raw meanwhile: every key is the
// container's, Ctrl-C included, and it is the container's terminal that edits lines and echoes.
//
//	ours, theirs, err := console.Pair()
//	c.Console = theirs
//	err = c.Start()
//	master, err := console.Receive(ours)
//	relay, err := console.Start(master, os.Stdin, os.Stdout)
//	c.OnSignal = relay.Signal
//	exit, err := c.Wait()
//	relay.End(c.Signals)
//
// Between Start and End the program must not die of a signal that it could catch: the caller would be left with a raw
// terminal. It has to be in the foreground; else the kernel stops it until it is (SIGTTOU, SIGTTIN).
package console
