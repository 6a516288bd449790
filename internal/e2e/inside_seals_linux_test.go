package e2e

import (
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestMaskedPaths: a masked file reads as empty, a masked directory is empty, and neither can be uncovered
// or written.
func TestMaskedPaths(t *testing.T) {
	b := newBundle(t)
	b.put(t, "secret", "secret", 0o666)
	b.put(t, "hidden/file", "secret", 0o666)
	b.spec.Linux.MaskedPaths = []string{"/secret", "/hidden", "/proc/keys", "/proc/irq", "/not/there", "/secret/below"}
	withCaps(b.spec, "CAP_CHOWN", "CAP_DAC_OVERRIDE")
	actions := []string{"read /secret", "read /proc/keys", "list /hidden", "list /proc/irq",
		"create /hidden/new", "create /proc/irq/new", "umount /secret", "umount /hidden", "remove /secret"}
	r := b.do(actions...).run(t).ok(t)
	for _, action := range actions[:4] {
		if got := r.value(t, action); got != "" {
			t.Errorf("%s: %q, want nothing", action, got)
		}
	}
	for action, errno := range map[string]string{"create /hidden/new": "EROFS", "create /proc/irq/new": "EROFS", "umount /secret": "EPERM", "umount /hidden": "EPERM", "remove /secret": "EBUSY"} {
		r.wantErrno(t, action, errno)
	}
	if text, err := os.ReadFile(b.rootfs + "/secret"); err != nil || string(text) != "secret" {
		t.Errorf("the file outside is %q, %v", text, err)
	}
}

// TestMaskedLinks: what a link in the rootfs leads to, inside, is masked, as what it is.
func TestMaskedLinks(t *testing.T) {
	for _, kind := range []string{"file", "directory"} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t)
			b.put(t, "real/file", "secret", 0o666)
			to, action := "/real", "list /real"
			if kind == "file" {
				to, action = "/real/file", "read /real/file"
			}
			must(t, os.Symlink(to, b.rootfs+"/alias"))
			b.spec.Linux.MaskedPaths = []string{"/alias"}
			if got := b.do(action).run(t).ok(t).value(t, action); got != "" {
				t.Errorf("%s: %q, want nothing", action, got)
			}
		})
	}
}

// TestReadonlyPaths are read-only with all that is below them.
func TestReadonlyPaths(t *testing.T) {
	b := newBundle(t)
	b.put(t, "etc/file", "text", 0o666)
	b.put(t, "file", "text", 0o666)
	b.put(t, "free/file", "text", 0o666)
	addMount(b.spec, "/etc/below", "tmpfs", "tmpfs")
	b.spec.Linux.ReadonlyPaths = []string{"/etc", "/file", "/proc/sys", "/not/there"}
	withCaps(b.spec, "CAP_DAC_OVERRIDE")
	r := b.do("write /etc/file x", "create /etc/new", "write /file x", "create /etc/below/new", "write /proc/sys/kernel/shmmax 1", "remount /etc",
		"read /etc/file", "read /proc/sys/kernel/shmmax", "write /free/file x").run(t).ok(t)
	for action, errno := range map[string]string{
		"write /etc/file x": "EROFS", "create /etc/new": "EROFS", "write /file x": "EROFS", "create /etc/below/new": "EROFS",
		"write /proc/sys/kernel/shmmax 1": "EROFS", "remount /etc": "EPERM", "read /proc/sys/kernel/shmmax": "", "write /free/file x": "",
	} {
		r.wantErrno(t, action, errno)
	}
	if got := r.value(t, "read /etc/file"); got != "text" {
		t.Errorf("/etc/file reads %q", got)
	}
}

func TestReadonlyRootfs(t *testing.T) {
	for _, readonly := range []bool{true, false} {
		b := newBundle(t, func(s *specs.Spec) { s.Root.Readonly = readonly })
		b.put(t, "file", "text", 0o666)
		withCaps(b.spec, "CAP_DAC_OVERRIDE")
		r := b.do("create /new", "write /file x", "mkdir /dir", "create /tmp/new", "create /dev/new", "remount /").run(t).ok(t)
		errno := ""
		if readonly {
			errno = "EROFS"
		}
		for _, action := range []string{"create /new", "write /file x", "mkdir /dir"} {
			r.wantErrno(t, action, errno)
		}
		r.wantErrno(t, "create /tmp/new", "")
		r.wantErrno(t, "remount /", "EPERM")
	}
}

// TestReadonlyTmpfs: /dev is filled, and then closed.
func TestReadonlyTmpfs(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") })
	addMount(b.spec, "/dev", "tmpfs", "tmpfs", "ro", "mode=755")
	addMount(b.spec, "/dev/shm", "tmpfs", "tmpfs", "mode=1777")
	withCaps(b.spec, "CAP_DAC_OVERRIDE")
	r := b.do("create /dev/new", "write /dev/null x", "create /dev/shm/new").run(t).ok(t)
	r.wantErrno(t, "create /dev/new", "EROFS")
	r.wantErrno(t, "write /dev/null x", "")
	r.wantErrno(t, "create /dev/shm/new", "")
}
