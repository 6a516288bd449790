package e2e

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestHostSysfs: in a user namespace and the host's network namespace, /sys is a bind of the host's, closed as asked.
func TestHostSysfs(t *testing.T) {
	b := newBundle(t)
	withRange(b.spec)
	if !here.root {
		b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = b.spec.Linux.UIDMappings[:1], b.spec.Linux.GIDMappings[:1]
	}
	dropNamespace(b.spec, specs.NetworkNamespace)
	addMount(b.spec, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
	b.spec.Linux.MaskedPaths = []string{"/sys/firmware", "/sys/kernel/notes"}
	r := b.do("look", "list /sys/class/net", "list /sys/firmware", "write /sys/kernel/notes x").run(t).ok(t)
	for _, m := range r.look(t).Mounts {
		if (m.Point == "/sys" || strings.HasPrefix(m.Point, "/sys/")) && !hasOption(m.Options, "ro") {
			t.Errorf("%s is mounted %s", m.Point, m.Options)
		}
	}
	if m := mountAt(t, r.look(t), "/sys"); m.Type != "sysfs" || !hasOption(m.Options, "nosuid") {
		t.Errorf("/sys is a %s with %s", m.Type, m.Options)
	}
	if got := r.value(t, "list /sys/class/net"); !strings.Contains(got, "lo") {
		t.Errorf("the interfaces are %q", got)
	}
	if got := r.value(t, "list /sys/firmware"); got != "" {
		t.Errorf("the masked directory shows %q", got)
	}
	if r.answer(t, "write /sys/kernel/notes x").Errno == "" {
		t.Error("/sys can be written")
	}
}

// TestCgroupWithoutNamespace: what is mounted is the container's own cgroup and nothing above it.
func TestCgroupWithoutNamespace(t *testing.T) {
	needsRoot(t, "a user's container has a cgroup namespace")
	b := newBundle(t)
	dropNamespace(b.spec, specs.CgroupNamespace)
	addMount(b.spec, "/cgroup", "cgroup", "cgroup", "ro", "nosuid")
	r := b.do("look", "read /cgroup/cgroup.procs", "mkdir /cgroup/sub").run(t).ok(t)
	if got := r.value(t, "read /cgroup/cgroup.procs"); got != "1\n" {
		t.Errorf("in the cgroup there is %q, want only 1", got)
	}
	r.wantErrno(t, "mkdir /cgroup/sub", "EROFS")
	if m := mountAt(t, r.look(t), "/cgroup"); m.Type != "cgroup2" || !strings.HasSuffix(m.Root, "/"+b.id) || !hasOption(m.Options, "nosuid") {
		t.Errorf("/cgroup is %+v", m)
	}
}

// TestMountLabel is refused where SELinux is not enabled.
func TestMountLabel(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) { s.Linux.MountLabel = "system_u:object_r:container_file_t:s0" })
	if p := b.run(t).problem(t, "/linux/mountLabel"); !strings.Contains(p.Message, "SELinux is not enabled") {
		t.Errorf("%+v", p)
	}
}
