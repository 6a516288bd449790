package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Mistakes of other set-user-ID helpers, each as its own scenario: what a caller asks for, names or brings with it.

// TestCVE_2026_48785_2026_47215: what begins like the caller's own is not the caller's.
func TestCVE_2026_48785_2026_47215(t *testing.T) {
	u, _ := users(t)
	id := itoa(u.uid)
	for _, path := range []string{"/locald/u" + id + "0/x", "/locald/u" + id[:len(id)-1] + "/x", "/locald/u" + id + "x/x", "/localdx/u" + id + "/x", "/locald/u" + id + "/../u0/x", "/x/locald/u" + id + "/x"} {
		b := u.bundle(t)
		b.spec.Linux.CgroupsPath = path
		if p := u.start(t, b).wait().problem(t, "/linux/cgroupsPath"); p.Errno != "" {
			t.Errorf("%s was tried: %+v", path, p) // and who may not is up to the owner of a directory
		}
	}
	must(t, os.Mkdir("/etc/locald", 0o755))
	for _, name := range []string{u.name[:len(u.name)-1], u.name + "x", id + "0", id[:len(id)-1]} {
		must(t, os.WriteFile("/etc/locald/shim.conf", []byte("users = "+name+"\n"), 0o644))
		wantOne(t, u.start(t, u.bundle(t).do("exit 0")).wait(), "does not let this user run containers")
	}
	must(t, os.RemoveAll("/etc/locald"))
}

// TestCVE_2016_10117_2016_10123: a file system over the container's /etc, a hostile environment and no umask change nothing
// of the machine's, and none of the environment gets in.
func TestCVE_2016_10117_2016_10123(t *testing.T) {
	u, _ := users(t)
	files := []string{"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/subuid"}
	before := map[string]string{}
	for _, name := range files {
		text, _ := os.ReadFile(name)
		before[name] = string(text)
	}
	b := u.bundle(t).do("look", "create /etc/resolv.conf x", "create /etc/passwd x")
	addMount(b.spec, "/etc", "tmpfs", "tmpfs", "mode=777")
	hostile := []string{"LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/evil", "PATH=/evil", "HOME=/evil", "TMPDIR=/evil", "IFS=x", "BASH_ENV=/evil", "GCONV_PATH=/evil", "LOCALD_EVIL=1"}
	res := b.start(t, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `umask 0; exec "$@"`, "sh", u.shim}, c.Args[1:]...)
		c.Path = "/bin/sh"
		c.Env = hostile
		u.become(c)
	}).wait().ok(t)
	if env := strings.Join(res.look(t).Env, " "); strings.Contains(env, "evil") || strings.Contains(env, "IFS") || strings.Contains(env, "LOCALD") {
		t.Errorf("the container's environment is %q", env)
	}
	res.wantErrno(t, "create /etc/resolv.conf x", "")
	for _, name := range files {
		if text, _ := os.ReadFile(name); string(text) != before[name] {
			t.Errorf("%s has changed", name)
		}
	}
}

// TestCVE_2017_5180_2017_5940: every file that the shim writes for its caller is a link of the caller's to root's.
func TestCVE_2017_5180_2017_5940(t *testing.T) {
	u, _ := users(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(dir+"/precious", []byte("precious"), 0o644))
	before := describeFiles(t, dir)
	for _, to := range []string{dir + "/precious", dir + "/new"} {
		for _, flag := range []string{"--pid-file", "--log"} {
			b := u.bundle(t).do("exit 0")
			b.write(t)
			link := filepath.Join(filepath.Dir(b.rootfs), "link")
			must(t, os.Symlink(to, link))
			args := []string{"run", flag, link, "--bundle", b.dir, b.id}
			if flag == "--log" {
				b.spec.Root.Path = "nowhere" // so that there is something to be said
				b.write(t)
				args = []string{flag, link, "run", "--bundle", b.dir, b.id}
			}
			u.launch(t, b, args...).wait()
			compareDescribed(t, before, describeFiles(t, dir))
			must(t, os.Remove(link))
		}
	}
}

