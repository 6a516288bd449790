package libcontainer

import (
	"bytes"
	"os"
	"testing"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestSendDescriptor runs a Program that opens two files and sends the second away.
func TestSendDescriptor(t *testing.T) {
	file := t.TempDir() + "/sent"
	if err := os.WriteFile(file, []byte("what was sent"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	c := &compiler{spec: &specs.Spec{}, prog: &Program{}}
	c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str("/dev/null"), bits(flagsOpen, sys.O_CLOEXEC)))
	s := c.rights(c.do(sys.Openat, neg(sys.AT_FDCWD), str(file), bits(flagsOpen, sys.O_CLOEXEC)))
	c.send(c.input(Input{Kind: InputReport}), "a name", s)
	c.prog.Slots = c.slots
	im := c.prog.link([]int{pair[1]})
	pid, pidfd, failed, err := im.start(c.prog, -1, -1)
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	defer unix.Close(pidfd)
	unix.Close(pair[1])
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
	text, control := make([]byte, 64), make([]byte, 64)
	n, cn, flags, _, err := unix.Recvmsg(pair[0], text, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil || string(text[:n]) != "a name" || flags&unix.MSG_CTRUNC != 0 {
		t.Fatalf("received %q, flags %#x: %v", text[:n], flags, err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages: %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("descriptors %v: %v", fds, err)
	}
	f := os.NewFile(uintptr(fds[0]), file)
	defer f.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(f); err != nil || got.String() != "what was sent" {
		t.Errorf("the descriptor reads %q: %v", got.String(), err)
	}
}
