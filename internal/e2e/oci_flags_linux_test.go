package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestFlagsNotTaken: what other runtimes have and this one has not is refused, never ignored.
func TestFlagsNotTaken(t *testing.T) {
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{1, `--cgroup-manager "none" is none of: cgroupfs systemd disabled`, []string{"--cgroup-manager=none", "create", "flags"}},
		{1, "--cgroup-manager disabled wants no cgroup", []string{"--systemd-cgroup", "--cgroup-manager", "disabled", "create", "flags"}},
		{1, "does not exist", []string{"--cgroup-manager", "cgroupfs", "state", "flags"}},
		{1, "--kernel-memory is not supported", []string{"update", "--kernel-memory", "1M", "flags"}},
		{1, "--l3-cache-schema is not supported", []string{"update", "--l3-cache-schema", "L3:0=f", "flags"}},
		{1, "--mem-bw-schema is not supported", []string{"update", "--mem-bw-schema", "MB:0=20", "flags"}},
		{1, `"-o" is not supported`, []string{"ps", "flags", "-o", "pid"}},
		{1, `--log-format "xml" is none of: text json`, []string{"--log-format", "xml", "list"}},
		{1, `--log-level "loud" is none of`, []string{"--log-level=loud", "list"}},
		{1, `--rootless "maybe" is none of`, []string{"-rootless", "maybe", "list"}},
		{1, "--no-pivot takes no value", []string{"create", "--no-pivot=1x", "flags"}},
		{1, `signal "-1" is not`, []string{"kill", "flags", "--", "-1"}},
		{1, "checkpoint is not supported", []string{"checkpoint", "flags"}},
		{1, "restore is not supported", []string{"restore", "flags"}},
		{1, "does not exist", []string{"--systemd-cgroup=false", "state", "flags"}}, // as if it were not there
	} {
		fails(t, tt.code, tt.want, tt.args...)
	}
}

// TestNoCgroupManager: the container stays in the caller's cgroup, whatever its config.json names, and limits are refused.
func TestNoCgroupManager(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	own, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	b := newBundle(t, func(s *specs.Spec) {
		dropNamespace(s, specs.CgroupNamespace)
		s.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}} // as podman has it
	}).do("read /proc/self/cgroup", "look", "line")
	r := b.creates(t, nil, "--cgroup-manager", "disabled", "create")
	if code := r.returned(); code != 0 {
		t.Fatalf("create: exit status %d: %s", code, r.closed())
	}
	shim(t, "start", b.id).ok(t)
	if got := r.answer("read /proc/self/cgroup").Value; got != string(own) {
		t.Errorf("the container is in %q, we are in %q", got, own)
	}
	r.answer("look")
	if got := shim(t, "exec", b.id, "/probe", "read /proc/self/cgroup").ok(t).value(t, "read /proc/self/cgroup"); got != string(own) {
		t.Errorf("exec is in %q, we are in %q", got, own)
	}
	fails(t, 1, "it has none of its own", "pause", b.id)
	shim(t, "delete", "--force", b.id).ok(t)
	r.closed()
	b.spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: ptr(int64(9))}
	b.write(t)
	fails(t, 1, "/linux/resources", "--cgroup-manager=disabled", "run", "--bundle", b.dir, b.id)
}

// TestSystemdCgroupRefused: without a systemd to ask the error says how to do without one; test/systemd has the rest.
func TestSystemdCgroupRefused(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	const want = "cgroup driver cgroupfs"
	fails(t, 1, want, "--systemd-cgroup", "create", "--bundle", b.dir, b.id)
	fails(t, 1, want, "--cgroup-manager", "systemd", "run", "--bundle", b.dir, b.id)
	fails(t, 1, "does not exist", "state", b.id)
}

// TestFlagSpellings: a flag may be written in every way in which clients of other runtimes write it.
func TestFlagSpellings(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"-version"}, {"-v"}, {"-V"}} {
		text := shim(t, args...).ok(t).stdout
		if lines := strings.Split(text, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "locald-shim version ") || !strings.HasPrefix(lines[1], "commit: ") || !strings.HasPrefix(lines[2], "spec: 1.") {
			t.Errorf("%s: %q", args, text)
		}
	}
	b := newBundle(t).do("exit 0")
	b.write(t)
	for _, args := range [][]string{
		{"run", "--bundle", b.dir, b.id}, {"run", "--bundle=" + b.dir, b.id}, {"run", "-bundle", b.dir, b.id}, {"run", "-bundle=" + b.dir, b.id},
		{"run", "-b", b.dir, b.id}, {"run", b.id, "-b", b.dir}, {"run", "-b", b.dir, "--", b.id},
		{"--rootless=false", "--debug", "-log-level", "info", "run", "--no-subreaper", "-no-new-keyring", "--no-pivot=false", "-b=" + b.dir, b.id},
	} {
		shim(t, args...).ok(t)
	}
	if ids := shim(t, "list", "-f", "json").ok(t).stdout; strings.Contains(ids, b.id) {
		t.Errorf("it is still there: %s", ids)
	}
}

