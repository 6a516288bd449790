package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Mistakes of other set-user-ID helpers, each as its own scenario: what privilege may reach. What a caller may ask for is
// in cve_caller_linux_test.go.

// users are two accounts, where this is seen.
func users(t *testing.T) (u, v *account) {
	t.Helper()
	seenOnHost(t)
	return accounts(t)
}

// runs is a container of the account's that runs until it is told something.
func (a *account) runs(t *testing.T, change func(*specs.Spec)) (b *bundle, end func()) {
	t.Helper()
	b = a.bundle(t).do("look", "line")
	if change != nil {
		change(b.spec)
	}
	b.write(t)
	r := a.launch(t, b, "run", "--bundle", b.dir, b.id)
	r.answer("look")
	return b, func() { r.say("go"); r.wait().ok(t) }
}

// status is what the account is told of a container of its own.
func (a *account) status(t *testing.T, b *bundle) (s ociState) {
	t.Helper()
	must(t, json.Unmarshal([]byte(a.launch(t, nil, "state", b.id).wait().ok(t).stdout), &s))
	return s
}

// TestCVE_2016_9962: exec is stopped at calls of the process that it sets up in the container. Whoever has every right in
// the container's user namespace sees neither its descriptors nor its memory.
func TestCVE_2016_9962(t *testing.T) {
	u, _ := users(t)
	o := torturers(t, u)[1]
	o.do("forever").write(t)
	o.ready(t, "exec")
	defer func() { o.call(t, nil, nil, "delete", "--force", o.id); o.awaitEnds(t) }()
	first := u.status(t, o.bundle).Pid
	peek := func(pid int) string {
		out, err := u.command("nsenter", "-U", "--preserve-credentials", "-t", itoa(first), "sh", "-c", fmt.Sprintf("ls /proc/%[1]d/fd; readlink /proc/%[1]d/exe /proc/%[1]d/cwd", pid)).Output()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Fatal(err)
		}
		return string(out)
	}
	if peek(first) == "" {
		t.Fatal("nothing is seen of an ordinary process of the container's")
	}
	_, _, _, calls := o.call(t, &step{action: "none"}, nil, o.arguments("exec")...)
	looked := 0
	for nth := calls; nth > 0 && looked < 3; nth -= 9 {
		o.call(t, &step{action: "stop", nth: nth}, func(pid int) {
			if len(strings.Fields(statusOf(t, pid)["NSpid"])) < 2 {
				return // the shim's own, which is not in the container
			}
			looked++
			if seen := peek(pid); seen != "" {
				t.Errorf("at call %d: %q", nth, seen)
			}
		}, o.arguments("exec")...)
	}
	if looked == 0 {
		t.Errorf("of %d calls none was the container's", calls)
	}
}

// TestCVE_2019_12439_2022_3328_2026_3888: the directories of everybody's are another user's by now, whatever the helper
// would like to have there, and nothing is made in them.
func TestCVE_2019_12439_2022_3328_2026_3888(t *testing.T) {
	u, v := users(t)
	dirs := slices.DeleteFunc([]string{"/tmp", "/var/tmp", "/dev/shm"}, func(dir string) bool {
		return os.TempDir() == dir || strings.HasPrefix(os.TempDir(), dir+"/") // the tests themselves are there
	})
	for _, dir := range dirs {
		must(t, os.MkdirAll(dir, 0o755))
		mountHere(t, "tmpfs", dir, "tmpfs", "mode=755,uid="+itoa(v.uid)+",gid="+itoa(v.uid))
	}
	v.does(t, func() {
		for _, dir := range []string{"/run/locald", "/run/locald/u" + itoa(u.uid), "/run/locald/u" + itoa(u.uid) + "/x"} {
			if err := os.Mkdir(dir, 0o777); !refused(err) && !os.IsExist(err) && !os.IsNotExist(err) {
				t.Errorf("another user: make %s: %v", dir, err)
			}
		}
	})
	_, end := u.runs(t, u.someIDMapped(t))
	end()
	for _, dir := range dirs {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v, %v", dir, entries, err)
		}
	}
}

// TestCVE_2020_5291: where 0 is not mapped, "am I root?" has another answer inside. The shim has given everything up all
// the same.
func TestCVE_2020_5291(t *testing.T) {
	u, _ := users(t)
	b := u.bundle(t).do("look", "line")
	b.spec.Linux.UIDMappings[0].ContainerID, b.spec.Linux.GIDMappings[0].ContainerID = 1000, 1000
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	r := u.start(t, b)
	look := r.answer("look").Look
	u.gaveUp(t, r.cmd.Process.Pid, true)
	if look.Uid != [3]int{1000, 1000, 1000} || look.Caps.Permitted != 0 || look.Caps.Effective != 0 {
		t.Errorf("the container has uid %d, capabilities %+x", look.Uid, look.Caps)
	}
	r.say("go")
	r.wait().ok(t)
}

