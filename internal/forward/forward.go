// Package forward turns signals into bytes on a pipe, for a program that does nothing with signals but
// hand them on.
//
// Package os/signal does this with goroutines on threads of their own: on the start path of a container
// its Notify of eight signals costs more than half a millisecond of threads waking each other (strace -f: some 60
// futex calls), and a signal that comes before it ends the program with a cgroup left behind. Here a handler
// of a few instructions writes the signal's number to a pipe. It runs on the runtime's signal stack
// (SA_ONSTACK, as package os/signal asks of handlers that are not Go's) and interrupts no call (SA_RESTART).
package forward
