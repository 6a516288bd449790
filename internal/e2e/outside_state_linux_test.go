package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestWatch: what the tests rely on to find leaks finds them.
func TestWatch(t *testing.T) {
	before := look(t)
	if differences := before.compare(look(t)); len(differences) > 0 {
		t.Fatalf("nothing was done, and it finds %v", differences)
	}
	must(t, exec.Command("/bin/sh", "-c", "sleep 1000 &").Run()) // the sleep is now a child of ours
	after := look(t)
	found := before.compare(after)
	if len(found) != 1 || !strings.HasPrefix(found[0], "left behind: process ") {
		t.Errorf("of a process that was left behind it finds %v", found)
	}
	before.sweepUp(after)
	if !here.root {
		return
	}
	dir, group := t.TempDir(), cgroupTree(t)+"/locald/"+newID()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	must(t, os.MkdirAll(group, 0o755))
	must(t, os.MkdirAll("/run/locald/root/left", 0o700))
	found = before.compare(look(t))
	must(t, unix.Unmount(dir, 0))
	must(t, os.Remove(group))
	must(t, os.Remove("/run/locald/root/left"))
	if len(found) != 3 {
		t.Errorf("of a mount, a cgroup and a state directory it finds %v", found)
	}
}

// cgroupTree is where the cgroup2 tree is mounted.
func cgroupTree(t *testing.T) string {
	t.Helper()
	for _, tree := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(tree + "/cgroup.procs"); err == nil {
			return tree
		}
	}
	t.Fatal("this machine has no cgroup2 tree")
	return ""
}

// TestCgroupMembership, from outside and, with a cgroup namespace, from inside.
func TestCgroupMembership(t *testing.T) {
	b := newBundle(t).do("spawn session", "look", "line")
	run := b.start(t, nil)
	inside := run.answer("look").Look
	pid := run.await("cloned").Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	must(t, err)
	path := b.spec.Linux.CgroupsPath
	if !strings.Contains(string(text), "0::"+path+"\n") {
		t.Errorf("the container is in %q, want %s", text, path)
	}
	if got := inside.Cgroup[len(inside.Cgroup)-1]; got != "0::/" {
		t.Errorf("inside it is %q", got)
	}
	dir := cgroupTree(t) + path
	procs, err := os.ReadFile(dir + "/cgroup.procs")
	must(t, err)
	if n := len(strings.Fields(string(procs))); n != 2 {
		t.Errorf("there are %d processes in the cgroup, want 2", n)
	}
	info, err := os.Stat(dir)
	must(t, err)
	if got, want := owner(info), fmt.Sprintf(" %d:%d", os.Getuid(), os.Getgid()); got != want {
		t.Errorf("the cgroup belongs to %s, want %s", got, want)
	}
	if shim, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", run.cmd.Process.Pid)); err != nil || strings.Contains(string(shim), path) {
		t.Errorf("the shim is in its container's cgroup: %s, %v", shim, err)
	}
	run.say("")
	run.wait().ok(t)
	if _, err := os.Stat(dir); err == nil {
		t.Error("the cgroup is still there")
	}
}

// TestNoCgroup: without cgroupsPath the container stays where its caller is.
func TestNoCgroup(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.CgroupsPath = ""
		dropNamespace(s, specs.CgroupNamespace)
	})
	own, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	if got := b.do("read /proc/self/cgroup").run(t).ok(t).value(t, "read /proc/self/cgroup"); got != string(own) {
		t.Errorf("the container is in %q, we are in %q", got, own)
	}
}

// TestForeignCgroups: a user's cgroups are below the user's own base.
func TestForeignCgroups(t *testing.T) {
	needsUser(t)
	uid := strconv.Itoa(os.Getuid())
	for _, path := range []string{"/locald/" + newID(), "/locald/u0/x", "/locald/u" + uid + "0/x", "/locald/u" + uid, "/locald/u" + uid + "/../x", "/", "/locald", "relative", "/other/x"} {
		t.Run(path, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.CgroupsPath = path })
			b.run(t).problem(t, "/linux/cgroupsPath")
		})
	}
}

// TestOOMScoreAdjOutside is the value that the machine's OOM killer sees.
func TestOOMScoreAdjOutside(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(1000) }).do("look", "line")
	run := b.start(t, nil)
	run.answer("look")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", run.await("cloned").Pid))
	must(t, err)
	if string(text) != "1000\n" {
		t.Errorf("oom_score_adj is %q", text)
	}
	run.say("")
	run.wait().ok(t)
}

// TestShimHasNoPower: while a user's container runs, the shim is that user's process on every thread, with
// no capability and no way to get any, and still not to be looked into or traced.
func TestShimHasNoPower(t *testing.T) {
	needsUser(t)
	run := newBundle(t).do("look", "line").start(t, nil)
	run.answer("look")
	run.await("running")
	pid := run.cmd.Process.Pid
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	uid, gid := os.Getuid(), os.Getgid()
	want := map[string]string{
		"Uid": fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[1]d", uid), "Gid": fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[1]d", gid),
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000",
	}
	makers := 0 // threads whose processes get no new privileges
	for _, task := range tasks {
		n, err := strconv.Atoi(task.Name())
		must(t, err)
		got := statusOf(t, n)
		if got["NoNewPrivs"] == "1" {
			makers++
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("thread %d: %s is %q, want %q", n, key, got[key], value)
			}
		}
	}
	if makers == 0 {
		t.Error("no thread has no_new_privs")
	}
	for _, name := range []string{"mem", "environ", "maps", "fd/0", "cwd"} {
		if _, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name)); !os.IsPermission(err) {
			t.Errorf("its %s can be opened: %v", name, err)
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	must(t, err)
	if _, err := unix.PidfdGetfd(fd, 0, 0); err != unix.EPERM {
		t.Errorf("pidfd_getfd: %v, want EPERM", err)
	}
	must(t, unix.Close(fd))
	if err := unix.PtraceSeize(pid); err != unix.EPERM {
		t.Errorf("ptrace: %v, want EPERM", err)
	}
	run.say("")
	run.wait().ok(t)
}

// TestStateDirectory is root's, with a part for each user that nobody else can look into.
func TestStateDirectory(t *testing.T) {
	b := newBundle(t).do("look", "line")
	run := b.start(t, nil)
	run.answer("look")
	part := "root"
	if !here.root {
		part = "u" + strconv.Itoa(os.Getuid())
	}
	for path, want := range map[string]string{
		"/run/locald": "drwxr-xr-x 0:0", "/run/locald/" + part: fmt.Sprintf("drwx------ %d:%d", os.Getuid(), os.Getgid()),
		"/run/locald/" + part + "/" + b.id: fmt.Sprintf("drwx------ %d:%d", os.Getuid(), os.Getgid()),
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().String() + owner(info); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	run.say("")
	run.wait().ok(t)
}

// TestCallersKeyring: the container gets a session keyring of its own.
func TestCallersKeyring(t *testing.T) {
	r := newBundle(t).do("keyring").start(t, through("ring")).wait().ok(t)
	if ours, got := r.value(t, "ring"), r.value(t, "keyring"); got == ours {
		t.Errorf("the container has the session keyring %s of its caller", got)
	}
}
