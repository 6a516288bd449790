package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestOpenedOutside: root's container with a user namespace has a rootfs and volumes that nobody but root can reach, as
// engines keep them. Its mounts are those of the same container without a user namespace: nothing of the host's is left.
func TestOpenedOutside(t *testing.T) {
	needsRoot(t, "only root reaches what nobody else can")
	needs(t, !here.guest, "is seen on the host")
	for name, change := range map[string]func(*specs.Spec){
		"propagation unset":      func(*specs.Spec) {},
		"propagation private":    func(s *specs.Spec) { s.Linux.RootfsPropagation = "private" },
		"propagation rslave":     func(s *specs.Spec) { s.Linux.RootfsPropagation = "rslave" },
		"propagation shared":     func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" },
		"propagation unbindable": func(s *specs.Spec) { s.Linux.RootfsPropagation = "unbindable" },
		"nothing masked":         func(s *specs.Spec) { s.Linux.MaskedPaths = nil },
		"a hook in the container": func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo >/dev/null"}}}}
		},
	} {
		for owner, uid := range map[string]int{"root": 0, "the container's root": 500000} {
			t.Run(name+", bundle of "+owner, func(t *testing.T) {
				for _, flags := range [][]string{nil, {"--no-pivot"}} {
					b := closedBundle(t, change)
					plain := b.runClosed(t, flags...)
					b.spec.Linux.CgroupsPath += "-userns"
					withUserNamespace(b.spec)
					must(t, os.Chown(b.rootfs, 500000, 500000))
					must(t, os.Chown(b.dir, uid, uid))
					if mapped := b.runClosed(t, flags...); !slices.Equal(plain, mapped) {
						t.Errorf("%s: the mounts are %v, and without a user namespace %v", flags, mapped, plain)
					}
				}
			})
		}
	}
}

func withUserNamespace(s *specs.Spec) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 500000, Size: rangeSize}}
	addNamespace(s, specs.UserNamespace, "")
	s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
}

// closedBundle has its volumes and itself where only root can reach them.
func closedBundle(t *testing.T, change func(*specs.Spec)) *bundle {
	t.Helper()
	b, closed := newBundle(t), t.TempDir()
	must(t, os.Chmod(closed, 0o700))
	must(t, os.Mkdir(filepath.Join(closed, "volume"), 0o755))
	must(t, os.WriteFile(filepath.Join(closed, "volume/word"), []byte("reached"), 0o644))
	must(t, os.Chmod(filepath.Join(closed, "volume/word"), 0o666))
	must(t, os.WriteFile(filepath.Join(b.dir, "near"), []byte("reached"), 0o644))
	addMount(b.spec, "/volume", "bind", filepath.Join(closed, "volume"), "rbind", "ro")
	addMount(b.spec, "/word", "bind", filepath.Join(closed, "volume/word"), "bind", "ro")
	addMount(b.spec, "/near", "bind", "near", "bind")
	b.spec.Linux.MaskedPaths = []string{"/proc/kcore", "/proc/acpi"}
	b.spec.Linux.ReadonlyPaths = []string{"/proc/sys"}
	change(b.spec)
	must(t, os.Chmod(b.dir, 0o700))
	return b
}

// runClosed runs the container and returns where its mounts are, and how they are propagated.
func (b *bundle) runClosed(t *testing.T, flags ...string) (points []string) {
	t.Helper()
	b.do("look", "read /volume/word", "read /word", "read /near", "write /volume/word x")
	r := b.creates(t, nil, append([]string{"run"}, flags...)...)
	r.returned()
	res := r.closed().ok(t)
	for _, path := range []string{"/volume/word", "/word", "/near"} {
		if got := res.value(t, "read "+path); got != "reached" {
			t.Errorf("%s is %q", path, got)
		}
	}
	res.wantErrno(t, "write /volume/word x", "EROFS")
	for _, m := range res.look(t).Mounts {
		if !strings.HasPrefix(m.Point, "/dev/") { // nodes are bound in a user namespace
			points = append(points, m.Point+strings.TrimRight(" "+m.Tags, " :0123456789"))
		}
	}
	slices.Sort(points)
	return points
}

// TestOpenedOutsideAndJoined: the second container of a pod joins the user namespace of the first.
func TestOpenedOutsideAndJoined(t *testing.T) {
	needsRoot(t, "only root reaches what nobody else can")
	needs(t, !here.guest, "is seen on the host")
	first := closedBundle(t, withUserNamespace)
	must(t, os.Chown(first.rootfs, 500000, 500000))
	first.do("line")
	first.create(t)
	shim(t, "start", first.id).ok(t)
	second := closedBundle(t, func(*specs.Spec) {})
	must(t, os.Chown(second.rootfs, 500000, 500000))
	addNamespace(second.spec, specs.UserNamespace, "/proc/"+strconv.Itoa(first.state(t).Pid)+"/ns/user")
	second.runClosed(t)
}

// TestOpenedOutsideLocks: what the host's mount of a source forbids stays forbidden to a container's root who holds every
// capability in the user namespace (mount_namespaces(7), "locked").
func TestOpenedOutsideLocks(t *testing.T) {
	needsRoot(t, "only root reaches what nobody else can")
	needs(t, !here.guest, "is seen on the host")
	for _, f := range []struct {
		flag uintptr
		attr int
	}{{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY}, {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID}, {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV}, {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC}} {
		b := newBundle(t, withUserNamespace)
		must(t, os.Chown(b.rootfs, 500000, 500000))
		dir := filepath.Join(b.dir, "source")
		must(t, os.Mkdir(dir, 0o755))
		mountHere(t, "tmpfs", dir, "tmpfs", "mode=777")
		must(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|f.flag, ""))
		addMount(b.spec, "/mnt", "bind", dir, "bind")
		withCaps(b.spec, "CAP_SYS_ADMIN")
		forbidden := "clear /mnt " + itoa(f.attr)
		b.do(forbidden).run(t).ok(t).wantErrno(t, forbidden, "EPERM")
	}
}
