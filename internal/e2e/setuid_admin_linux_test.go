package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestSetuidConf: what the admin's file says holds, and a file that somebody else could have written says nothing.
func TestSetuidConf(t *testing.T) {
	u, v := accounts(t)
	const name = "/etc/locald/shim.conf"
	must(t, os.Mkdir(filepath.Dir(name), 0o755))
	for _, c := range thin([]struct {
		name, text string
		spoil      func() error
		want       string // "" when the container runs
	}{
		{name: "empty"},
		{name: "comment", text: "# nothing\n"},
		{name: "everybody", text: "users = *\n"},
		{name: "by name", text: "users = root " + u.name + "\n"},
		{name: "by uid", text: "users = " + itoa(u.uid) + "\n"},
		{name: "others", text: "users = root " + v.name + "\n", want: "does not let this user run containers"},
		{name: "prefix of the name", text: "users = " + u.name[:len(u.name)-1] + "\n", want: "does not let this user run containers"},
		{name: "unknown key", text: "cgroup = yes\nuser = " + u.name + "\n", want: `line 2: unknown key "user"`},
		{name: "no value", text: "users =\n", want: "line 1: users names nobody"},
		{name: "no key", text: "yes\n", want: "line 1"},
		{name: "twice", text: "cgroup = yes\ncgroup = no\n", want: "line 2: cgroup is set twice"},
		{name: "binary", text: "\x00\x01\x02", want: "line 1"},
		{name: "the caller's own", spoil: func() error { return os.Chown(name, u.uid, u.uid) }, want: name + " must be a regular file of root's"},
		{name: "writable by a group", spoil: func() error { return os.Chmod(name, 0o664) }, want: name + " must be a regular file of root's"},
		{name: "writable by all", spoil: func() error { return os.Chmod(name, 0o666) }, want: name + " must be a regular file of root's"},
		{name: "link", spoil: func() error { os.Remove(name); return os.Symlink("/etc/hostname", name) }, want: "open " + name},
		{name: "directory", spoil: func() error { os.Remove(name); return os.Mkdir(name, 0o755) }, want: name + " must be a regular file of root's"},
		{name: "too large", spoil: func() error { return os.Truncate(name, 2<<20) }, want: "at most 1 MiB"},
	}) {
		t.Run(c.name, func(t *testing.T) {
			must(t, os.RemoveAll(name))
			must(t, os.WriteFile(name, []byte(c.text), 0o644))
			b := u.bundle(t).do("exit 0")
			if c.spoil != nil {
				must(t, c.spoil())
			}
			wantOne(t, u.start(t, b).wait(), c.want)
		})
	}
	t.Run("no cgroup", func(t *testing.T) {
		must(t, os.RemoveAll(name))
		must(t, os.WriteFile(name, []byte("cgroup = no\n"), 0o644))
		b := u.bundle(t).do("exit 0")
		res := u.start(t, b).wait()
		if p := res.problem(t, "/linux/cgroupsPath"); !strings.Contains(p.Message, "is not yours") {
			t.Error(res)
		}
		b.spec.Linux.CgroupsPath = ""
		u.start(t, b).wait().ok(t)
	})
}

// wantOne wants one error with the text, or, for "", none.
func wantOne(t *testing.T, res *result, text string) {
	t.Helper()
	failures := failuresOf(res)
	switch {
	case text == "" && res.code != 0:
		t.Errorf("the container did not run: %s", res)
	case text != "" && (res.code != 125 || len(failures) != 1 || !strings.Contains(failures[0].Message, text)):
		t.Errorf("not refused with %q: %s", text, res)
	}
}

// TestSetuidAccounts: files of accounts that cannot be trusted, or leave in doubt whose an id is, give nothing.
func TestSetuidAccounts(t *testing.T) {
	u, v := accounts(t)
	ranges := func(s *specs.Spec) {
		more := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(u.sub), Size: 10}
		s.Linux.UIDMappings, s.Linux.GIDMappings = append(s.Linux.UIDMappings, more), append(s.Linux.GIDMappings, more)
	}
	b := u.bundle(t).do("exit 0")
	ranges(b.spec)
	u.start(t, b).wait().ok(t) // all of what follows is about what is changed there
	for _, c := range thin([]struct {
		name string
		file string
		add  string // a line behind the others
		mode os.FileMode
		want string
	}{
		{"subuid is writable by all", "/etc/subuid", "", 0o666, "/etc/subuid must be a regular file of root's"},
		{"subgid is writable by a group", "/etc/subgid", "", 0o664, "/etc/subgid must be a regular file of root's"},
		{"passwd is writable by all", "/etc/passwd", "", 0o646, "/etc/passwd must be a regular file of root's"},
		{"range is another user's too", "/etc/subuid", v.name + ":" + itoa(u.sub+5) + ":100", 0o644, "not yours"},
		{"range is nobody's too", "/etc/subuid", "nosuchuser:" + itoa(u.sub) + ":1", 0o644, "not yours"},
		{"two accounts of that name", "/etc/passwd", u.name + ":x:" + itoa(v.uid) + ":1::/:/bin/sh", 0o644, "not yours"},
		{"name is another's uid", "/etc/passwd", itoa(u.uid) + ":x:" + itoa(v.uid+7) + ":1::/:/bin/sh", 0o644, "not yours"},
		{"an account has an id of the range", "/etc/passwd", "locald-e2e-w:x:" + itoa(u.sub+3) + ":1::/:/bin/sh", 0o644, "is another account's"},
		{"a group has an id of the range", "/etc/group", "locald-e2e-w:x:" + itoa(u.sub+3) + ":", 0o644, "is another account's"},
	}) {
		t.Run(c.name, func(t *testing.T) {
			was := textOf(t, c.file)
			if c.add != "" {
				appendTo(t, c.file, c.add)
			}
			must(t, os.Chmod(c.file, c.mode))
			defer func() {
				must(t, os.WriteFile(c.file, []byte(was), 0o644))
				must(t, os.Chmod(c.file, 0o644))
			}()
			b := u.bundle(t).do("exit 0")
			ranges(b.spec)
			res := u.start(t, b).wait()
			found := false
			for _, f := range failuresOf(res) {
				found = found || strings.Contains(f.Message, c.want)
			}
			if res.code != 125 || !found {
				t.Errorf("not refused with %q: %s", c.want, res)
			}
		})
	}
}

