package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// joining is a bundle that enters the mount and pid namespace of a process and has a terminal there.
func joining(t *testing.T, pid int) *bundle {
	t.Helper()
	b := newBundle(t)
	b.spec.Process.Terminal = true
	b.spec.Root, b.spec.Mounts = nil, nil
	replaceNamespace(b.spec, specs.MountNamespace, fmt.Sprintf("/proc/%d/ns/mnt", pid))
	replaceNamespace(b.spec, specs.PIDNamespace, fmt.Sprintf("/proc/%d/ns/pid", pid))
	return b
}

// TestTerminalInRunningContainer: a process that enters a container has a terminal of that container's devpts, and
// /dev/console stays the first process's.
func TestTerminalInRunningContainer(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	first := newBundle(t, withTerminal).do("stat /dev/console", "line").startOnPty(t, nil)
	console := first.value("stat /dev/console")
	b := joining(t, first.await("cloned").Pid)
	b.spec.Process.User = specs.User{UID: 5, GID: 6}
	second := b.do("isatty 0", "session", "stat /dev/pts/1", "stat /dev/console", "look", "list /dev/pts", "write /dev/tty x").startOnPty(t, nil)
	second.value("isatty 0")
	if s := strings.Fields(second.value("session")); len(s) != 2 || s[0] != s[1] {
		t.Errorf("the process's session and the terminal's are %q", s)
	}
	if got := second.value("stat /dev/pts/1"); got != "char 620 5:0 136:1" {
		t.Errorf("the terminal is %q, want char 620 5:0 136:1", got)
	}
	if got := second.value("stat /dev/console"); got != console {
		t.Errorf("/dev/console is %q, was %q", got, console)
	}
	for fd, link := range second.answer("look").Look.Fds {
		if link != "/dev/pts/1" {
			t.Errorf("descriptor %s is %s", fd, link)
		}
	}
	if got := second.value("list /dev/pts"); got != "0 1 ptmx" {
		t.Errorf("/dev/pts holds %q", got)
	}
	second.value("write /dev/tty x")
	second.wait().ok(t)
	fmt.Fprint(first.master, "\n")
	first.value("line")
	first.wait().ok(t)
}

// TestTerminalOfHostileContainer: a container that runs has put something else in the place of ptmx.
func TestTerminalOfHostileContainer(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	for _, c := range []struct {
		name, errno string
		put         func(path string) error
	}{
		{"nothing", "ENOENT", func(string) error { return nil }},
		{"file", "ENOTTY", func(path string) error { return os.WriteFile(path, nil, 0o666) }},
		{"FIFO", "ENOTTY", func(path string) error { return unix.Mkfifo(path, 0o666) }},
		{"device", "ENOTTY", func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) }},
		{"terminal", "ENXIO", func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))) }}, // it has none
		{"link", "ELOOP", func(path string) error { return os.Symlink("/dev/null", path) }},
		{"directory", "EISDIR", func(path string) error { return os.Mkdir(path, 0o755) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") })
			must(t, os.MkdirAll(b.rootfs+"/dev/pts", 0o755))
			must(t, c.put(b.rootfs+"/dev/pts/ptmx"))
			first := b.do("line").start(t, nil)
			pid := first.await("cloned").Pid
			first.await("running")
			l := listenConsole(t, filepath.Join(t.TempDir(), "console"))
			r := joining(t, pid).run(t, "--console-socket", l.Addr().String())
			if got := r.problem(t, "/process/terminal"); got.Errno != c.errno {
				t.Errorf("the error is %+v, want %s", got, c.errno)
			}
			first.say("")
			first.wait().ok(t)
		})
	}
}

// TestTerminalInJoinedUserNamespace: the process that is born in the new pid namespace leads a session of its own.
func TestTerminalInJoinedUserNamespace(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 600000, Size: 100}}
	h := hold(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: maps, GidMappings: maps})
	b := newBundle(t, withTerminal)
	addNamespace(b.spec, specs.UserNamespace, h.path("user"))
	must(t, os.Chown(b.rootfs, 600000, 600000))
	must(t, os.Chmod(b.rootfs, 0o777))
	p := b.do("session", "isatty 2", "stat "+ttyPath).startOnPty(t, nil)
	if got := p.value("session"); got != "1 1" {
		t.Errorf("the process's session and the terminal's are %q, want 1 1", got)
	}
	p.value("isatty 2")
	if got := p.value("stat " + ttyPath); got != "char 620 0:0 136:0" {
		t.Errorf("the terminal is %q", got)
	}
	p.wait().ok(t)
}

// TestTerminalWithoutMounts: in the host's mount namespace a terminal is made in what lies in the rootfs.
func TestTerminalWithoutMounts(t *testing.T) {
	needsRoot(t, "a container of a user's has a mount namespace")
	b := newBundle(t, func(s *specs.Spec) { s.Linux, s.Mounts, s.Process.Terminal = nil, nil, true })
	l := listenConsole(t, filepath.Join(t.TempDir(), "console"))
	if got := b.run(t, "--console-socket", l.Addr().String()).problem(t, "/process/terminal"); got.Errno != "ENOENT" {
		t.Errorf("without /dev/pts: %+v", got)
	}
	pts := b.rootfs + "/dev/pts"
	must(t, os.MkdirAll(pts, 0o755))
	must(t, unix.Mount("devpts", pts, "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"))
	defer func() { must(t, unix.Unmount(pts, unix.MNT_DETACH)) }()
	p := b.do("isatty 0", "list /dev", "write "+ttyPath+" x").startOnPty(t, nil)
	p.value("isatty 0")
	if got := p.value("list /dev"); got != "pts" {
		t.Errorf("/dev holds %q", got)
	}
	p.value("write " + ttyPath + " x")
	p.wait().ok(t)
}
