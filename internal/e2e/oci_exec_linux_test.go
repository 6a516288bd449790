package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// running starts a container that waits for a line.
func (b *bundle) running(t *testing.T) *running {
	t.Helper()
	r := b.do("look", "line").create(t)
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	return r
}

// ends lets it end and deletes it.
func (b *bundle) ends(t *testing.T, r *running) {
	t.Helper()
	r.say("go")
	r.closed()
	b.awaitStopped(t)
	shim(t, "delete", b.id).ok(t)
}

// TestExec: one more process in the same namespaces, the same cgroup, with what the first one has.
func TestExec(t *testing.T) {
	filter := func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"sethostname"}, Action: specs.ActErrno}}}
	}
	for name, change := range map[string]func(*specs.Spec){"plain": func(*specs.Spec) {}, "range": withRange, "filter": filter} {
		t.Run(name, func(t *testing.T) {
			if name == "range" {
				needsSubIDs(t)
			}
			b := newBundle(t, change)
			b.spec.Hostname = "inside"
			b.spec.Process.Env = append(b.spec.Process.Env, "FIRST=1")
			r := b.do("look", "line").create(t)
			shim(t, "start", b.id).ok(t)
			first := r.answer("look").Look
			res := shim(t, "exec", "--env", "SECOND=2", "--cwd", "/tmp", b.id, "/probe", "look", "exit 7")
			if res.code != 7 {
				t.Fatalf("exec: %s", res)
			}
			second := res.look(t)
			if second.Pid == 1 || second.Cwd != "/tmp" {
				t.Errorf("its pid is %d, its directory %s", second.Pid, second.Cwd)
			}
			for kind, ns := range first.Namespaces {
				if second.Namespaces[kind] != ns {
					t.Errorf("the %s namespace is %s, the container's is %s", kind, second.Namespaces[kind], ns)
				}
			}
			if !slices.Contains(second.Env, "FIRST=1") || !slices.Contains(second.Env, "SECOND=2") {
				t.Errorf("its environment is %q", second.Env)
			}
			if !slices.Equal(first.Cgroup, second.Cgroup) {
				t.Errorf("its cgroup is %s, the container's is %s", second.Cgroup, first.Cgroup)
			}
			sameSeal(t, first, second)
			if want := map[bool]string{true: "2", false: "0"}[name == "filter"]; second.Status["Seccomp"] != want {
				t.Errorf("Seccomp is %s, want %s", second.Status["Seccomp"], want)
			}
			b.ends(t, r)
		})
	}
}

// sameSeal compares what keeps a process in the container.
func sameSeal(t *testing.T, first, second *probe.Report) {
	t.Helper()
	for _, key := range []string{"NoNewPrivs", "Seccomp", "Seccomp_filters", "SigBlk", "SigIgn", "Umask"} {
		if first.Status[key] != second.Status[key] {
			t.Errorf("%s is %s, of the container %s", key, second.Status[key], first.Status[key])
		}
	}
	if first.Caps != second.Caps {
		t.Errorf("its capabilities are %+v, the container's are %+v", second.Caps, first.Caps)
	}
	for number, to := range second.Fds {
		if n, _ := strconv.Atoi(number); n > 2 && first.Fds[number] == "" {
			t.Errorf("descriptor %s is %s", number, to)
		}
	}
}

// TestExecProcess is the form that engines use.
func TestExecProcess(t *testing.T) {
	b := newBundle(t)
	r := b.running(t)
	p := *b.spec.Process
	p.Args, p.Env, p.Cwd = []string{"/probe", "look", "line"}, []string{"A=1"}, "/dev"
	dir := t.TempDir()
	file, pidFile := filepath.Join(dir, "process.json"), filepath.Join(dir, "pid")
	text, err := json.Marshal(p)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o644))
	x := launch(t, b, nil, "exec", "--process", file, "--pid-file", pidFile, "--detach", b.id)
	if code := x.returned(); code != 0 {
		t.Fatalf("exec: %s", x.closed())
	}
	report := x.answer("look").Look
	if report.Cwd != "/dev" || !slices.Equal(report.Env, []string{"A=1", "HOME=/"}) {
		t.Errorf("it is in %s with %q", report.Cwd, report.Env)
	}
	text, err = os.ReadFile(pidFile)
	must(t, err)
	pid, err := strconv.Atoi(string(text))
	must(t, err)
	ps := shim(t, "ps", "--format", "json", b.id).ok(t).stdout
	if !strings.Contains(ps, strconv.Itoa(pid)) || !strings.Contains(ps, strconv.Itoa(b.state(t).Pid)) {
		t.Errorf("ps says %s, and the process is %d", ps, pid)
	}
	x.say("go")
	x.closed()
	// It is ours by now, and the pid namespace does not end before somebody has waited for it (pid_namespaces(7)).
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		t.Error("wait for the process of exec:", err)
	}
	b.ends(t, r)
}

