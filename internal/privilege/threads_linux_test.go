package privilege

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHasNothing: a process that has an id of somebody else's or a capability is told from one that has nothing.
func TestHasNothing(t *testing.T) {
	self := os.Getpid()
	status, err := readAt(unix.AT_FDCWD, "/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	c := &Caller{UID: os.Getuid(), GID: os.Getgid()}
	err = c.hasNothing(self)
	if none := strings.Contains(status, "CapPrm:\t0000000000000000\n"); none != (err == nil) {
		t.Errorf("%v, and it has a capability: %v", err, !none)
	}
	for _, c := range []*Caller{{UID: c.UID + 1, GID: c.GID}, {UID: c.UID, GID: c.GID + 1}} {
		if err := c.hasNothing(self); err == nil || !strings.Contains(err.Error(), "id:") {
			t.Errorf("the ids %d and %d: %v", c.UID, c.GID, err)
		}
	}
	nothing := "Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nCapInh:\t" + hex16(0) + "\nCapPrm:\t" + hex16(0) + "\nCapEff:\t" + hex16(0) + "\n"
	c = &Caller{UID: 7, GID: 8}
	if line := c.lacks(nothing, 0); line != "" {
		t.Errorf("lacks %q", line)
	}
	for _, word := range []string{"Uid:\t7\t7\t7\t", "Uid:\t7\t7\t", "Gid:\t8\t8\t8\t", "CapInh:\t", "CapPrm:\t", "CapEff:\t"} {
		if line := c.lacks(strings.Replace(nothing, word, word[:len(word)-1]+"1\t", 1), 0); line == "" {
			t.Errorf("%q does not matter", word)
		}
	}
	if c.lacks(nothing, capDAC) == "" {
		t.Error("a capability that is to be kept is not missed")
	}
}
