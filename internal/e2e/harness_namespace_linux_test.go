package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A root who starts the tests by hand gets a mount namespace for them: what they mount, install and keep
// in /run is nobody else's. The runner of the project makes one of its own.

const stageVar = "LOCALD_E2E_STAGE" // "inside": in the mount namespace, not set up yet; "done"

// The user that stands in for one of the machine's when root asks for LOCALD_TEST_PLACE=host-user.
const (
	handUser  = "locald-e2e"
	handUID   = 20001
	handRange = "300000:65536"
)

// hostNamespace says whether the tests would run in the mount namespace of the machine. A guest is a machine of our own.
func hostNamespace() (bool, error) {
	if here.guest || os.Getuid() != 0 {
		return false, nil
	}
	if _, set := os.LookupEnv(stageVar); set {
		return false, nil
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return false, err
	}
	for _, pid := range []string{"1", "2"} { // 2 is a thread of the kernel, where 1 is not ours to look at
		if of, err := os.Readlink("/proc/" + pid + "/ns/mnt"); err == nil {
			return own == of, nil
		}
	}
	return true, nil
}

// again runs the tests once more, in a mount namespace.
func again() (int, error) {
	runtime.LockOSThread() // the child dies with its parent's thread
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageVar+"=inside", "LOCALD_BIN_DIR="+binDir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err = cmd.Run()
	if !here.root { // the base cgroup is made to stay, and this user is not
		for _, tree := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			base := tree + "/locald/u" + strconv.Itoa(handUID)
			os.Remove(base + "/in")
			os.Remove(base)
		}
	}
	if exit, ok := err.(*exec.ExitError); ok {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// enter sets the mount namespace up and runs the tests in place of this process.
func enter() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	// Below /run, a tmpfs of our own: files of the tests go with the namespace.
	tmp := "/run/e2e/tmp"
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(tmp, os.ModeSticky|0o777); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	exe := "/run/e2e/" + filepath.Base(self)
	if err := copyFile(exe, self, 0o755); err != nil {
		return err
	}
	setenv(stageVar, "done", "TMPDIR", tmp)
	if !here.root {
		if err := becomeUser(); err != nil {
			return err
		}
	}
	return unix.Exec(exe, append([]string{exe}, os.Args[1:]...), os.Environ())
}

// becomeUser installs the shim set-user-ID and turns this process into that of an ordinary user with
// subordinate ids.
func becomeUser() error {
	lib, home, id := "/run/e2e/libexec", "/run/e2e/home", strconv.Itoa(handUID)
	for _, dir := range []string{lib, home, "/run/e2e/bin"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		to, from string
		mode     os.FileMode
	}{{lib + "/locald-shim", "locald-shim", os.ModeSetuid | 0o755}, {"/run/e2e/bin/locald-shim", "locald-shim", 0o755}, {"/run/e2e/bin/locald", "locald", 0o755}, {"/run/e2e/bin/locald-registry", "locald-registry", 0o755}} {
		if err := copyFile(f.to, filepath.Join(binDir, f.from), f.mode); err != nil {
			return err
		}
	}
	for _, f := range []struct{ path, line string }{
		{"/etc/passwd", handUser + ":x:" + id + ":" + id + "::" + home + ":/bin/sh\n"},
		{"/etc/group", handUser + ":x:" + id + ":\n"},
		{"/etc/subuid", handUser + ":" + handRange + "\n"},
		{"/etc/subgid", handUser + ":" + handRange + "\n"},
	} {
		if err := appendLine(f.path, f.line); err != nil {
			return err
		}
	}
	if err := os.Chown(home, handUID, handUID); err != nil {
		return err
	}
	if err := syscall.Setgroups([]int{}); err != nil {
		return err
	}
	if err := syscall.Setresgid(handUID, handUID, handUID); err != nil {
		return err
	}
	if err := syscall.Setresuid(handUID, handUID, handUID); err != nil {
		return err
	}
	setenv("HOME", home, "USER", handUser, "LOGNAME", handUser, "LOCALD_BIN_DIR", "/run/e2e/bin", "LOCALD_SHIM", lib+"/locald-shim")
	return nil
}

func setenv(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		os.Setenv(pairs[i], pairs[i+1])
	}
}

// appendLine binds a copy of a file over it, with one line more.
func appendLine(path, line string) error {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	copied := "/run/e2e/" + filepath.Base(path)
	if err := os.WriteFile(copied, append(text, line...), 0o644); err != nil {
		return err
	}
	return unix.Mount(copied, path, "", unix.MS_BIND, "")
}
