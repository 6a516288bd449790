package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestTmpfs(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/small", "tmpfs", "tmpfs", "size=64k", "mode=0710", "nosuid", "nodev", "noexec")
	addMount(b.spec, "/few", "tmpfs", "tmpfs", "nr_inodes=3")
	addMount(b.spec, "/closed", "tmpfs", "tmpfs", "ro")
	r := b.do("look", "append /small/file 100000", "stat /small", "create /few/1", "create /few/2", "create /few/3", "create /closed/file").run(t).ok(t)
	fill := r.answer(t, "append /small/file 100000")
	if n, _ := strconv.Atoi(fill.Value); fill.Errno != "ENOSPC" || n < 4096 || n > 65536 {
		t.Errorf("%d bytes went in, and then %q", n, fill.Errno)
	}
	if got := r.value(t, "stat /small"); got != "dir 710 0:0" {
		t.Errorf("/small is %q", got)
	}
	r.wantErrno(t, "create /few/1", "")
	r.wantErrno(t, "create /few/3", "ENOSPC")
	r.wantErrno(t, "create /closed/file", "EROFS")
	m := mountAt(t, r.look(t), "/small")
	for _, o := range []string{"nosuid", "nodev", "noexec", "rw"} {
		if !hasOption(m.Options, o) {
			t.Errorf("/small is mounted %s", m.Options)
		}
	}
	if !hasOption(m.Super, "size=64k") || m.Type != "tmpfs" {
		t.Errorf("/small is a %s with %s", m.Type, m.Super)
	}
}

// TestFilesystemOptions: mount attributes and options of the file system itself, on new file systems.
func TestFilesystemOptions(t *testing.T) {
	for _, tt := range []struct {
		typ, dest string
		options   []string
		want      string // among the options of the mount and of the file system
	}{
		{"tmpfs", "/mnt", []string{"noatime"}, "noatime"},
		{"tmpfs", "/mnt", []string{"strictatime"}, "!relatime"},
		{"tmpfs", "/mnt", []string{"nodiratime"}, "nodiratime"},
		{"tmpfs", "/mnt", []string{"nosymfollow"}, "nosymfollow"},
		{"tmpfs", "/mnt", []string{"uid=0", "gid=0", "mode=01777"}, "rw"},
		{"tmpfs", "/mnt", []string{"exec", "suid", "dev", "async", "defaults"}, "!noexec"},
		{"proc", "/mnt", []string{"hidepid=2", "nosuid"}, "hidepid=invisible"},
		{"proc", "/mnt", []string{"subset=pid"}, "subset=pid"},
		{"sysfs", "/mnt", []string{"ro", "nosuid", "nodev", "noexec"}, "ro"},
		{"devpts", "/mnt", []string{"newinstance", "ptmxmode=0666", "mode=0620"}, "mode=620"},
		{"mqueue", "/mnt", []string{"nosuid", "nodev", "noexec"}, "nosuid"},
		{"cgroup2", "/mnt", []string{"ro", "nosuid", "nodev", "noexec"}, "ro"},
		{"cgroup", "/mnt", []string{"rw"}, "rw"},
	} {
		t.Run(tt.typ+" "+strings.Join(tt.options, ","), func(t *testing.T) {
			b := newBundle(t)
			addMount(b.spec, tt.dest, tt.typ, tt.typ, tt.options...)
			m := mountAt(t, b.run(t).ok(t).look(t), tt.dest)
			typ := map[string]string{"cgroup": "cgroup2"}[tt.typ]
			if typ == "" {
				typ = tt.typ
			}
			all := m.Options + "," + m.Super
			name, not := strings.CutPrefix(tt.want, "!")
			if m.Type != typ || hasOption(all, name) == not {
				t.Errorf("it is a %s with %s", m.Type, all)
			}
		})
	}
}

