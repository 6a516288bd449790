package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// limitFile reads a file of the container's cgroup, in whichever tree has its controller.
func (b *bundle) limitFile(t *testing.T, controller, name string) string {
	t.Helper()
	for _, tree := range []string{"/sys/fs/cgroup/" + controller, "/sys/fs/cgroup"} {
		if text, err := os.ReadFile(tree + b.spec.Linux.CgroupsPath + "/" + name); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("no %s in the cgroup", name)
	return ""
}

// TestUpdateVerb changes a limit by a flag, by a file and from standard input.
func TestUpdateVerb(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	b := newBundle(t)
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(30))}}
	r := b.running(t)
	want := func(limit string) {
		t.Helper()
		if got := b.limitFile(t, "pids", "pids.max"); got != limit {
			t.Errorf("pids.max is %s, want %s", got, limit)
		}
	}
	shim(t, "update", "--pids-limit", "40", b.id).ok(t)
	want("40")
	file := filepath.Join(t.TempDir(), "resources.json")
	must(t, os.WriteFile(file, []byte(`{"pids":{"limit":50}}`), 0o600))
	shim(t, "update", "--resources="+file, b.id).ok(t)
	want("50")
	x := launch(t, b, nil, "update", "-r", "-", b.id)
	_, err := x.stdin.WriteString(`{"pids":{"limit":60}}`)
	must(t, err)
	x.wait().ok(t)
	want("60")
	fails(t, 1, "--pids-limit", "update", "--pids-limit", "many", b.id)
	fails(t, 1, "--memory", "update", "--memory", "1x", b.id)
	fails(t, 1, "/linux/resources/pids/limit", "update", "--pids-limit", "-7", b.id)
	must(t, os.WriteFile(file, []byte(`{"pids":{"limit":"x"}}`), 0o600))
	fails(t, 1, "/linux/resources/pids/limit", "update", "--resources", file, b.id)
	want("60")
	b.ends(t, r)
	fails(t, 1, "does not exist", "update", "--pids-limit", "40", b.id)
}

// TestUpdateOfUser: a user changes the limits of the user's own container, as far as config.json could have had them.
func TestUpdateOfUser(t *testing.T) {
	needsUser(t)
	needsControllers(t)
	b := newBundle(t)
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(30))}}
	r := b.running(t)
	shim(t, "update", "--pids-limit", "40", "--memory", "256M", b.id).ok(t)
	if pids, memory := b.limitFile(t, "pids", "pids.max"), b.limitFile(t, "memory", "memory.max"); pids != "40" || memory != "268435456" {
		t.Errorf("pids.max is %s, memory.max %s", pids, memory)
	}
	file := filepath.Join(t.TempDir(), "resources.json")
	must(t, os.WriteFile(file, []byte(`{"devices":[{"allow":true,"access":"rwm"}]}`), 0o600))
	fails(t, 1, "/linux/resources/devices", "update", "--resources", file, b.id)
	b.ends(t, r)
}

// TestUpdateKeeps: what an update does not name stays as the update before left it, where one file of the kernel's
// holds two limits as well.
func TestUpdateKeeps(t *testing.T) {
	needsRoot(t, "limits of cgroup v1 are for root")
	b := newBundle(t)
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(30))}}
	r := b.running(t)
	shim(t, "update", "--cpu-quota", "20000", "--cpu-period", "50000", b.id).ok(t)
	shim(t, "update", "--pids-limit", "40", b.id).ok(t)
	shim(t, "update", "--cpu-quota", "30000", b.id).ok(t)
	shim(t, "update", "--cpu-period", "60000", b.id).ok(t)
	if here.guest {
		if got := b.limitFile(t, "cpu", "cpu.max"); got != "30000 60000" {
			t.Errorf("cpu.max is %s", got)
		}
	} else if quota, period := b.limitFile(t, "cpu", "cpu.cfs_quota_us"), b.limitFile(t, "cpu", "cpu.cfs_period_us"); quota != "30000" || period != "60000" {
		t.Errorf("the quota is %s, the period %s", quota, period)
	}
	if got := b.limitFile(t, "pids", "pids.max"); got != "40" {
		t.Errorf("pids.max is %s", got)
	}
	b.ends(t, r)
}

// TestEventsVerb: what engines read of a container's use, once, and until the container ends.
func TestEventsVerb(t *testing.T) {
	b := newBundle(t)
	r := b.running(t)
	type event struct {
		Type, ID string
		Data     struct {
			CPU *struct {
				Usage struct{ Total, Kernel, User uint64 }
			}
		}
	}
	read := func(text string) event {
		t.Helper()
		var e event
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if e.Type != "stats" || e.ID != b.id || e.Data.CPU == nil || e.Data.CPU.Usage.Total == 0 {
			t.Errorf("the event is %s", text)
		}
		return e
	}
	first := read(shim(t, "events", "--stats", b.id).ok(t).stdout)
	x := exec.Command(shimPath, "events", "--interval", "10ms", b.id)
	var complaint strings.Builder
	x.Stderr = &complaint
	out, err := x.StdoutPipe()
	must(t, err)
	must(t, x.Start())
	hangs := time.AfterFunc(limit(), func() { x.Process.Kill() })
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n')
	must(t, err)
	last := read(line)
	b.ends(t, r) // which ends events
	for {
		if line, err = in.ReadString('\n'); err != nil {
			break
		}
		last = read(line)
	}
	if err := x.Wait(); err != nil || !hangs.Stop() {
		t.Errorf("events ended with %v", err)
	}
	if counted := here.root || here.guest; strings.Contains(complaint.String(), "watch for OOM kills") == counted {
		t.Errorf("it says %q", complaint.String())
	}
	if last.Data.CPU != nil && last.Data.CPU.Usage.Total < first.Data.CPU.Usage.Total {
		t.Errorf("processor time went from %d to %d", first.Data.CPU.Usage.Total, last.Data.CPU.Usage.Total)
	}
	fails(t, 1, "--interval", "events", "--interval", "-1s", b.id)
}

