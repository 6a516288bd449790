package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestNoMoreThanAloneByVerb is TestNoMoreThanAlone for the verbs of a container on its own: what a program gets through
// create and start; what one gets that exec puts into a container, also when the caller has changed what the shim wrote
// down of it, which is in the caller's directory; and what update changes.
func TestNoMoreThanAloneByVerb(t *testing.T) {
	c := newContest(t)
	s := c.newSite(t)
	c.populate(t)
	if o := s.run(largest(s), c.u.shim); o.powers == nil { // and from now on there is a base cgroup
		t.Fatal(o.result)
	}
	c.reference = s.alone()
	s.before = s.look()
	limits := s.limits()
	for _, verb := range []struct {
		name string
		test func(s *site)
	}{{"create", (*site).createsNoMore}, {"exec", (*site).execsNoMore}, {"exec in what was changed", (*site).execsInNothingElse}, {"update", (*site).updatesNoMore}} {
		t.Run(verb.name, func(t *testing.T) {
			s.t = t
			verb.test(s)
			if now := s.limits(); !reflect.DeepEqual(now, limits) {
				t.Errorf("of cgroups that are not the caller's there was %v, is %v", limits, now)
			}
		})
	}
	s.t = t // its cleanups are this test's
}

// call calls a verb as the caller.
func (s *site) call(shim string, args ...string) *running {
	s.t.Helper()
	return launch(s.t, s.bundle, func(c *exec.Cmd) {
		c.Path, c.Args[0] = shim, shim
		s.become(c)
		c.Env = []string{"XDG_RUNTIME_DIR=" + s.state}
	}, args...)
}

// create creates a container as the caller, with the bit.
func (s *site) create(spec *specs.Spec) (r *running, ok bool) {
	s.t.Helper()
	s.writeJSON(filepath.Join(s.bundle.dir, "config.json"), spec)
	r = s.call(s.u.shim, "create", "--bundle", s.bundle.dir, s.bundle.id)
	return r, r.returned() == 0
}

// forever creates and starts a container that tries its powers and then stays.
func (s *site) forever(spec *specs.Spec) (r *running, first *probe.Powers) {
	s.t.Helper()
	trial := spec.Process.Args[1]
	spec.Process.Args = append(spec.Process.Args, "forever")
	r, ok := s.create(spec)
	if !ok {
		s.t.Fatalf("create: %s", r.closed())
	}
	s.call(s.u.shim, "start", s.bundle.id).wait().ok(s.t)
	answer := r.answer(trial)
	first = new(probe.Powers)
	if err := json.Unmarshal([]byte(answer.Value), first); answer.Errno != "" || err != nil {
		s.t.Fatalf("the probe: %s %v", answer.Errno, err)
	}
	spec.Process.Args = spec.Process.Args[:2]
	return r, first
}

func (s *site) delete() {
	s.t.Helper()
	s.call(s.u.shim, "delete", "--force", s.bundle.id).wait().ok(s.t)
	for _, what := range s.leftover() {
		s.t.Error(what)
	}
}

// writeJSON writes a file of the caller's.
func (s *site) writeJSON(path string, v any) {
	s.t.Helper()
	text, err := json.Marshal(v)
	must(s.t, err)
	must(s.t, os.WriteFile(path, text, 0o644))
	must(s.t, os.Chown(path, s.u.uid, s.u.uid))
}

// noMore looks at what a program was able to do and at what is outside.
func (s *site) noMore(name string, p *probe.Powers) {
	s.t.Helper()
	for _, what := range s.spoiled() {
		s.t.Errorf("%s: %s", name, what)
		s.before = s.look()
	}
	if p == nil {
		return
	}
	for _, what := range beyond(p, s.reference...) {
		s.t.Errorf("%s: the container %s", name, what)
	}
}

// limits are the files of the cgroups above the caller's that are not the caller's.
func (s *site) limits() map[string]string {
	all := map[string]string{}
	for _, path := range []string{"/locald", s.u.base(), s.v.base()} {
		dir := cgroupDir(s.t, path)
		files, err := os.ReadDir(dir)
		must(s.t, err)
		for _, f := range files {
			var st unix.Stat_t
			name := filepath.Join(dir, f.Name())
			if unix.Lstat(name, &st) != nil || f.IsDir() {
				continue // a container's
			}
			all[name] = fmt.Sprintf("%d:%d %o", st.Uid, st.Gid, st.Mode)
			if ext := filepath.Ext(name); slices.Contains([]string{".max", ".high", ".min", ".low", ".weight", ".descendants", ".depth", ".type", ".subtree_control"}, ext) {
				text, _ := os.ReadFile(name)
				all[name] += " " + string(text)
			}
		}
	}
	return all
}