// TestSystemFilesystems uses what a container expects to be there.
func TestSystemFilesystems(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
	addMount(b.spec, "/sys/fs/cgroup", "cgroup2", "cgroup", "nosuid", "noexec", "nodev", "ro")
	addMount(b.spec, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
	addMount(b.spec, "/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k")
	withCaps(b.spec, "CAP_DAC_OVERRIDE")
	actions := []string{"list /sys/class/net", "write /sys/kernel/uevent_helper x", "touch /dev/mqueue/queue", "stat /dev/mqueue/queue", "remove /dev/mqueue/queue",
		"read /sys/fs/cgroup/cgroup.procs", "mkdir /sys/fs/cgroup/sub", "create /dev/shm/file", "stat /dev/shm", "list /proc/1"}
	r := b.do(actions...).run(t).ok(t)
	r.wantErrno(t, "list /sys/class/net", "")
	if got := r.answer(t, "write /sys/kernel/uevent_helper x"); got.Errno == "" {
		t.Error("/sys can be written")
	}
	if got := r.value(t, "stat /dev/mqueue/queue"); got != "file 600 0:0" {
		t.Errorf("the message queue is %q", got)
	}
	if got := r.value(t, "read /sys/fs/cgroup/cgroup.procs"); got != "1\n" {
		t.Errorf("in the cgroup there is %q, want only 1", got)
	}
	r.wantErrno(t, "mkdir /sys/fs/cgroup/sub", "EROFS")
	r.wantErrno(t, "create /dev/shm/file", "")
	if got := r.value(t, "stat /dev/shm"); got != "dir 1777 0:0" {
		t.Errorf("/dev/shm is %q", got)
	}
}

// layers makes directories with a file each, and one file, "same", that the first of them decides.
func layers(t *testing.T, n int) (list []string) {
	t.Helper()
	top := t.TempDir()
	must(t, os.Chmod(top, 0o755))
	for i := range n {
		dir := fmt.Sprintf("%s/layer-%d", top, i)
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(fmt.Sprintf("%s/file-%d", dir, i), []byte(strconv.Itoa(i)), 0o644))
		must(t, os.WriteFile(dir+"/same", []byte(strconv.Itoa(i)), 0o644))
		list = append(list, dir)
	}
	return list
}

// TestOverlay with few layers and with many, read-only and with an upper one.
func TestOverlay(t *testing.T) {
	for _, tt := range []struct {
		n     int
		upper bool
	}{{1, true}, {2, false}, {3, true}, {30, false}, {30, true}} {
		t.Run(fmt.Sprintf("%d layers, upper %t", tt.n, tt.upper), func(t *testing.T) {
			b, list := newBundle(t), layers(t, tt.n)
			options := []string{"lowerdir=" + strings.Join(list, ":")}
			top := t.TempDir()
			if tt.upper {
				must(t, os.Mkdir(top+"/upper", 0o755))
				must(t, os.Mkdir(top+"/work", 0o755))
				options = append(options, "upperdir="+top+"/upper", "workdir="+top+"/work")
				if !here.root {
					options = append(options, "userxattr")
				}
			}
			addMount(b.spec, "/mnt", "overlay", "overlay", options...)
			last := fmt.Sprintf("read /mnt/file-%d", tt.n-1)
			r := b.do("read /mnt/same", last, "read /mnt/file-0", "create /mnt/new", "remove /mnt/same", "write /mnt/file-0 changed", "read /mnt/same", "list /mnt").run(t).ok(t)
			if got := r.value(t, "read /mnt/file-0"); got != "0" {
				t.Errorf("the first layer's file is %q", got)
			}
			if got := r.value(t, last); got != strconv.Itoa(tt.n-1) {
				t.Errorf("the last layer's file is %q", got)
			}
			if got := r.answer(t, "read /mnt/same").Value; got != "0" {
				t.Errorf("of the same file in all layers, that of %q is seen", got)
			}
			errno := map[bool]string{false: "EROFS", true: ""}[tt.upper]
			for _, action := range []string{"create /mnt/new", "remove /mnt/same", "write /mnt/file-0 changed"} {
				r.wantErrno(t, action, errno)
			}
			if tt.upper {
				checkUpper(t, top, list)
			}
			removable(t, top)
		})
	}
}

// removable gives the directory that overlayfs makes below workdir a mode with which it can be removed.
func removable(t *testing.T, top string) {
	t.Helper()
	if err := os.Chmod(filepath.Join(top, "work", "work"), 0o700); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}

