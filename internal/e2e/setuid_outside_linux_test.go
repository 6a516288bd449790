package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestSetuidGivenUp: while the container runs, the shim is a process of the caller's with nothing of root's
// left on any thread, and yet one that the caller cannot take over (CVE-2026-41163 was a helper that could be). So it
// is for every verb that stays, and for what a verb that does not has left.
func TestSetuidGivenUp(t *testing.T) {
	u, _ := accounts(t)
	b := u.bundle(t).do("line", "exit 7")
	r := u.start(t, b)
	r.await("running")
	u.gaveUp(t, r.cmd.Process.Pid, true)
	r.say("go")
	if res := r.wait(); res.code != 7 {
		t.Error(res)
	}

	b = u.bundle(t).do("look", "line", "exit 8")
	b.write(t)
	r = u.launch(t, b, "run", "--bundle", b.dir, b.id)
	r.answer("look")
	u.gaveUp(t, r.cmd.Process.Pid, true)
	x := u.launch(t, b, "exec", b.id, "/probe", "look", "line", "exit 9")
	x.answer("look")
	u.gaveUp(t, x.cmd.Process.Pid, true)
	x.say("go")
	if res := x.wait(); res.code != 9 {
		t.Error(res)
	}
	r.say("go")
	if res := r.wait(); res.code != 8 {
		t.Error(res)
	}
}

// TestSetuidCreatedGivenUp: a created container has nothing of root's either, and waits without the shim.
func TestSetuidCreatedGivenUp(t *testing.T) {
	u, _ := accounts(t)
	b := u.bundle(t).do("exit 0")
	b.write(t)
	r := u.launch(t, b, "create", "--bundle", b.dir, b.id)
	if code := r.returned(); code != 0 {
		t.Fatalf("create: %s", r.closed())
	}
	var s ociState
	must(t, json.Unmarshal([]byte(u.launch(t, nil, "state", b.id).wait().ok(t).stdout), &s))
	u.gaveUp(t, s.Pid, false)
	u.launch(t, nil, "start", b.id).wait().ok(t)
	r.closed()
	u.launch(t, nil, "delete", "--force", b.id).wait().ok(t)
}

// launch calls the shim as the account, through the set-user-ID bit.
func (a *account) launch(t *testing.T, b *bundle, args ...string) *running {
	t.Helper()
	return launch(t, b, func(c *exec.Cmd) {
		c.Path, c.Args[0] = a.shim, a.shim
		a.become(c)
	}, args...)
}

// gaveUp looks at a process that was root's for a while. The shim has no capability; what is in the user namespace of a
// container has those of that namespace.
func (a *account) gaveUp(t *testing.T, pid int, shim bool) {
	t.Helper()
	id, none := itoa(a.uid), "0000000000000000"
	want := map[string]string{"Uid": strings.Join([]string{id, id, id, id}, "\t"), "Gid": strings.Join([]string{id, id, id, id}, "\t"), "Groups": "", "CapInh": none, "CapAmb": none}
	if shim {
		want["CapPrm"], want["CapEff"] = none, none
	}
	for tid, s := range threadsOf(t, pid) {
		for key, want := range want {
			if s[key] != want {
				t.Errorf("thread %d: %s is %q, want %q", tid, key, s[key], want)
			}
		}
		if shim && tid == pid && (s["CapBnd"] != none || s["NoNewPrivs"] != "1") { // it makes the processes
			t.Errorf("the bounding set is %s, no_new_privs %s", s["CapBnd"], s["NoNewPrivs"])
		}
	}
	// The files of a process that is not dumpable are root's (proc(5)).
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid))
	must(t, err)
	if st, _ := info.Sys().(*syscall.Stat_t); st.Uid != 0 && shim {
		t.Error("the process is dumpable")
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	for _, fd := range fds {
		link, _ := os.Readlink(fd)
		for _, no := range []string{"cgroup.procs", "_map", "/etc/", "shadow"} {
			if strings.Contains(link, no) {
				t.Errorf("the process still holds %s", link)
			}
		}
	}
}

// attack is something that a user does to a process.
type attack struct {
	name string
	do   func(pid int) error
}