// TestConfigFlag: --config names a file that stands for the bundle's config.json, also later on.
func TestConfigFlag(t *testing.T) {
	b := newBundle(t).do("look", "line")
	b.spec.Process.Env = append(b.spec.Process.Env, "FROM=other")
	b.write(t)
	other := filepath.Join(t.TempDir(), "other.json")
	must(t, os.Rename(filepath.Join(b.dir, "config.json"), other))
	fails(t, 1, "read config.json: no such file", "create", "--bundle", b.dir, b.id)
	fails(t, 1, "read /nowhere.json: no such file", "create", "--bundle", b.dir, "-f", "/nowhere.json", b.id)
	fails(t, 1, "read /dev/null: ", "create", "--bundle", b.dir, "--config", "/dev/null", b.id)
	r := launch(t, b, nil, "create", "--bundle", b.dir, "--config", other, b.id)
	t.Cleanup(func() { shim(t, "delete", "--force", b.id) })
	if code := r.returned(); code != 0 {
		t.Fatalf("create: %s", r.closed())
	}
	must(t, os.Remove(other))
	shim(t, "start", b.id).ok(t)
	r.answer("look")
	if env := shim(t, "exec", b.id, "/probe", "look").ok(t).look(t).Env; !slices.Contains(env, "FROM=other") {
		t.Errorf("exec has the environment %q", env)
	}
	b.ends(t, r)
}

// TestUnknownMemberLogged: a misspelt member of config.json is ignored, and --debug tells.
func TestUnknownMemberLogged(t *testing.T) {
	b := newBundle(t)
	b.write(t)
	file := filepath.Join(b.dir, "config.json")
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), "{", `{"hostnam":"x",`, 1)), 0o600))
	for _, debug := range []bool{true, false} {
		log := filepath.Join(t.TempDir(), "log")
		args := []string{"--log", log, "run", "--bundle", b.dir, b.id}
		if debug {
			args = append([]string{"--debug"}, args...)
		}
		shim(t, args...).ok(t)
		text, err := os.ReadFile(log)
		must(t, err)
		if strings.Contains(string(text), "level=debug") != debug || debug && !strings.Contains(string(text), "/hostnam:") {
			t.Errorf("with debug %v the log is %s", debug, text)
		}
	}
}

// TestNoPivot: with --no-pivot the root is moved, and nothing of the host's can be seen either, also by exec.
func TestNoPivot(t *testing.T) {
	b := newBundle(t).do("list /", "list /..", "look", "line", "exit 0")
	b.put(t, "here", "x", 0o644)
	b.write(t)
	r := b.creates(t, nil, "run", "--no-pivot")
	for _, did := range []string{"list /", "list /.."} {
		if got := r.answer(did).Value; !slices.Contains(strings.Fields(got), "here") || slices.Contains(strings.Fields(got), "root") {
			t.Errorf("%s: %s", did, got)
		}
	}
	r.answer("look")
	if got := shim(t, "exec", b.id, "/probe", "list /").ok(t).value(t, "list /"); !slices.Contains(strings.Fields(got), "here") {
		t.Errorf("exec sees %s", got)
	}
	r.say("go")
	r.wait().ok(t)
}

// TestNoNewKeyring: with --no-new-keyring the container has the session keyring of its caller.
func TestNoNewKeyring(t *testing.T) {
	b := newBundle(t).do("keyring")
	r := b.creates(t, through("ring"), "run", "--no-new-keyring").wait().ok(t)
	if ours, got := r.value(t, "ring"), r.value(t, "keyring"); got != ours {
		t.Errorf("the container has the session keyring %s, its caller %s", got, ours)
	}
}

// TestRootFlag: containers of another --root are others, also by the same id.
func TestRootFlag(t *testing.T) {
	root := filepath.Join(t.TempDir(), "made", "here")
	one, two := newBundle(t).do("line"), newBundle(t).do("line")
	two.id = one.id
	r1 := one.create(t)
	two.write(t)
	r2 := launch(t, two, nil, "--root", root, "create", "--bundle", two.dir, two.id)
	t.Cleanup(func() { shim(t, "--root", root, "delete", "--force", two.id) })
	if code := r2.returned(); code != 0 {
		t.Fatalf("create: %s", r2.closed())
	}
	for _, flags := range [][]string{nil, {"--root=" + root}} {
		if ids := strings.Fields(shim(t, append(flags, "list", "-q")...).ok(t).stdout); len(ids) != 1 || ids[0] != one.id {
			t.Errorf("%s: the containers are %q", flags, ids)
		}
	}
	shim(t, "--root", root, "delete", "--force", two.id).ok(t)
	r2.closed()
	one.wantStatus(t, "created")
	fails(t, 1, "does not exist", "--root", root, "state", two.id)
	shim(t, "delete", "--force", one.id).ok(t)
	r1.closed()
}