// createsNoMore takes some of the corpus: the Program is that of bundle run but for its end, and another policy would be
// seen.
func (s *site) createsNoMore() {
	ran, refused := 0, 0
	for i, c := range corpus() {
		if i%10 != 0 {
			continue
		}
		r, ok := s.create(c.make(s))
		if !ok {
			refused++
			s.noMore(c.name, powersOf(s.t, r.closed()))
			continue
		}
		if s.call(s.u.shim, "start", s.bundle.id).wait().code != 0 {
			s.delete()
			s.noMore(c.name, powersOf(s.t, r.closed()))
			continue
		}
		p := powersOf(s.t, r.closed())
		s.delete()
		s.noMore(c.name, p)
		if p != nil {
			ran++
		}
	}
	s.t.Logf("%d containers tried their powers, %d were refused", ran, refused)
	if ran < 10 || refused < 20 {
		s.t.Error("these are too few")
	}
}

// changed are the specs of the corpus that differ from the largest in what get takes of them alone, by name.
func (s *site) changed(get func(*specs.Spec) any, set func(to, from *specs.Spec)) (names []string, all map[string]*specs.Spec) {
	all = map[string]*specs.Spec{}
	base := largest(s)
	for _, c := range corpus() {
		spec := c.make(s)
		rest := clone(spec)
		if set(rest, base); !reflect.DeepEqual(rest, base) || reflect.DeepEqual(get(spec), get(base)) {
			continue
		}
		names, all[c.name] = append(names, c.name), spec
	}
	return names, all
}

func (s *site) execsNoMore() {
	names, specsOf := s.changed(func(spec *specs.Spec) any { return spec.Process }, func(to, from *specs.Spec) { to.Process = from.Process })
	file := filepath.Join(s.bundle.dir, "process.json")
	ran, refused := 0, 0
	try := func(name string, args ...string) *probe.Powers {
		p := powersOf(s.t, s.call(s.u.shim, args...).wait())
		s.noMore(name, p)
		if p == nil {
			refused++
		} else {
			ran++
		}
		return p
	}
	for i, base := range []func(*site) *specs.Spec{largest, withSubordinates} {
		spec := base(s)
		r, first := s.forever(spec)
		s.writeJSON(file, spec.Process)
		if p := try("the same process", "exec", "--process", file, s.bundle.id); p == nil {
			s.t.Error("exec: the probe said nothing")
		} else {
			for _, what := range append(beyond(p, first), looser(p, first)...) {
				s.t.Errorf("what exec runs %s, and the container's own process not", what)
			}
		}
		for n, name := range names {
			if n%3 == i {
				s.writeJSON(file, specsOf[name].Process)
				try(name, "exec", "--process", file, s.bundle.id)
			}
		}
		for _, flags := range [][]string{{"--cap", "CAP_SYS_ADMIN"}, {"--user", "0:0"}, {"--user", "5:5"}, {"--user", "0:" + itoa(s.group)}, {"--user", itoa(s.u.uid)}, {"--additional-gids", "0,5"},
			{"--additional-gids", itoa(s.group)}, {"--cgroup", "/"}, {"--cgroup", "/x"}, {"--cgroup", "/../.."}, {"--cgroup", "/.."}, {"--cwd", "/host/root"}, {"--cwd", "/proc/self/fd/3"}, {"--preserve-fds", "1"},
			{"--apparmor", "unconfined"}, {"--process-label", "a:b:c"}, {"--env", "LD_PRELOAD=/host/x.so"}, {"--ignore-paused"}} {
			try(strings.Join(flags, " "), slices.Concat([]string{"exec"}, flags, []string{s.bundle.id}, spec.Process.Args)...)
		}
		s.delete()
		r.closed()
	}
	s.t.Logf("%d processes tried their powers, %d were refused", ran, refused)
	if ran < 40 || refused < 40 {
		s.t.Error("these are too few")
	}
}

