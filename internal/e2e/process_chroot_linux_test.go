package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestNoLinux: a config.json without linux is a program in another root, in all the namespaces of its caller. It is
// root's: anybody else needs a user namespace.
func TestNoLinux(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) { s.Linux, s.Mounts = nil, nil })
	b.do("list /", "stat /../rootfs", "line", "exit 7")
	if !here.root {
		b.run(t).problem(t, "/linux/namespaces")
		return
	}
	r := b.start(t, nil)
	if a := r.answer("list /"); a.Value != "probe" {
		t.Errorf("the root holds %q", a.Value)
	}
	if a := r.answer("stat /../rootfs"); a.Errno != "ENOENT" {
		t.Errorf("out of the root: %+v", a)
	}
	pid := r.await("cloned").Pid
	for _, kind := range []string{"mnt", "pid", "net", "ipc", "uts", "user", "cgroup"} {
		of := func(pid any) string {
			link, err := os.Readlink(fmt.Sprintf("/proc/%v/ns/%s", pid, kind))
			must(t, err)
			return link
		}
		if got, want := of(pid), of("self"); got != want {
			t.Errorf("%s namespace is %s, want %s", kind, got, want)
		}
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || root != b.rootfs {
		t.Errorf("its root is %s, want %s (%v)", root, b.rootfs, err)
	}
	r.say("go")
	if res := r.wait(); res.code != 7 {
		t.Error(res)
	}
}

// TestSharedMounts: what needs a mount is refused in the host's mount namespace; the rest works, also in a user
// namespace.
func TestSharedMounts(t *testing.T) {
	needsRoot(t, "policy asks users for a mount namespace")
	b := newBundle(t, func(s *specs.Spec) { dropNamespace(s, specs.MountNamespace) })
	if p := b.run(t).problem(t, "/mounts"); !strings.Contains(p.Hint, "mount") {
		t.Errorf("%+v", p)
	}
	b = newBundle(t, withRange, func(s *specs.Spec) {
		dropNamespace(s, specs.MountNamespace)
		s.Mounts, s.Hostname = nil, "box"
		s.Process.User = specs.User{UID: 3, GID: 4}
	})
	r := b.run(t).ok(t).look(t)
	if r.Hostname != "box" || r.Uid[0] != 3 || r.Gid[0] != 4 || r.Pid != 1 || r.Cwd != "/" {
		t.Errorf("%+v", r)
	}
}