// TestExecHome: HOME comes from the container's own /etc/passwd, as for the first process.
func TestExecHome(t *testing.T) {
	b := newBundle(t)
	b.put(t, "etc/passwd", "root:x:0:0::/home/of/root:/bin/sh\n", 0o644)
	r := b.running(t)
	if env := shim(t, "exec", b.id, "/probe", "look").ok(t).look(t).Env; !slices.Contains(env, "HOME=/home/of/root") {
		t.Errorf("the environment is %q", env)
	}
	b.ends(t, r)
}

// TestExecFails: what cannot be executed gives 255 and the words that engines look for, and nothing is left of it.
func TestExecFails(t *testing.T) {
	b := newBundle(t)
	b.put(t, "data", "x", 0o644)
	r := b.running(t)
	for _, c := range []struct {
		want string
		args []string
	}{
		{`exec: "nowhere": executable file not found in $PATH`, []string{b.id, "nowhere"}},
		{"no such file or directory", []string{b.id, "/nowhere"}},
		{"permission denied", []string{b.id, "/data"}},
		{"the command to run is needed", []string{b.id}},
		{"--user \"1x\" is not UID[:GID]", []string{"--user", "1x", b.id, "/probe"}},
		{"--user \"\" is not UID[:GID]", []string{"--user=", b.id, "/probe"}},
		{"--user \"root\" is not UID[:GID]", []string{"--user", "root", b.id, "/probe"}},
		{"--user \"1:\" is not UID[:GID]", []string{"--user", "1:", b.id, "/probe"}},
		{"--user \":1\" is not UID[:GID]", []string{"--user", ":1", b.id, "/probe"}},
		{"/process/cwd", []string{"--cwd", "relative", b.id, "/probe"}},
		{"unknown flag", []string{"--now", b.id, "/probe"}},
		{"no such file or directory", []string{"--process", "/nowhere/process.json", b.id}},
	} {
		fails(t, 255, c.want, append([]string{"exec"}, c.args...)...)
	}
	if ps := shim(t, "ps", "--format", "json", b.id).ok(t).stdout; strings.Contains(ps, ",") {
		t.Errorf("there are processes %s", ps)
	}
	b.ends(t, r)
}

// TestExecWarns: a capability that cannot be given is left out and named in the log, as for the first process.
func TestExecWarns(t *testing.T) {
	b := newBundle(t)
	r := b.running(t)
	file := filepath.Join(t.TempDir(), "log")
	shim(t, "--log", file, "exec", "--cap", "CAP_BOGUS", b.id, "/probe", "exit 0").ok(t)
	text, err := os.ReadFile(file)
	must(t, err)
	if !strings.Contains(string(text), "level=warning") || !strings.Contains(string(text), "CAP_BOGUS") {
		t.Errorf("the log is %q", text)
	}
	b.ends(t, r)
}

// TestRunVerb is create, start, wait and delete in one.
func TestRunVerb(t *testing.T) {
	b := newBundle(t).do("look", "exit 9")
	if res := b.creates(t, nil, "run").wait(); res.code != 9 || res.look(t).Pid != 1 {
		t.Errorf("run: %s", res)
	}
	fails(t, 1, "does not exist", "state", b.id)

	kept := newBundle(t).do("exit 3")
	if res := kept.creates(t, nil, "run", "--keep").wait(); res.code != 3 {
		t.Errorf("run --keep: %s", res)
	}
	kept.wantStatus(t, "stopped")
	shim(t, "delete", kept.id).ok(t)

	free := newBundle(t).do("line")
	r := free.creates(t, nil, "run", "--detach")
	if code := r.returned(); code != 0 {
		t.Fatalf("run --detach: %s", r.closed())
	}
	free.wantStatus(t, "running")
	free.ends(t, r)
}

// TestList has every container of the caller's and its state.
func TestList(t *testing.T) {
	one, two := newBundle(t).do("line"), newBundle(t)
	r1, r2 := one.create(t), two.running(t)
	var list []ociState
	text := shim(t, "list", "--format=json").ok(t).stdout
	must(t, json.Unmarshal([]byte(text), &list))
	status := map[string]string{}
	for _, s := range list {
		status[s.ID] = s.Status
	}
	if status[one.id] != "created" || status[two.id] != "running" {
		t.Errorf("the list is %s", text)
	}
	if ids := strings.Fields(shim(t, "list", "-q").ok(t).stdout); !slices.Contains(ids, one.id) || !slices.Contains(ids, two.id) {
		t.Errorf("the ids are %q", ids)
	}
	shim(t, "delete", "-f", one.id).ok(t)
	r1.closed()
	two.ends(t, r2)
}

// TestLog: engines read the last error from the log.
func TestLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	for _, id := range []string{"nobody", "no\"body"} {
		shim(t, "--log", file, "--log-format", "json", "--debug", "state", strings.ReplaceAll(id, `"`, "_"))
	}
	shim(t, "--log="+file, "--log-format=json", "create", "--bundle", "/nowhere", "x")
	text, err := os.ReadFile(file)
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	for i, want := range []string{`container "nobody" does not exist`, "does not exist", "open bundle /nowhere: no such file or directory"} {
		var line struct{ Level, Msg, Time string }
		must(t, json.Unmarshal([]byte(lines[i]), &line))
		if line.Level != "error" || !strings.Contains(line.Msg, want) || line.Time == "" {
			t.Errorf("line %d is %+v, want %q", i, line, want)
		}
	}
}

