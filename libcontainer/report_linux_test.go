package libcontainer

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPollStartSignal: a signal that is found together with the end of the report, which is the program's execution, is
// for the program, which may have asked for it by then. It does not end the container.
func TestPollStartSignal(t *testing.T) {
	report, child, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	child.Close()
	signals, from, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer signals.Close()
	defer from.Close()
	if _, err := from.Write([]byte{byte(unix.SIGTERM)}); err != nil {
		t.Fatal(err)
	}
	c := &Container{Signals: signals}
	c.run.pidfd = -1
	c.pollStart(int(report.Fd()))
	if c.run.stopped {
		t.Fatal("the container was stopped")
	}
	var left [2]byte
	if n, err := signals.Read(left[:]); n != 1 || left[0] != byte(unix.SIGTERM) {
		t.Errorf("%d signals are left, the first %d: %v", n, left[0], err)
	}
}
