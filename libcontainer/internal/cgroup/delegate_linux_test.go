package cgroup

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The new owner gets what the kernel lists, and not the limits.
func TestDelegate(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	if err := c.Delegate(nobody); err != nil {
		t.Fatal(explain(err))
	}
	files := delegatedFiles()
	for _, name := range []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
		if !slices.Contains(files, name) {
			t.Errorf("%s is not delegated", name)
		}
	}
	entries, err := os.ReadDir(l.V2 + path)
	if err != nil {
		t.Fatal(err)
	}
	owner := func(file string) uint32 {
		var st unix.Stat_t
		if err := unix.Lstat(l.V2+path+file, &st); err != nil {
			t.Fatal(err)
		}
		return st.Uid
	}
	if owner("") != nobody {
		t.Errorf("the directory belongs to %d", owner(""))
	}
	for _, e := range entries {
		want := uint32(0)
		if slices.Contains(files, e.Name()) {
			want = nobody
		}
		if got := owner("/" + e.Name()); got != want {
			t.Errorf("%s belongs to %d, want %d", e.Name(), got, want)
		}
	}
	mustRemove(t, c)
	if err := c.Delegate(nobody); err == nil {
		t.Error("a cgroup that is gone was given away")
	}
}

func TestDirOf(t *testing.T) {
	l := needRoot(t)
	parent := parentPath(t, l)
	c := mustCreate(t, l, parent+"/x", nil)
	other := mustCreate(t, l, parent+"/xy", nil)
	if err := os.Mkdir(l.V2+parent+"/x/init", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		in   string
		want syscall.Errno
	}{{"/x", 0}, {"/x/init", 0}, {"/xy", unix.EXDEV}} {
		p := sleeperIn(t, mustOpen(t, l, parent+test.in))
		fd, err := c.DirOf(p.Pid)
		if test.want != 0 {
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v", test.in, err)
			}
		} else if err != nil {
			t.Errorf("%s: %s", test.in, explain(err))
		} else {
			link, err := os.Readlink("/proc/self/fd/" + itoa(int64(fd)))
			if err != nil || !strings.HasSuffix(link, parent+test.in) {
				t.Errorf("%s: %s, %v", test.in, link, err)
			}
			unix.Close(fd)
		}
		p.Kill()
		p.Wait()
	}
	if _, err := c.DirOf(0x7fffffff); err == nil {
		t.Error("there is a cgroup of no process")
	}
	mustRemove(t, c)
	mustRemove(t, other)
}

func TestBelow(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"0::/a/b\n", "."},
		{"1:cpu:/x\n0::/a/b/c/d\n", "c/d"},
		{"0::/a/bc\n", ""},
		{"0::/a\n", ""},
		{"0::/a/b/\n", ""},
		{"1:cpu:/a/b\n", ""},
		{"", ""},
	} {
		got, ok := below(test.text, "/a/b")
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%q is %q, %v", test.text, got, ok)
		}
	}
}

// What cannot run is not made.
func TestCreateInFrozen(t *testing.T) {
	l := needRoot(t)
	parent := parentPath(t, l)
	above := mustCreate(t, l, parent+"/a", nil)
	if err := above.Freeze(); err != nil {
		t.Fatal(explain(err))
	}
	c, err := Create(l, parent+"/a/x", nil)
	if c != nil || !errors.Is(err, syscall.EBUSY) {
		t.Errorf("made below a frozen cgroup: %v", err)
	}
	if left := dirs(l, parent+"/a/x"); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	mustRemove(t, above)
}

// Only in the cgroup2 tree: with Account all is counted, where no process is in the way, and that is no
// error where it is.
func TestAccount(t *testing.T) {
	l := needRoot(t)
	if need(t, l, "pids", "pids") != v2 {
		t.Skip("needs a host with cgroup v2 only")
	}
	parent := parentPath(t, l)
	l.Account = true
	c := mustCreate(t, l, parent+"/a/x", nil)
	for _, name := range l.V2Controllers {
		if slices.Contains(counters[:], name) && !slices.Contains(strings.Fields(read(t, l, parent+"/a/x", "", "cgroup.controllers")), name) {
			t.Errorf("%s is not enabled", name)
		}
	}
	busy := mustCreate(t, l, parent+"/a/busy", nil)
	p := sleeperIn(t, busy)
	inner := mustCreate(t, l, parent+"/a/busy/x", nil)
	if got := read(t, l, parent+"/a/busy", "", "cgroup.subtree_control"); got != "" {
		t.Errorf("%s is enabled beside processes", got)
	}
	p.Kill()
	p.Wait()
	for _, c := range []*Cgroup{c, inner, busy, mustOpen(t, l, parent+"/a")} {
		mustRemove(t, c)
	}
}
