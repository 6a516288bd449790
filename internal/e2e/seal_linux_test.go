package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h

// ownShim is a copy of the shim's, which anybody who is its owner can write.
func ownShim(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "locald-shim")
	must(t, copyFile(file, filepath.Join(binDir, "locald-shim"), 0o755))
	return file
}

// setImmutable is chattr +i; false where the file system knows no such thing.
func setImmutable(t *testing.T, file string) bool {
	t.Helper()
	if setFlags(t, file, immutable) != nil {
		return false
	}
	t.Cleanup(func() { must(t, setFlags(t, file, 0)) })
	return true
}

func setFlags(t *testing.T, file string, flags int) error {
	t.Helper()
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

// TestCVE_2019_5736: the container's program is a link to /proc/self/exe, which executes the shim inside. Whoever gets
// hold of its file there cannot write it, also when nothing executes it any more.
func TestCVE_2019_5736(t *testing.T) {
	for _, tt := range []struct {
		name   string
		flag   bool
		change func(*specs.Spec)
	}{
		{"plain file", false, func(*specs.Spec) {}},
		{"immutable file", true, func(*specs.Spec) {}},
		{"immutable file, and a process that can change that", true, func(s *specs.Spec) {
			s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "CAP_LINUX_IMMUTABLE")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needsRoot(t, "only root's containers can reach root's files")
			file := ownShim(t)
			if tt.flag && !setImmutable(t, file) {
				t.Log("the file system has no immutable files: the same as a plain one")
			}
			b := newBundle(t, tt.change)
			must(t, os.Symlink("/proc/self/exe", filepath.Join(b.rootfs, "self")))
			// It waits for its input.
			b.spec.Process.Args = []string{"/self", "update", "--resources", "-", "x"}
			r := b.start(t, func(c *exec.Cmd) { c.Path = file })
			pid := r.await("cloned").Pid
			r.await("running")
			held := holdExe(t, pid, file)
			r.stdin.Close()
			if res := r.wait(); res.code != 1 {
				t.Errorf("the shim inside: %s", res)
			}
			if slices.Contains(b.spec.Process.Capabilities.Bounding, "CAP_LINUX_IMMUTABLE") {
				setFlags(t, file, 0)
			}
			cannotWrite(t, held, file)
		})
	}
}

// TestCVE_2019_5736_Exec: the same with exec.
func TestCVE_2019_5736_Exec(t *testing.T) {
	needsRoot(t, "only root's containers can reach root's files")
	file := ownShim(t)
	b := newBundle(t)
	must(t, os.Symlink("/proc/self/exe", filepath.Join(b.rootfs, "self")))
	r := b.running(t)
	pidFile := filepath.Join(b.dir, "pid")
	in := launch(t, b, func(c *exec.Cmd) { c.Path = file }, "exec", "--detach", "--pid-file", pidFile, b.id, "/self", "update", "--resources", "-", "x")
	if code := in.returned(); code != 0 {
		t.Fatalf("exec: %s", in.closed())
	}
	text, err := os.ReadFile(pidFile)
	must(t, err)
	pid, err := strconv.Atoi(string(text))
	must(t, err)
	held := holdExe(t, pid, file)
	in.closed()
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil { // this process is a subreaper
		t.Error(err)
	}
	must(t, os.Remove(pidFile))
	cannotWrite(t, held, file)
	b.ends(t, r)
}

// holdExe opens what a process executes, which must be the shim.
func holdExe(t *testing.T, pid int, file string) *os.File {
	t.Helper()
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/exe", pid), unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	held := os.NewFile(uintptr(fd), "exe")
	t.Cleanup(func() { held.Close() })
	got, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", fd))
	must(t, err)
	want, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Fatal("the container's process does not execute the shim: this test has found nothing out")
	}
	return held
}

func cannotWrite(t *testing.T, held *os.File, file string) {
	t.Helper()
	before, err := os.ReadFile(file)
	must(t, err)
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", held.Fd()), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("#!/evil"), 0)
		f.Close()
	}
	if err == nil || errors.Is(err, unix.ETXTBSY) {
		t.Errorf("the file that the container executed was written: %v", err)
	}
	after, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the shim's file has changed")
	}
}
