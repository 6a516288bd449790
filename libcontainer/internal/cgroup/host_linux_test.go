package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests in this file and in those like it make cgroups on the host, under a name of their own, and
// adapt to what the host has: limits are tested in v1 hierarchies here and in the cgroup2 tree
// there. Each says what it misses when it is skipped.

func needRoot(t *testing.T) Layout {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	l := Look("/sys/fs/cgroup")
	if l.V2 == "" {
		t.Skip("needs a mounted cgroup2 tree")
	}
	return l
}

// need skips the test where a controller is neither in v1 nor in v2.
func need(t *testing.T, l Layout, name1, name2 string) tree {
	t.Helper()
	at := l.find(name1, name2)
	if at == v2 && !l.Unified { // to enable it would change the host
		at = nowhere
	}
	switch {
	case at != nowhere:
	case name2 == "":
		t.Skip("needs the " + name1 + " controller in cgroup v1")
	case name1 == "":
		t.Skip("needs the " + name2 + " controller in cgroup v2")
	default:
		t.Skip("needs the " + name2 + " controller")
	}
	return at
}

// dirs are the places where a path is a directory, in all hierarchies.
func dirs(l Layout, path string) []string {
	var found []string
	for _, mount := range append([]Controller{{Dir: l.V2}}, l.V1...) {
		if _, err := os.Stat(mount.Dir + path); err == nil {
			found = append(found, mount.Dir+path)
		}
	}
	return found
}

// parentPath is a parent for the cgroups of a test, which does not exist yet. At the end of the test
// it is removed with all that is in it, and what is in it is an error unless the test said otherwise.
func parentPath(t *testing.T, l Layout) string {
	t.Helper()
	path := "/locald-test-" + strconv.Itoa(os.Getpid()) + "-" + strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
	t.Cleanup(func() {
		for _, dir := range dirs(l, path) {
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if e.IsDir() {
					t.Errorf("%s is left", filepath.Join(dir, e.Name()))
				}
			}
		}
		if c, err := Open(l, path); err == nil {
			c.Kill()
			if err := c.Remove(); err != nil {
				t.Error(err)
			}
		}
		if left := dirs(l, path); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	})
	return path
}

func mustCreate(t *testing.T, l Layout, path string, writes []Write) *Cgroup {
	t.Helper()
	c, err := Create(l, path, writes)
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Cleanup(c.Close)
	return c
}

// explain is the error with its hint.
func explain(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Hint != "" {
		return err.Error() + "; " + e.Hint
	}
	return err.Error()
}

func mustRemove(t *testing.T, c *Cgroup) {
	t.Helper()
	if err := c.Remove(); err != nil {
		t.Error(explain(err))
	}
}

// writesFor compiles resources for the host; nothing may be reported.
func writesFor(t *testing.T, l Layout, text string) []Write {
	t.Helper()
	return Compile(resources(t, text), l, refuseReports(t))
}

// tasksFDs are the tasks files of the v1 hierarchies that the cgroup is in.
func tasksFDs(t *testing.T, c *Cgroup) (fds []int) {
	t.Helper()
	for _, name := range c.Hierarchies() {
		fd, err := c.TasksFD(name)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// start runs a shell script in the cgroup, as a container's first process would be: cloned into the
// cgroup2 directory, and moving itself into the v1 ones before it does anything else.
func start(t *testing.T, c *Cgroup, script string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := exec.Command("/bin/sh")
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.FD(), Pdeathsig: syscall.SIGKILL}
	join := ""
	for _, fd := range tasksFDs(t, c) {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(dup), "tasks"))
		join += "echo 0 >&" + strconv.Itoa(2+len(cmd.ExtraFiles)) + " || exit 99\n"
	}
	cmd.Args = append(cmd.Args, "-c", join+script)
	err := cmd.Start()
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// finish waits for a process, but not for ever.
func finish(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	stop := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	cmd.Wait()
	if !stop.Stop() {
		t.Error("the process had to be killed")
	}
}

// sleeper is a process in the cgroup that ends only by a signal. It returns once it runs there.
func sleeper(t *testing.T, c *Cgroup) *exec.Cmd {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", "echo >&3; exec 3>&-; exec sleep 1000")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.FD(), Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Read(make([]byte, 1))
	r.Close()
	return cmd
}