// TestCVE_2023_38496: what is removed at the end is removed with the caller's rights. A directory of root's in the place of
// the container's state stays.
func TestCVE_2023_38496(t *testing.T) {
	u, _ := users(t)
	b, end := u.runs(t, nil)
	planted := "/run/locald/u" + itoa(u.uid) + "/" + b.id + "/planted"
	must(t, os.Mkdir(planted, 0o700))
	must(t, os.WriteFile(planted+"/precious", nil, 0o600))
	for range 2 {
		u.launch(t, nil, "delete", "--force", b.id).wait()
		if _, err := os.Stat(planted + "/precious"); err != nil {
			t.Fatalf("removed with root's rights: %v", err)
		}
	}
	must(t, os.RemoveAll(planted))
	u.launch(t, nil, "delete", "--force", b.id).wait().ok(t)
	_ = end // it was killed
}

// TestCVE_2018_12021: an overlay shows what its caller may read, and no more.
func TestCVE_2018_12021(t *testing.T) {
	u, _ := users(t)
	closed, open, other := t.TempDir(), t.TempDir(), t.TempDir()
	must(t, os.Mkdir(closed+"/below", 0o755))
	must(t, os.Chmod(other, 0o755))
	must(t, os.Chmod(closed, 0o700))
	must(t, os.Chmod(open, 0o755))
	must(t, os.Chmod(filepath.Dir(open), 0o755))
	must(t, os.WriteFile(open+"/secret", []byte("secret"), 0o600))
	overlay := func(lower string) *bundle {
		b := u.bundle(t).do("read /x/secret", "chown /x/secret 0 0", "mode /x/secret")
		addMount(b.spec, "/x", "overlay", "overlay", "lowerdir="+lower+":"+other, "userxattr")
		withCaps(b.spec, "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER")
		return b
	}
	if p := u.start(t, overlay(closed+"/below")).wait().problem(t, "/mounts/3"); p.Errno != "EACCES" {
		t.Errorf("%+v", p)
	}
	u.start(t, overlay(open)).wait().ok(t).wantErrno(t, "read /x/secret", "EACCES")
}

// TestCVE_2021_26910: a layer is exchanged for a link to root's directory while the overlay is made.
func TestCVE_2021_26910(t *testing.T) {
	u, _ := users(t)
	closed := t.TempDir()
	must(t, os.Chmod(closed, 0o700))
	must(t, os.WriteFile(closed+"/file", []byte("secret"), 0o644))
	b := u.bundle(t).do("read /x/file")
	for _, name := range []string{"/layer", "/other"} {
		must(t, os.Mkdir(b.dir+name, 0o755))
		must(t, os.WriteFile(b.dir+name+"/file", []byte("own"), 0o644))
	}
	must(t, os.Symlink(closed, b.dir+"/link"))
	addMount(b.spec, "/x", "overlay", "overlay", "lowerdir="+b.dir+"/layer:"+b.dir+"/other", "userxattr")
	b.write(t)
	end := exchanging(b.dir+"/layer", b.dir+"/link")
	for range 10 {
		if res := u.start(t, b).wait(); strings.Contains(res.String(), "secret") || res.code != 0 && res.code != 125 {
			t.Errorf("%s", res)
		}
	}
	end()
	if info, err := os.Lstat(b.dir + "/layer"); err == nil && info.Mode()&os.ModeSymlink != 0 { // as the harness knows it
		must(t, unix.Renameat2(unix.AT_FDCWD, b.dir+"/layer", unix.AT_FDCWD, b.dir+"/link", unix.RENAME_EXCHANGE))
	}
}

// TestCVE_2023_30549_2022_1184: no file system that the kernel reads from what a user has written.
func TestCVE_2023_30549_2022_1184(t *testing.T) {
	u, _ := users(t)
	for _, typ := range []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "squashfs", "erofs", "iso9660", "vfat", "ntfs3", "fuse", "fuseblk", "nfs", "cifs", "9p", "debugfs", "tracefs", "bpf", "securityfs", "ramfs"} {
		b := u.bundle(t)
		must(t, os.WriteFile(b.dir+"/image", make([]byte, 4096), 0o644))
		addMount(b.spec, "/x", typ, b.dir+"/image", "loop")
		u.start(t, b).wait().problem(t, "/mounts/3/type")
	}
}

