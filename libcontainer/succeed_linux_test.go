package libcontainer

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/locald/locald/libcontainer/internal/sys"
	"golang.org/x/sys/unix"
)

// TestSucceed: the second child is taken in place of the first, whichever of them is the first to say something on the
// pipe that they share. The children are processes of ours, and this test writes what they would.
func TestSucceed(t *testing.T) {
	ready := childFailure{Index: 1, Failed: recordReady}
	broken := childFailure{Index: 1, Failed: 1, Errno: uint32(unix.EROFS)}
	for _, tt := range []struct {
		name  string
		says  []string      // in this order
		after *childFailure // what is read next, nil for the end
		fails bool          // the second child is not known
	}{
		{name: "in order", says: []string{"birth", "ready"}, after: &ready},
		{name: "the second first", says: []string{"ready", "birth"}, after: &ready},
		{name: "the second fails before", says: []string{"broken", "birth"}, after: &broken},
		{name: "the first fails", says: []string{"broken"}, fails: true},
		{name: "nobody", fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := child(t), child(t)
			var pipe [2]int
			if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pipe[0])
			c := &Container{Program: &Program{Ops: []Op{{Call: sys.Clone}, {Call: sys.Write, Verb: "write"}}}, run: newRunning()}
			c.run.report[0], c.run.pid = pipe[0], first
			var err error
			if c.run.pidfd, err = unix.PidfdOpen(first, 0); err != nil {
				t.Fatal(err)
			}
			defer func() { closeFD(&c.run.pidfd) }()
			for _, word := range tt.says {
				f := map[string]childFailure{"birth": {Failed: 1, Result: uint32(second)}, "ready": ready, "broken": broken}[word]
				record := make([]byte, 0, 16)
				for _, n := range []uint32{f.Failed, f.Index, f.Errno, f.Result} {
					record = binary.LittleEndian.AppendUint32(record, n)
				}
				if _, err := unix.Write(pipe[1], record); err != nil {
					t.Fatal(err)
				}
			}
			unix.Close(pipe[1])
			err = c.succeed()
			if tt.fails {
				if err == nil || c.run.pid != first {
					t.Errorf("process %d is the container's, and the error is %v", c.run.pid, err)
				}
				return
			}
			if err != nil || c.run.pid != second {
				t.Fatalf("process %d is the container's, want %d: %v", c.run.pid, second, err)
			}
			if got := c.readRecord(); got == nil || *got != *tt.after {
				t.Errorf("the next record is %+v, want %+v", got, tt.after)
			}
			if got := c.readRecord(); got != nil {
				t.Errorf("and one more: %+v", got)
			}
			if _, err := unix.Wait4(first, nil, unix.WNOHANG, nil); err != unix.ECHILD {
				t.Errorf("nobody has waited for the first: %v", err)
			}
		})
	}
}

// child is a process of ours that ends at once.
func child(t *testing.T) int {
	t.Helper()
	p, err := os.StartProcess("/proc/self/exe", []string{"child", "-test.run=^$"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	pid := p.Pid
	p.Release()
	t.Cleanup(func() { unix.Wait4(pid, nil, 0, nil) }) // unless it was waited for
	return pid
}