// seizures are all ways to a process's memory, descriptors and name spaces that ptrace(2) access guards.
func seizures() []attack {
	file := func(name string, flags int) attack {
		return attack{"open /proc/PID/" + name, func(pid int) error {
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", pid, name), flags|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}}
	}
	ptrace := func(name string, request uintptr) attack {
		return attack{name, func(pid int) error {
			if _, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, request, uintptr(pid), 0, 0, 0, 0); e != 0 {
				return e
			}
			var ws unix.WaitStatus
			if request == unix.PTRACE_ATTACH {
				unix.Wait4(pid, &ws, unix.WALL, nil)
			}
			syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(pid), 0, 0, 0, 0)
			return nil
		}}
	}
	return []attack{
		ptrace("PTRACE_ATTACH", unix.PTRACE_ATTACH),
		ptrace("PTRACE_SEIZE", unix.PTRACE_SEIZE),
		file("mem", unix.O_RDWR), file("mem", unix.O_RDONLY), file("maps", unix.O_RDONLY), file("environ", unix.O_RDONLY), file("auxv", unix.O_RDONLY),
		file("fd", unix.O_RDONLY), file("root", unix.O_RDONLY), file("cwd", unix.O_RDONLY), file("exe", unix.O_RDONLY),
		file("ns/user", unix.O_RDONLY), file("ns/mnt", unix.O_RDONLY), file("oom_score_adj", unix.O_WRONLY), file("uid_map", unix.O_WRONLY), file("clear_refs", unix.O_WRONLY),
		{"process_vm_readv", func(pid int) error {
			var buf [1]byte
			local := []unix.Iovec{{Base: &buf[0], Len: 1}}
			_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&buf)), Len: 1}}, 0)
			return err
		}},
		{"pidfd_getfd", func(pid int) error {
			p, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				return nil
			}
			defer unix.Close(p)
			fd, err := unix.PidfdGetfd(p, 0, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
		{"kcmp", func(pid int) error {
			if _, _, e := syscall.RawSyscall6(unix.SYS_KCMP, uintptr(pid), uintptr(pid), 0, 0, 0, 0); e != 0 {
				return e
			}
			return nil
		}},
		{"move_pages", func(pid int) error {
			if _, _, e := syscall.RawSyscall6(unix.SYS_MOVE_PAGES, uintptr(pid), 0, 0, 0, 0, 0); e != 0 {
				return e
			}
			return nil
		}},
	}
}

func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// TestCVE_2026_41163: neither the caller nor another user gets hold of the shim; the caller may end it, the
// other user may not, and has no part in the container either.
func TestCVE_2026_41163(t *testing.T) {
	u, v := accounts(t)
	b := u.bundle(t).do("line", "exit 7")
	r := u.start(t, b)
	inside := r.await("cloned").Pid
	r.await("running")
	shim := r.cmd.Process.Pid
	victim := u.command(probeExe, "forever") // an ordinary process of the caller's, to see that the attacks are some
	victim.Args[0] = "probe"
	must(t, victim.Start())
	defer victim.Wait()
	defer victim.Process.Kill()
	yama, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	for _, a := range seizures() {
		u.does(t, func() {
			if err := a.do(victim.Process.Pid); refused(err) && strings.Trim(string(yama), "0\n") == "" {
				t.Errorf("the caller: %s on its own process: %v", a.name, err)
			}
			if err := a.do(shim); !refused(err) {
				t.Errorf("the caller: %s on the shim: %v", a.name, err)
			}
		})
		v.does(t, func() {
			for who, pid := range map[string]int{"shim": shim, "container": inside} {
				if err := a.do(pid); !refused(err) {
					t.Errorf("another user: %s on the %s: %v", a.name, who, err)
				}
			}
		})
	}
	v.does(t, func() {
		for who, pid := range map[string]int{"shim": shim, "container": inside} {
			if err := unix.Kill(pid, unix.SIGTERM); err != unix.EPERM {
				t.Errorf("another user: kill the %s: %v", who, err)
			}
		}
		state := "/run/locald/u" + itoa(u.uid)
		for _, path := range []string{state, filepath.Join(state, b.id), filepath.Join(state, b.id, "lock")} {
			if fd, err := unix.Open(path, unix.O_RDONLY, 0); !refused(err) {
				t.Errorf("another user: open %s: %v", path, err)
				unix.Close(fd)
			}
		}
		for _, file := range []string{"cgroup.kill", "cgroup.freeze", "cgroup.procs", "cgroup.subtree_control"} {
			for _, path := range []string{u.base(), b.spec.Linux.CgroupsPath} {
				if fd, err := unix.Open(cgroupDir(t, path)+"/"+file, unix.O_WRONLY, 0); !refused(err) {
					t.Errorf("another user: open %s of %s: %v", file, path, err)
					unix.Close(fd)
				}
			}
		}
		if err := unix.Mkdir(cgroupDir(t, u.base())+"/x", 0o755); !refused(err) {
			t.Errorf("another user: make a cgroup below the caller's: %v", err)
		}
	})
	if out, err := v.command("nsenter", "-U", "--preserve-credentials", "-t", itoa(inside), "true").CombinedOutput(); err == nil {
		t.Errorf("another user entered the container: %s", out)
	}
	u.does(t, func() {
		if err := unix.Kill(inside, 0); err != nil {
			t.Errorf("the caller may not signal the container: %v", err)
		}
	})
	r.say("go")
	if res := r.wait(); res.code != 7 {
		t.Error(res)
	}
}

