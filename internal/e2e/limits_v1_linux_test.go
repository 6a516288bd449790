package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A hybrid host has the controllers in cgroup v1 and a cgroup2 tree without any. Root's limits go to v1.

func needsHybrid(t *testing.T) {
	t.Helper()
	needs(t, !here.guest, "is about hosts with cgroup v1 controllers")
	if _, err := os.Stat("/sys/fs/cgroup/unified/cgroup.procs"); err != nil {
		t.Skip("is about hosts with cgroup v1 controllers")
	}
}

// TestV1Limits: the container is in a cgroup of the same path in each hierarchy that limits it, and in no other.
func TestV1Limits(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: ptr[int64](48 << 20)}, Pids: &specs.LinuxPids{Limit: ptr[int64](60)},
			CPU: &specs.LinuxCPU{Quota: ptr[int64](50000), Period: ptr[uint64](100000), Shares: ptr[uint64](512), Cpus: "0", Mems: "0"},
		}
	})
	path := b.spec.Linux.CgroupsPath
	run := b.do("look", "cpus", "line").start(t, nil)
	run.answer("look")
	if got := run.answer("cpus").Value; got != "1" {
		t.Errorf("it may run on %s processors", got)
	}
	for file, want := range map[string]string{"memory" + path + "/memory.limit_in_bytes": "50331648", "pids" + path + "/pids.max": "60",
		"cpu" + path + "/cpu.cfs_quota_us": "50000", "cpu" + path + "/cpu.shares": "512", "cpuset" + path + "/cpuset.cpus": "0"} {
		if got, err := os.ReadFile("/sys/fs/cgroup/" + file); err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q, %v; want %s", file, got, err, want)
		}
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(run.await("cloned").Pid) + "/cgroup")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		limits := f[1] == "" || f[1] == "memory" || f[1] == "pids" || strings.HasPrefix(f[1], "cpu") && f[1] != "cpuacct"
		if (f[2] == path) != limits {
			t.Errorf("it is in %s", strings.TrimSpace(line))
		}
	}
	run.say("")
	run.wait().ok(t)
}

func TestV1PidsLimit(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](24)}}
	})
	r := b.do("fork 40", "exit 3").run(t)
	a := r.answer(t, "fork 40")
	if n, _ := strconv.Atoi(a.Value); a.Errno != "EAGAIN" || n < 1 || n > 23 || r.code != 3 {
		t.Errorf("%s children, then errno %q: %s", a.Value, a.Errno, r)
	}
}

func TestV1MemoryLimit(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](16 << 20)}}
	})
	checkOOM(t, b, 64)
}

// TestOOMBeforeStart: a limit in which not even the runtime's own work in the container fits is named as the reason.
func TestOOMBeforeStart(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	for _, verb := range []string{"create", "run"} {
		b := newBundle(t, func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](4096)}}
		})
		b.write(t)
		fails(t, 1, "OOM-killed (config.json /linux/resources/memory/limit)", verb, "--bundle", b.dir, b.id)
		fails(t, 1, "does not exist", "state", b.id)
	}
}

// TestV1LimitsRefused: where a limit cannot be applied it is refused, and says so; it is never left out.
func TestV1LimitsRefused(t *testing.T) {
	needsHybrid(t)
	for _, tt := range []struct {
		name    string
		res     specs.LinuxResources
		pointer string
		root    bool // has it
	}{
		{"memory", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}}, "/linux/resources/memory/limit", true},
		{"pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](100)}}, "/linux/resources/pids/limit", true},
		{"cpu", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](100000)}}, "/linux/resources/cpu/quota", true},
		{"unified", specs.LinuxResources{Unified: map[string]string{"memory.high": "67108864"}}, "/linux/resources/unified/memory.high", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.Resources = &tt.res })
			r := b.run(t)
			if here.root && tt.root {
				r.ok(t)
				return
			}
			if p := r.problem(t, tt.pointer); len(strings.Fields(p.Message)) < 4 {
				t.Errorf("that is no sentence: %q", p.Message)
			}
		})
	}
}