// execsInNothingElse: what the shim wrote down of a container is the caller's to change. Wherever it then leads, a process
// of exec is the caller's, in a cgroup that the caller may have it in.
func (s *site) execsInNothingElse() {
	spec := largest(s)
	r, _ := s.forever(spec)
	dir := "/run/locald/u" + itoa(s.u.uid) + "/" + s.bundle.id
	others := cgroupDir(s.t, s.v.base()) + "/x"
	must(s.t, os.Mkdir(others, 0o755))
	defer os.Remove(others)
	var record map[string]any
	was, err := os.ReadFile(dir + "/state.json")
	must(s.t, err)
	start := func(who string) any { return startTimeOf(s.t, s.pids[who]) }
	type fields = map[string]any
	ran, refused := 0, 0
	for _, c := range []struct {
		name   string
		record fields
		change func(spec *specs.Spec)
	}{
		{"as it was", nil, nil},
		{"root's process", fields{"pid": s.pids["root's"], "start": start("root's")}, nil},
		{"another's process", fields{"pid": s.pids["another's"], "start": start("another's")}, nil},
		{"the caller's process", fields{"pid": s.pids["the caller's"], "start": start("the caller's")}, nil},
		{"another's base", fields{"cgroup": s.v.base()}, nil},
		{"another's cgroup", fields{"cgroup": s.v.base() + "/x"}, nil},
		{"another's cgroup, from the own base", fields{"cgroup": s.u.base() + "/../u" + itoa(s.v.uid) + "/x"}, nil},
		{"another's cgroup, from the own one", fields{"cgroup": s.u.base() + "/" + s.bundle.id + "/../../u" + itoa(s.v.uid) + "/x"}, nil},
		{"the root of the tree", fields{"cgroup": "/"}, nil},
		{"the directory of all bases", fields{"cgroup": "/locald"}, nil},
		{"the own base", fields{"cgroup": s.u.base()}, nil},
		{"no cgroup", fields{"cgroup": ""}, nil},
		{"a unit of systemd's", fields{"scope": "x.scope", "bus": s.bait + "/bus"}, nil},
		{"no user namespace", nil, func(spec *specs.Spec) { dropNamespace(spec, specs.UserNamespace) }},
		{"other maps", nil, func(spec *specs.Spec) {
			spec.Linux.UIDMappings, spec.Linux.GIDMappings = oneID(0), oneID(s.v.uid)
		}},
		{"no linux section", nil, func(spec *specs.Spec) { spec.Linux = nil }},
	} {
		must(s.t, json.Unmarshal(was, &record))
		for k, v := range c.record {
			record[k] = v
		}
		s.writeJSON(dir+"/state.json", record)
		changed := clone(spec)
		if c.change != nil {
			c.change(changed)
		}
		s.writeJSON(dir+"/config.json", changed)
		pidFile := filepath.Join(s.bundle.dir, "pid")
		x := s.call(s.u.shim, "exec", "--detach", "--pid-file", pidFile, s.bundle.id, "/"+probe.Name, "forever")
		if x.returned() != 0 {
			refused++
		} else {
			ran++
			text, err := os.ReadFile(pidFile)
			must(s.t, err)
			pid, err := strconv.Atoi(string(text))
			must(s.t, err)
			s.isCallers(c.name, pid)
			must(s.t, unix.Kill(pid, unix.SIGKILL))
			for { // the shim has left it to this process, which is a subreaper
				if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
					break
				}
			}
		}
		x.closed()
		s.noMore(c.name, nil)
	}
	must(s.t, os.WriteFile(dir+"/state.json", was, 0o600))
	s.delete()
	r.closed()
	s.t.Logf("%d processes ran, %d were refused", ran, refused)
	if ran < 3 || refused < 5 {
		s.t.Error("these are too few")
	}
}

// isCallers looks at a process of exec from outside.
func (s *site) isCallers(name string, pid int) {
	s.t.Helper()
	for _, st := range threadsOf(s.t, pid) {
		for _, id := range strings.Fields(st["Uid"] + " " + st["Gid"]) {
			if n, err := strconv.ParseUint(id, 10, 32); err != nil || !s.mayOwn(uint32(n)) {
				s.t.Errorf("%s: the process has uids %s, gids %s", name, st["Uid"], st["Gid"])
			}
		}
	}
	if in, own := cgroupOf(s.t, strconv.Itoa(pid)), cgroupOf(s.t, "self"); in != own && !strings.HasPrefix(in, s.u.base()+"/") {
		s.t.Errorf("%s: the process is in cgroup %s, the caller was in %s", name, in, own)
	}
	ns, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/user")
	must(s.t, err)
	if ns == s.outer["user"] {
		s.t.Errorf("%s: the process is in the machine's user namespace", name)
	}
}

// cgroupOf is the cgroup of a process in the cgroup2 tree.
func cgroupOf(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/cgroup")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	t.Fatal("there is no cgroup2 tree")
	return ""
}

// startTimeOf is when a process started, as a record has it (proc_pid_stat(5), field 22).
func startTimeOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	must(t, err)
	_, rest, _ := strings.Cut(string(text), ") ")
	return number(t, strings.Fields(rest)[19])
}

// updatesNoMore: what update changes with the bit, it changes without.
func (s *site) updatesNoMore() {
	names, specsOf := s.changed(func(spec *specs.Spec) any { return spec.Linux.Resources }, func(to, from *specs.Spec) {
		if to.Linux != nil {
			to.Linux.Resources = from.Linux.Resources
		}
	})
	file := filepath.Join(s.bundle.dir, "resources.json")
	r, _ := s.forever(largest(s))
	done, refused := 0, 0
	for _, name := range names {
		s.writeJSON(file, specsOf[name].Linux.Resources)
		with := s.call(s.u.shim, "update", "--resources", file, s.bundle.id).wait()
		without := s.call(s.plain, "--root", "/run/locald/u"+itoa(s.u.uid), "update", "--resources", file, s.bundle.id).wait()
		if with.code == 0 && without.code != 0 {
			s.t.Errorf("%s: update changed it through the set-user-ID bit, and not without: %s", name, without)
		}
		if with.code == 0 {
			done++
		} else {
			refused++
		}
		s.noMore(name, nil)
	}
	s.delete()
	r.closed()
	s.t.Logf("%d updates, %d were refused", done, refused)
	if done < 1 || refused < 20 {
		s.t.Error("these are too few")
	}
}