// command is one of the account's.
func (a *account) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	a.become(c)
	c.Dir = "/"
	return c
}

// TestSetuidUserNamespace: the container's user namespace is the caller's, who can enter it, and has the maps
// that were asked for.
func TestSetuidUserNamespace(t *testing.T) {
	u, _ := accounts(t)
	for _, c := range []struct {
		name      string
		change    func(s *specs.Spec)
		uids      string
		setgroups string
	}{
		{"own id", func(*specs.Spec) {}, "0 U 1", "deny"},
		{"own id as another", func(s *specs.Spec) {
			s.Linux.UIDMappings[0].ContainerID, s.Linux.GIDMappings[0].ContainerID = 1000, 1000
			s.Process.User = specs.User{UID: 1000, GID: 1000}
		}, "1000 U 1", "deny"},
		{"range", func(s *specs.Spec) {
			more := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(u.sub), Size: subordinates}
			s.Linux.UIDMappings, s.Linux.GIDMappings = append(s.Linux.UIDMappings, more), append(s.Linux.GIDMappings, more)
		}, "0 U 1 1 S 65536", "allow"},
		{"range alone", func(s *specs.Spec) {
			only := []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(u.sub) + 7, Size: 10}}
			s.Linux.UIDMappings, s.Linux.GIDMappings = only, only
		}, "0 S7 10", "allow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := u.bundle(t).do("line", "exit 7")
			c.change(b.spec)
			must(t, os.Chmod(b.dir, 0o777)) // the ids of the range may need to get in
			must(t, os.Chmod(b.rootfs, 0o777))
			r := u.start(t, b)
			pid := r.await("cloned").Pid
			r.await("running")
			want := strings.NewReplacer("U", itoa(u.uid), "S7", itoa(u.sub+7), "S", itoa(u.sub)).Replace(c.uids)
			for _, file := range []string{"uid_map", "gid_map"} {
				if got := strings.Join(strings.Fields(textOf(t, fmt.Sprintf("/proc/%d/%s", pid, file))), " "); got != want {
					t.Errorf("%s is %q, want %q", file, got, want)
				}
			}
			if got := strings.TrimSpace(textOf(t, fmt.Sprintf("/proc/%d/setgroups", pid))); got != c.setgroups {
				t.Errorf("setgroups is %s, want %s", got, c.setgroups)
			}
			if owner := namespaceOwner(t, pid); owner != u.uid {
				t.Errorf("uid %d owns the user namespace, want %d", owner, u.uid)
			}
			if out, err := u.command("nsenter", "-U", "--preserve-credentials", "-t", itoa(pid), "true").CombinedOutput(); err != nil {
				t.Errorf("the caller cannot enter it: %v: %s", err, out)
			}
			r.say("go")
			if res := r.wait(); res.code != 7 {
				t.Error(res)
			}
		})
	}
}

