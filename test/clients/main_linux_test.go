// Package clients_test has engines run containers with locald-shim: podman and ctr, as Debian ships them. It is no part of
// make test, because it installs them: `make clients` does, and .ci/run.
package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const insideVar = "LOCALD_CLIENTS_INSIDE"

// root of everything that engines keep, in the tests' own mount namespace.
const (
	dir    = "/run/clients"
	shim   = dir + "/locald-shim"
	rootfs = dir + "/rootfs"
)

// TestMain runs the tests in a mount namespace with a /run and a /dev of their own, so that neither an engine nor a
// runtime under test touches those of the machine.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Println("skipped: engines are run as root")
		os.Exit(0)
	}
	if os.Getenv(insideVar) == "" {
		os.Exit(again())
	}
	if err := enter(); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func again() int {
	runtime.LockOSThread() // the child dies with its parent's thread
	bin, err := filepath.Abs("../../bin/locald-shim")
	if err != nil {
		return 1
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"="+bin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err = cmd.Run()
	removeCgroups("libpod_parent", "clients-test")
	if err != nil {
		return 1
	}
	return 0
}

// removeCgroups removes what engines leave of the cgroups that they have made.
func removeCgroups(names ...string) {
	for _, name := range names {
		trees, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
		for _, tree := range append(trees, "/sys/fs/cgroup/"+name) {
			var dirs []string
			filepath.WalkDir(tree, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append([]string{path}, dirs...)
				}
				return nil
			})
			for _, d := range dirs {
				os.WriteFile(d+"/cgroup.kill", []byte("1"), 0)
				os.Remove(d)
			}
		}
	}
}

func enter() error {
	bin := os.Getenv(insideVar)
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, d := range []string{dir, "/run/lock", "/run/dev"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	script := `set -e
cp -a ` + bin + ` ` + shim + `
mount -t tmpfs -o mode=755 tmpfs /run/dev
for n in null zero full random urandom tty; do cp -a /dev/$n /run/dev/; done
mkdir /run/dev/pts /run/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /run/dev/pts
ln -s pts/ptmx /run/dev/ptmx; ln -s /proc/self/fd /run/dev/fd
mount --move /run/dev /dev
mkdir -p ` + rootfs + `/bin ` + rootfs + `/etc ` + rootfs + `/tmp ` + rootfs + `/data
cp "$(command -v busybox)" ` + rootfs + `/bin/busybox
for a in sh sleep cat echo id ps ls true false env hostname touch stty tty mount; do ln -s busybox ` + rootfs + `/bin/$a; done
echo root:x:0:0:root:/root:/bin/sh > ` + rootfs + `/etc/passwd
echo root:x:0: > ` + rootfs + `/etc/group
echo kept > ` + rootfs + `/data/file
`
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for k, v := range map[string]string{"HOME": dir, "TMPDIR": dir, "XDG_RUNTIME_DIR": ""} {
		os.Setenv(k, v)
	}
	return nil
}

// result is what a command said, and its exit status.
type result struct {
	code int
	out  string // both
}

// call runs a command with a limit of time.
func call(t *testing.T, argv ...string) result {
	t.Helper()
	return finish(t, exec.Command(argv[0], argv[1:]...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out strings.Builder
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = &out, &out
	}
	cmd.WaitDelay = 5 * time.Second // a detached container may keep a pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%s does not end: %s", strings.Join(cmd.Args, " "), out.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String()}
}

// want fails the test unless the exit status is code and the output holds every text.
func (r result) want(t *testing.T, code int, texts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d: %s", r.code, code, r.out)
	}
	for _, text := range texts {
		if !strings.Contains(r.out, text) {
			t.Errorf("%q is not in %s", text, r.out)
		}
	}
	return r
}

// needs skips where a program is missing; in CI that is a failure.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("needs " + p)
			}
			t.Skip("needs " + p)
		}
	}
}

// onTerminal runs a command with a terminal of 33 rows and 77 columns, and is what it wrote there.
func onTerminal(t *testing.T, argv ...string) result {
	t.Helper()
	master, err := os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	text := make(chan string)
	go func() {
		var all strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			all.Write(buf[:n])
			if err != nil { // EIO: the last one has closed it
				text <- all.String()
				return
			}
		}
	}()
	r := finish(t, cmd)
	tty.Close()
	r.out = <-text
	return r
}
