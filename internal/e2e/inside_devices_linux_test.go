package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestDefaultDevices: the nodes are what their names say, made for root and bound for others (runtime spec,
// config-linux.md, "Default Devices").
func TestDefaultDevices(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620")
	nodes := map[string]string{"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}
	links := map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
	actions := []string{"list /dev", "get /dev/null 8", "get /dev/zero 8", "get /dev/full 8", "get /dev/random 8", "get /dev/urandom 8",
		"write /dev/null x", "write /dev/zero x", "write /dev/full x", "read /dev/tty", "pty"}
	for name := range nodes {
		actions = append(actions, "stat /dev/"+name)
	}
	for name := range links {
		actions = append(actions, "readlink /dev/"+name)
	}
	r := b.do(actions...).run(t).ok(t)

	for name, number := range nodes {
		got := r.value(t, "stat /dev/"+name)
		if f := strings.Fields(got); len(f) != 4 || f[0] != "char" || f[1] != "666" || f[3] != number {
			t.Errorf("/dev/%s is %q, want char 666 … %s", name, got, number)
		}
	}
	for name, to := range links {
		if got := r.value(t, "readlink /dev/"+name); got != to {
			t.Errorf("/dev/%s leads to %q, want %q", name, got, to)
		}
	}
	if got, want := r.value(t, "list /dev"), "fd full null ptmx pts random stderr stdin stdout tty urandom zero"; got != want {
		t.Errorf("/dev holds %q, want %q", got, want)
	}
	for _, name := range []string{"zero", "full"} {
		if got := r.value(t, "get /dev/"+name+" 8"); got != strings.Repeat("\x00", 8) {
			t.Errorf("/dev/%s gives %q", name, got)
		}
	}
	r.wantErrno(t, "get /dev/null 8", "EOF")
	r.wantErrno(t, "get /dev/random 8", "")
	r.wantErrno(t, "get /dev/urandom 8", "")
	r.wantErrno(t, "write /dev/null x", "")
	r.wantErrno(t, "write /dev/zero x", "")
	r.wantErrno(t, "write /dev/full x", "ENOSPC")
	r.wantErrno(t, "read /dev/tty", "ENXIO") // no controlling terminal
	if got := r.value(t, "pty"); got != "0" {
		t.Errorf("the first terminal is %s: not an instance of its own", got)
	}
}

// TestMoreDevices are those of linux.devices: any for root, those of the host's that a user can open.
func TestMoreDevices(t *testing.T) {
	mode := os.FileMode(0o640)
	b := newBundle(t)
	if here.root {
		b.spec.Linux.Devices = []specs.LinuxDevice{
			{Path: "/dev/deep/er/kmsg-like", Type: "c", Major: 1, Minor: 11, FileMode: &mode, UID: ptr[uint32](3), GID: ptr[uint32](4)},
			{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode},
			{Path: "/dev/block", Type: "b", Major: 7, Minor: 300},
			{Path: "/dev/fifo", Type: "p"},
		}
		r := b.do("stat /dev/deep/er/kmsg-like", "stat /dev/null", "stat /dev/block", "stat /dev/fifo").run(t).ok(t)
		for action, want := range map[string]string{"stat /dev/deep/er/kmsg-like": "char 640 3:4 1:11", "stat /dev/null": "char 640 0:0 1:3",
			"stat /dev/block": "block 666 0:0 7:300", "stat /dev/fifo": "fifo 666 0:0"} {
			if got := r.value(t, action); got != want {
				t.Errorf("%s: %q, want %q", action, got, want)
			}
		}
		return
	}
	b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5}}
	if got := b.do("stat /dev/zero").run(t).ok(t).value(t, "stat /dev/zero"); !strings.HasSuffix(got, " 1:5") {
		t.Errorf("/dev/zero is %q", got)
	}
	b = newBundle(t)
	b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg-like", Type: "c", Major: 1, Minor: 11}}
	b.run(t).problem(t, "/linux/devices/0")
}

