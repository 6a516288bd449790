package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody owns the base directory in the tests of a delegated one.
const nobody = 65534

func TestMain(m *testing.M) {
	if os.Getenv("CGROUP_TEST_DELEGATED") != "" {
		if err := delegated(3, 4); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// delegated is what the owner of the directory base does in it. He runs in a cgroup below it, and owns
// nothing of foreign.
func delegated(base, foreign int) error {
	l := LookAt(base)
	writes := []Write{}
	if l.find("", "pids") == v2 {
		writes = append(writes, Write{Controller: "pids", File: "pids.max", Value: "1", Pointer: "/linux/resources/pids/limit"})
	}
	c, err := CreateAt(base, "c/x", writes)
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", "cat /proc/self/cgroup; exec sleep 1000")
	if len(writes) > 0 {
		cmd = exec.Command("/bin/sh", "-c", "/bin/true; echo forked")
	}
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.FD(), Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.Close()
	if c, err = OpenAt(base, "c/x"); err != nil {
		return err
	}
	if len(writes) == 0 {
		if err := c.Kill(); err != nil {
			return err
		}
	}
	cmd.Wait()
	if len(writes) == 0 != killed(cmd) || strings.Contains(out.String(), "forked") {
		return fmt.Errorf("the process ended with %v and said %q", cmd.ProcessState, out)
	}
	if err := c.Remove(); err != nil {
		return err
	}
	if c, err = OpenAt(base, "c"); err != nil {
		return err
	}
	if err := c.Remove(); err != nil {
		return err
	}
	for _, rel := range []string{"../x", "c/../../x", "/x", "", ".", "x/"} {
		if _, err := CreateAt(base, rel, nil); !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("%q: %w", rel, err)
		}
	}
	if _, err = CreateAt(foreign, "x", nil); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("in a directory of root's: %w", err)
	}
	return err2(err, "create cgroup x: permission denied; the parent cgroup belongs to someone else")
}

func err2(err error, want string) error {
	if got := explain(err); got != want {
		return errors.New(got)
	}
	return nil
}

// An unprivileged owner of a directory in the cgroup2 tree can do everything below it.
func TestCreateAt(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l)
	var writes []Write
	if l.Unified && l.find("", "pids") == v2 {
		writes = writesFor(t, l, `{"pids": {"limit": -1}}`)
	}
	base := mustCreate(t, l, path+"/base", writes)
	for _, file := range []string{"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"} {
		if err := os.Chown(l.V2+path+"/base"+file, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	in, err := CreateAt(base.FD(), "in", nil)
	if err != nil {
		t.Fatal(explain(err))
	}
	defer in.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = "/"
	cmd.Env = []string{"CGROUP_TEST_DELEGATED=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		UseCgroupFD: true, CgroupFD: in.FD(), Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL,
	}
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	for _, name := range []string{path + "/base", path} {
		dir, err := unix.Open(l.V2+name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(dir), name))
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	finish(t, cmd)
	if !cmd.ProcessState.Success() {
		t.Errorf("%v: %s", cmd.ProcessState, out)
	}
	mustRemove(t, in)
	mustRemove(t, base)
}
