package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mountAt is the last mount on a path, as the probe saw it.
func mountAt(t *testing.T, r *probe.Report, path string) probe.Mount {
	t.Helper()
	for _, m := range slices.Backward(r.Mounts) {
		if m.Point == path {
			return m
		}
	}
	t.Fatalf("nothing is mounted on %s: %v", path, r.Mounts)
	return probe.Mount{}
}

// volume is a directory outside, with a file.
func volume(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(dir+"/file", []byte("outside"), 0o644))
	return dir
}

func TestBind(t *testing.T) {
	for _, tt := range []struct {
		name, typ string
		options   []string
		errno     string // of a write
	}{
		{"type", "bind", nil, ""},
		{"option", "none", []string{"bind"}, ""},
		{"no type", "", []string{"rbind"}, ""},
		{"rbind type", "rbind", nil, ""},
		{"rw", "bind", []string{"rw"}, ""},
		{"ro", "bind", []string{"ro"}, "EROFS"},
		{"ro, recursive", "bind", []string{"rbind", "ro"}, "EROFS"},
		{"rro", "bind", []string{"rbind", "rro"}, "EROFS"},
		{"the last one wins", "bind", []string{"ro", "rw"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, dir := newBundle(t), volume(t)
			addMount(b.spec, "/made/for/this", tt.typ, dir, tt.options...)
			r := b.do("read /made/for/this/file", "create /made/for/this/new text", "look").run(t).ok(t)
			if got := r.value(t, "read /made/for/this/file"); got != "outside" {
				t.Errorf("the file reads %q", got)
			}
			r.wantErrno(t, "create /made/for/this/new text", tt.errno)
			text, err := os.ReadFile(dir + "/new")
			if tt.errno == "" && (err != nil || string(text) != "text") {
				t.Errorf("outside the new file is %q, %v", text, err)
			}
			if want := map[bool]string{true: "rw", false: "ro"}[tt.errno == ""]; !hasOption(mountAt(t, r.look(t), "/made/for/this").Options, want) {
				t.Errorf("mounted %s, want %s", mountAt(t, r.look(t), "/made/for/this").Options, want)
			}
		})
	}
}

func hasOption(options, o string) bool { return slices.Contains(strings.Split(options, ","), o) }

// TestBindRelative: a relative source starts at the bundle.
func TestBindRelative(t *testing.T) {
	b := newBundle(t)
	must(t, os.Mkdir(b.dir+"/data", 0o755))
	must(t, os.WriteFile(b.dir+"/data/file", []byte("in the bundle"), 0o644))
	addMount(b.spec, "/data", "bind", "data", "ro")
	if got := b.do("read /data/file").run(t).ok(t).value(t, "read /data/file"); got != "in the bundle" {
		t.Errorf("the file reads %q", got)
	}
}

// TestBindFile binds files over files, and where there is nothing.
func TestBindFile(t *testing.T) {
	b, dir := newBundle(t), volume(t)
	b.put(t, "etc/there", "image", 0o644)
	addMount(b.spec, "/etc/there", "bind", dir+"/file")
	addMount(b.spec, "/new/er/file", "bind", dir+"/file", "ro")
	addMount(b.spec, "/dev/inside-tmpfs", "bind", dir+"/file")
	r := b.do("read /etc/there", "read /new/er/file", "write /new/er/file x", "read /dev/inside-tmpfs", "write /etc/there inside", "read /new/er/file").run(t).ok(t)
	for _, action := range []string{"read /etc/there", "read /new/er/file", "read /dev/inside-tmpfs"} {
		if got := r.value(t, action); got != "outside" {
			t.Errorf("%s: %q", action, got)
		}
	}
	r.wantErrno(t, "write /new/er/file x", "EROFS")
	if text, _ := os.ReadFile(dir + "/file"); string(text) != "insidee" {
		t.Errorf("outside the file is %q", text)
	}
	if text, _ := os.ReadFile(b.rootfs + "/etc/there"); string(text) != "image" {
		t.Errorf("the covered file is %q", text)
	}
}