// namespaceOwner is the uid that owns the user namespace of a process (ioctl_nsfs(2)).
func namespaceOwner(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	must(t, err)
	defer f.Close()
	var uid uint32
	const nsGetOwnerUID = 0xb704
	if _, _, e := syscall.Syscall(unix.SYS_IOCTL, f.Fd(), nsGetOwnerUID, uintptr(unsafe.Pointer(&uid))); e != 0 {
		t.Fatal(e)
	}
	return int(uid)
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// TestSetuidIDsNotGranted: ids that /etc/subuid and /etc/subgid do not give to the caller stay out.
func TestSetuidIDsNotGranted(t *testing.T) {
	u, v := accounts(t)
	m := func(container, host, size int) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: uint32(container), HostID: uint32(host), Size: uint32(size)}}
	}
	for _, c := range thin([]struct {
		name string
		maps []specs.LinuxIDMapping
		want string
	}{
		{"root", m(0, 0, 1), "cannot be mapped"},
		{"everybody", m(0, 0, 1<<32-1), "cannot be mapped"},
		{"a system account", m(0, 1, 1), "not yours"},
		{"another user", m(0, v.uid, 1), "not yours"},
		{"own id and the next", m(0, u.uid, 2), "not yours"},
		{"another user's range", m(0, v.sub, 1), "not yours"},
		{"one before the own range", m(0, u.sub-1, 10), "not yours"},
		{"one behind the own range", m(0, u.sub, subordinates+1), "not yours"},
		{"far behind", m(0, u.sub+subordinates-1, 1<<31), "not yours"},
		{"past the end", m(0, 4294967290, 10), "past id 4294967294"},
		{"no id", m(0, 4294967295, 1), "past id 4294967294"},
		{"nothing", m(0, u.sub, 0), "an empty range"},
		{"twice", append(m(0, u.sub, 10), m(20, u.sub+9, 10)...), "overlaps an earlier range"},
	}) {
		for _, kind := range []string{"uid", "gid"} {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				b := u.bundle(t)
				if kind == "uid" {
					b.spec.Linux.UIDMappings = c.maps
				} else {
					b.spec.Linux.GIDMappings = c.maps
				}
				res := u.start(t, b).wait()
				found := false
				for _, f := range failuresOf(res) {
					found = found || strings.HasPrefix(f.Pointer, "/linux/"+kind+"Mappings/") && strings.Contains(f.Message, c.want)
				}
				if res.code != 125 || !found {
					t.Errorf("not refused with %q: %s", c.want, res)
				}
			})
		}
	}
}

// TestSetuidSameID: ids of containers are each user's own, also when root has one of that name.
func TestSetuidSameID(t *testing.T) {
	u, v := accounts(t)
	first, second, third := u.bundle(t).do("line", "exit 7"), v.bundle(t).do("line", "exit 8"), newBundle(t).do("line", "exit 9")
	second.id, third.id = first.id, first.id
	runs := []*running{u.start(t, first), v.start(t, second), third.start(t, nil)}
	for _, r := range runs {
		r.await("running")
	}
	for i, r := range runs {
		r.say("go")
		if res := r.wait(); res.code != 7+i {
			t.Error(res)
		}
	}
}

// TestSetuidLeavesToItsUser: what the shim makes as root to stay is the caller's as far as the caller needs it.
func TestSetuidLeavesToItsUser(t *testing.T) {
	u, _ := accounts(t)
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t)
	base := cgroupDir(t, u.base())
	for path, want := range map[string]string{
		"/run/locald": "drwxr-xr-x 0", "/run/locald/u" + itoa(u.uid): "drwx------ U",
		filepath.Dir(base): "drwxr-xr-x 0", base: "drwxr-xr-x U", base + "/cgroup.procs": "-rw-r--r-- U", base + "/cgroup.subtree_control": "-rw-r--r-- U",
		base + "/cgroup.threads": "-rw-r--r-- U", base + "/cgroup.max.depth": "-rw-r--r-- 0", base + "/cgroup.max.descendants": "-rw-r--r-- 0",
		base + "/memory.max": "-rw-r--r-- 0", base + "/pids.max": "-rw-r--r-- 0", base + "/cpu.max": "-rw-r--r-- 0",
	} {
		info, err := os.Stat(path)
		if os.IsNotExist(err) && strings.HasSuffix(path, ".max") && !strings.Contains(path, "/cgroup.max") {
			continue // the host has no such controller in the cgroup2 tree
		}
		must(t, err)
		st, _ := info.Sys().(*syscall.Stat_t)
		if got := info.Mode().String() + " " + itoa(int(st.Uid)); got != strings.ReplaceAll(want, "U", itoa(u.uid)) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}
