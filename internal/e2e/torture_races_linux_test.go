package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// arena is where a caller races with the verbs: everything that these look at by name is in a directory of the
// caller's, beside a link to what is root's.
type arena struct {
	*torturer
	top  string // the caller's
	bait string // root's: nobody reads its secret and nothing in it changes
	was  map[string]string
}

// baitSecret is the content of a file that is not the user's to read.
const baitSecret = "the-secret-of-root"

// race is what a caller exchanges while the verbs run.
type race struct {
	name     string
	user     bool // of a user only: whatever root names is root's to name
	pairs    func(a *arena) []exchange
	change   func(a *arena, s *specs.Spec)
	create   []string // flags
	exec     []string
	terminal bool
}

// names are pairs in the arena: "pid pidlink".
func names(all ...string) func(*arena) []exchange {
	return func(a *arena) (pairs []exchange) {
		for _, p := range all {
			one, other, _ := strings.Cut(p, " ")
			pairs = append(pairs, exchange{a.top + "/" + one, a.top + "/" + other})
		}
		return pairs
	}
}

// races are for every name that a verb looks at.
func races() []race {
	return []race{
		{name: "bundle", pairs: names("bundle bundle2")},
		{name: "bundle is a link", user: true, pairs: names("bundle baitlink")},
		{name: "config.json", pairs: names("bundle/config.json bundle/config2")},
		{name: "config.json is a link", user: true, pairs: names("bundle/config.json secretlink")},
		{name: "rootfs", pairs: names("bundle/rootfs bundle2/rootfs", "bundle/rootfs baitlink")},
		{name: "rootfs below a link", user: true, pairs: names("bundle/above bundle/abovelink"), change: func(_ *arena, s *specs.Spec) { s.Root.Path = "above/rootfs" }},
		{name: "sources", user: true, pairs: names("src baitlink", "src2/file secretlink"), change: func(a *arena, s *specs.Spec) {
			addMount(s, "/s", "bind", a.top+"/src", "bind")
			addMount(s, "/f", "bind", a.top+"/src2/file", "bind")
			addMount(s, "/o", "overlay", "overlay", "lowerdir="+a.top+"/src:"+a.top+"/src2", "userxattr")
			s.Process.Args = append([]string{"/probe", "write /s/precious x", "create /s/new x", "read /s/secret", "read /f", "read /o/secret"}, s.Process.Args[1:]...)
		}},
		{name: "idmapped sources", user: true, pairs: names("src baitlink", "src2/file secretlink"), change: func(a *arena, s *specs.Spec) {
			u := &account{uid: a.uid, sub: a.sub}
			some := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(a.sub), Size: 1000}
			s.Linux.UIDMappings, s.Linux.GIDMappings = append(s.Linux.UIDMappings, some), append(s.Linux.GIDMappings, some)
			for dest, source := range map[string]string{"/s": "/src", "/f": "/src2/file"} {
				s.Mounts = append(s.Mounts, specs.Mount{Destination: dest, Type: "bind", Source: a.top + source, UIDMappings: u.exchange(0), GIDMappings: u.exchange(0)})
			}
			withCaps(s, "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID")
			s.Process.Args = append([]string{"/probe", "write /s/precious x", "create /s/new x", "chown /s/precious 0 0", "remove /s/precious", "read /s/secret", "read /f"}, s.Process.Args[1:]...)
		}},
		{name: "targets", pairs: names("bundle/rootfs/etc bundle/rootfs/link", "bundle/rootfs/var/x bundle/rootfs/var/link"), change: func(_ *arena, s *specs.Spec) {
			addMount(s, "/etc/etc", "tmpfs", "tmpfs", "size=4k")
			addMount(s, "/etc/null", "bind", "/dev/null", "bind")
			addMount(s, "/etc/new/deep", "tmpfs", "tmpfs", "size=4k")
			addMount(s, "/var/x/file", "bind", "/dev/zero", "bind")
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/etc/masked", "/var/x/precious"}, []string{"/etc/fixed", "/var/x/empty"}
			s.Process.Cwd = "/etc/cwd/deep"
		}, exec: []string{"--cwd", "/var/x"}},
		{name: "/dev and /proc", pairs: names("bundle/rootfs/dev bundle/rootfs/link", "bundle/rootfs/proc bundle/rootfs/var/link"), change: func(_ *arena, s *specs.Spec) {
			dropMount(s, "/dev")
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/keys", "/dev/full"}, []string{"/proc/sys", "/dev/null"}
		}},
		{name: "pid file", pairs: names("pid pidlink"), create: []string{"--pid-file", "pid"}, exec: []string{"--pid-file", "pid"}},
		{name: "pid file's directory", user: true, pairs: names("dir baitlink"), create: []string{"--pid-file", "dir/pid"}, exec: []string{"--pid-file", "dir/pid"}},
		{name: "log", user: true, pairs: names("log pidlink")},
		{name: "process.json", user: true, pairs: names("process.json secretlink"), exec: []string{"--process", "process.json"}},
		{name: "console socket", user: true, terminal: true, pairs: names("console socketlink"), create: []string{"--console-socket", "console"}, exec: []string{"--tty", "--console-socket", "console"}},
		{name: "state", user: true, pairs: func(a *arena) []exchange {
			state, x := a.state(), a.state()+"x-"
			return []exchange{{state, x + "bait"}, {state + "/lock", x + "lock"}, {state + "/state.json", x + "record"}, {state + "/start", x + "fifo"}}
		}},
		{name: "cgroup", user: true, pairs: func(a *arena) []exchange {
			for _, tree := range cgroupTrees() {
				if _, err := os.Stat(tree + "/cgroup.procs"); err == nil {
					return []exchange{{tree + a.spec.Linux.CgroupsPath, ""}, {tree + a.spec.Linux.CgroupsPath + "/sub", ""}}
				}
			}
			return nil
		}},
	}
}