// TestBindOptions sees the attributes in mountinfo and what they do.
func TestBindOptions(t *testing.T) {
	for _, tt := range []struct {
		options []string
		want    []string
	}{
		{[]string{"nosuid"}, []string{"nosuid"}},
		{[]string{"nodev", "noexec", "nosuid", "ro"}, []string{"nodev", "noexec", "nosuid", "ro"}},
		{[]string{"noatime"}, []string{"noatime"}},
		{[]string{"nodiratime", "relatime"}, []string{"nodiratime", "relatime"}},
		{[]string{"nosymfollow"}, []string{"nosymfollow"}},
		{[]string{"rnosuid", "rnodev", "rnoexec"}, []string{"nosuid", "nodev", "noexec"}},
	} {
		t.Run(strings.Join(tt.options, ","), func(t *testing.T) {
			b := newBundle(t)
			addMount(b.spec, "/mnt", "bind", volume(t), append(tt.options, "rbind")...)
			r := b.run(t)
			if !here.root && strings.Contains(tt.options[0], "atime") {
				// Access time modes are locked in a mount that comes from another user namespace (mount_namespaces(7)).
				r.problem(t, "/mounts/3")
				return
			}
			got := mountAt(t, r.ok(t).look(t), "/mnt")
			for _, o := range tt.want {
				if !hasOption(got.Options, o) {
					t.Errorf("options are %s, want %v", got.Options, tt.want)
				}
			}
		})
	}
}

func TestNoexec(t *testing.T) {
	b, dir := newBundle(t), t.TempDir()
	must(t, os.Link(probeExe, dir+"/"+probe.Name))
	addMount(b.spec, "/mnt", "bind", dir, "noexec")
	b.spec.Process.Args[0] = "/mnt/probe"
	if r := b.run(t); r.code != 126 {
		t.Errorf("a program on a noexec mount: %s", r)
	}
}

func TestNosymfollow(t *testing.T) {
	b, dir := newBundle(t), volume(t)
	must(t, os.Symlink("file", dir+"/link"))
	addMount(b.spec, "/mnt", "bind", dir, "nosymfollow")
	r := b.do("read /mnt/link", "read /mnt/file").run(t).ok(t)
	r.wantErrno(t, "read /mnt/link", "ELOOP")
	r.wantErrno(t, "read /mnt/file", "")
}