// TestDevicesInImage: in the image's own /dev, and outside of it, a node has the number, mode and owner that were asked
// for, and the image gets none.
func TestDevicesInImage(t *testing.T) {
	needsRoot(t, "makes a device node")
	mode := os.FileMode(0o640)
	b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") })
	must(t, os.Mkdir(b.rootfs+"/dev", 0o755))
	b.spec.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: &mode, UID: ptr[uint32](3), GID: ptr[uint32](4)},
		{Path: "/srv/null", Type: "c", Major: 1, Minor: 3}, {Path: "/srv/fifo", Type: "p"},
	}
	b.spec.Linux.MaskedPaths = []string{"/probe-not-there"}
	r := b.do("stat /dev/mine", "stat /srv/null", "stat /srv/fifo", "write /srv/null x", "stat /dev/zero").run(t).ok(t)
	for action, want := range map[string]string{"stat /dev/mine": "char 640 3:4 1:5", "stat /srv/null": "char 666 0:0 1:3", "stat /srv/fifo": "fifo 666 0:0", "write /srv/null x": "", "stat /dev/zero": "char 666 0:0 1:5"} {
		if got := r.value(t, action); got != want {
			t.Errorf("%s: %q, want %q", action, got, want)
		}
	}
	for _, name := range []string{"/dev/mine", "/srv/null", "/srv/fifo"} {
		if st, err := os.Lstat(b.rootfs + name); err != nil || !st.Mode().IsRegular() {
			t.Errorf("in the image %s is %v, %v", name, st, err)
		}
	}
	b = newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") })
	outside := t.TempDir()
	must(t, os.Symlink(outside, b.rootfs+"/dev"))
	if r := b.run(t); r.code != 125 {
		t.Errorf("with a /dev that is a link it started: %s", r)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}

// TestNoDeviceFromImage: what lies in the rootfs under the name of a device is not taken for it.
func TestNoDeviceFromImage(t *testing.T) {
	for _, kind := range []string{"file", "link out", "dangling link"} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") }) // the image's own /dev
			target := t.TempDir() + "/target"
			must(t, os.WriteFile(target, []byte("host"), 0o666))
			must(t, os.Mkdir(b.rootfs+"/dev", 0o755))
			switch kind {
			case "file":
				must(t, os.WriteFile(b.rootfs+"/dev/null", []byte("image"), 0o666))
			case "link out":
				must(t, os.Symlink(target, b.rootfs+"/dev/null"))
			case "dangling link":
				must(t, os.Symlink("/nowhere/at/all", b.rootfs+"/dev/null"))
			}
			r := b.do("stat /dev/null", "write /dev/null x", "get /dev/null 8").run(t)
			if text, err := os.ReadFile(target); err != nil || string(text) != "host" {
				t.Errorf("a file of the host's was changed: %q, %v", text, err)
			}
			if _, err := os.Lstat(target); err != nil {
				t.Error(err)
			}
			if kind != "file" { // refused, or resolved inside the rootfs
				if r.code == 0 {
					r.wantErrno(t, "write /dev/null x", "")
				}
				return
			}
			if f := strings.Fields(r.ok(t).value(t, "stat /dev/null")); f[0] != "char" || f[3] != "1:3" {
				t.Errorf("/dev/null is %q", f)
			}
		})
	}
}

// TestCVE_2017_5226_2016_7545: the caller's terminal takes no input from the container (TIOCSTI, CVE-2017-5226) and cannot become its
// controlling terminal.
func TestCVE_2017_5226_2016_7545(t *testing.T) {
	master, slave := openPty(t)
	defer master.Close()
	b := newBundle(t).do("tiocsti", "tiocsctty", "read /dev/tty", "line")
	run := b.start(t, onTerminal(slave))
	slave.Close()
	for _, want := range []struct{ did, errno string }{{"tiocsti", "EPERM EIO"}, {"tiocsctty", "EPERM"}, {"read /dev/tty", "ENXIO"}} {
		if got := run.answer(want.did); got.Errno == "" || !strings.Contains(want.errno, got.Errno) {
			t.Errorf("%s: errno %q, want %s", want.did, got.Errno, want.errno)
		}
	}
	fmt.Fprint(master, "typed\n")
	r := run.wait().ok(t)
	if got := r.value(t, "line"); got != "typed\n" {
		t.Errorf("the container read %q from the terminal", got)
	}
}

// openPty makes a pseudoterminal that echoes nothing.
func openPty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return master, slave
}
