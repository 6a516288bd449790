package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// account is a user for a test in which root watches from outside.
type account struct {
	name string
	uid  int    // the gid is the same
	sub  int    // first of subordinates ids in /etc/subuid and /etc/subgid
	shim string // installed set-user-ID root
}

const subordinates = 65536

// accounts installs the shim and makes two users, in this mount namespace only: /etc is covered with a copy
// that root may spoil. All of it goes with the test.
func accounts(t *testing.T) (u, v *account) {
	t.Helper()
	needsRoot(t, "watches users from outside, as root")
	if !here.guest {
		if own, err := os.Readlink("/proc/self/ns/mnt"); err != nil || own == namespaceOfInit(t) {
			t.Fatal("this is the machine's mount namespace, which is not ours to change")
		}
	}
	top := "/run/locald-e2e-" + itoa(os.Getpid())
	must(t, os.Mkdir(top, 0o755))
	t.Cleanup(func() { os.Remove(top) })
	mountHere(t, "tmpfs", top, "tmpfs", "mode=755") // the one that is there may be nosuid
	for _, dir := range []string{"upper", "work", "lib"} {
		must(t, os.Mkdir(filepath.Join(top, dir), 0o755))
	}
	mountHere(t, "overlay", "/etc", "overlay", "lowerdir=/etc,upperdir="+top+"/upper,workdir="+top+"/work")
	must(t, os.RemoveAll("/etc/locald"))
	shim := top + "/lib/locald-shim"
	must(t, copyFile(shim, filepath.Join(binDir, "locald-shim"), os.ModeSetuid|0o755))
	// Users of other runs on this machine must not be the same: cgroups are not in the mount namespace.
	uid := 40000 + os.Getpid()%10000*2
	all := make([]*account, 2)
	for i, name := range []string{"locald-e2e-u", "locald-e2e-v"} {
		a := &account{name, uid + i, 1<<30 + i*subordinates, shim}
		id := itoa(a.uid)
		appendTo(t, "/etc/passwd", name+":x:"+id+":"+id+"::/nonexistent:/bin/sh")
		appendTo(t, "/etc/group", name+":x:"+id+":")
		appendTo(t, "/etc/subuid", name+":"+itoa(a.sub)+":"+itoa(subordinates))
		appendTo(t, "/etc/subgid", name+":"+itoa(a.sub)+":"+itoa(subordinates))
		t.Cleanup(func() { a.forget() })
		all[i] = a
	}
	return all[0], all[1]
}

func namespaceOfInit(t *testing.T) string {
	t.Helper()
	link, err := os.Readlink("/proc/2/ns/mnt") // a thread of the kernel
	if err != nil {
		link, err = os.Readlink("/proc/1/ns/mnt")
	}
	must(t, err)
	return link
}

func mountHere(t *testing.T, source, target, typ, data string) {
	t.Helper()
	if err := unix.Mount(source, target, typ, 0, data); err != nil {
		t.Fatalf("mount %s on %s: %v", typ, target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", target, err)
		}
	})
}

func appendTo(t *testing.T, path, line string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	must(t, os.WriteFile(path, append(text, line+"\n"...), 0o644))
}

// forget removes what the shim makes to stay.
func (a *account) forget() {
	os.Remove("/run/locald/u" + itoa(a.uid))
	for _, tree := range cgroupTrees() {
		os.Remove(tree + a.base())
	}
}

// base is the path of the account's base cgroup.
func (a *account) base() string { return "/locald/u" + itoa(a.uid) }

// cgroupTrees are the places at which a cgroup2 tree may be mounted.
func cgroupTrees() []string { return []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} }

// cgroup is the directory of a cgroup in the cgroup2 tree.
func cgroupDir(t *testing.T, path string) string {
	t.Helper()
	for _, tree := range cgroupTrees() {
		if _, err := os.Stat(tree + "/cgroup.procs"); err == nil {
			return tree + path
		}
	}
	t.Fatal("there is no cgroup2 tree")
	return ""
}

// bundle is a bundle of the account's.
func (a *account) bundle(t *testing.T) *bundle {
	t.Helper()
	b := newBundle(t, func(s *specs.Spec) {
		addNamespace(s, specs.UserNamespace, "")
		s.Linux.UIDMappings, s.Linux.GIDMappings = oneID(a.uid), oneID(a.uid)
		s.Linux.CgroupsPath = a.base() + strings.TrimPrefix(s.Linux.CgroupsPath, "/locald")
	})
	must(t, os.Chmod(filepath.Dir(b.dir), 0o711)) // t.TempDir's own, which is root's
	for _, dir := range []string{b.dir, b.rootfs} {
		must(t, os.Chown(dir, a.uid, a.uid))
	}
	return b
}

// become makes a command the account's.
func (a *account) become(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.uid)}}
}

// start starts a bundle as the account, through the set-user-ID bit.
func (a *account) start(t *testing.T, b *bundle, flags ...string) *running {
	t.Helper()
	return b.start(t, func(c *exec.Cmd) {
		c.Path, c.Args[0] = a.shim, a.shim
		a.become(c)
	}, flags...)
}

// does runs a function on a thread that has the account's ids and no capability. Credentials are each
// thread's own in Linux; the thread ends with the function.
func (a *account) does(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		id := uintptr(a.uid)
		for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS, 0, 0, 0}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
			if _, _, e := syscall.RawSyscall(call[0], call[1], call[2], call[3]); e != 0 {
				done <- e
				return
			}
		}
		f()
		done <- nil
	}()
	must(t, <-done)
}

// threadsOf reads the status of every thread of a process.
func threadsOf(t *testing.T, pid int) map[int]map[string]string {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	all := map[int]map[string]string{}
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		tid, _ := strconv.Atoi(task.Name())
		all[tid] = map[string]string{}
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok {
				all[tid][key] = strings.TrimSpace(value)
			}
		}
	}
	if all[pid] == nil {
		t.Fatalf("process %d is gone", pid)
	}
	return all
}