func TestNodev(t *testing.T) {
	needsRoot(t, "makes a device node")
	b, dir := newBundle(t), t.TempDir()
	must(t, unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	addMount(b.spec, "/mnt", "bind", dir, "nodev")
	addMount(b.spec, "/dev-allowed", "bind", dir, "dev")
	r := b.do("write /mnt/null x", "write /dev-allowed/null x").run(t).ok(t)
	r.wantErrno(t, "write /mnt/null x", "EACCES")
	r.wantErrno(t, "write /dev-allowed/null x", "")
}

// mounted mounts a tmpfs on the host, for the length of a test.
func mounted(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=755"))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// TestSubmounts are there with rbind only, and ro is for the top only, rro for all.
func TestSubmounts(t *testing.T) {
	needsRoot(t, "mounts on the host")
	b, dir := newBundle(t), volume(t)
	mounted(t, dir+"/sub")
	must(t, os.WriteFile(dir+"/sub/file", []byte("below"), 0o644))
	addMount(b.spec, "/one", "bind", dir, "bind")
	addMount(b.spec, "/all", "bind", dir, "rbind", "ro")
	addMount(b.spec, "/closed", "bind", dir, "rbind", "rro", "rnoexec")
	r := b.do("list /one/sub", "read /all/sub/file", "create /all/new", "create /all/sub/new", "create /closed/sub/new", "look").run(t).ok(t)
	if got := r.value(t, "list /one/sub"); got != "" {
		t.Errorf("a plain bind shows %q", got)
	}
	if got := r.value(t, "read /all/sub/file"); got != "below" {
		t.Errorf("the file below is %q", got)
	}
	for action, errno := range map[string]string{"create /all/new": "EROFS", "create /all/sub/new": "", "create /closed/sub/new": "EROFS"} {
		r.wantErrno(t, action, errno)
	}
	if m := mountAt(t, r.look(t), "/closed/sub"); !hasOption(m.Options, "noexec") {
		t.Errorf("/closed/sub is mounted %s", m.Options)
	}
}

// TestLockedSubmounts: in a user namespace mounts come as they lie on each other, so that nothing is
// uncovered (mount_namespaces(7)).
func TestLockedSubmounts(t *testing.T) {
	needsUser(t)
	if len(submounts("/sys")) == 0 {
		t.Fatal("this machine has nothing mounted below /sys")
	}
	b := newBundle(t)
	addMount(b.spec, "/mnt", "bind", "/sys", "rbind", "ro")
	r := b.do("look", "umount "+filepath.Join("/mnt", submounts("/sys")[0])).run(t)
	if r.code == 0 {
		for _, sub := range submounts("/sys") {
			mountAt(t, r.look(t), filepath.Join("/mnt", sub))
		}
		r.wantErrno(t, "umount "+filepath.Join("/mnt", submounts("/sys")[0]), "EPERM")
	} else {
		r.problem(t, "/mounts/3")
	}
	b = newBundle(t)
	addMount(b.spec, "/mnt", "bind", "/sys", "bind")
	if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "EINVAL" && p.Errno != "" {
		t.Errorf("errno %s", p.Errno)
	}
}

// submounts are what is mounted below a path here, relative to it.
func submounts(path string) []string {
	var all []string
	for _, m := range probe.Mounts("/proc/self/mountinfo") {
		if rest, below := strings.CutPrefix(m.Point, path+"/"); below && !strings.Contains(m.Point, "unified/") {
			all = append(all, rest)
		}
	}
	return all
}

// TestMountPoints: what is missing is made, in the rootfs and in a tmpfs of the container's.
func TestMountPoints(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/a/b/../c/./d//e", "bind", volume(t))
	addMount(b.spec, "/a/c/tmp", "tmpfs", "tmpfs")
	addMount(b.spec, "/a/c/tmp/deep/er", "bind", volume(t), "ro")
	r := b.do("read /a/c/d/e/file", "read /a/c/tmp/deep/er/file", "stat /a/c/tmp/deep").run(t).ok(t)
	r.value(t, "read /a/c/d/e/file")
	r.value(t, "read /a/c/tmp/deep/er/file")
	if got := r.value(t, "stat /a/c/tmp/deep"); got != "dir 755 0:0" {
		t.Errorf("the directory that was made is %q", got)
	}
}

// TestLinkedDestinations: links in the rootfs lead nowhere out of it.
func TestLinkedDestinations(t *testing.T) {
	outside := t.TempDir()
	must(t, os.Chmod(outside, 0o777))
	for _, tt := range []struct {
		name, link, to string
		dest           string // "" is the link
		lands          string // inside; "" when the container cannot start
	}{
		{"absolute", "link", "/real", "", "/real"},
		{"relative", "link", "real", "", "/real"},
		{"too far up", "link", "../../../../../../real", "", "/real"},
		{"above", "link", "/real", "/link/sub", "/real/sub"},
		{"out of the root", "link", outside, "", outside}, // made inside
		{"above, out of the root", "link", outside, "/link/sub", outside + "/sub"},
		{"to itself", "link", "link", "", ""},
		{"magic", "link", "/proc/self/root", "/link/mnt", ""},
		{"magic descriptor", "link", "/proc/self/fd/3", "/link/mnt", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t)
			must(t, os.Mkdir(b.rootfs+"/real", 0o755))
			must(t, os.Symlink(tt.to, b.rootfs+"/"+tt.link))
			dest := tt.dest
			if dest == "" {
				dest = "/" + tt.link
			}
			addMount(b.spec, dest, "bind", volume(t))
			r := b.run(t)
			if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
				t.Errorf("outside there is %v, %v", entries, err)
			}
			if tt.lands == "" {
				if p := r.problem(t, "/mounts/3"); !strings.Contains(p.Message, dest) {
					t.Errorf("the message does not name %s: %s", dest, p.Message)
				}
				return
			}
			mountAt(t, r.ok(t).look(t), tt.lands)
		})
	}
}

