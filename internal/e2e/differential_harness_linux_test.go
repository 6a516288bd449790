package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// contest is what the runs of one differential test have in common.
type contest struct {
	u, v      *account
	group     int            // one that u is in: what "negative" denies
	plain     string         // the shim without the set-user-ID bit
	pids      map[string]int // a process each of root's, of the caller's, and of another user's
	outer     map[string]string
	cgroups   map[string]string
	reference []*probe.Powers // what u can do without the shim
}

// site is where one run after the other takes place: files that a container should or should not reach, and a bundle.
type site struct {
	*contest
	t      *testing.T
	bait   string
	state  string // XDG_RUNTIME_DIR, for the shim without the bit
	bundle *bundle
	before map[string]string // the files, when it began

	restore []func() error // owner and mode of each bait
}

func newContest(t *testing.T) *contest {
	t.Helper()
	needs(t, !here.guest, "is seen on the host")
	u, v := accounts(t)
	own := fmt.Sprintf("unshared %d false 0 0 nothing", unix.CLONE_NEWUSER)
	cmd := u.command(probeExe, own)
	cmd.Args[0] = probe.Name
	out, err := cmd.Output()
	must(t, err)
	needs(t, (&result{stdout: string(out)}).answer(t, own).Errno == "", "needs a machine that lets users make user namespaces")
	c := &contest{u: u, v: v, group: u.uid + 20000, plain: filepath.Dir(u.shim) + "/plain", pids: map[string]int{}, outer: map[string]string{}, cgroups: map[string]string{}}
	must(t, copyFile(c.plain, filepath.Join(binDir, "locald-shim"), 0o755))
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		link, err := os.Readlink("/proc/self/ns/" + kind)
		must(t, err)
		c.outer[kind] = link
	}
	trees, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	must(t, err)
	for _, tree := range append(trees, "/sys/fs/cgroup/cgroup.procs") {
		if _, err := os.Stat(tree); err == nil {
			c.cgroups["the "+filepath.Base(filepath.Dir(tree))+" root's"] = filepath.Dir(tree)
		}
	}
	others := cgroupDir(t, v.base())
	must(t, os.MkdirAll(others, 0o755)) // v.forget removes it
	must(t, os.Chown(others, v.uid, v.uid))
	c.cgroups["another's"], c.cgroups["the caller's"] = others, cgroupDir(t, u.base())
	return c
}