// TestCVE_2017_5207: whatever programs the caller's PATH has to offer, none is called.
func TestCVE_2017_5207(t *testing.T) {
	u, _ := users(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777))
	for _, name := range []string{"sh", "bash", "ip", "tc", "mount", "umount", "newuidmap", "newgidmap", "modprobe", "systemctl", "runc", "crun", "getent", "loginctl"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nid -u >"+dir+"/called-$$\n"), 0o755))
	}
	more := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(u.sub), Size: 10}
	b := u.bundle(t).do("look", "line")
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = append(b.spec.Linux.UIDMappings, more), append(b.spec.Linux.GIDMappings, more)
	b.write(t)
	hostile := func(c *exec.Cmd) {
		c.Path, c.Args[0] = u.shim, u.shim
		c.Env = []string{"PATH=" + dir, "SHELL=" + dir + "/sh"}
		u.become(c)
	}
	r := launch(t, b, hostile, "run", "--bundle", b.dir, b.id)
	r.answer("look")
	for _, verb := range [][]string{{"exec", b.id, "/probe", "exit 0"}, {"pause", b.id}, {"resume", b.id}, {"ps", b.id}, {"list"}} {
		launch(t, nil, hostile, verb...).wait().ok(t)
	}
	r.say("go")
	r.wait().ok(t)
	if called, _ := filepath.Glob(dir + "/called-*"); len(called) > 0 {
		t.Errorf("programs of the caller's were called %d times, the first as %s", len(called), textOf(t, called[0]))
	}
}

// TestCVE_2018_7169_2014_8989: a group takes a right away from its members, and a container of one id is no way to leave it.
func TestCVE_2018_7169_2014_8989(t *testing.T) {
	u, v := users(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(dir+"/file", []byte("secret"), 0o604))
	must(t, os.Chmod(dir+"/file", 0o604))
	must(t, os.Chown(dir+"/file", 0, v.uid))
	b := u.bundle(t).do("read /x/file", "read /proc/self/setgroups")
	addMount(b.spec, "/x", "bind", dir)
	withCaps(b.spec, "CAP_SETGID", "CAP_DAC_OVERRIDE")
	b.write(t)
	member := func(groups ...uint32) *result {
		return launch(t, b, func(c *exec.Cmd) {
			c.Path, c.Args[0] = u.shim, u.shim
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.uid), Groups: groups}}
		}, "run", "--bundle", b.dir, b.id).wait().ok(t)
	}
	if got := member().value(t, "read /x/file"); got != "secret" {
		t.Errorf("who is no member reads %q", got)
	}
	res := member(uint32(v.uid))
	res.wantErrno(t, "read /x/file", "EACCES")
	if got := res.value(t, "read /proc/self/setgroups"); got != "deny\n" {
		t.Errorf("setgroups is %q", got)
	}
}

// TestCVE_2016_6252: numbers of /etc/subuid that 32 or 64 bits cannot hold, or that pass their end, grant nothing.
func TestCVE_2016_6252(t *testing.T) {
	u, _ := users(t)
	uids, gids := textOf(t, "/etc/subuid"), textOf(t, "/etc/subgid")
	for _, c := range []struct {
		line string
		host uint32
		size uint32
	}{
		{"4294967296:10", 0, 10}, {"4294967290:100", 4294967290, 5}, {"4294967290:100", 0, 1}, {"4294967297:10", 1, 10}, {"18446744073709551616:10", 0, 10}, {"18446744073709551615:10", 1, 5},
		{"-1:10", 4294967295, 1}, {"2000000000:4294967297", 2000000000, 1}, {"2000000000:18446744073709551615", 2000000000, 1}, {"2000000000:-1", 2000000000, 1}, {"0x77359400:10", 2000000000, 1}, {"2000000000:0", 2000000000, 1}, {"2e9:10", 2000000000, 1},
	} {
		for file, was := range map[string]string{"/etc/subuid": uids, "/etc/subgid": gids} {
			lines := slices.DeleteFunc(strings.SplitAfter(was, "\n"), func(line string) bool { return strings.HasPrefix(line, u.name+":") })
			must(t, os.WriteFile(file, []byte(strings.Join(lines, "")+u.name+":"+c.line+"\n"), 0o644))
		}
		b := u.bundle(t).do("exit 0")
		more := specs.LinuxIDMapping{ContainerID: 1, HostID: c.host, Size: c.size}
		b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = append(b.spec.Linux.UIDMappings, more), append(b.spec.Linux.GIDMappings, more)
		if res := u.start(t, b).wait(); res.code != 125 || len(failuresOf(res)) == 0 {
			t.Errorf("%q grants %d and %d more: %s", c.line, c.host, c.size-1, res)
		}
	}
}