// TestLinkedDestinationsWhileRenaming: the kernel gives up on ".." with EAGAIN when anything on the machine is
// renamed or mounted meanwhile (openat2(2)). Others' renames must not stop a container.
func TestLinkedDestinationsWhileRenaming(t *testing.T) {
	b := newBundle(t)
	must(t, os.Mkdir(b.rootfs+"/real", 0o755))
	must(t, os.Symlink("../../../../../../../../real", b.rootfs+"/link"))
	addMount(b.spec, "/link", "bind", volume(t))
	dir, stop, stopped := volume(t), make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				os.Rename(dir+"/file", dir+"/other")
				os.Rename(dir+"/other", dir+"/file")
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	for range 5 {
		mountAt(t, b.run(t).ok(t).look(t), "/real")
	}
}

// TestLinkedSystemDirectories: images whose /proc, /dev or /sys lead out.
func TestLinkedSystemDirectories(t *testing.T) {
	for _, dir := range []string{"/proc", "/dev", "/tmp"} {
		t.Run(dir, func(t *testing.T) {
			b := newBundle(t)
			outside := t.TempDir()
			must(t, os.Symlink(outside, b.rootfs+dir))
			r := b.run(t)
			if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
				t.Errorf("outside there is %v, %v", entries, err)
			}
			if dir != "/tmp" && r.code != 125 { // the runtime fills the others
				t.Errorf("it started: %s", r)
			}
		})
	}
}

// TestPropagation looks at the root's own, and at mounts that appear outside while the container runs.
func TestPropagation(t *testing.T) {
	for word, tag := range map[string]string{"": "", "private": "", "rprivate": "", "slave": "", "rslave": "", "shared": "shared:", "rshared": "shared:", "unbindable": "unbindable", "runbindable": "unbindable"} {
		t.Run(word, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.RootfsPropagation = word })
			got := mountAt(t, b.run(t).ok(t).look(t), "/").Tags
			if !strings.Contains(got, tag) || tag == "" && strings.Contains(got, "shared") {
				t.Errorf("the root is %q, want %q", got, tag)
			}
		})
	}
}

// TestPropagationOfVolume: a mount that is made in a shared volume outside is seen inside where slave was
// asked for, and never the other way round.
func TestPropagationOfVolume(t *testing.T) {
	needsRoot(t, "mounts on the host")
	for _, tt := range []struct {
		option string
		seen   string
	}{{"rslave", "seen"}, {"rprivate", ""}} {
		t.Run(tt.option, func(t *testing.T) {
			b, dir := newBundle(t), t.TempDir()
			mounted(t, dir)
			must(t, unix.Mount("", dir, "", unix.MS_SHARED, ""))
			must(t, os.Mkdir(dir+"/later", 0o755))
			must(t, os.Mkdir(dir+"/inside", 0o755))
			addMount(b.spec, "/mnt", "bind", dir, "rbind", tt.option)
			withCaps(b.spec, "CAP_SYS_ADMIN")
			run := b.do("mount tmpfs tmpfs /mnt/inside", "line", "list /mnt/later").start(t, nil)
			if a := run.answer("mount tmpfs tmpfs /mnt/inside"); a.Errno != "" {
				t.Error(a.Errno)
			}
			for _, m := range probe.Mounts("/proc/self/mountinfo") {
				if m.Point == dir+"/inside" {
					t.Error("a mount of the container's is seen outside")
				}
			}
			mounted(t, dir+"/later")
			must(t, os.WriteFile(dir+"/later/seen", nil, 0o644))
			run.say("")
			if got := run.wait().ok(t).value(t, "list /mnt/later"); got != tt.seen {
				t.Errorf("inside there is %q, want %q", got, tt.seen)
			}
		})
	}
}