// TestSetuidDirectories: what lies where the shim keeps state, and is not as the shim would have made it, is left alone.
func TestSetuidDirectories(t *testing.T) {
	u, v := accounts(t)
	run := "/run/locald"
	own := run + "/u" + itoa(u.uid)
	precious := t.TempDir()
	for _, c := range []struct {
		name  string
		make  func() error
		want  string
		clean func()
	}{
		{"nothing", func() error { return nil }, "", nil},
		{"left between mkdir and chown", func() error { return os.Mkdir(own, 0o700) }, "", nil},
		{"another user's", func() error { return first(os.Mkdir(own, 0o700), os.Chown(own, v.uid, v.uid)) }, own + " is not its user's directory", nil},
		{"link", func() error { return os.Symlink(precious, own) }, own + " is not its user's directory", nil},
		{"file", func() error { return os.WriteFile(own, nil, 0o600) }, own + " is not its user's directory", nil},
		{"directory above is writable by all", func() error { return os.Chmod(run, 0o777) }, "must be root's and writable by nobody else", func() { os.Chmod(run, 0o755) }},
		{"directory above is the caller's", func() error { return os.Chown(run, u.uid, u.uid) }, "must be root's and writable by nobody else", func() { os.Chown(run, 0, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			must(t, os.MkdirAll(run, 0o755))
			must(t, os.RemoveAll(own))
			b := u.bundle(t).do("exit 0")
			must(t, c.make())
			wantOne(t, u.start(t, b).wait(), c.want)
			if c.clean != nil {
				c.clean()
			}
			must(t, os.RemoveAll(own))
		})
	}
	if entries, err := os.ReadDir(precious); err != nil || len(entries) > 0 {
		t.Errorf("%v was made through a link, %v", entries, err)
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestSetuidSquattedCgroup: a base cgroup that is another user's is not used.
func TestSetuidSquattedCgroup(t *testing.T) {
	u, v := accounts(t)
	base := cgroupDir(t, u.base())
	must(t, os.MkdirAll(base, 0o755))
	must(t, os.Chown(base, v.uid, v.uid))
	res := u.start(t, u.bundle(t).do("exit 0")).wait()
	if p := res.problem(t, "/linux/cgroupsPath"); !strings.Contains(p.Message, "is not yours") || !strings.Contains(p.Hint, "is somebody else's") {
		t.Error(res)
	}
	must(t, os.Chown(base, 0, 0))
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t)
}

// TestSetuidOwnCgroup: what the caller makes of the base cgroup is the caller's own loss, and no way up.
func TestSetuidOwnCgroup(t *testing.T) {
	u, _ := accounts(t)
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t)
	base := cgroupDir(t, u.base())
	u.does(t, func() {
		for _, file := range []string{"memory.max", "memory.high", "pids.max", "cpu.max", "cgroup.max.descendants", "cgroup.max.depth"} {
			if f, err := os.OpenFile(base+"/"+file, os.O_WRONLY, 0); err == nil {
				f.Close()
				t.Errorf("the caller may write %s of the base cgroup", file)
			}
		}
		// Out of the own cgroup by hand: the way is closed (cgroup-v2.rst, "Delegation Containment").
		if err := os.WriteFile(base+"/cgroup.procs", []byte("0"), 0); !refused(err) {
			t.Errorf("the caller moves itself to the base: %v", err)
		}
	})
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t)
}

// TestSetuidLockedBase: the base cgroup is the caller's, who may lock it. That is the caller's own loss, and ends with
// the lock: the shim can be ended meanwhile, and other users' do not wait.
func TestSetuidLockedBase(t *testing.T) {
	u, v := accounts(t)
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t)
	first, second, others := u.bundle(t).do("exit 7"), u.bundle(t).do("exit 7"), v.bundle(t).do("exit 8")
	var dir *os.File
	u.does(t, func() {
		var err error
		if dir, err = os.Open(cgroupDir(t, u.base())); err == nil {
			err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			t.Error(err)
		}
	})
	waits, ended := u.start(t, first), u.start(t, second)
	if res := v.start(t, others).wait(); res.code != 8 {
		t.Errorf("another user: %s", res)
	}
	u.does(t, func() {
		if err := unix.Kill(ended.cmd.Process.Pid, unix.SIGKILL); err != nil {
			t.Errorf("the caller cannot end the shim: %v", err)
		}
	})
	ended.wait()
	must(t, dir.Close())
	if res := waits.wait(); res.code != 7 {
		t.Errorf("with the lock given back: %s", res)
	}
}