// TestCVE_2024_56433: a range that was given out holds the uid of an account, as one from a directory service would be.
func TestCVE_2024_56433(t *testing.T) {
	u, _ := users(t)
	more := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(u.sub), Size: 10}
	b := u.bundle(t).do("exit 0")
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = append(b.spec.Linux.UIDMappings, more), append(b.spec.Linux.GIDMappings, more)
	u.start(t, b).wait().ok(t)
	for file, line := range map[string]string{"/etc/passwd": "colleague:x:%d:1::/:/bin/sh", "/etc/group": "colleagues:x:%d:"} {
		was := textOf(t, file)
		appendTo(t, file, fmt.Sprintf(line, u.sub+3))
		if res := u.start(t, b).wait(); res.code != 125 || !strings.Contains(res.String(), "another account's") {
			t.Errorf("%s: %s", file, res)
		}
		must(t, os.WriteFile(file, []byte(was), 0o644))
	}
}

// TestCVE_2013_1959_2018_18955: maps of few and of many extents are in force as they were asked for, and one more than the
// kernel takes is refused.
func TestCVE_2013_1959_2018_18955(t *testing.T) {
	u, _ := users(t)
	for _, n := range []int{1, 5, 6, 240, 341} {
		b := u.bundle(t).do("read /proc/self/uid_map", "read /proc/self/gid_map")
		maps := oneID(u.uid)
		for i := 1; i < n; i++ { // with gaps, so that none can be joined with its neighbour
			maps = append(maps, specs.LinuxIDMapping{ContainerID: uint32(2 * i), HostID: uint32(u.sub + 3*i), Size: 1})
		}
		b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = maps, maps
		res := u.start(t, b).wait()
		if n > 340 {
			if p := res.problem(t, "/linux/uidMappings"); !strings.Contains(p.Message, "340 ranges") {
				t.Errorf("%+v", p)
			}
			continue
		}
		for _, file := range []string{"uid", "gid"} {
			lines := strings.Split(strings.TrimSpace(res.ok(t).value(t, "read /proc/self/"+file+"_map")), "\n")
			if len(lines) != n {
				t.Errorf("%d extents of the %s map, want %d", len(lines), file, n)
			}
			for _, m := range maps {
				want := fmt.Sprintf("%d %d %d", m.ContainerID, m.HostID, m.Size)
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.Join(strings.Fields(line), " ") == want }) {
					t.Errorf("%d extents: the %s map has no %s", n, file, want)
				}
			}
		}
	}
}

// TestCVE_2015_8709_2017_5985: a namespace of the machine's or of another user's is joined by nobody.
func TestCVE_2015_8709_2017_5985(t *testing.T) {
	u, v := users(t)
	theirs, end := v.runs(t, nil)
	pid := v.status(t, theirs).Pid
	for kind, file := range map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.UserNamespace: "user", specs.UTSNamespace: "uts", specs.IPCNamespace: "ipc", specs.PIDNamespace: "pid", specs.MountNamespace: "mnt"} {
		for who, pid := range map[string]int{"the machine's": os.Getpid(), "another user's": pid} {
			b := u.bundle(t)
			replaceNamespace(b.spec, kind, fmt.Sprintf("/proc/%d/ns/%s", pid, file))
			if res := u.start(t, b).wait(); res.code != 125 || !strings.Contains(res.String(), "/linux/namespaces") {
				t.Errorf("%s %s namespace: %s", who, kind, res)
			}
		}
	}
	end()
}

// TestCVE_2019_12589: a program of the container's rewrites everything that it was made of. What comes later has the same
// filter and no more rights.
func TestCVE_2019_12589(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"sethostname"}, Action: specs.ActErrno}}}
	})
	addMount(b.spec, "/bundle", "bind", b.dir)
	config := b.dir + "/config.json"
	r := b.running(t)
	was := textOf(t, config)
	b.spec.Linux.Seccomp = nil
	withCaps(b.spec, "CAP_SYS_ADMIN", "CAP_KILL")
	b.spec.Process.NoNewPrivileges = false
	b.write(t) // as the program can, by /bundle
	res := shim(t, "exec", b.id, "/probe", "look", "sethostname other").ok(t)
	if look := res.look(t); look.Status["Seccomp"] != "2" || look.Status["NoNewPrivs"] != "1" || look.Caps.Permitted != 0 {
		t.Errorf("Seccomp is %s, NoNewPrivs %s, capabilities %x", look.Status["Seccomp"], look.Status["NoNewPrivs"], look.Caps.Permitted)
	}
	res.wantErrno(t, "sethostname other", "EPERM")
	must(t, os.WriteFile(config, []byte(was), 0o644))
	b.ends(t, r)
}
