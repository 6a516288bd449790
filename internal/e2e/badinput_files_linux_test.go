package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestBadRootfs: the directory that root.path names is none, or may not be one.
func TestBadRootfs(t *testing.T) {
	path := func(p string) func(*testing.T, *attempt) {
		return badSpec(func(s *specs.Spec) { s.Root.Path = p })
	}
	link := func(to string) func(*testing.T, *attempt) {
		return func(t *testing.T, a *attempt) {
			must(t, os.Symlink(to, filepath.Join(a.dir, "link")))
			a.spec.Root.Path = "link"
		}
	}
	host := []wantError{{pointer: "/root/path", message: "root.path must not be the host's root"}}
	refuse(t, []badInput{
		{name: "missing", make: path("nowhere"), want: []wantError{{"/root/path", "ENOENT", "open rootfs nowhere"}}},
		{name: "missing and absolute", make: path("/nowhere/at/all"), want: []wantError{{"/root/path", "ENOENT", "open rootfs /nowhere/at/all"}}},
		{name: "file", make: path("config.json"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs config.json"}}},
		{name: "device", make: path("/dev/null"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs /dev/null"}}},
		{name: "FIFO", make: func(t *testing.T, a *attempt) {
			must(t, unix.Mkfifo(filepath.Join(a.dir, "fifo"), 0o666))
			a.spec.Root.Path = "fifo"
		}, want: []wantError{{"/root/path", "ENOTDIR", "open rootfs fifo"}}},
		{name: "dangling link", make: link("nowhere"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs link"}}},
		{name: "link to itself", make: link("link"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs link"}}},
		{name: "link to a file", make: link("config.json"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs link"}}},
		{name: "link to a rootfs", make: link("rootfs"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs link"}}},
		{name: "out of the caller's reach", who: needsUser, make: path("/root/x"), want: []wantError{{"/root/path", "EACCES", "open rootfs /root/x"}}},
		{name: "link out of the caller's reach", who: needsUser, make: link("/root/x"), want: []wantError{{"/root/path", "ENOTDIR", "open rootfs link"}}},
		{name: "empty", make: path(""), more: true, want: []wantError{{pointer: "/root/path", message: "root.path is empty"}}},
		{name: "NUL", make: path("root\x00fs"), want: []wantError{{pointer: "/root/path", message: "NUL"}}},
		{name: "host", make: path("/"), more: true, want: host},
		{name: "host in disguise", make: path("/tmp/.././"), more: true, want: host},
		{name: "host by dots", make: path(strings.Repeat("../", 40)), more: true, want: host},
		{name: "host by link", make: link("/"), more: true, want: host},
		{name: "host by magic link", make: path("/proc/self/root"), more: true, want: host},
	})
}

// TestBadMountSource: what is to be mounted is not there, or not there for the caller.
func TestBadMountSource(t *testing.T) {
	bind := func(source string) func(*testing.T, *attempt) {
		return badSpec(func(s *specs.Spec) { addMount(s, "/tmp", "bind", source, "rbind") })
	}
	refuse(t, []badInput{
		{name: "missing", make: bind("/nowhere"), want: []wantError{{"/mounts/3", "ENOENT", "bind /nowhere"}}},
		{name: "missing and relative", make: bind("nowhere"), want: []wantError{{"/mounts/3", "ENOENT", "bind nowhere"}}},
		{name: "empty", make: bind(""), want: []wantError{{"/mounts/3/source", "", "a bind mount needs a source"}}},
		{name: "below a file", make: bind("config.json/x"), want: []wantError{{"/mounts/3", "ENOTDIR", "bind config.json/x"}}},
		{name: "out of the caller's reach", who: needsUser, make: bind("/root/x"), want: []wantError{{"/mounts/3", "EACCES", "bind /root/x"}}},
		{name: "link out of the caller's reach", who: needsUser, make: func(t *testing.T, a *attempt) {
			must(t, os.Symlink("/root/x", filepath.Join(a.dir, "link")))
			addMount(a.spec, "/tmp", "bind", "link", "rbind")
		}, want: []wantError{{"/mounts/3", "EACCES", "bind link"}}},
		{name: "overlay layer is missing", make: badSpec(func(s *specs.Spec) {
			addMount(s, "/tmp", "overlay", "overlay", "lowerdir=/nowhere")
		}), want: []wantError{{"/mounts/3", "ENOENT", "open layer /nowhere"}}},
		{name: "overlay layer out of the caller's reach", who: needsUser, make: badSpec(func(s *specs.Spec) {
			addMount(s, "/tmp", "overlay", "overlay", "lowerdir=/root/x")
		}), want: []wantError{{"/mounts/3", "EACCES", "open layer /root/x"}}},
		{name: "several at once", make: badSpec(func(s *specs.Spec) {
			addMount(s, "", "tmpfs", "tmpfs")
			addMount(s, "/tmp", "", "tmpfs")
			addMount(s, "/tmp", "bind", "", "bind")
		}), more: true, want: []wantError{
			{pointer: "/mounts/3/destination", message: "a mount needs a destination"}, {pointer: "/mounts/4/type", message: "the type is missing"},
			{pointer: "/mounts/5/source", message: "a bind mount needs a source"},
		}},
		{name: "directory on a file", make: func(t *testing.T, a *attempt) {
			a.put(t, "file", "", 0o644)
			addMount(a.spec, "/file", "tmpfs", "tmpfs")
		}, want: []wantError{{"/mounts/3", "EINVAL", "mount tmpfs on /file"}}},
		{name: "option that the file system does not know", make: badSpec(func(s *specs.Spec) {
			addMount(s, "/tmp", "tmpfs", "tmpfs", "colour=blue")
		}), want: []wantError{{"/mounts/3", "EINVAL", "set colour=blue on /tmp"}}},
	})
}

// TestUnreadableSource: a file that its caller may not read can be bound, and is no more readable inside.
func TestUnreadableSource(t *testing.T) {
	needsUser(t)
	b := newBundle(t).do("read /shadow", "list /roots")
	addMount(b.spec, "/shadow", "bind", "/etc/shadow", "bind", "ro")
	addMount(b.spec, "/roots", "bind", "/root", "bind", "ro")
	res := b.run(t).ok(t)
	res.wantErrno(t, "read /shadow", "EACCES")
	if info, err := os.Stat("/root"); err == nil && info.Mode().Perm()&0o005 == 0 {
		res.wantErrno(t, "list /roots", "EACCES")
	}
}

// outside is a directory of the host's that nothing may be made in, nor mounted on.
func outside(t *testing.T) (dir string, unchanged func(t *testing.T)) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "outside")
	for _, name := range []string{"", "etc", "null", "pts"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	before := describeFiles(t, dir)
	return dir, func(t *testing.T) { t.Helper(); compareDescribed(t, before, describeFiles(t, dir)) }
}

// TestHostileLinks: places of the image that are links out of it. Where such a link leads to is looked for
// inside the image: what is there is covered, and what is not is made there (CVE-2019-16884, CVE-2021-30465).
// A link at /proc or /sys is refused.
func TestHostileLinks(t *testing.T) {
	for _, dest := range []string{"/proc", "/dev", "/sys", "/etc", "/etc/deep/er"} {
		for _, kind := range []string{"absolute", "relative", "magic"} {
			for _, there := range []bool{false, true} {
				if kind == "magic" && there {
					continue
				}
				name := strings.TrimPrefix(dest, "/") + " " + kind
				if there {
					name += ", leads to something in the image"
				}
				t.Run(name, func(t *testing.T) { hostileLink(t, dest, kind, there) })
			}
		}
	}
}

func hostileLink(t *testing.T, dest, kind string, there bool) {
	dir, unchanged := outside(t)
	b := newBundle(t).do("list /")
	dropMount(b.spec, "/tmp") // the directory outside may lie there, and inside then too
	to := dir
	switch kind {
	case "relative":
		to = strings.Repeat("../", 30) + dir[1:]
	case "magic":
		to = "/proc/self/root" + dir
		must(t, os.MkdirAll(filepath.Join(b.rootfs, "proc/self"), 0o755))
		must(t, os.Symlink("/", filepath.Join(b.rootfs, "proc/self/root")))
	}
	if kind == "magic" && dest == "/proc" {
		must(t, os.RemoveAll(filepath.Join(b.rootfs, "proc")))
	}
	top := filepath.Join(b.rootfs, strings.Split(dest, "/")[1])
	must(t, os.Symlink(to, top))
	if there {
		must(t, os.MkdirAll(filepath.Join(b.rootfs, dir, "etc"), 0o755))
	}
	switch dest {
	case "/sys":
		addMount(b.spec, dest, "sysfs", "sysfs", "ro", "nosuid")
	case "/etc", "/etc/deep/er":
		addMount(b.spec, dest, "tmpfs", "tmpfs", "size=4k")
	}
	before := len(hostMounts(t))
	res := b.run(t)
	unchanged(t)
	if after := len(hostMounts(t)); after != before {
		t.Errorf("%d mounts outside, were %d", after, before)
	}
	// What the runtime itself relies on is mounted through no link at all, and nothing is made for a /dev that leads to
	// nothing. For others it is made, inside.
	if there && dest != "/proc" && dest != "/sys" || kind != "magic" && strings.HasPrefix(dest, "/etc") {
		res.ok(t)
		return
	}
	if res.code != 125 || len(failuresOf(res)) != 1 || !strings.HasPrefix(failuresOf(res)[0].Pointer, "/mounts/") {
		t.Errorf("not refused because of a mount: %s", res)
	}
}

func hostMounts(t *testing.T) []string {
	t.Helper()
	all, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return strings.Split(string(all), "\n")
}

// TestCVE_2021_30465: a directory on the way to a destination is exchanged for a link out of the image and
// back, as fast as it goes (CVE-2021-30465). Whatever the container finds, it is not the host's.
func TestCVE_2021_30465(t *testing.T) {
	dir, unchanged := outside(t)
	b := newBundle(t)
	must(t, os.Mkdir(filepath.Join(b.rootfs, "etc"), 0o755))
	must(t, os.Symlink(dir, filepath.Join(b.rootfs, "link")))
	addMount(b.spec, "/etc/etc", "tmpfs", "tmpfs", "size=4k")
	addMount(b.spec, "/etc/null", "bind", "/dev/null", "bind")
	end := exchanging(b.rootfs+"/etc", b.rootfs+"/link")
	for range len(thin(make([]int, 40))) {
		res, ran := b.runOrRefused(t)
		// What is mounted on the host's directory would be lost with the old root.
		if ran && !slices.ContainsFunc(res.look(t).Mounts, func(m probe.Mount) bool { return hasOption(m.Super, "size=4k") }) {
			t.Errorf("mounted outside: %v", res.look(t).Mounts)
		}
	}
	end()
	unchanged(t)
}

// TestBadPidFile: the pid is written with the caller's rights, to no file but the one that is named.
func TestBadPidFile(t *testing.T) {
	pidFile := func(path string) func(*testing.T, *attempt) {
		return func(t *testing.T, a *attempt) {
			a.do("forever")
			if !filepath.IsAbs(path) {
				path = filepath.Join(a.dir, path)
			}
			a.args = []string{"--bundle", a.dir, "--id", a.id, "--pid-file", path}
		}
	}
	refuse(t, []badInput{
		{name: "directory is missing", make: pidFile("/nowhere/pid"), want: []wantError{{"", "ENOENT", "/nowhere/pid"}}},
		{name: "below a file", make: pidFile("config.json/pid"), want: []wantError{{"", "ENOTDIR", "config.json/pid"}}},
		{name: "directory", make: pidFile("rootfs"), want: []wantError{{"", "EEXIST", "rootfs"}}},
		{name: "empty name", make: pidFile("rootfs/"), want: []wantError{{"", "", "write the pid file"}}},
		{name: "not the caller's directory", who: needsUser, make: pidFile("/etc/locald-pid"), want: []wantError{{"", "EACCES", "/etc/locald-pid"}}},
		{name: "not the caller's file", who: needsUser, make: pidFile("/etc/passwd"), want: []wantError{{"", "EACCES", "/etc/passwd"}}},
	})
}

// TestPidFileReplaced: a file that is there is replaced, and a link is, not what it leads to.
func TestPidFileReplaced(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(path, other string) error
	}{
		{"new", func(string, string) error { return nil }},
		{"existing", func(path, _ string) error { return os.WriteFile(path, []byte("much longer than a pid is"), 0o600) }},
		{"link", func(path, other string) error { return os.Symlink(other, path) }},
		{"dangling link", func(path, other string) error { return os.Symlink(other+"-nowhere", path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBundle(t).do("line")
			dir := t.TempDir()
			path, other := filepath.Join(dir, "pid"), filepath.Join(dir, "other")
			if !here.root {
				other = "/etc/passwd"
			} else {
				must(t, os.WriteFile(other, []byte("precious"), 0o600))
			}
			was, err := os.ReadFile(other)
			must(t, err)
			must(t, c.setup(path, other))
			r := b.start(t, nil, "--pid-file", path)
			pid := r.await("cloned").Pid
			r.await("running")
			r.say("go")
			r.wait().ok(t)
			got, err := os.ReadFile(path)
			must(t, err)
			if string(got) != itoa(pid) {
				t.Errorf("the pid file holds %q, the pid is %d", got, pid)
			}
			if is, err := os.ReadFile(other); err != nil || string(is) != string(was) {
				t.Errorf("%s has changed: %q, %v", other, is, err)
			}
			if names, _ := os.ReadDir(dir); len(names) > 2 {
				t.Errorf("files beside the pid file: %v", names)
			}
		})
	}
}

// TestWorkingDirectoryGone: the shim needs no working directory of its own.
func TestWorkingDirectoryGone(t *testing.T) {
	b := newBundle(t).do("exit 0")
	gone := filepath.Join(t.TempDir(), "gone")
	must(t, os.Mkdir(gone, 0o755))
	b.start(t, func(c *exec.Cmd) {
		// The directory goes between the fork and the exec: the shell is what goes into it.
		c.Args = append([]string{"sh", "-c", `cd "$0" && rmdir "$0" && exec "$@"`, gone, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	}).wait().ok(t)
}