func (a *arena) state() string { return "/run/locald/u" + itoa(a.uid) + "/" + a.id }

// newArena makes the bait, which is the same all the time.
func newArena(t *testing.T, o *torturer) *arena {
	t.Helper()
	a := &arena{torturer: o, top: o.dir + "/arena", bait: t.TempDir()}
	must(t, os.Chmod(filepath.Dir(a.bait), 0o711))
	must(t, os.Chmod(a.bait, 0o755))
	for _, dir := range []string{"empty", "rootfs", "etc", "null", "cwd"} {
		must(t, os.Mkdir(a.bait+"/"+dir, 0o755))
	}
	must(t, os.WriteFile(a.bait+"/precious", []byte("precious"), 0o644))
	must(t, os.WriteFile(a.bait+"/secret", []byte(baitSecret), 0o600))
	if o.uid == 0 { // what is in root's way is not a secret
		must(t, os.WriteFile(a.bait+"/secret", nil, 0o600))
	}
	socket, err := net.Listen("unix", a.bait+"/socket")
	must(t, err)
	t.Cleanup(func() { socket.Close() })
	must(t, os.Chmod(a.bait+"/socket", 0o600))
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			c.Close()
			if a.uid != 0 {
				t.Error("a user's terminal was offered to a socket of root's")
			}
		}
	}()
	a.was = describeFiles(t, a.bait)
	t.Cleanup(func() { os.RemoveAll(a.top) })
	return a
}

// lay lays everything out again. What the racer exchanges differs from one end of a round to the next.
func (a *arena) lay(t *testing.T, r *race, last string) {
	t.Helper()
	must(t, os.RemoveAll(a.top))
	for _, dir := range []string{"", "/bundle", "/bundle2", "/bundle/above", "/bundle/rootfs", "/bundle/above/rootfs", "/bundle2/rootfs", "/src", "/src2", "/dir"} {
		must(t, os.Mkdir(a.top+dir, 0o755))
	}
	for _, rootfs := range []string{"/bundle/rootfs", "/bundle/above/rootfs", "/bundle2/rootfs"} {
		for _, dir := range []string{"/etc", "/var", "/var/x", "/dev", "/proc"} {
			must(t, os.Mkdir(a.top+rootfs+dir, 0o755))
		}
		for _, file := range []string{"/etc/masked", "/etc/fixed", "/var/x/precious", "/var/x/empty", strings.ReplaceAll(strings.Replace(rootfs, "/above", "", 1), "/rootfs", "")} {
			must(t, os.WriteFile(a.top+rootfs+file, nil, 0o644))
		}
		must(t, os.Symlink(a.bait, a.top+rootfs+"/link"))
		must(t, os.Symlink(strings.Repeat("../", 20)+a.bait, a.top+rootfs+"/var/link"))
		must(t, os.Link(probeExe, a.top+rootfs+"/probe"))
	}
	for name, to := range map[string]string{"baitlink": a.bait, "secretlink": a.bait + "/secret", "pidlink": a.bait + "/precious", "socketlink": a.bait + "/socket", "bundle/abovelink": a.bait} {
		must(t, os.Symlink(to, a.top+"/"+name))
	}
	for i, bundle := range []string{"/bundle", "/bundle2"} {
		s := profile(a.id)
		if a.uid != 0 {
			addNamespace(s, specs.UserNamespace, "")
			s.Linux.UIDMappings, s.Linux.GIDMappings = oneID(a.uid), oneID(a.uid)
		}
		s.Linux.CgroupsPath = a.spec.Linux.CgroupsPath
		s.Process.Terminal = r.terminal
		s.Process.Args = []string{"/probe", "read " + bundle, last}
		if r.change != nil {
			r.change(a, s)
		}
		text, err := json.Marshal(s)
		must(t, err)
		must(t, os.WriteFile(a.top+bundle+"/config.json", text, 0o644))
		if i == 0 {
			must(t, os.WriteFile(a.top+bundle+"/config2", text, 0o644))
		}
	}
	process, err := json.Marshal(specs.Process{Args: []string{"/probe", "exit 0"}, Cwd: "/"})
	must(t, err)
	for name, text := range map[string]string{"process.json": string(process), "pid": "1", "log": "", "src/secret": "", "src2/file": "", "src2/secret": ""} {
		must(t, os.WriteFile(a.top+"/"+name, []byte(text), 0o644))
	}
	must(t, filepath.WalkDir(a.top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() != "probe" {
			err = os.Lchown(path, a.uid, a.uid)
		}
		return err
	}))
}

