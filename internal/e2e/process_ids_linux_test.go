package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestIDs looks at the ids from inside and, in /proc of the machine, from outside.
func TestIDs(t *testing.T) {
	tests := []struct {
		name    string
		ranges  bool // needs more ids than one
		change  func(*specs.Spec)
		groups  []int
		wantUID int
		wantGID int
	}{
		{"root", false, nil, nil, 0, 0},
		{"root with groups", true, func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{7, 9} }, []int{7, 9}, 0, 0},
		{"user", true, func(s *specs.Spec) { s.Process.User = specs.User{UID: 5, GID: 6} }, nil, 5, 6},
		{"user with groups", true, func(s *specs.Spec) {
			s.Process.User = specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{6, 7, 8}}
		}, []int{6, 7, 8}, 5, 6},
		{"user with root's group", true, func(s *specs.Spec) { s.Process.User = specs.User{UID: 5} }, nil, 5, 0},
	}
	shapes := []struct {
		name   string
		userns bool
	}{{"no user namespace", false}, {"user namespace", true}}
	if !here.root {
		shapes = shapes[1:] // a container of a user's always has one
	}
	for _, shape := range shapes {
		for _, tt := range tests {
			t.Run(shape.name+"/"+tt.name, func(t *testing.T) {
				b := newBundle(t)
				if shape.userns && tt.ranges || shape.userns && here.root {
					needsSubIDs(t)
					withRange(b.spec)
				}
				if tt.change != nil {
					tt.change(b.spec)
				}
				checkIDs(t, b, tt.wantUID, tt.wantGID, tt.groups)
			})
		}
	}
}

func checkIDs(t *testing.T, b *bundle, uid, gid int, groups []int) {
	t.Helper()
	run := b.do("look", "line").start(t, nil)
	pid := run.await("cloned").Pid
	r := run.answer("look").Look
	outside := statusOf(t, pid)
	run.say("go on")
	run.wait().ok(t)

	if want := [3]int{uid, uid, uid}; r.Uid != want {
		t.Errorf("uids are %v, want %v", r.Uid, want)
	}
	if want := [3]int{gid, gid, gid}; r.Gid != want {
		t.Errorf("gids are %v, want %v", r.Gid, want)
	}
	if here.root || groups != nil {
		if !slices.Equal(r.Groups, groups) {
			t.Errorf("groups are %v, want %v", r.Groups, groups)
		}
	}
	hostUID, hostGID := hostID(b.spec.Linux.UIDMappings, uid), hostID(b.spec.Linux.GIDMappings, gid)
	if want := fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[1]d", hostUID); outside["Uid"] != want {
		t.Errorf("uids from outside are %q, want %q", outside["Uid"], want)
	}
	if want := fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[1]d", hostGID); outside["Gid"] != want {
		t.Errorf("gids from outside are %q, want %q", outside["Gid"], want)
	}
}

// hostID translates an id of the container's.
func hostID(maps []specs.LinuxIDMapping, id int) int {
	for _, m := range maps {
		if id >= int(m.ContainerID) && id < int(m.ContainerID+m.Size) {
			return id - int(m.ContainerID) + int(m.HostID)
		}
	}
	return id
}

// statusOf is /proc/PID/status.
func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	s := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		s[key] = strings.TrimSpace(value)
	}
	return s
}

// TestFilesOfRange makes files with mapped ids and sees who owns them outside.
func TestFilesOfRange(t *testing.T) {
	needsSubIDs(t)
	b := newBundle(t, withRange, func(s *specs.Spec) { s.Process.User = specs.User{UID: 5, GID: 6} })
	volume := t.TempDir()
	must(t, os.Chmod(volume, 0o777))
	addMount(b.spec, "/out", "bind", volume)
	b.do("create /out/file", "stat /out/file", "remove /out/file", "create /out/left")
	r := b.run(t).ok(t)
	if got, want := r.value(t, "stat /out/file"), "file 644 5:6"; got != want {
		t.Errorf("inside the file is %q, want %q", got, want)
	}
	info, err := os.Stat(volume + "/left")
	must(t, err)
	want := fmt.Sprintf(" %d:%d", hostID(b.spec.Linux.UIDMappings, 5), hostID(b.spec.Linux.GIDMappings, 6))
	if got := owner(info); got != want {
		t.Errorf("outside the file belongs to %s, want %s", got, want)
	}
}

// TestSetgroups: with one gid mapped by a user, setgroups stays denied, so that a group that forbids cannot
// be dropped (CVE-2014-8989).
func TestSetgroups(t *testing.T) {
	needsUser(t)
	r := newBundle(t).do("read /proc/self/setgroups").run(t).ok(t)
	if got := r.value(t, "read /proc/self/setgroups"); got != "deny\n" {
		t.Errorf("setgroups is %q, want deny", got)
	}
}

// TestUnmappedGroups is about a user without a range for the groups that are asked for.
func TestUnmappedGroups(t *testing.T) {
	needsUser(t)
	b := newBundle(t, func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{7} })
	b.run(t).problem(t, "/process/user/additionalGids/0")
}