// TestPreserveFDs hands descriptors on, and refuses ones that are not open.
func TestPreserveFDs(t *testing.T) {
	b := newBundle(t).do("look")
	b.write(t)
	res := b.creates(t, nil, "run", "--preserve-fds", "1").wait().ok(t) // descriptor 3 is the harness's
	if fds := res.look(t).Fds; !strings.HasPrefix(fds["3"], "pipe:") {
		t.Errorf("it has the descriptors %v", fds)
	}
	fails(t, 1, "descriptor 4 is to be handed on and is not open", "run", "--preserve-fds", "2", "--bundle", b.dir, b.id)
}

// TestExecInV1Cgroups: on a hybrid host a process that joins is under the same v1 limits, those of update among them.
func TestExecInV1Cgroups(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t)
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(30))}, CPU: &specs.LinuxCPU{Shares: ptr(uint64(100))}}
	r := b.running(t)
	shim(t, "update", "--memory", "128M", b.id).ok(t)
	x := launch(t, b, nil, "exec", b.id, "/probe", "look", "line")
	x.answer("look")
	for _, tree := range []string{"pids", "cpu", "memory"} {
		text, err := os.ReadFile("/sys/fs/cgroup/" + tree + b.spec.Linux.CgroupsPath + "/cgroup.procs")
		must(t, err)
		if n := strings.Count(string(text), "\n"); n != 2 {
			t.Errorf("%d processes under the limit of %s", n, tree)
		}
	}
	x.say("go")
	if res := x.wait(); res.code != 0 {
		t.Errorf("exec: %s", res)
	}
	b.ends(t, r)
}

// TestExecCgroup: a process can be put into a cgroup below the container's, which goes with the container.
func TestExecCgroup(t *testing.T) {
	b := newBundle(t)
	r := b.running(t)
	sub := cgroupDir(t, b.spec.Linux.CgroupsPath) + "/sub"
	must(t, os.Mkdir(sub, 0o755))
	if got := shim(t, "exec", "--cgroup", "/sub", b.id, "/probe", "look").ok(t).look(t).Cgroup; len(got) == 0 || got[len(got)-1] != "0::/sub" {
		t.Errorf("its cgroup is %q", got)
	}
	if got := shim(t, "exec", "--cgroup", "/", b.id, "/probe", "look").ok(t).look(t).Cgroup; len(got) == 0 || got[len(got)-1] != "0::/" {
		t.Errorf("its cgroup is %q", got)
	}
	for _, bad := range []struct{ path, want string }{
		{"/nowhere", "no such file or directory"}, {"sub", "is not absolute"}, {"/../x", "component"}, {"//", "empty component"}, {"cpu:/sub", "is not absolute"},
	} {
		fails(t, 255, bad.want, "exec", "--cgroup", bad.path, b.id, "/probe", "exit 0")
	}
	b.ends(t, r)
	if _, err := os.Stat(sub); err == nil {
		t.Error("the cgroup is still there")
	}
}

// TestExecCgroupUnderLimits: limits of cgroup v1 hold for every process, in the cgroup that it asks for where that is in
// their hierarchy, else in the container's.
func TestExecCgroupUnderLimits(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t)
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(30))}}
	r := b.running(t)
	must(t, os.Mkdir(cgroupDir(t, b.spec.Linux.CgroupsPath)+"/sub", 0o755))
	pids := "/sys/fs/cgroup/pids" + b.spec.Linux.CgroupsPath
	for dir, want := range map[string]int{pids: 2, pids + "/sub": 1} {
		if want == 1 {
			must(t, os.MkdirAll(dir, 0o755))
		}
		x := launch(t, b, nil, "exec", "--cgroup", "/sub", b.id, "/probe", "look", "line")
		x.answer("look")
		text, err := os.ReadFile(dir + "/cgroup.procs")
		must(t, err)
		if strings.Count(string(text), "\n") != want {
			t.Errorf("in %s are the processes %q", dir, text)
		}
		x.say("go")
		x.wait().ok(t)
		if want == 1 {
			must(t, os.Remove(dir))
		}
	}
	b.ends(t, r)
}

// TestExecIgnorePaused: with --ignore-paused a process joins a paused container, and runs when that is resumed.
func TestExecIgnorePaused(t *testing.T) {
	b := newBundle(t)
	r := b.running(t)
	shim(t, "pause", b.id).ok(t)
	fails(t, 255, "paused", "exec", b.id, "/probe", "exit 0")
	x := launch(t, b, nil, "exec", "--ignore-paused", b.id, "/probe", "look", "exit 5")
	for deadline := time.Now().Add(limit()); strings.Count(shim(t, "ps", "-f", "json", b.id).ok(t).stdout, ",") == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("it does not join: %s", x.closed())
		}
	}
	b.wantStatus(t, "paused")
	shim(t, "resume", b.id).ok(t)
	if res := x.wait(); res.code != 5 || res.look(t) == nil {
		t.Errorf("exec: %s", res)
	}
	b.ends(t, r)
}