// v1Dirs are the controllers of cgroup v1 in whose hierarchies a cgroup of this path is.
func v1Dirs(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/sys/fs/cgroup")
	must(t, err)
	for _, e := range entries {
		if _, err := os.Stat("/sys/fs/cgroup/" + e.Name() + path); err == nil && e.Name() != "unified" && !strings.Contains(e.Name(), ",") {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestV1Counted: what a container of engines uses is counted without any limit, also where the controllers are
// cgroup v1's, and each of its processes is where that is done.
func TestV1Counted(t *testing.T) {
	needsRoot(t, "cgroups of v1 are for root")
	needsHybrid(t)
	b := newBundle(t)
	r := b.do("alloc 24", "look", "line").create(t)
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	path := b.spec.Linux.CgroupsPath
	dirs := v1Dirs(t, path)
	for _, name := range []string{"blkio", "cpuacct", "memory", "pids"} {
		if _, err := os.Stat("/sys/fs/cgroup/" + name + "/cgroup.procs"); err == nil && !slices.Contains(dirs, name) {
			t.Errorf("the cgroup is in %q, without %s", dirs, name)
		}
	}
	stats := func() (data struct {
		CPU    struct{ Usage struct{ Total uint64 } }
		Memory struct{ Usage struct{ Usage, Max uint64 } }
		Pids   struct{ Current uint64 }
	}) {
		var e struct{ Data any }
		e.Data = &data
		must(t, json.Unmarshal([]byte(shim(t, "events", "--stats", b.id).ok(t).stdout), &e))
		return data
	}
	one := stats()
	if m := one.Memory.Usage; m.Usage == 0 || m.Max < 24<<20 || m.Max > 200<<20 || one.CPU.Usage.Total == 0 || one.Pids.Current == 0 {
		t.Errorf("it uses %+v", one)
	}
	more := launch(t, nil, nil, "exec", b.id, "/probe", "look", "line")
	more.answer("look")
	for _, name := range dirs {
		text, err := os.ReadFile("/sys/fs/cgroup/" + name + path + "/cgroup.procs")
		if must(t, err); len(strings.Fields(string(text))) != 2 {
			t.Errorf("in %s are the processes %q", name, text)
		}
	}
	if both := stats(); both.Pids.Current <= one.Pids.Current || both.CPU.Usage.Total <= one.CPU.Usage.Total {
		t.Errorf("one process uses %+v, two %+v", one, both)
	}
	more.say("")
	more.wait().ok(t)
	b.ends(t, r)
	if left := v1Dirs(t, path); len(left) > 0 {
		t.Errorf("its cgroup is left in %q", left)
	}
}

// TestV1Stale: the next container removes what a killed shim has left, in hierarchies too that it does not use itself.
func TestV1Stale(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr[uint64](512)}, Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}}
	})
	run := b.do("look", "line").start(t, nil)
	run.answer("look")
	run.cmd.Process.Kill()
	run.wait()
	path := b.spec.Linux.CgroupsPath
	if dirs := v1Dirs(t, path); !slices.Contains(dirs, "cpu") || !slices.Contains(dirs, "memory") {
		t.Fatalf("nothing is left to remove: %q", dirs)
	}
	newBundle(t).run(t).ok(t)
	if left := v1Dirs(t, path); len(left) > 0 {
		t.Errorf("its cgroup is left in %q", left)
	}
}

// TestV1DeleteUnseen: delete removes the cgroup also from a hierarchy of which it cannot find out that it is one.
func TestV1DeleteUnseen(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	needsHybrid(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}}
	}).do("exit 0")
	strace, err := exec.LookPath("strace")
	must(t, err)
	path, out := b.spec.Linux.CgroupsPath, filepath.Join(t.TempDir(), "calls")
	for _, name := range []string{"blkio", "cpuacct", "freezer", "memory", "pids"} {
		b.create(t).stdin.Close()
		shim(t, "start", b.id).ok(t)
		b.awaitStopped(t)
		launch(t, b, func(c *exec.Cmd) {
			c.Args = append([]string{strace, "-f", "-qq", "-o", out, "-P", "/sys/fs/cgroup/" + name, "-e", "inject=statfs:error=EIO", c.Path}, c.Args[1:]...)
			c.Path = strace
		}, "delete", b.id).wait().ok(t)
		if text := textOf(t, out); !strings.Contains(text, "(INJECTED)") {
			t.Fatalf("delete does not look at %s: %s", name, text)
		}
		if left := v1Dirs(t, path); len(left) > 0 {
			t.Fatalf("it cannot look at %s, and the cgroup is left in %q", name, left)
		}
		fails(t, 1, "does not exist", "state", b.id)
	}
}
