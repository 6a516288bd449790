package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestHome: a process without HOME gets that of its user in the container's /etc/passwd, whatever is there.
func TestHome(t *testing.T) {
	const passwd = "root:x:0:0::/roots:/bin/sh\nweb:x:5:5::/srv/web:/bin/sh\n"
	file := func(text string) func(*testing.T, *bundle) {
		return func(t *testing.T, b *bundle) { b.put(t, "etc/passwd", text, 0o644) }
	}
	tests := []struct {
		name string
		make func(t *testing.T, b *bundle)
		want string
	}{
		{"no file", func(*testing.T, *bundle) {}, "/"},
		{"root", file(passwd), "/roots"},
		{"no entry", file("web:x:5:5::/srv/web:/bin/sh\n"), "/"},
		{"set", func(t *testing.T, b *bundle) {
			file(passwd)(t, b)
			b.spec.Process.Env = append(b.spec.Process.Env, "HOME=/own")
		}, "/own"},
		{"empty", func(t *testing.T, b *bundle) {
			file(passwd)(t, b)
			b.spec.Process.Env = append(b.spec.Process.Env, "HOME=")
		}, "/roots"},
		{"link inside", func(t *testing.T, b *bundle) { // to the container's file, not to the host's
			b.put(t, "usr/lib/passwd", passwd, 0o644)
			must(t, os.Mkdir(b.rootfs+"/etc", 0o755))
			must(t, os.Symlink("/usr/lib/passwd", b.rootfs+"/etc/passwd"))
		}, "/roots"},
		{"link outside", func(t *testing.T, b *bundle) { // stays inside, where nothing is
			must(t, os.WriteFile(b.dir+"/passwd", []byte(passwd), 0o644))
			must(t, os.Mkdir(b.rootfs+"/etc", 0o755))
			must(t, os.Symlink("../../passwd", b.rootfs+"/etc/passwd"))
		}, "/"},
		{"pipe", func(t *testing.T, b *bundle) {
			must(t, os.Mkdir(b.rootfs+"/etc", 0o755))
			must(t, unix.Mkfifo(b.rootfs+"/etc/passwd", 0o644))
		}, "/"},
		{"directory", func(t *testing.T, b *bundle) { must(t, os.MkdirAll(b.rootfs+"/etc/passwd", 0o755)) }, "/"},
		{"bound over", func(t *testing.T, b *bundle) {
			file("root:x:0:0::/hidden:/bin/sh\n")(t, b)
			must(t, os.WriteFile(b.dir+"/passwd", []byte(passwd), 0o644))
			addMount(b.spec, "/etc/passwd", "bind", "passwd", "ro")
		}, "/roots"},
		{"directory bound over", func(t *testing.T, b *bundle) {
			must(t, os.Mkdir(b.rootfs+"/etc", 0o755))
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "passwd"), []byte(passwd), 0o644))
			addMount(b.spec, "/etc", "bind", dir)
		}, "/roots"},
		{"tmpfs over it", func(t *testing.T, b *bundle) {
			file(passwd)(t, b)
			addMount(b.spec, "/etc", "tmpfs", "tmpfs")
		}, "/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t)
			tt.make(t, b)
			env := b.run(t).ok(t).look(t).Env
			env = slices.DeleteFunc(env, func(kv string) bool { return !strings.HasPrefix(kv, "HOME=") })
			if !slices.Equal(env, []string{"HOME=" + tt.want}) {
				t.Errorf("%q, want HOME=%s", env, tt.want)
			}
		})
	}
}

// TestHomeOfOther: the entry is that of the process's user in the container.
func TestHomeOfOther(t *testing.T) {
	needsSubIDs(t)
	b := newBundle(t, withRange, func(s *specs.Spec) { s.Process.User = specs.User{UID: 5, GID: 5} })
	b.put(t, "etc/passwd", "root:x:0:0::/roots:/bin/sh\nweb:x:5:5::/srv/web:/bin/sh\n", 0o644)
	if env := b.run(t).ok(t).look(t).Env; !slices.Contains(env, "HOME=/srv/web") {
		t.Errorf("environment is %q", env)
	}
}
