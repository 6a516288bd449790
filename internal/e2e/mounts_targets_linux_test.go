package e2e

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDanglingDestination: what a link in the rootfs leads to is made inside, also in a tmpfs that an earlier entry has
// mounted there.
func TestDanglingDestination(t *testing.T) {
	for _, tmpfs := range []bool{false, true} {
		b := newBundle(t)
		must(t, os.MkdirAll(b.rootfs+"/etc", 0o755))
		must(t, os.Symlink("../run/systemd/resolve/stub.conf", b.rootfs+"/etc/resolv.conf"))
		must(t, os.MkdirAll(b.rootfs+"/var", 0o755))
		must(t, os.Symlink("/run", b.rootfs+"/var/run"))
		if tmpfs {
			addMount(b.spec, "/run", "tmpfs", "tmpfs", "mode=755")
		}
		dir := volume(t)
		addMount(b.spec, "/etc/resolv.conf", "bind", dir+"/file", "ro")
		addMount(b.spec, "/var/run/socket", "bind", dir+"/file", "ro")
		r := b.do("read /etc/resolv.conf", "read /run/systemd/resolve/stub.conf", "read /run/socket").run(t).ok(t)
		for _, action := range []string{"read /etc/resolv.conf", "read /run/systemd/resolve/stub.conf", "read /run/socket"} {
			if got := r.value(t, action); got != "outside" {
				t.Errorf("%s: %q", action, got)
			}
		}
	}
}

// TestTmpfsInherits: a tmpfs without a mode has that of the directory that it covers, and its owner.
func TestTmpfsInherits(t *testing.T) {
	b := newBundle(t)
	must(t, os.Mkdir(b.rootfs+"/there", 0o755))
	must(t, os.Chmod(b.rootfs+"/there", 0o750|os.ModeSetgid))
	want := "dir 2750 0:0"
	if here.root {
		must(t, os.Chown(b.rootfs+"/there", 7, 8))
		must(t, os.Chmod(b.rootfs+"/there", 0o750|os.ModeSetgid))
		want = "dir 2750 7:8"
	}
	addMount(b.spec, "/there", "tmpfs", "tmpfs")
	addMount(b.spec, "/missing", "tmpfs", "tmpfs")
	r := b.do("stat /there", "stat /missing").run(t).ok(t)
	if got := r.value(t, "stat /there"); got != want {
		t.Errorf("/there is %q, want %q", got, want)
	}
	if got := r.value(t, "stat /missing"); got != "dir 1777 0:0" {
		t.Errorf("/missing is %q", got)
	}
}

// TestTmpcopyup: what the image has is in the tmpfs, and stays as it is in the image.
func TestTmpcopyup(t *testing.T) {
	b := newBundle(t)
	big := strings.Repeat("0123456789abcdef", 20000)
	b.put(t, "data/a/b/file", "text", 0o640)
	b.put(t, "data/big", big, 0o644)
	b.put(t, "data/tool", "#!", 0o4755)
	must(t, os.Chmod(b.rootfs+"/data/tool", 0o755|os.ModeSetuid))
	must(t, os.Chmod(b.rootfs+"/data/a", 0o775|os.ModeSetgid))
	must(t, os.Symlink("/etc/passwd", b.rootfs+"/data/link"))
	must(t, unix.Mkfifo(b.rootfs+"/data/fifo", 0o600))
	owner := "0:0"
	if here.root {
		must(t, os.Lchown(b.rootfs+"/data/a/b/file", 7, 8))
		owner = "7:8"
	}
	addMount(b.spec, "/data", "tmpfs", "tmpfs", "tmpcopyup", "size=1m")
	addMount(b.spec, "/none", "tmpfs", "tmpfs", "tmpcopyup", "ro")
	withCaps(b.spec, "CAP_DAC_OVERRIDE")
	r := b.do("look", "read /data/a/b/file", "read /data/big", "stat /data/a/b/file", "stat /data/a", "stat /data/tool", "readlink /data/link", "stat /data/fifo", "list /data", "write /data/a/b/file changed").run(t).ok(t)
	for action, want := range map[string]string{"read /data/a/b/file": "text", "read /data/big": big, "stat /data/a/b/file": "file 640 " + owner, "stat /data/a": "dir 2775 0:0",
		"stat /data/tool": "file 4755 0:0", "readlink /data/link": "/etc/passwd", "stat /data/fifo": "fifo 600 0:0", "list /data": "a big fifo link tool", "write /data/a/b/file changed": ""} {
		if got := r.value(t, action); got != want {
			t.Errorf("%s: %.40q, want %.40q", action, got, want)
		}
	}
	if m := mountAt(t, r.look(t), "/data"); m.Type != "tmpfs" {
		t.Errorf("/data is %+v", m)
	}
	if text, _ := os.ReadFile(b.rootfs + "/data/a/b/file"); string(text) != "text" {
		t.Errorf("the image's file was changed to %q", text)
	}

	b = newBundle(t)
	b.put(t, "data/big", big, 0o644)
	addMount(b.spec, "/data", "tmpfs", "tmpfs", "tmpcopyup", "size=64k")
	if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "ENOSPC" && p.Errno != "" || !strings.Contains(p.Message, "/data/big") {
		t.Errorf("a tmpfs that is too small: %+v", p)
	}
	b = newBundle(t)
	addMount(b.spec, "/data", "bind", volume(t))
	addMount(b.spec, "/data/x", "tmpfs", "tmpfs", "tmpcopyup")
	if p := b.run(t).problem(t, "/mounts/4"); !strings.Contains(p.Message, "an earlier mount covers it") {
		t.Errorf("%+v", p)
	}
}
