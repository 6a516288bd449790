package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/image"
)

// TestLocaldSeccomp: what the default filter keeps from a container, what a capability brings back, and other filters.
func TestLocaldSeccomp(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	clone3 := fmt.Sprintf("syscall %d", unix.SYS_CLONE3)
	keyctl := fmt.Sprintf("syscall %d", unix.SYS_KEYCTL)
	symlink := fmt.Sprintf("syscall %d", unix.SYS_SYMLINKAT)
	must(t, os.Mkdir(filepath.Join(c.dir, "rootfs/tmp"), 0o755))
	run := func(flags ...string) *result {
		return c.probe(t, append([]string{"--network", "none"}, flags...), "look", "unshare 0x10000000", "mount tmpfs none /tmp", clone3, keyctl, "create /tmp/file text", "loopback").ok(t)
	}
	res := run()
	if got := res.look(t).Status["Seccomp"]; got != "2" {
		t.Errorf("Seccomp: %s", got)
	}
	for action, errno := range map[string]string{
		"unshare 0x10000000": "EPERM", "mount tmpfs none /tmp": "EPERM", clone3: "ENOSYS", keyctl: "EPERM", "create /tmp/file text": "", "loopback": "",
	} {
		res.wantErrno(t, action, errno)
	}
	run("--cap-add", "SYS_ADMIN").wantErrno(t, "mount tmpfs none /tmp", "")
	open := run("--security-opt", "seccomp=unconfined")
	if got := open.look(t).Status["Seccomp"]; got != "0" {
		t.Errorf("unconfined: Seccomp: %s", got)
	}
	if did := open.answer(t, keyctl); did.Errno == "EPERM" {
		t.Error("unconfined:", did)
	}
	// Docker's form, and the specification's.
	c.put(t, "docker.json", `{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],"syscalls":[
		{"name":"keyctl","action":"SCMP_ACT_ERRNO","errnoRet":95},
		{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_SYS_TIME"]}},
		{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","includes":{"minKernel":"99.0"}},
		{"names":["symlink","symlinkat"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_TIME"]}}]}`, 0o644)
	c.put(t, "oci.json", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["keyctl"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}`, 0o644)
	for _, name := range []string{"docker.json", "oci.json"} {
		res := c.probe(t, []string{"--network", "none", "--security-opt", "seccomp=" + name}, keyctl, "mkdir /d", symlink).ok(t)
		res.wantErrno(t, keyctl, "ENOTSUP")
		res.wantErrno(t, "mkdir /d", "")
		res.wantErrno(t, symlink, map[string]string{"docker.json": "EPERM", "oci.json": "EFAULT"}[name])
		must(t, os.Remove(filepath.Join(c.dir, "rootfs/d")))
	}
	c.put(t, "broken.json", `{"syscalls":[]}`, 0o644)
	for option, want := range map[string]string{
		"seccomp=broken.json":  ": it is no seccomp profile: it has no defaultAction",
		"seccomp=missing.json": ": no such file or directory",
		"label=disable":        " is not supported",
		"apparmor=":            " is not supported",
	} {
		c.probe(t, []string{"--security-opt", option}, "look").failed(t, 125, "--security-opt "+option+want)
	}
}

// TestLocaldKernelFlags looks from inside at limits, settings and devices.
func TestLocaldKernelFlags(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	res := c.probe(t, []string{
		"--network", "none", "--ulimit", "core=1:2", "--ulimit", "core=3:4", "--ulimit", "stack=1000000", "--shm-size", "2m", "--sysctl", "kernel.msgmax=1234",
		"--sysctl", "net.ipv4.ip_forward=1", "--device", "/dev/zero:/dev/nil:r",
	}, "look", "read /proc/sys/kernel/msgmax", "read /proc/sys/net/ipv4/ip_forward", "stat /dev/nil", "append /dev/shm/a 3000000").ok(t)
	look := res.look(t)
	if got := look.Rlimits["RLIMIT_CORE"]; got != [2]uint64{3, 4} {
		t.Error("RLIMIT_CORE", got)
	}
	if got := look.Rlimits["RLIMIT_STACK"]; got != [2]uint64{1000000, 1000000} {
		t.Error("RLIMIT_STACK", got)
	}
	if m, f := strings.TrimSpace(res.value(t, "read /proc/sys/kernel/msgmax")), strings.TrimSpace(res.value(t, "read /proc/sys/net/ipv4/ip_forward")); m != "1234" || f != "1" {
		t.Error("sysctls", m, f)
	}
	res.wantErrno(t, "append /dev/shm/a 3000000", "ENOSPC")
	if got := res.value(t, "stat /dev/nil"); !strings.HasPrefix(got, "char 666") {
		t.Error("the device:", got)
	}
	for _, r := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--network", "none", "--sysctl", "vm.swappiness=1"}, `sysctl "vm.swappiness" is not namespaced`},
		{[]string{"--device", "/etc/passwd"}, "--device /etc/passwd: it is no device. [LD301]"},
		{[]string{"--device", "/dev/nothing-there"}, "no such file or directory. [LD301]"},
		{[]string{"--ulimit", "nofile=2:1"}, "the soft limit is above the hard one"},
		{[]string{"--privileged"}, "--privileged is refused: locald gives no container the whole machine"},
		{[]string{"--pid", "host"}, "--pid host is refused"},
		{[]string{"--userns", "host"}, "--userns host is refused"},
		{[]string{"--sig-proxy=false"}, "--sig-proxy=false is refused"},
		{[]string{"--add-host", "a:1.2.3.4"}, "are for images"},
	} {
		c.probe(t, r.flags, "look").failed(t, 125, r.want)
	}
	c.probe(t, []string{"--network", "none", "--pid", "private", "--userns", "auto", "--sig-proxy"}, "look").ok(t)
}

// TestImageNames: a container of an image finds names as the machine does, also where the image has only a link that leads
// nowhere, and what it writes there stays in it.
func TestImageNames(t *testing.T) {
	seenOnHost(t)
	c, _ := newImages(t)
	probe, err := os.ReadFile(probeExe)
	must(t, err)
	layers := [][]byte{
		layerOf(t, entry{name: "probe", body: string(probe), mode: 0o755}, entry{name: "etc/", mode: 0o755},
			entry{name: "etc/hosts", body: "image's\n", mode: 0o644}, entry{name: "etc/resolv.conf", body: "below\n", mode: 0o644}),
		layerOf(t, entry{name: "etc/resolv.conf", link: "../run/somewhere/stub.conf"}),
	}
	writeImage(t, filepath.Join(c.dir, "image.tar"), "names:1", image.Process{Entrypoint: []string{"/probe"}}, layers...)
	if res := c.locald(t, "load", "-i", "image.tar"); res.code != 0 {
		t.Fatal(res)
	}
	run := func(flags ...string) *result {
		words := append([]string{"-q", "run"}, flags...)
		return c.locald(t, append(words, "names:1", "read /etc/hosts", "read /etc/hostname", "read /etc/resolv.conf", "append /etc/hosts 3")...).ok(t)
	}
	for range 2 { // the second sees nothing of what the first did
		res := run("--network", "none", "--hostname", "box", "--add-host", "db:10.1.2.3", "--dns", "9.9.9.9")
		if got := res.value(t, "read /etc/hosts"); !strings.HasPrefix(got, "10.1.2.3\tdb\n127.0.0.1\tlocalhost\n") || !strings.HasSuffix(got, "127.0.0.1\tbox\n") {
			t.Errorf("/etc/hosts: %q", got)
		}
		if got := res.value(t, "read /etc/hostname"); got != "box\n" {
			t.Errorf("/etc/hostname: %q", got)
		}
		if got := res.value(t, "read /etc/resolv.conf"); !strings.HasSuffix(got, "\nnameserver 9.9.9.9\n") {
			t.Errorf("/etc/resolv.conf: %q", got)
		}
		res.wantErrno(t, "append /etc/hosts 3", "")
	}
	res := run("--network", "host", "--hostname", "box")
	if machine, err := os.ReadFile("/etc/resolv.conf"); err == nil && len(machine) > 0 && res.value(t, "read /etc/resolv.conf") != string(machine) {
		t.Errorf("/etc/resolv.conf: %q", res.value(t, "read /etc/resolv.conf"))
	}
	if got := res.value(t, "read /etc/hosts"); !strings.Contains(got, "127.0.0.1\tbox\n") || !strings.Contains(got, "host.docker.internal") || strings.Contains(got, "image's") {
		t.Errorf("/etc/hosts: %q", got)
	}
	// What the caller mounts takes the place of ours.
	c.put(t, "mine", "mine", 0o644)
	if got := run("--network", "none", "-v", "./mine:/etc/hosts").value(t, "read /etc/hosts"); !strings.HasPrefix(got, "mine") {
		t.Errorf("/etc/hosts: %q", got)
	}
	// One on its own keeps them from start to start; what follows the machine is written again.
	id := strings.TrimSpace(c.locald(t, "-q", "run", "-d", "--network", "host", "--hostname", "own", "names:1", "read /etc/hosts", "read /etc/resolv.conf").ok(t).stdout)
	c.locald(t, "wait", id).ok(t)
	c.locald(t, "start", id).ok(t)
	c.locald(t, "wait", id).ok(t)
	logs := c.locald(t, "logs", id).ok(t)
	if strings.Count(logs.stdout, `127.0.0.1\town\n`) != 2 {
		t.Error(logs)
	}
	c.locald(t, "rm", id).ok(t)
}

// TestLocaldUnshare: what a container left to other ids is root's in unshare, and what is the machine's stays out of reach.
func TestLocaldUnshare(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	if here.root {
		if res := c.locald(t, "unshare", "true"); res.code != 125 || !strings.Contains(res.stderr, "root has every id already") {
			t.Error(res)
		}
		return
	}
	needsSubIDs(t)
	must(t, os.Mkdir(filepath.Join(c.dir, "src"), 0o777))
	must(t, os.Chmod(filepath.Join(c.dir, "src"), 0o777))
	c.probe(t, []string{"--network", "none", "-u", "7:8", "-v", "./src:/src"}, "mkdir /src/d", "create /src/d/f text").ok(t)
	left := filepath.Join(c.dir, "src/d")
	if err := os.RemoveAll(left); err == nil {
		t.Fatal("there was nothing left that belongs to another id")
	}
	res := c.locald(t, "unshare", "sh", "-c", "stat -c %u:%g src/d/f; id -u; stat -c %u /etc/passwd; cat /etc/shadow || echo closed; rm -r src/d && exit 3")
	want := "7:8\n0\n65534\nclosed\n"
	if res.code != 3 || res.stdout != want {
		t.Error(res)
	}
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Error(left, err)
	}
}

// TestLocaldTimeout: what does not end is ended, with all that it started, and what ends in time is not.
func TestLocaldTimeout(t *testing.T) {
	seenOnHost(t)
	c := newCaller(t)
	if res := c.probe(t, []string{"--network", "none", "--timeout", "1h"}, "exit 7"); res.code != 7 {
		t.Error(res)
	}
	res := c.probe(t, []string{"-q", "--network", "none", "--timeout", "300ms"}, "forever")
	res.failed(t, 137, "locald: killed: over --timeout 300ms. [LD404]")
	for _, word := range []string{"0", "-1s", "soon", ""} {
		c.probe(t, []string{"--timeout", word}, "look").failed(t, 125, "a time is a number of seconds")
	}
	c.probe(t, []string{"-d", "--timeout", "9"}, "look").failed(t, 125, "--timeout is for a container in the foreground")
}
