package e2e

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSpecOptions: every option of the runtime spec's table that is not about binds, on a new file system. mountinfo
// shows those that the kernel shows (proc_pid_mountinfo(5)).
func TestSpecOptions(t *testing.T) {
	for _, tt := range []struct{ options, want string }{
		{"async,atime,defaults,dev,diratime,exec,loud,noiversion,nolazytime,nomand,nostrictatime,relatime,rw,suid,symfollow", "rw relatime !sync !noexec"},
		{"sync", "sync"},
		{"sync,async", "!sync"},
		{"dirsync", "dirsync"},
		{"lazytime", "lazytime"},
		{"mand", "mand"},
		{"iversion,silent", "rw"},
		{"noatime", "noatime !relatime"},
		{"norelatime", "!noatime !relatime"},
		{"nodev,noexec,nosuid,nodiratime,nosymfollow,ro", "nodev noexec nosuid nodiratime nosymfollow ro"},
		{"rnodev,rnoexec,rnosuid,rnodiratime,rnosymfollow,rro,rnoatime", "nodev noexec nosuid nodiratime nosymfollow ro noatime"},
		{"ro,rrw,nosuid,rsuid", "rw !nosuid"},
		{"size=64k,nr_inodes=7,mode=711", "size=64k nr_inodes=7 mode=711"}, // each, and as one string
	} {
		for _, options := range [][]string{strings.Split(tt.options, ","), {tt.options}} {
			if len(options) == 1 && !strings.Contains(tt.options, "=") {
				continue
			}
			b := newBundle(t)
			addMount(b.spec, "/mnt", "tmpfs", "tmpfs", options...)
			m := mountAt(t, b.run(t).ok(t).look(t), "/mnt")
			for want := range strings.FieldsSeq(tt.want) {
				name, not := strings.CutPrefix(want, "!")
				if hasOption(m.Options+","+m.Super, name) == not {
					t.Errorf("%s: mounted %s, %s; want %s", tt.options, m.Options, m.Super, want)
				}
			}
		}
	}
}

