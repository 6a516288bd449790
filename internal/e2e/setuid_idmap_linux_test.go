package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// idmapped is a bundle of the account's with ids from 0 to 2000, none of which is its own, and a bind of a directory of its
// own, in which it and the container's id have exchanged their files.
func (a *account) idmapped(t *testing.T, source string, id int, options ...string) *bundle {
	t.Helper()
	b := a.bundle(t)
	all := []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(a.sub), Size: 2000}}
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = all, all
	must(t, os.Chown(b.rootfs, a.sub, a.sub))
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: source, Options: options, UIDMappings: a.exchange(id), GIDMappings: a.exchange(id)})
	return b
}

// exchange is the map of a mount in which the account's files are those of a container's id, and the other way round.
func (a *account) exchange(id int) []specs.LinuxIDMapping {
	own, other := uint32(a.uid), uint32(a.sub+id)
	return []specs.LinuxIDMapping{{ContainerID: own, HostID: other, Size: 1}, {ContainerID: other, HostID: own, Size: 1}}
}

// someIDMapped has a config.json ask for two mounts with ids that are mapped, and for two maps.
func (a *account) someIDMapped(t *testing.T) func(*specs.Spec) {
	dir := a.sources(t)
	return func(s *specs.Spec) {
		some := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(a.sub), Size: 2000}
		s.Linux.UIDMappings, s.Linux.GIDMappings = append(s.Linux.UIDMappings, some), append(s.Linux.GIDMappings, some)
		for i, dest := range []string{"/one", "/two"} {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: dest, Type: "bind", Source: dir, UIDMappings: a.exchange(i), GIDMappings: a.exchange(i)})
		}
	}
}

// sources is a directory of the account's in a file system that maps ids.
func (a *account) sources(t *testing.T) string {
	t.Helper()
	top := filepath.Dir(a.shim)
	if here.guest { // whose tmpfs cannot: Linux 6.3 is the first
		top = filepath.Dir(binDir)
	}
	dir := top + "/source-" + a.name
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Chown(dir, a.uid, a.uid))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func ownerOf(t *testing.T, path string) (uid, gid int) {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return int(st.Uid), int(st.Gid)
}

// TestSetuidIDMap: what a container's root or another user of its writes into an idmapped bind belongs to the caller on
// the host; the caller's files are that user's inside; and everybody else's, root's too, are nobody's there, who
// cannot change them.
func TestSetuidIDMap(t *testing.T) {
	u, v := accounts(t)
	for _, id := range []int{0, 999, 1000} {
		if here.guest && id != 999 {
			continue
		}
		t.Run(itoa(id), func(t *testing.T) {
			dir := u.sources(t)
			for name, owner := range map[string]int{"own": u.uid, "roots": 0, "others": v.uid, "subordinate": u.sub + 5} {
				must(t, os.WriteFile(dir+"/"+name, nil, 0o666))
				must(t, os.Chown(dir+"/"+name, owner, owner))
				must(t, os.Chmod(dir+"/"+name, 0o666))
			}
			must(t, os.WriteFile(dir+"/tool", []byte("x"), 0o755))
			must(t, os.Chmod(dir+"/tool", 0o755|os.ModeSetuid)) // root's
			b := u.idmapped(t, dir, id, "rbind")
			b.spec.Process.User = specs.User{UID: uint32(id), GID: uint32(id)}
			withCaps(b.spec, "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_ADMIN", "CAP_MKNOD")
			r := b.do("look", "stat /mnt/own", "stat /mnt/roots", "stat /mnt/others", "stat /mnt/subordinate", "stat /mnt/tool", "create /mnt/new x", "write /mnt/own x",
				"write /mnt/roots x", "write /mnt/others x", "chown /mnt/roots "+itoa(id)+" "+itoa(id), "remove /mnt/others", "chown /mnt/new 5 5", "create /mnt/mine x", "mknod /mnt/node 1 3").
				finishAs(t, u)
			for name, want := range map[string]string{"own": itoa(id), "roots": "65534", "others": "65534", "tool": "65534"} {
				if got := r.value(t, "stat /mnt/"+name); !strings.HasSuffix(got, " "+want+":"+want) {
					t.Errorf("%s is %q, want %s's", name, got, want)
				}
			}
			for do, errno := range map[string]string{"create /mnt/new x": "", "write /mnt/own x": "", "create /mnt/mine x": "", "chown /mnt/new 5 5": "EOVERFLOW",
				"write /mnt/roots x": "EACCES", "write /mnt/others x": "EACCES", "chown /mnt/roots " + itoa(id) + " " + itoa(id): "EPERM", "remove /mnt/others": "EOVERFLOW", "mknod /mnt/node 1 3": "EPERM"} {
				r.wantErrno(t, do, errno)
			}
			for name, want := range map[string]int{"new": u.uid, "mine": u.uid, "own": u.uid, "roots": 0, "others": v.uid, "subordinate": u.sub + 5, "tool": 0} {
				if uid, gid := ownerOf(t, dir+"/"+name); uid != want || gid != want {
					t.Errorf("outside %s belongs to %d:%d, want %d", name, uid, gid, want)
				}
			}
			if m := mountAt(t, r.look(t), "/mnt"); !hasOption(m.Options, "idmapped") {
				t.Errorf("mounted %s", m.Options)
			}
		})
	}
}