// forge puts beside the state of the user's container what leads to root's: a record and a lock of another container,
// which runs.
func (a *arena) forge(t *testing.T) {
	t.Helper()
	record, err := os.ReadFile("/run/locald/root/" + a.other.id + "/state.json")
	must(t, err)
	must(t, os.Symlink(a.bait, a.state()+"x-bait"))
	must(t, os.WriteFile(a.state()+"x-lock", []byte(a.other.spec.Linux.CgroupsPath+"\n"), 0o600))
	must(t, os.WriteFile(a.state()+"x-record", record, 0o600))
	must(t, unix.Mkfifo(a.state()+"x-fifo", 0o600))
	for _, name := range []string{"bait", "lock", "record", "fifo"} {
		must(t, os.Lchown(a.state()+"x-"+name, a.uid, a.uid))
	}
}

// clear removes, with the user's rights, what the user has made of the state.
func (a *arena) clear(t *testing.T) {
	t.Helper()
	(&account{uid: a.uid}).does(t, func() {
		for _, tree := range cgroupTrees() {
			os.WriteFile(tree+a.spec.Linux.CgroupsPath+"/cgroup.kill", []byte("1"), 0)
		}
	})
	a.awaitEnds(t)
	(&account{uid: a.uid}).does(t, func() {
		for _, name := range []string{"", "x-bait", "x-lock", "x-record", "x-fifo"} {
			if err := os.RemoveAll(a.state() + name); err != nil {
				t.Errorf("the user cannot remove %s: %v", a.state()+name, err)
			}
		}
		for _, tree := range cgroupTrees() {
			os.Remove(tree + a.spec.Linux.CgroupsPath)
		}
	})
}

// rounds are the verbs of one round. A word "pid" stands for that file of the arena.
func (a *arena) rounds(r *race, random *rand.Rand) (last string, verbs [][]string) {
	inArena := func(flags []string) (all []string) {
		for _, f := range flags {
			if !strings.HasPrefix(f, "-") && !strings.HasPrefix(f, "/") {
				f = a.top + "/" + f
			}
			all = append(all, f)
		}
		return all
	}
	bundle := []string{"--bundle", a.top + "/bundle"}
	create, exec := append(inArena(r.create), bundle...), inArena(r.exec)
	program := []string{"/probe", "exit 0"}
	if slices.Contains(r.exec, "--process") {
		program = nil
	}
	execs := slices.Concat([]string{"exec"}, exec, []string{a.id}, program)
	switch random.IntN(3) {
	case 0:
		last, verbs = "forever", [][]string{append(append([]string{"create"}, create...), a.id), {"start", a.id}, execs, {"kill", a.id, "KILL"}, {"delete", "--force", a.id}}
	case 1:
		last, verbs = "forever", [][]string{append(append([]string{"run", "--detach"}, create...), a.id), execs, {"state", a.id}, {"delete", "--force", a.id}}
	default:
		last, verbs = "exit 0", [][]string{append(append([]string{"bundle", "run"}, create...), "--id", a.id)}
	}
	if r.name == "log" {
		for i, v := range verbs {
			if v[0] != "bundle" {
				verbs[i] = append([]string{"--log", a.top + "/log"}, v...)
			}
		}
	}
	return last, verbs
}