// TestClearedOptions: rw, suid, dev and exec take away what the source's mount has, for root; in a user namespace they
// are the host's to take away (mount_namespaces(7)), and the error says so.
func TestClearedOptions(t *testing.T) {
	needsRoot(t, "mounts on the host")
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	mounted(t, dir)
	must(t, os.Mkdir(dir+"/sub", 0o755))
	mounted(t, dir+"/sub")
	for _, d := range []string{dir + "/sub", dir} {
		must(t, unix.Mount("", d, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
	}
	for _, options := range []string{"rw,suid,dev,exec", "rrw,rsuid,rdev,rexec"} {
		b := newBundle(t)
		addMount(b.spec, "/mnt", "bind", dir, append(strings.Split(options, ","), "rbind")...)
		r := b.run(t).ok(t)
		for point, cleared := range map[string]bool{"/mnt": true, "/mnt/sub": options[0] == 'r' && options[1] == 'r'} {
			m := mountAt(t, r.look(t), point)
			for _, o := range []string{"ro", "nosuid", "nodev", "noexec"} {
				if hasOption(m.Options, o) == cleared {
					t.Errorf("%s: %s is mounted %s", options, point, m.Options)
				}
			}
		}
		b = newBundle(t)
		withRange(b.spec)
		addMount(b.spec, "/mnt", "bind", dir, append(strings.Split(options, ","), "rbind")...)
		if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "EPERM" || !strings.Contains(p.Hint, "leave the option out") {
			t.Errorf("%s in a user namespace: %+v", options, p)
		}
		b = newBundle(t) // what is not named stays
		withRange(b.spec)
		addMount(b.spec, "/mnt", "bind", dir, "rbind", "nosuid")
		if m := mountAt(t, b.run(t).ok(t).look(t), "/mnt"); !hasOption(m.Options, "ro") || !hasOption(m.Options, "noexec") {
			t.Errorf("the mount lost options of the host's: %s", m.Options)
		}
	}
}

// TestRemount changes what an earlier entry, or the rootfs, has put there.
func TestRemount(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/mnt", "tmpfs", "tmpfs", "ro", "size=64k")
	addMount(b.spec, "/mnt", "tmpfs", "", "remount", "rw", "nosuid", "size=128k", "lazytime")
	addMount(b.spec, "/closed", "bind", volume(t), "rbind")
	addMount(b.spec, "/closed", "", "", "bind", "remount", "ro", "noexec")
	addMount(b.spec, "/proc", "proc", "", "remount", "hidepid=2")
	addMount(b.spec, "/", "", "", "remount", "bind", "ro")
	r := b.do("look", "create /mnt/new", "create /closed/new", "create /new", "create /tmp/new").run(t).ok(t)
	for action, errno := range map[string]string{"create /mnt/new": "", "create /closed/new": "EROFS", "create /new": "EROFS", "create /tmp/new": ""} {
		r.wantErrno(t, action, errno)
	}
	for point, want := range map[string]string{"/mnt": "nosuid,size=128k,lazytime", "/closed": "ro,noexec", "/proc": "hidepid=invisible"} {
		m := mountAt(t, r.look(t), point)
		for o := range strings.SplitSeq(want, ",") {
			if !hasOption(m.Options+","+m.Super, o) {
				t.Errorf("%s is mounted %s, %s; want %s", point, m.Options, m.Super, o)
			}
		}
	}
	b = newBundle(t)
	addMount(b.spec, "/nothing", "", "", "remount", "noexec")
	if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "ENOENT" {
		t.Errorf("errno %s", p.Errno)
	}
	b = newBundle(t)
	must(t, os.Mkdir(b.rootfs+"/plain", 0o755))
	addMount(b.spec, "/plain", "", "", "remount", "noexec")
	if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "EINVAL" || !strings.Contains(p.Hint, "mounted there") {
		t.Errorf("%+v", p)
	}
}

// TestMountPropagation of single mounts, in the order of the words.
func TestMountPropagation(t *testing.T) {
	for words, want := range map[string]string{"shared": "shared:", "rshared": "shared:", "private": "", "rprivate": "", "unbindable": "unbindable", "runbindable": "unbindable",
		"slave": "", "shared,private": "", "private,shared": "shared:"} {
		b := newBundle(t)
		addMount(b.spec, "/mnt", "bind", volume(t), append(strings.Split(words, ","), "rbind")...)
		addMount(b.spec, "/t", "tmpfs", "", strings.Split(words, ",")...)
		r := b.run(t).ok(t)
		for _, point := range []string{"/mnt", "/t"} {
			if got := mountAt(t, r.look(t), point).Tags; !strings.Contains(got, want) || want == "" && (strings.Contains(got, "shared") || strings.Contains(got, "unbindable")) {
				t.Errorf("%s: %s is %q, want %q", words, point, got, want)
			}
		}
	}
}

// TestRelativeDestination means the same below the root (config.md, Mounts), however many dots it has.
func TestRelativeDestination(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "a/b", "bind", volume(t))
	addMount(b.spec, "../../c", "tmpfs", "tmpfs")
	r := b.do("read /a/b/file", "look").run(t).ok(t)
	r.value(t, "read /a/b/file")
	mountAt(t, r.look(t), "/c")
}

// TestProcDestinations: files that show a limit can be covered, the rest of /proc is the kernel's.
func TestProcDestinations(t *testing.T) {
	b := newBundle(t)
	dir := volume(t)
	for _, name := range []string{"cpuinfo", "meminfo", "stat", "swaps", "uptime", "loadavg", "diskstats"} {
		addMount(b.spec, "/proc/"+name, "bind", dir+"/file", "ro")
	}
	r := b.do("read /proc/cpuinfo", "read /proc/uptime", "read /proc/diskstats").run(t).ok(t)
	for _, action := range []string{"read /proc/cpuinfo", "read /proc/uptime", "read /proc/diskstats"} {
		if got := r.value(t, action); got != "outside" {
			t.Errorf("%s: %q", action, got)
		}
	}
	for _, dest := range []string{"/proc", "proc/", "/proc/sys", "/proc/self/attr", "/x/../proc/1"} {
		b = newBundle(t)
		addMount(b.spec, dest, "bind", dir)
		b.run(t).problem(t, "/mounts/3/destination")
	}
}

// TestHostProc: root may give a container that lives in the host's pid namespace the host's /proc.
func TestHostProc(t *testing.T) {
	needsRoot(t, "only root mounts the host's /proc")
	b := newBundle(t)
	dropMount(b.spec, "/proc")
	addMount(b.spec, "/proc", "bind", "/proc", "rbind", "ro")
	if m := mountAt(t, b.run(t).ok(t).look(t), "/proc"); m.Type != "proc" {
		t.Errorf("/proc is %+v", m)
	}
}