// TestKeptGroups: with an annotation that crun knows the process keeps the caller's groups, and exec's as well.
func TestKeptGroups(t *testing.T) {
	if !here.root {
		b := newBundle(t)
		b.spec.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
		b.run(t).problem(t, "/annotations/run.oci.keep_original_groups")
		return
	}
	groups := func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{7, 70000}}}
	}
	for _, keep := range []string{"1", "0"} {
		b := newBundle(t).do("look", "line", "exit 0")
		b.spec.Annotations = map[string]string{"run.oci.keep_original_groups": keep}
		var want []int
		if keep == "1" {
			want = []int{7, 70000}
		}
		r := b.creates(t, groups, "run")
		if got := r.answer("look").Look.Groups; !slices.Equal(got, want) {
			t.Errorf("%s: the groups are %d", keep, got)
		}
		if got := launch(t, nil, groups, "exec", b.id, "/probe", "look").wait().ok(t).look(t).Groups; !slices.Equal(got, want) {
			t.Errorf("%s: the groups of exec are %d", keep, got)
		}
		r.say("go")
		r.wait().ok(t)
	}
	b := newBundle(t)
	b.spec.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
	b.spec.Process.User.AdditionalGids = []uint32{7}
	b.run(t).problem(t, "/process/user/additionalGids")
}

func TestUmask(t *testing.T) {
	for _, tt := range []struct {
		mask *uint32
		want string // mode of a directory that is made with 0777
	}{{nil, "755"}, {ptr[uint32](0), "777"}, {ptr[uint32](0o077), "700"}, {ptr[uint32](0o777), "0"}} {
		t.Run(tt.want, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Process.User.Umask = tt.mask })
			r := b.do("mode /tmp/d").run(t).ok(t)
			if got := strings.Fields(r.value(t, "mode /tmp/d"))[1]; got != tt.want {
				t.Errorf("mode is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCwdEnvArgs(t *testing.T) {
	b := newBundle(t)
	must(t, os.MkdirAll(b.rootfs+"/srv/deep", 0o755))
	must(t, os.Symlink("/srv/deep", b.rootfs+"/link"))
	env := []string{"B=2", "A=1", "EMPTY=", "SPACE=a b\tc", "UNICODE=\u00e9\u4e16", "PATH=/nowhere", "A=last", "=x"}
	b.spec.Process.Env = env[:7]
	b.spec.Process.Cwd = "/link"
	b.spec.Process.Args = []string{"/" + probe.Name, "look", "an argument", "", "--flag=\u00e9"}
	r := b.run(t).ok(t).look(t)
	if r.Cwd != "/srv/deep" {
		t.Errorf("working directory is %q", r.Cwd)
	}
	if !slices.Equal(r.Args, b.spec.Process.Args) {
		t.Errorf("arguments are %q, want %q", r.Args, b.spec.Process.Args)
	}
	if want := []string{"B=2", "EMPTY=", "SPACE=a b\tc", "UNICODE=\u00e9\u4e16", "PATH=/nowhere", "A=last", "HOME=/"}; !slices.Equal(r.Env, want) {
		t.Errorf("environment is %q, want %q", r.Env, want)
	}
}

// TestCwdMissing: a working directory that is not there is made, root's and open to all, below links and mounts too.
func TestCwdMissing(t *testing.T) {
	for _, tt := range []struct{ cwd, want string }{{"/new/deep/", "/new/deep"}, {"/link/new", "/target/new"}, {"/out/new", "/out/new"}, {"/tmp/a/b", "/tmp/a/b"}, {"/there/../new", ""}} {
		t.Run(tt.cwd, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Process.Cwd = tt.cwd })
			must(t, os.Mkdir(b.rootfs+"/target", 0o755))
			must(t, os.Symlink("/target", b.rootfs+"/link"))
			out := t.TempDir()
			addMount(b.spec, "/out", "bind", out)
			r := b.do("look", "stat .").run(t)
			if tt.want == "" { // the kernel wants every part of it
				r.problem(t, "/process/cwd")
				return
			}
			if got := r.ok(t).look(t).Cwd; got != tt.want {
				t.Errorf("working directory is %q, want %q", got, tt.want)
			}
			if got := r.value(t, "stat ."); got != "dir 755 0:0" {
				t.Errorf("it is %q", got)
			}
			if entries, err := os.ReadDir(out); err != nil || len(entries) > 0 != (tt.cwd == "/out/new") {
				t.Errorf("the volume holds %v, %v", entries, err)
			}
		})
	}
	b := newBundle(t, func(s *specs.Spec) { s.Process.Cwd, s.Root.Readonly = "/new", true })
	b.run(t).ok(t) // it is made before the root is closed
	if _, err := os.Stat(b.rootfs + "/new"); err != nil {
		t.Error(err)
	}
}

// TestCwdOfUser: the working directory is entered with the rights of the process.
func TestCwdOfUser(t *testing.T) {
	needsSubIDs(t)
	b := newBundle(t, withRange, func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 5, GID: 6}
		s.Process.Cwd = "/private"
	})
	must(t, os.Mkdir(b.rootfs+"/private", 0o700))
	r := b.run(t)
	if p := r.problem(t, "/process/cwd"); p.Errno != "EACCES" {
		t.Errorf("errno is %s, want EACCES", p.Errno)
	}
}