// checkUpper: what was written is in the upper layer, what was removed is a whiteout there, and the lower
// layers are as they were.
func checkUpper(t *testing.T, top string, list []string) {
	t.Helper()
	if _, err := os.Stat(top + "/upper/new"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(top + "/upper/file-0"); err != nil || string(text) != "changed" {
		t.Errorf("the copied-up file is %q, %v", text, err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(top+"/upper/same", &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		t.Errorf("no whiteout: %v, mode %o", err, st.Mode)
	}
	for i, dir := range list {
		for _, name := range []string{"same", fmt.Sprintf("file-%d", i)} {
			if text, err := os.ReadFile(dir + "/" + name); err != nil || string(text) != strconv.Itoa(i) {
				t.Errorf("layer %d was changed: %s is %q, %v", i, name, text, err)
			}
		}
	}
}

// TestWhiteout hides a file of a lower layer.
func TestWhiteout(t *testing.T) {
	b, list := newBundle(t), layers(t, 3)
	must(t, unix.Mknod(list[0]+"/file-2", unix.S_IFCHR, 0))
	addMount(b.spec, "/mnt", "overlay", "overlay", "lowerdir="+strings.Join(list, ":"))
	if got := b.do("list /mnt").run(t).ok(t).value(t, "list /mnt"); got != "file-0 file-1 same" {
		t.Errorf("there is %q", got)
	}
}

// TestOverlayNames: colons and commas in the names of layers, and one layer an option.
func TestOverlayNames(t *testing.T) {
	b, top := newBundle(t), t.TempDir()
	must(t, os.Chmod(top, 0o755))
	for _, name := range []string{"a:b", "c,d", `e\f`} {
		must(t, os.Mkdir(top+"/"+name, 0o755))
		must(t, os.WriteFile(top+"/"+name+"/"+name[:1], nil, 0o644))
	}
	addMount(b.spec, "/mnt", "overlay", "overlay", `lowerdir=`+top+`/a\:b:`+top+`/c,d:`+top+`/e\\f`)
	if got := b.do("list /mnt").run(t).ok(t).value(t, "list /mnt"); got != "a c e" {
		t.Errorf("there is %q", got)
	}
}

// TestOverlayRoot puts the container's root on an overlay: the first mount may be that.
func TestOverlayRoot(t *testing.T) {
	b := newBundle(t)
	top := t.TempDir()
	must(t, os.Mkdir(top+"/upper", 0o755))
	must(t, os.Mkdir(top+"/work", 0o755))
	options := []string{"lowerdir=" + b.rootfs, "upperdir=" + top + "/upper", "workdir=" + top + "/work"}
	if !here.root {
		options = append(options, "userxattr")
	}
	root := specs.Mount{Destination: "/", Type: "overlay", Source: "overlay", Options: options}
	b.spec.Mounts = append([]specs.Mount{root}, b.spec.Mounts...)
	r := b.do("look", "create /new").run(t).ok(t)
	if m := mountAt(t, r.look(t), "/"); m.Type != "overlay" {
		t.Errorf("the root is a %s", m.Type)
	}
	r.wantErrno(t, "create /new", "")
	if _, err := os.Stat(top + "/upper/new"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(b.rootfs + "/new"); err == nil {
		t.Error("the lower layer was written")
	}
	removable(t, top)
}

// TestOtherFilesystem: root mounts whatever the kernel has. Of one that it has not the error names the mount.
func TestOtherFilesystem(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	b := newBundle(t)
	addMount(b.spec, "/other", "ramfs", "ramfs", "nosuid", "ro", "mode=0711")
	b.do("look", "stat /other", "create /other/new x")
	if !here.root {
		b.run(t).problem(t, "/mounts/3/type")
		return
	}
	r := b.run(t).ok(t)
	if m := mountAt(t, r.look(t), "/other"); m.Type != "ramfs" || !hasOption(m.Options, "nosuid") || !hasOption(m.Options, "ro") {
		t.Errorf("mounted is %+v", m)
	}
	if got := r.value(t, "stat /other"); got != "dir 711 0:0" {
		t.Errorf("it is %q", got)
	}
	r.wantErrno(t, "create /other/new x", "EROFS")
	b.spec.Mounts[3].Type = "nofs"
	if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "ENODEV" || !strings.Contains(p.Hint, "/proc/filesystems") {
		t.Errorf("%+v", p)
	}
}