// TestEventsOOM: events tells that something was killed for want of memory, also when it was the first process.
func TestEventsOOM(t *testing.T) {
	needs(t, here.root || here.guest, "limits of cgroup v1 are for root")
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](16 << 20)}}
	})
	r := b.do("look", "line", "alloc 64", "forever").create(t)
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	x := exec.Command(shimPath, "events", "--interval", "1h", b.id)
	out, err := x.StdoutPipe()
	must(t, err)
	must(t, x.Start())
	hangs := time.AfterFunc(limit(), func() { x.Process.Kill() })
	in := bufio.NewReader(out)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, `"type":"stats"`) {
		t.Errorf("first it says %s: %v", line, err)
	}
	r.say("go") // it watches before it says anything
	line, err := in.ReadString('\n')
	if want := `{"type":"oom","id":"` + b.id + `"}` + "\n"; err != nil || line != want {
		t.Errorf("then it says %q, want %q: %v", line, want, err)
	}
	if err := x.Wait(); err != nil || !hangs.Stop() {
		t.Errorf("events ended with %v", err)
	}
	r.closed()
	b.awaitStopped(t)
	shim(t, "delete", b.id).ok(t)
}

// TestFeaturesVerb: engines ask without a container.
func TestFeaturesVerb(t *testing.T) {
	var f struct {
		OCIVersionMax string `json:"ociVersionMax"`
		MountOptions  []string
	}
	must(t, json.Unmarshal([]byte(shim(t, "features").ok(t).stdout), &f))
	if f.OCIVersionMax != "1.3.0" || len(f.MountOptions) < 50 {
		t.Errorf("features says %+v", f)
	}
}

// TestSpecVerb: what spec prints is a config.json that runs as it is, but for its program.
func TestSpecVerb(t *testing.T) {
	for _, args := range [][]string{{"spec"}, {"spec", "--rootless"}} {
		text := shim(t, args...).ok(t).stdout
		in := json.NewDecoder(strings.NewReader(text))
		in.DisallowUnknownFields()
		b := newBundle(t)
		var s specs.Spec
		if err := in.Decode(&s); err != nil || in.More() {
			t.Fatalf("%v: %s", err, text)
		}
		if s.Process.Args[0] != "sh" || !s.Process.Terminal || s.Version != "1.3.0" {
			t.Errorf("it says %+v", s.Process)
		}
		s.Process.Args, s.Process.Terminal, s.Linux.CgroupsPath = []string{"/probe", "look"}, false, b.spec.Linux.CgroupsPath
		for _, m := range s.Mounts { // the file system of the root is read-only
			if m.Destination != "/dev/pts" && m.Destination != "/sys/fs/cgroup" {
				must(t, os.MkdirAll(filepath.Join(b.rootfs, m.Destination), 0o755))
			}
		}
		b.spec = &s
		look := b.creates(t, nil, "run").wait().ok(t).look(t)
		inside, err := os.Readlink("/proc/self/ns/user")
		must(t, err)
		if new := look.Namespaces["user"] != inside; new != (!here.root || len(args) > 1) {
			t.Errorf("%s: a new user namespace: %v", args, new)
		}
		if look.Pid != 1 || look.Status["NoNewPrivs"] != "1" {
			t.Errorf("%s: inside it is %+v", args, look)
		}
	}
}

// TestUnknownMembersOfFiles: what the specification does not know in the files of exec and update is named for who
// debugs, as in config.json, by where it would stand there.
func TestUnknownMembersOfFiles(t *testing.T) {
	b := newBundle(t)
	r := b.running(t)
	dir := t.TempDir()
	for _, c := range []struct{ text, flag, verb, pointer string }{
		{`{"cwd":"/","args":["/probe","exit 0"],"user":{"uid":0,"gid":0,"colour":1}}`, "--process", "exec", "/process/user/colour"},
		{`{"memory":{"colour":{"limit":1}}}`, "--resources", "update", "/linux/resources/memory/colour"},
	} {
		file, log := filepath.Join(dir, c.verb), filepath.Join(dir, c.verb+".log")
		must(t, os.WriteFile(file, []byte(c.text), 0o644))
		shim(t, "--debug", "--log", log, c.verb, c.flag, file, b.id).ok(t)
		if text := textOf(t, log); !strings.Contains(text, c.pointer+": the specification knows no such member") {
			t.Errorf("%s: the log is %q", c.verb, text)
		}
		quiet := filepath.Join(dir, c.verb+".quiet")
		shim(t, "--log", quiet, c.verb, c.flag, file, b.id).ok(t)
		if text, err := os.ReadFile(quiet); err == nil && strings.Contains(string(text), "colour") {
			t.Errorf("%s without --debug: the log is %q", c.verb, text)
		}
	}
	b.ends(t, r)
}