// finishAs runs the bundle as the account, to its end.
func (b *bundle) finishAs(t *testing.T, a *account) *result {
	t.Helper()
	return a.start(t, b).wait().ok(t)
}

// TestSetuidIDMapLocked: what the host's mount forbids stays forbidden in the container, for its root with CAP_SYS_ADMIN as
// well, as with any other bind (mount_namespaces(7)).
func TestSetuidIDMapLocked(t *testing.T) {
	u, _ := accounts(t)
	for name, f := range map[string]struct{ mount, attr uint64 }{
		"ro": {unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY}, "nosuid": {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID}, "nodev": {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
		"noexec": {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC}, "noatime": {unix.MS_NOATIME, unix.MOUNT_ATTR__ATIME}} {
		if here.guest && name != "ro" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := u.sources(t)
			must(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
			t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
			must(t, unix.Mknod(dir+"/zero", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
			must(t, os.Chmod(dir+"/zero", 0o666))
			must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|uintptr(f.mount), ""))
			b := u.idmapped(t, dir, 0)
			withCaps(b.spec, "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYS_CHROOT")
			clear := "clear /mnt " + itoa(int(f.attr))
			r := b.do("look", clear, "clear-copy /mnt "+itoa(int(f.attr)), "create /mnt/new x", "get /mnt/zero 1").finishAs(t, u)
			r.wantErrno(t, clear, "EPERM")
			r.wantErrno(t, "clear-copy /mnt "+itoa(int(f.attr)), "EPERM")
			r.wantErrno(t, "create /mnt/new x", map[bool]string{true: "EROFS"}[name == "ro"])
			r.wantErrno(t, "get /mnt/zero 1", map[bool]string{true: "EACCES"}[name == "nodev"])
			if m := mountAt(t, r.look(t), "/mnt"); !hasOption(m.Options, "idmapped") || !hasOption(m.Options, name) {
				t.Errorf("mounted %s", m.Options)
			}
			// The option that would take it away is refused with a word of what to do.
			b = u.idmapped(t, dir, 0, map[string]string{"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec", "noatime": "strictatime"}[name])
			if p := u.start(t, b.do("exit 7")).wait().problem(t, "/mounts/3"); p.Errno != "EPERM" || !strings.Contains(p.Hint, "leave the option out") {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestSetuidIDMapBelow: the map ends where another mount begins, and what lies hidden beneath that stays hidden.
func TestSetuidIDMapBelow(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	u, _ := accounts(t)
	dir := u.sources(t)
	must(t, os.Mkdir(dir+"/sub", 0o755))
	must(t, os.WriteFile(dir+"/sub/secret", []byte("x"), 0o644))
	mountHere(t, "tmpfs", dir+"/sub", "tmpfs", "mode=777")
	must(t, os.WriteFile(dir+"/sub/above", nil, 0o644))
	must(t, os.Chown(dir+"/sub/above", u.uid, u.uid))
	r := u.idmapped(t, dir, 0, "rbind").do("look", "stat /mnt/sub/above", "stat /mnt/sub/secret", "umount /mnt/sub")
	withCaps(r.spec, "CAP_SYS_ADMIN")
	res := r.finishAs(t, u)
	if got := res.value(t, "stat /mnt/sub/above"); !strings.HasSuffix(got, " 65534:65534") {
		t.Errorf("below, the caller's file is %q", got)
	}
	res.wantErrno(t, "stat /mnt/sub/secret", "ENOENT")
	res.wantErrno(t, "umount /mnt/sub", "EINVAL")
	if m := mountAt(t, res.look(t), "/mnt/sub"); hasOption(m.Options, "idmapped") {
		t.Errorf("mounted %s", m.Options)
	}
	if p := u.start(t, u.idmapped(t, dir, 0, "bind").do("exit 7")).wait().problem(t, "/mounts/3"); p.Errno != "EINVAL" {
		t.Errorf("%+v", p)
	}
}

// TestSetuidIDMapRefused: sources and file systems that cannot be had. An error leaves nothing behind.
func TestSetuidIDMapRefused(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	u, v := accounts(t)
	for name, c := range map[string]struct {
		source      func(t *testing.T) string
		errno, hint string
	}{
		"out of reach": {func(t *testing.T) string {
			dir := v.sources(t)
			must(t, os.Chmod(dir, 0o700))
			must(t, os.Mkdir(dir+"/inner", 0o777))
			return dir + "/inner"
		}, "EACCES", ""},
		"link out of reach": {func(t *testing.T) string {
			dir := u.sources(t)
			must(t, os.Mkdir(dir+"/closed", 0o700))
			must(t, os.Mkdir(dir+"/closed/inner", 0o777))
			must(t, os.Symlink("closed/inner", dir+"/link"))
			return dir + "/link"
		}, "EACCES", ""},
		"proc":    {func(*testing.T) string { return "/proc/sys" }, "EINVAL", "does this kernel map ids on that file system?"},
		"overlay": {func(t *testing.T) string { return "/etc" }, "EINVAL", "does this kernel map ids on that file system?"},
	} {
		t.Run(name, func(t *testing.T) {
			b := u.idmapped(t, c.source(t), 0).do("exit 7")
			if p := u.start(t, b).wait().problem(t, "/mounts/3"); p.Errno != c.errno || !strings.Contains(p.Hint, c.hint) {
				t.Errorf("%+v", p)
			}
			if r := u.start(t, u.bundle(t).do("exit 7")).wait(); r.code != 7 {
				t.Errorf("the next call: %s", r)
			}
		})
	}
}

// TestSetuidIDMapSwitch: shim.conf switches it off, and without it the helper does not even keep what it takes, but for a
// user who may need it for a namespace.
func TestSetuidIDMapSwitch(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	u, _ := accounts(t)
	must(t, os.Mkdir("/etc/locald", 0o755))
	must(t, os.WriteFile("/etc/locald/shim.conf", []byte("idmap = no\n"), 0o644))
	if became := adminAtChange(t, u.traced(t, u.bundle(t).do("exit 7"), nil)); became {
		t.Error("CAP_SYS_ADMIN is kept over the change of ids")
	}
	must(t, os.WriteFile("/etc/locald/shim.conf", []byte("idmap = no\nallow-userns-bypass = yes\n"), 0o644))
	if became := adminAtChange(t, u.traced(t, u.bundle(t).do("exit 7"), nil)); !became {
		t.Error("CAP_SYS_ADMIN, which a user namespace may take here, is not kept")
	}
	r := u.start(t, u.idmapped(t, u.sources(t), 0).do("exit 7")).wait()
	if p := r.problem(t, "/mounts/3/uidMappings"); !strings.Contains(p.Hint, "idmap = no") {
		t.Errorf("%+v", p)
	}
}

// adminAtChange says whether CAP_SYS_ADMIN was permitted when the bundle was opened.
func adminAtChange(t *testing.T, tr *trace) bool {
	t.Helper()
	for _, c := range tr.calls(t)[tr.main] {
		if strings.Contains(c.line, `"config.json"`) {
			return strings.Contains(c.permitted, "CAP_SYS_ADMIN")
		}
	}
	t.Fatalf("config.json was not opened: %s", tr.result)
	return false
}

// TestSetuidIDMapErrors: each call that is made for the maps of mounts fails in turn, or the shim is killed at it.
func TestSetuidIDMapErrors(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	list, maps := permitted(t), u.someIDMapped(t)
	run := func(t *testing.T, flags ...string) *trace {
		b := u.bundle(t).do("exit 7")
		maps(b.spec)
		return u.traced(t, b, flags)
	}
	errnos := []string{"EPERM", "ENOMEM", "EINTR", "EIO"}
	clean, swept := run(t), 0
	for _, c := range clean.calls(t)[clean.main] {
		switch c.name {
		case "mount_setattr", "recvmsg", "socketpair", "clone3", "capset", "pidfd_send_signal":
		case "write":
			if !strings.Contains(c.file(), "_map") {
				continue
			}
		default:
			continue
		}
		swept++
		for _, action := range []string{"error=" + errnos[swept%len(errnos)], "signal=SIGKILL"} {
			t.Run(c.name+" "+itoa(c.nth)+" "+action, func(t *testing.T) {
				tr := run(t, "-e", "inject="+c.name+":"+action+":when="+itoa(c.nth))
				if action == "signal=SIGKILL" {
					settle(t)
				} else {
					tr.checkEnded(t, c)
				}
				tr.checkPrivileged(t, u, list)
				if res := u.start(t, u.bundle(t).do("exit 7")).wait(); res.code != 7 {
					t.Errorf("the next call: %s", res)
				}
			})
		}
	}
	if swept < 15 {
		t.Errorf("only %d calls: strace's output is not what this test expects", swept)
	}
}