// TestCVE_2018_19295: the host's mounts are shared, and nothing that is mounted for a user or by it comes back there.
func TestCVE_2018_19295(t *testing.T) {
	u, _ := users(t)
	dir := t.TempDir()
	mountHere(t, "tmpfs", dir, "tmpfs", "mode=755")
	must(t, unix.Mount("", dir, "", unix.MS_SHARED, ""))
	for _, name := range []string{"/inside", "/root"} {
		must(t, os.Mkdir(dir+name, 0o755))
	}
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	b := u.bundle(t).do("mount tmpfs tmpfs /mnt/inside", "look", "line")
	addMount(b.spec, "/mnt", "bind", dir, "rbind", "rshared")
	addMount(b.spec, "/mnt/root", "tmpfs", "tmpfs")
	b.spec.Linux.RootfsPropagation = "rshared"
	withCaps(b.spec, "CAP_SYS_ADMIN")
	before := hostMounts(t)
	r := u.start(t, b)
	if a := r.answer("mount tmpfs tmpfs /mnt/inside"); a.Errno != "" {
		t.Errorf("inside: %s", a.Errno)
	}
	r.answer("look")
	if after := hostMounts(t); len(after) != len(before) {
		t.Errorf("outside there are %d mounts, were %d", len(after), len(before))
	}
	r.say("go")
	r.wait().ok(t)
}

// TestCVE_2019_11328: a record that its user has rewritten names another user's process and cgroup. Nothing happens to
// them.
func TestCVE_2019_11328(t *testing.T) {
	u, v := users(t)
	theirs, endTheirs := v.runs(t, nil)
	mine, endMine := u.runs(t, nil)
	pid := v.status(t, theirs).Pid
	file := "/run/locald/u" + itoa(u.uid) + "/" + mine.id + "/state.json"
	was := textOf(t, file)
	forged := strings.NewReplacer(
		fmt.Sprintf(`"pid":%d,"start":%s,`, pidIn(t, was), startOf(t, pidIn(t, was))), fmt.Sprintf(`"pid":%d,"start":%s,`, pid, startOf(t, pid)),
		mine.spec.Linux.CgroupsPath, theirs.spec.Linux.CgroupsPath).Replace(was)
	if strings.Count(forged, itoa(pid)) == 0 || !strings.Contains(forged, theirs.spec.Linux.CgroupsPath) {
		t.Fatalf("nothing was forged: %s", forged)
	}
	for _, verb := range [][]string{{"kill", mine.id, "KILL"}, {"pause", mine.id}, {"exec", mine.id, "/probe", "kill 1 9"}, {"update", "--pids-limit", "1", mine.id}, {"delete", "--force", mine.id}} {
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("before %s: %v", verb[0], err)
		}
		must(t, os.WriteFile(file, []byte(forged), 0o600))
		u.launch(t, nil, verb...).wait()
		if s := v.status(t, theirs); s.Status != "running" || s.Pid != pid {
			t.Errorf("after %s the other user's container is %s", verb[0], s.Status)
		}
	}
	if _, err := os.Stat(file); err == nil {
		must(t, os.WriteFile(file, []byte(was), 0o600))
		endMine()
	} else {
		must(t, os.WriteFile(cgroupDir(t, mine.spec.Linux.CgroupsPath)+"/cgroup.kill", []byte("1"), 0))
	}
	endTheirs()
}

// startOf is when a process has started, as its record says it (proc_pid_stat(5), starttime).
func startOf(t *testing.T, pid int) string {
	t.Helper()
	text := textOf(t, "/proc/"+itoa(pid)+"/stat")
	return strings.Fields(text[strings.LastIndex(text, ")"):])[20]
}

// TestCVE_2026_39402: another user's container has a name, and a name gives no right to it.
func TestCVE_2026_39402(t *testing.T) {
	u, v := users(t)
	theirs, end := v.runs(t, nil)
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t) // there is a place for the state now
	for _, verb := range [][]string{{"state", theirs.id}, {"kill", theirs.id, "KILL"}, {"pause", theirs.id}, {"exec", theirs.id, "/probe", "look"}, {"ps", theirs.id}, {"update", "--pids-limit", "1", theirs.id}, {"delete", theirs.id}} {
		if res := u.launch(t, nil, verb...).wait(); res.code == 0 || !strings.Contains(res.stderr, "does not exist") {
			t.Errorf("%s: %s", verb[0], res)
		}
	}
	u.launch(t, nil, "delete", "--force", theirs.id).wait()
	u.launch(t, nil, "kill", "--", "../u"+itoa(v.uid)+"/"+theirs.id, "KILL").wait()
	if s := v.status(t, theirs); s.Status != "running" {
		t.Errorf("the other user's container is %s", s.Status)
	}
	if listed := u.launch(t, nil, "list").wait().ok(t).stdout; strings.Contains(listed, theirs.id) {
		t.Errorf("the other user's container is listed: %s", listed)
	}
	end()
}

