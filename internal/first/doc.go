// Package first is the program of locald run --init: the first process of a container, which starts the program that is
// meant, hands on the signals that it gets, waits for what the program leaves behind, and ends with its exit code.
//
// The kernel gives the first process of a pid namespace no signal that it has no handler for, and every process whose
// parent has ended for a child (pid_namespaces(7)): a program that does not expect that cannot be asked to end, and
// collects zombies.
package first

// Name is the base name by which this program is called in a container.
const Name = "locald-init"
