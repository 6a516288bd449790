package cli

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCVE_2021_44730_2021_44731: a user has given the helper a second name, to have it as it was when it is mended. While it
// is immutable it cannot; what is linked all the same has no right left, once there is another one, or
// none.
func TestCVE_2021_44730_2021_44731(t *testing.T) { inRoot(t, linkStory, "undone") }

func linkStory(t *testing.T) {
	c := &call{}
	setup := func(args ...string) {
		t.Helper()
		if code, stdout, stderr := c.locald(t, append([]string{"setup"}, args...)...); code != 0 {
			t.Fatalf("setup %v: %d\n%s%s", args, code, stdout, stderr)
		}
	}
	link := func(t *testing.T, name string) { // of an earlier version, which was not immutable
		t.Helper()
		f, err := os.Open(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(setImmutable(f, false), f.Close(), os.Link(target, name)); err != nil {
			t.Fatal(err)
		}
	}
	disarmed := func(t *testing.T, name string) {
		t.Helper()
		if info, err := os.Stat(name); err != nil || info.Mode() != 0 {
			t.Errorf("a hard link to the old helper has mode %v, %v", info.Mode(), err)
		}
	}
	setup()
	checkInstalled(t)
	t.Run("linked", func(t *testing.T) {
		f, err := os.Open(target)
		if err != nil {
			t.Fatal(err)
		}
		flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		f.Close()
		if immutable := err == nil && flags&immutable != 0; immutable && os.Link(target, "/usr/kept") == nil {
			t.Error("an immutable file was given a second name")
		}
		os.Remove("/usr/kept")
		link(t, "/usr/kept")
	})
	t.Run("mended", func(t *testing.T) {
		setup()
		checkInstalled(t)
		disarmed(t, "/usr/kept")
	})
	t.Run("undone", func(t *testing.T) {
		link(t, "/usr/again")
		setup("--undo")
		disarmed(t, "/usr/again")
	})
}