// TestCVE_2022_31214: a container that is made up, of a process of its user's own on the host. Who joins it has no more
// than that user.
func TestCVE_2022_31214(t *testing.T) {
	u, _ := users(t)
	b, end := u.runs(t, nil)
	fake := u.command(probeExe, "forever")
	fake.Args[0] = "probe"
	must(t, fake.Start())
	defer fake.Wait()
	defer fake.Process.Kill()
	file := "/run/locald/u" + itoa(u.uid) + "/" + b.id + "/state.json"
	was := textOf(t, file)
	pid := pidIn(t, was)
	from := fmt.Sprintf(`"pid":%d,"start":%s,`, pid, startOf(t, pid))
	if strings.Count(was, from) != 1 {
		t.Fatalf("the record has no %s: %s", from, was)
	}
	forged := strings.Replace(was, from, fmt.Sprintf(`"pid":%d,"start":%s,`, fake.Process.Pid, startOf(t, fake.Process.Pid)), 1)
	must(t, os.WriteFile(file, []byte(forged), 0o600))
	res := u.launch(t, nil, "exec", b.id, probeExe, "look").wait()
	for _, a := range res.answers() {
		id := [3]int{u.uid, u.uid, u.uid}
		if a.Look != nil && (a.Look.Uid != id || a.Look.Gid != id || a.Look.Caps.Permitted != 0) {
			t.Errorf("on the host, with uid %d and capabilities %x", a.Look.Uid, a.Look.Caps.Permitted)
		}
	}
	if res.code == 0 {
		t.Errorf("a process of the host's was joined: %s", res)
	}
	must(t, os.WriteFile(file, []byte(was), 0o600))
	end()
}

// TestCVE_2019_19724_2020_25039_2020_25040: with an umask that keeps nothing, what is made for a user is its user's alone.
func TestCVE_2019_19724_2020_25039_2020_25040(t *testing.T) {
	u, v := users(t)
	b := u.bundle(t).do("look", "line")
	r := b.start(t, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `umask 0; exec "$@"`, "sh", u.shim}, c.Args[1:]...)
		c.Path = "/bin/sh"
		u.become(c)
	})
	r.answer("look")
	own := "/run/locald/u" + itoa(u.uid)
	paths := 0
	must(t, filepath.WalkDir(own, func(path string, d os.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		paths++
		if st := info.Sys().(*syscall.Stat_t); info.Mode().Perm()&0o077 != 0 || int(st.Uid) != u.uid || int(st.Gid) != u.uid {
			t.Errorf("%s is %v of %d:%d", path, info.Mode(), st.Uid, st.Gid)
		}
		return nil
	}))
	if paths < 3 {
		t.Errorf("%d files of the state were seen", paths)
	}
	v.does(t, func() {
		if _, err := os.ReadDir(own); !refused(unwrap(err)) {
			t.Errorf("another user looks into it: %v", err)
		}
	})
	r.say("go")
	r.wait().ok(t)
}

func unwrap(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}

// TestCVE_2021_4197: no process that the container's user can reach holds a cgroup.procs that was opened by root.
func TestCVE_2021_4197(t *testing.T) {
	u, v := users(t)
	b := u.bundle(t).do("exit 7")
	b.write(t)
	cmd, status := u.stalled(t, b, []string{"opened", "validated", "compiled"})
	awaitWrite(t, cmd.Process.Pid)
	held := children(cmd.Process.Pid)
	if len(held) != 1 {
		t.Fatalf("the children of the shim are %v", held)
	}
	for _, pid := range append(held, cmd.Process.Pid) {
		links, _ := filepath.Glob("/proc/" + itoa(pid) + "/fd/*")
		for _, link := range links {
			if to, _ := os.Readlink(link); strings.Contains(to, "cgroup.procs") || strings.Contains(to, "cgroup.threads") {
				t.Errorf("process %d of %d holds %s", pid, cmd.Process.Pid, to)
			}
		}
	}
	io.Copy(io.Discard, status)
	status.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("exit status %d", code)
	}
	v.start(t, v.bundle(t).do("exit 0")).wait().ok(t)
	u.does(t, func() {
		for _, dir := range []string{u.base(), v.base(), "/locald"} {
			if err := os.WriteFile(cgroupDir(t, dir)+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0); !refused(unwrap(err)) {
				t.Errorf("the caller moves a process to %s: %v", dir, err)
			}
		}
	})
}
