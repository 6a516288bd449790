package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// full mounts a small tmpfs: one that takes no more bytes, or, with inodes, that many files and no more.
func full(t *testing.T, dir string, inodes int) {
	t.Helper()
	if inodes > 0 {
		mountHere(t, "tmpfs", dir, "tmpfs", "mode=755,size=1m,nr_inodes="+itoa(inodes))
		return
	}
	mountHere(t, "tmpfs", dir, "tmpfs", "mode=755,size=16k")
	f, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// callers are root, and a user through the set-user-ID bit.
func callers(t *testing.T) map[string]*account {
	u, _ := accounts(t)
	return map[string]*account{"root": nil, "user": u}
}

// bundleOf and startAs do with an account what the harness does with the caller of the place.
func bundleOf(t *testing.T, a *account) *bundle {
	if a == nil {
		return newBundle(t)
	}
	return a.bundle(t)
}

func startAs(t *testing.T, a *account, b *bundle, flags ...string) *running {
	t.Helper()
	if a == nil {
		return b.start(t, nil, flags...)
	}
	return a.start(t, b, flags...)
}

// TestNoSpaceInRootfs: a mount point that cannot be made.
func TestNoSpaceInRootfs(t *testing.T) {
	for who, a := range callers(t) {
		t.Run(who, func(t *testing.T) {
			b := bundleOf(t, a)
			dir := filepath.Join(b.dir, "small")
			must(t, os.Mkdir(dir, 0o755))
			full(t, dir, 1)
			if a != nil {
				must(t, os.Chown(dir, a.uid, a.uid))
			}
			b.spec.Root.Path = "small"
			res := startAs(t, a, b).wait()
			if p := res.problem(t, "/mounts/0"); p.Errno != "ENOSPC" || !strings.Contains(p.Message, "mount proc on /proc") || len(failuresOf(res)) != 1 {
				t.Error(res)
			}
		})
	}
}

// TestNoSpaceForPidFile: the pid cannot be written, so that nobody could find the container: it is ended, and no
// half of a file is left.
func TestNoSpaceForPidFile(t *testing.T) {
	for who, a := range callers(t) {
		for what, inodes := range map[string]int{"no bytes": 0, "no files": 1} {
			t.Run(who+", "+what, func(t *testing.T) {
				b := bundleOf(t, a).do("forever")
				dir := filepath.Join(b.dir, "small")
				must(t, os.Mkdir(dir, 0o755))
				full(t, dir, inodes)
				if a != nil {
					must(t, os.Chown(dir, a.uid, a.uid))
				}
				before := describeFiles(t, dir)
				res := startAs(t, a, b, "--pid-file", filepath.Join(dir, "pid")).wait()
				failures := failuresOf(res)
				if res.code != 125 || len(failures) != 1 || failures[0].Errno != "ENOSPC" || !strings.Contains(failures[0].Message, "write the pid file") {
					t.Errorf("not ENOSPC: %s", res)
				}
				compareDescribed(t, before, describeFiles(t, dir))
			})
		}
	}
}

// TestNoSpaceForState: the container's own directory cannot be made, or nothing be written in it.
func TestNoSpaceForState(t *testing.T) {
	for who, a := range callers(t) {
		for what, inodes := range map[string]int{"no directory": 1, "no lock": 2, "no bytes": 0} {
			t.Run(who+", "+what, func(t *testing.T) {
				state, uid := "/run/locald/root", 0
				if a != nil {
					state, uid = "/run/locald/u"+itoa(a.uid), a.uid
				}
				must(t, os.MkdirAll(state, 0o700))
				must(t, os.Chmod("/run/locald", 0o755))
				b := bundleOf(t, a).do("forever")
				full(t, state, inodes)
				must(t, os.Chown(state, uid, uid))
				must(t, os.Chmod(state, 0o700))
				before := describeFiles(t, state)
				res := startAs(t, a, b).wait()
				failures := failuresOf(res)
				if res.code != 125 || len(failures) != 1 || failures[0].Errno != "ENOSPC" || !strings.Contains(failures[0].Message, b.id) {
					t.Errorf("not ENOSPC: %s", res)
				}
				compareNames(t, before, describeFiles(t, state))
			})
		}
	}
}

func compareNames(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path, is := range after {
		if _, was := before[path]; !was {
			t.Errorf("left behind: %s %s", path, is)
		}
	}
}

// TestNoSpaceForCgroup: the admin bounds how many cgroups a user has.
func TestNoSpaceForCgroup(t *testing.T) {
	u, _ := accounts(t)
	u.start(t, u.bundle(t).do("exit 0")).wait().ok(t)
	must(t, os.WriteFile(cgroupDir(t, u.base())+"/cgroup.max.descendants", []byte("0"), 0))
	b := u.bundle(t).do("exit 0")
	res := u.start(t, b).wait()
	if p := res.problem(t, "/linux/cgroupsPath"); p.Errno != "EAGAIN" || !strings.Contains(p.Hint, "cgroup.max.descendants") {
		t.Error(res)
	}
}

// TestNoUserNamespaces: user.max_user_namespaces holds for the set-user-ID bit too.
func TestNoUserNamespaces(t *testing.T) {
	needs(t, here.guest && here.root, "changes a sysctl, as root of a machine of its own")
	u, _ := accounts(t)
	const name = "/proc/sys/user/max_user_namespaces"
	was := textOf(t, name)
	b := u.bundle(t).do("exit 0")
	must(t, os.WriteFile(name, []byte("0"), 0))
	defer os.WriteFile(name, []byte(was), 0)
	res := u.start(t, b).wait()
	if p := res.problem(t, "/linux/namespaces"); p.Errno != "ENOSPC" || !strings.Contains(p.Hint, "max_") {
		t.Error(res)
	}
}