// populate starts the processes that are baits. It comes after the bundles, which look for processes when they end.
func (c *contest) populate(t *testing.T) {
	t.Helper()
	for who, cmd := range map[string]*exec.Cmd{"root's": exec.Command(probeExe), "the caller's": c.u.command(probeExe), "another's": c.v.command(probeExe)} {
		cmd.Args = []string{probe.Name, "forever"}
		must(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		c.pids[who] = cmd.Process.Pid
	}
}

func (c *contest) newSite(t *testing.T) *site {
	t.Helper()
	s := &site{contest: c, t: t, bundle: c.u.bundle(t), bait: t.TempDir(), state: t.TempDir()}
	must(t, os.Chown(s.state, c.u.uid, c.u.uid))
	s.makeBaits()
	return s
}

// makeBaits makes the files that package probe knows by name.
func (s *site) makeBaits() {
	t, u, v := s.t, s.u.uid, s.v.uid
	at := func(name string) string { return filepath.Join(s.bait, name) }
	own := func(name string, uid, gid int, mode os.FileMode) {
		set := func() error { return errors.Join(os.Chown(at(name), uid, gid), os.Chmod(at(name), mode)) }
		must(t, set())
		s.restore = append(s.restore, set)
	}
	dir := func(name string, uid int, mode os.FileMode) {
		must(t, os.Mkdir(at(name), 0o755))
		own(name, uid, uid, mode)
	}
	file := func(name string, uid, gid int, mode os.FileMode) {
		must(t, os.WriteFile(at(name), []byte("bait\n"), 0o600))
		own(name, uid, gid, mode)
	}
	node := func(name string, mode os.FileMode) { // as harmless as a device can be: /dev/null
		must(t, unix.Mknod(at(name), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		own(name, 0, 0, mode)
	}
	const locked = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, name := range []string{"readonly", "closed-readonly", "nodev", "covered"} {
		dir(name, 0, 0o755)
	}
	for _, name := range []string{"readonly", "closed-readonly", "nodev"} {
		mountHere(t, "tmpfs", at(name), "tmpfs", "mode=777")
	}
	dir("own-dir", u, 0o755)
	dir("other-dir", v, 0o700)
	dir("closed", 0, 0o700)
	dir("root", 0, 0o755)
	dir("sticky", 0, os.ModeSticky|0o777)
	file("own", u, u, 0o600)
	file("secret", 0, 0, 0o600)
	file("other", v, v, 0o600)
	file("subordinate", s.u.sub+5, s.u.sub+5, 0o600)
	file("stranger", s.v.sub+5, s.v.sub+5, 0o600)
	file("negative", 0, s.group, 0o604)
	file("program", 0, 0, os.ModeSetuid|os.ModeSetgid|0o755)
	file("closed/inner", 0, 0, 0o644)
	file("root/inner", 0, 0, 0o644)
	file("sticky/other", v, v, 0o644)
	file("readonly/own", u, u, 0o644)
	file("closed-readonly/inner", 0, 0, 0o600)
	file("covered/hidden", u, u, 0o644)
	node("node", 0o600)
	node("node-any", 0o666)
	node("nodev/node-any", 0o666)
	must(t, unix.Mount("", at("readonly"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	must(t, unix.Mount("", at("closed-readonly"), "", unix.MS_REMOUNT|unix.MS_BIND|locked, ""))
	must(t, unix.Mount("", at("nodev"), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NODEV, ""))
	mountHere(t, "tmpfs", at("covered"), "tmpfs", "mode=755")
}

// look is what the files are, to one who sees all: owner, mode, size, and when anything of it was changed, but for
// what is the caller's.
func (s *site) look() map[string]string {
	all := map[string]string{}
	for _, top := range []string{s.bait, s.bundle.rootfs} {
		must(s.t, filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return nil // it is gone: a file of the caller's
			}
			var st unix.Stat_t
			if unix.Lstat(path, &st) != nil {
				return nil
			}
			said := fmt.Sprintf("%d:%d", st.Uid, st.Gid)
			if !s.mayOwn(st.Uid) || !s.mayOwn(st.Gid) {
				said += fmt.Sprintf(" %o", st.Mode)
				if st.Mode&unix.S_IFMT != unix.S_IFDIR { // what is in a directory is looked at by itself
					said += fmt.Sprintf(", %d bytes, changed at %d.%09d", st.Size, st.Ctim.Sec, st.Ctim.Nsec)
				}
			}
			all[path] = said
			return nil
		}))
	}
	return all
}

// mayOwn says whether what the caller makes can belong to an id.
func (s *site) mayOwn(id uint32) bool {
	return int(id) == s.u.uid || int(id) >= s.u.sub && int(id) < s.u.sub+subordinates
}

// outside says what has happened to files of others, which files there are now that the caller could not have made, and
// what is left of the cgroup.
func (s *site) outside() []string { return append(s.spoiled(), s.leftover()...) }

func (s *site) spoiled() (all []string) {
	now := s.look()
	for path, said := range now {
		if was, there := s.before[path]; there && was != said && !(s.mayOwnWord(was) && s.mayOwnWord(said)) {
			all = append(all, path+" was "+was+", is "+said)
		} else if !there && !s.mayOwnWord(said) {
			all = append(all, path+" was made: "+said)
		}
	}
	for path, was := range s.before {
		if _, there := now[path]; !there && !s.mayOwnWord(was) {
			all = append(all, path+" is gone")
		}
	}
	return all
}

func (s *site) leftover() []string {
	leaf := cgroupDir(s.t, s.u.base()+"/"+s.bundle.id)
	if _, err := os.Stat(leaf); err == nil {
		return []string{leaf + " was left behind"}
	}
	return nil
}

// mayOwnWord reads what look has said.
func (s *site) mayOwnWord(said string) bool {
	uid, gid, _ := strings.Cut(said, ":")
	u, e1 := strconv.ParseUint(uid, 10, 32)
	g, e2 := strconv.ParseUint(gid, 10, 32)
	return e1 == nil && e2 == nil && s.mayOwn(uint32(u)) && s.mayOwn(uint32(g))
}

// trial is the probe's action, for a process that sees the machine's root at prefix.
func (s *site) trial(prefix string) string {
	text, err := json.Marshal(probe.Trial{Prefix: prefix, Bait: s.bait, Cgroup: s.cgroups, Pids: s.pids, Outer: s.outer})
	must(s.t, err)
	return "powers " + string(text)
}

// outcome is what came of one config.json.
type outcome struct {
	ran    bool // its program was reached
	powers *probe.Powers
	result *result
}

// run runs a config.json as the caller.
func (s *site) run(spec *specs.Spec, shim string) *outcome {
	s.t.Helper()
	text, err := json.Marshal(spec)
	must(s.t, err)
	must(s.t, os.WriteFile(filepath.Join(s.bundle.dir, "config.json"), text, 0o644))
	b := *s.bundle
	b.spec = spec
	r := launch(s.t, &b, func(c *exec.Cmd) {
		c.Path, c.Args[0] = shim, shim
		s.become(c)
		c.Env = []string{"XDG_RUNTIME_DIR=" + s.state}
	}, "bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3")
	res := r.wait()
	o := &outcome{result: res, powers: powersOf(s.t, res)}
	o.ran = slices.ContainsFunc(res.status, func(l statusLine) bool { return l.Phase == "running" })
	return o
}

// become makes a command the caller's, with the caller's group.
func (s *site) become(c *exec.Cmd) {
	s.u.become(c)
	c.SysProcAttr.Credential.Groups = []uint32{uint32(s.group)}
}

// powersOf is what the probe said; nil when it did not come to that.
func powersOf(t *testing.T, res *result) *probe.Powers {
	t.Helper()
	for _, a := range res.answers() {
		if strings.HasPrefix(a.Did, "powers ") || strings.HasPrefix(a.Did, "mapped-powers ") {
			p := new(probe.Powers)
			if err := json.Unmarshal([]byte(a.Value), p); a.Errno != "" || err != nil {
				t.Fatalf("the probe: %s %v", a.Errno, err)
			}
			return p
		}
	}
	return nil
}

// alone is what the caller can do without the shim: as it is, and as root of user namespaces that it makes by clone(2)
// and maps with its own ids, or by newuidmap(1) and newgidmap(1) with the subordinate ones.
func (s *site) alone() (all []*probe.Powers) {
	t := s.t
	t.Helper()
	bare := exec.Command(probeExe, s.trial(""))
	bare.Args[0] = probe.Name
	s.become(bare)
	out, err := bare.Output()
	must(t, err)
	all = append(all, powersOf(t, &result{stdout: string(out)}))
	const some, every = unix.CLONE_NEWUSER | unix.CLONE_NEWNS, unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	for _, flags := range []uintptr{some, every} {
		for _, ranges := range []bool{false, true} {
			cmd := exec.Command(probeExe, fmt.Sprintf("unshared %d %t %d %d %s", flags, ranges, s.u.sub, subordinates, s.trial("")))
			cmd.Args[0] = probe.Name
			s.become(cmd)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			must(t, err)
			p := powersOf(t, &result{stdout: string(out)})
			if p == nil {
				t.Fatalf("a user namespace of the caller's own: %s", out)
			}
			all = append(all, p)
		}
	}
	return all
}