// take runs one round and says what is wrong after it.
func (a *arena) take(t *testing.T, r *race, random *rand.Rand, before snapshot, book *ledger) (wrong []string) {
	t.Helper()
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	last, verbs := a.rounds(r, random)
	a.lay(t, r, last)
	if r.terminal {
		defer a.takeTerminals(t)()
	}
	if r.name == "state" {
		a.other.call(t, nil, nil, "delete", "--force", a.other.id)
		if code, said, _, _ := a.other.call(t, nil, nil, "run", "--detach", "--bundle", a.other.dir, a.other.id); code != 0 {
			problem("run of %s's: exit status %d: %s", a.other.name, code, said)
		}
		a.forge(t)
	}
	racing := a.race(t, r.pairs(a))
	for _, v := range verbs {
		var s *step
		if book.long() && random.IntN(2) == 0 { // slow, and stopped between a look and a use
			s = &step{action: "stop", nth: 1 + random.IntN(400)}
		}
		code, said, _, _ := a.call(t, s, func(int) {}, v...)
		book.counts["races: verbs"]++
		if code != 0 {
			book.counts["races: verbs that failed"]++
		}
		switch {
		case code != 0 && !strings.Contains(said, "locald-shim: ") && v[0] != "kill" || strings.Contains(said, "goroutine "):
			problem("%s: exit status %d without an error: %s", v[0], code, said)
		case a.uid != 0 && strings.Contains(said, baitSecret):
			problem("%s tells the secret: %s", v[0], said)
		case r.name == "bundle" && strings.Contains(said, `"errno":"ENOENT"`):
			problem("%s: config.json of one bundle and rootfs of another: %s", v[0], said)
		}
	}
	n := a.end(t, racing)
	book.counts["races: exchanges"] += n
	if n == 0 && r.name != "state" { // which is there while there is a container
		problem("the racer exchanged nothing")
	}
	if r.name == "state" {
		a.clear(t)
		if _, said, _, _ := a.other.call(t, nil, nil, "state", a.other.id); !strings.Contains(said, `"running"`) {
			problem("%s's container does not run any more: %s", a.other.name, said)
		}
		a.other.call(t, nil, nil, "delete", "--force", a.other.id)
	}
	if code, said, _, _ := a.call(t, nil, nil, "delete", "--force", a.id); code != 0 {
		problem("delete --force: exit status %d: %s", code, said)
	}
	a.awaitEnds(t)
	after := lookCloser(t, a.torturer)
	wrong = append(wrong, before.compare(after)...)
	before.sweepUp(after)
	return append(wrong, a.changed(t)...)
}

// takeTerminals takes the terminals that are offered to the user's socket.
func (a *arena) takeTerminals(t *testing.T) (end func()) {
	t.Helper()
	socket, err := net.Listen("unix", a.top+"/console")
	must(t, err)
	socket.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, os.Chown(a.top+"/console", a.uid, a.uid))
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			go func() {
				c.Read(make([]byte, 100))
				c.Close()
			}()
		}
	}()
	return func() { socket.Close() }
}

// changed says what is not root's any more, or root's now.
func (a *arena) changed(t *testing.T) (wrong []string) {
	t.Helper()
	now := describeFiles(t, a.bait)
	if !maps.Equal(now, a.was) {
		wrong = append(wrong, fmt.Sprintf("outside: was %q, is %q", a.was, now))
		a.was = now
	}
	if a.uid == 0 {
		return wrong
	}
	filepath.WalkDir(a.top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		must(t, err)
		if st := info.Sys().(*syscall.Stat_t); d.Name() != "probe" && (st.Uid == 0 || st.Gid == 0) {
			wrong = append(wrong, "made as root in the user's directory: "+path)
		}
		return nil
	})
	return wrong
}

// TestRaces: a caller's process exchanges whatever the verbs look at by name, for links to what is root's among other
// things, while they look. Nothing outside of the root file system is read, written, made or given away, and after
// delete --force nothing is left. A run does some of the races; make torture goes on as TestTorture does.
func TestRaces(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	book := openLedger(t)
	both := torturers(t, u)
	var arenas []*arena
	for _, o := range both {
		o.do("forever").write(t)
		if code, said, _, _ := o.call(t, nil, nil, "run", "--detach", "--bundle", o.dir, o.id); code != 0 { // there are /run/locald and the cgroups
			t.Fatalf("%s: run: exit status %d: %s", o.name, code, said)
		}
		o.call(t, nil, nil, "delete", "--force", o.id)
		arenas = append(arenas, newArena(t, o))
	}
	both[0].awaitEnds(t)
	before := lookCloser(t, both[0])
	all, only := races(), os.Getenv("LOCALD_TORTURE_STEP")
	for first := true; first || book.long() && !book.over(); first = false {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		some := all
		if !book.long() && only == "" {
			some = all[:len(all)/2]
		}
		for _, r := range some {
			for _, a := range arenas {
				if r.user && a.uid == 0 || book.over() || only != "" && only != r.name {
					continue
				}
				wrong := a.take(t, &r, random, before, book)
				for _, w := range wrong {
					t.Errorf("%s, %s: %s", a.name, r.name, w)
				}
				if len(wrong) > 0 {
					book.counts["leaks"]++
				}
			}
		}
	}
	book.close(t)
}