func killed(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func fds(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestLook(t *testing.T) {
	l := Look("/sys/fs/cgroup")
	if l.V2 == "" && len(l.V1) == 0 {
		t.Skip("needs mounted cgroup hierarchies")
	}
	if v2 := LookV2("/sys/fs/cgroup"); v2.V2 != l.V2 || v2.Unified != l.Unified {
		t.Errorf("%+v, but LookV2 has %+v", l, v2)
	}
	if l.Unified && (len(l.V1) != 0 || l.V2 != "/sys/fs/cgroup") {
		t.Errorf("%+v", l)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if l.V2 != "" && !strings.Contains(string(mounts), " "+l.V2+" cgroup2 ") {
		t.Errorf("%s is no cgroup2 mount", l.V2)
	}
	for _, c := range l.V1 {
		dir, err := filepath.EvalSymlinks(c.Dir)
		if err != nil || !strings.Contains(string(mounts), " "+dir+" cgroup ") {
			t.Errorf("%s is no cgroup v1 mount: %v", c.Dir, err)
		}
	}
	if none := Look(t.TempDir()); none.V2 != "" || none.Unified || none.V1 != nil {
		t.Errorf("an ordinary directory has %+v", none)
	}
}

func TestCreate(t *testing.T) {
	l := needRoot(t)
	parent := parentPath(t, l)
	before := fds(t)
	c := mustCreate(t, l, parent+"/a/b", nil)
	if got := dirs(l, parent+"/a/b"); len(got) != 1 || got[0] != l.V2+parent+"/a/b" {
		t.Errorf("without limits the cgroup is at %q", got)
	}
	if len(tasksFDs(t, c)) != 0 {
		t.Errorf("without limits there is something to join: %v", c.Hierarchies())
	}
	cmd, out := start(t, c, "cat /proc/self/cgroup")
	finish(t, cmd)
	if !strings.Contains("\n"+out.String(), "\n0::"+parent+"/a/b\n") {
		t.Errorf("the process is in\n%s", out)
	}
	for _, fd := range []int{c.v2.parent, c.v2.dir} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
			t.Errorf("descriptor %d has flags %d: %v", fd, flags, err)
		}
	}
	mustRemove(t, c)
	mustRemove(t, c)
	if c.FD() != -1 || c.Kill() != nil || c.OOMKilled() {
		t.Errorf("after Remove: FD %d, Kill %v, OOMKilled %v", c.FD(), c.Kill(), c.OOMKilled())
	}
	if got := dirs(l, parent+"/a"); len(got) != 1 {
		t.Errorf("the parent is at %q", got)
	}
	c, err := Open(l, parent+"/a")
	if err != nil {
		t.Fatal(err)
	}
	mustRemove(t, c)
	if after := fds(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestCreateRefuses(t *testing.T) {
	l := needRoot(t)
	parent := parentPath(t, l)
	for _, path := range []string{"", "/", parent + "/../x", parent + "/", "x", parent + "//x", parent + "/\x00", parent + "/cgroup.procs"} {
		c, err := Create(l, path, nil)
		if c != nil || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v", path, err)
		}
		if _, err := Open(l, path); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if left := dirs(l, parent); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	if c, err := Create(Layout{V2: t.TempDir()}, "/x", nil); c != nil || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a directory that is no cgroup: %v", err)
	}
	if _, err := Open(l, parent+"/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	c, err := CreateAt(unix.AT_FDCWD, "x", nil)
	if c != nil || err == nil {
		t.Errorf("no base directory: %v", err)
	}
}

// A cgroup is new: what an earlier one of its path left behind does not come back, and one in which
// something runs is not taken.
func TestCreateAgain(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	if err := os.MkdirAll(l.V2+path+"/below/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.V2+path+"/cgroup.max.depth", []byte("7"), 0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	c = mustCreate(t, l, path, nil)
	if text, err := os.ReadFile(l.V2 + path + "/cgroup.max.depth"); err != nil || string(text) != "max\n" {
		t.Errorf("cgroup.max.depth is %q, %v", text, err)
	}
	cmd := sleeper(t, c)
	second, err := Create(l, path, nil)
	if second != nil || !errors.Is(err, fs.ErrExist) {
		t.Errorf("taken although something runs in it: %v", err)
	}
	if err == nil || explain(err) != "create cgroup "+path+": file exists; processes run in it" {
		t.Errorf("error %v", err)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	finish(t, cmd)
	mustRemove(t, c)
}

func TestKill(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	cmd := sleeper(t, c)
	err := c.remove(50 * time.Millisecond)
	if !errors.Is(err, syscall.EBUSY) || explain(err) != "remove cgroup "+path+": device or resource busy; processes run in it" {
		t.Errorf("removing a cgroup in use: %v", err)
	}
	// Another process may do the killing and removing.
	later, err := Open(l, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := later.Kill(); err != nil {
		t.Error(explain(err))
	}
	mustRemove(t, later) // without a wait for the process
	finish(t, cmd)
	if !killed(cmd) {
		t.Errorf("the process ended with %v", cmd.ProcessState)
	}
	if err := c.Kill(); err != nil {
		t.Errorf("killing in a cgroup that is gone: %v", err)
	}
	mustRemove(t, c)
}

// A container that may write its cgroups makes more of them, nested and side by side, and runs
// processes there.
func TestRemoveBelow(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	dir := l.V2 + path
	for i := range 3 {
		for j := range 40 {
			if err := os.MkdirAll(dir+"/"+strconv.Itoa(i)+"/a.b/c"+strconv.Itoa(j), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(dir+strings.Repeat("/d", 200), 0o755); err != nil {
		t.Fatal(err)
	}
	inside, err := Open(l, path+"/1/a.b/c7")
	if err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t, inside)
	inside.Close()
	before := fds(t)
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	mustRemove(t, c)
	finish(t, cmd)
	if !killed(cmd) {
		t.Errorf("the process ended with %v", cmd.ProcessState)
	}
	if left := dirs(l, path); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	if after := fds(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// A host that has cgroup v1 only has the cgroup2 tree all the same, mounted nowhere.
func TestCreateUnmounted(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	bare := Layout{V1: l.V1}
	c := mustCreate(t, bare, path, nil)
	if got := dirs(l, path); len(got) != 1 || got[0] != l.V2+path {
		t.Errorf("the cgroup is at %q", got)
	}
	cmd := sleeper(t, c)
	c.Close()
	c, err := Open(bare, path)
	if err != nil {
		t.Fatal(explain(err))
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	mustRemove(t, c)
	finish(t, cmd)
}

// Hierarchies names a controller of each v1 hierarchy that the cgroup is in, in the order of Layout.V1.
func (c *Cgroup) Hierarchies() []string {
	var names []string
	for i := range c.v1 {
		if c.v1[i].dir >= 0 {
			names = append(names, c.v1[i].controllers[0])
		}
	}
	return names
}
