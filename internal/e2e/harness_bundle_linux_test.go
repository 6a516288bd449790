package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bundle is one bundle of a test. Change spec before run or start, which write config.json.
type bundle struct {
	dir    string // holds config.json and rootfs/
	rootfs string // holds only the probe, /probe
	id     string
	spec   *specs.Spec

	files map[string]string // what was in dir when the first run began
}

var lastID atomic.Int64

// newID is an id that no other container of any test run has.
func newID() string { return idPrefix + strconv.FormatInt(lastID.Add(1), 10) }

// newBundle makes a bundle that locald could have generated for a caller of this place, and watches: when
// the test ends, nothing may be there that was not there now. The probe of it only looks.
func newBundle(t *testing.T, changes ...func(*specs.Spec)) *bundle {
	t.Helper()
	b := &bundle{dir: t.TempDir(), id: newID()}
	b.rootfs = filepath.Join(b.dir, "rootfs")
	must(t, os.Chmod(b.dir, 0o755))
	must(t, os.Mkdir(b.rootfs, 0o755))
	must(t, os.Link(probeExe, filepath.Join(b.rootfs, probe.Name)))
	b.spec = profile(b.id)
	for _, change := range changes {
		change(b.spec)
	}
	watch(t, b)
	return b
}

// do sets what the probe does; see package probe for the actions.
func (b *bundle) do(actions ...string) *bundle {
	b.spec.Process.Args = append([]string{"/" + probe.Name}, actions...)
	return b
}

// write writes config.json.
func (b *bundle) write(t *testing.T) {
	t.Helper()
	text, err := json.MarshalIndent(b.spec, "", "  ")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o644))
	if b.files == nil {
		b.files = listFiles(b.dir, b.rootfs)
	}
}

// put makes a file in the rootfs, and the directories above it.
func (b *bundle) put(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(b.rootfs, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), mode))
	must(t, os.Chmod(path, mode))
}

// profile is the config.json of root, or of a user: the same, in a user namespace in which the user is root.
func profile(id string) *specs.Spec {
	s := &specs.Spec{
		Version: "1.3.0",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: []string{"/" + probe.Name, "look"}, Env: []string{"PATH=/"}, Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{}, NoNewPrivileges: true,
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=64k"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1777", "size=1m"}},
		},
		Linux: &specs.Linux{CgroupsPath: "/locald/" + id},
	}
	kinds := []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.CgroupNamespace}
	for _, kind := range kinds {
		addNamespace(s, kind, "")
	}
	if !here.root {
		addNamespace(s, specs.UserNamespace, "")
		s.Linux.UIDMappings, s.Linux.GIDMappings = oneID(os.Getuid()), oneID(os.Getgid())
		s.Linux.CgroupsPath = "/locald/u" + strconv.Itoa(os.Getuid()) + "/" + id
	}
	return s
}

func oneID(host int) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(host), Size: 1}}
}

// withRange maps the user's own ids to root's and the subordinate ones to 1 and on. For root it makes a
// user namespace of the same shape.
func withRange(s *specs.Spec) {
	dropNamespace(s, specs.UserNamespace)
	addNamespace(s, specs.UserNamespace, "")
	uids, gids := subordinate("/etc/subuid"), subordinate("/etc/subgid")
	s.Linux.UIDMappings = append(oneID(os.Getuid()), specs.LinuxIDMapping{ContainerID: 1, HostID: uids, Size: rangeSize})
	s.Linux.GIDMappings = append(oneID(os.Getgid()), specs.LinuxIDMapping{ContainerID: 1, HostID: gids, Size: rangeSize})
}

const rangeSize = 1000

// subordinate is the first id of this user's range in /etc/subuid or /etc/subgid, 0 without one. Root needs none.
func subordinate(file string) uint32 {
	if here.root {
		return 500000
	}
	uid := strconv.Itoa(os.Getuid())
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || f[0] != uid && f[0] != userName(uid) {
			continue
		}
		if n, err := strconv.ParseUint(f[1], 10, 32); err == nil {
			return uint32(n)
		}
	}
	return 0
}

// userName reads /etc/passwd itself: os/user would link the C library in, and the probe must do without.
func userName(uid string) string {
	text, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == uid {
			return f[0]
		}
	}
	return ""
}

// needsSubIDs skips where a user has no subordinate ids.
func needsSubIDs(t *testing.T) {
	t.Helper()
	needs(t, subordinate("/etc/subuid") != 0 && subordinate("/etc/subgid") != 0, "needs a range in /etc/subuid and /etc/subgid")
}

func addNamespace(s *specs.Spec, kind specs.LinuxNamespaceType, path string) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
}

func dropNamespace(s *specs.Spec, kind specs.LinuxNamespaceType) {
	for i, n := range s.Linux.Namespaces {
		if n.Type == kind {
			s.Linux.Namespaces = append(s.Linux.Namespaces[:i:i], s.Linux.Namespaces[i+1:]...)
			return
		}
	}
}

// dropMount removes the mount on a destination.
func dropMount(s *specs.Spec, dest string) {
	for i, m := range s.Mounts {
		if m.Destination == dest {
			s.Mounts = append(s.Mounts[:i:i], s.Mounts[i+1:]...)
			return
		}
	}
}

func addMount(s *specs.Spec, dest, typ, source string, options ...string) {
	s.Mounts = append(s.Mounts, specs.Mount{Destination: dest, Type: typ, Source: source, Options: options})
}

// withCaps gives the process the capabilities in all five sets, as far as the kernel lets root have them.
func withCaps(s *specs.Spec, names ...string) {
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Inheritable: names, Permitted: names, Ambient: names}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }
