package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Attacks that once worked.

// TestCVE_2025_54867: an image whose /proc is a link through a directory that the tmpfs on /dev hides afterwards. proc
// was mounted where the link led, and what is masked in /proc was not found any more, so nothing was masked: with
// /proc/sys writable, that is the host.
func TestCVE_2025_54867(t *testing.T) {
	for dest, typ := range map[string]string{"/proc": "proc", "/sys": "sysfs"} {
		t.Run(typ, func(t *testing.T) {
			b := newBundle(t)
			must(t, os.MkdirAll(filepath.Join(b.rootfs, "dev/link"), 0o755))
			must(t, os.Mkdir(filepath.Join(b.rootfs, "q"), 0o755))
			must(t, os.RemoveAll(filepath.Join(b.rootfs, dest)))
			must(t, os.Symlink("dev/link/../../q", filepath.Join(b.rootfs, dest)))
			if typ == "sysfs" {
				dropMount(b.spec, dest)
				addMount(b.spec, dest, "sysfs", "sysfs", "ro", "nosuid", "noexec", "nodev")
			}
			pointer := ""
			for i, m := range b.spec.Mounts {
				if m.Destination == dest {
					pointer = "/mounts/" + string(rune('0'+i))
				}
			}
			if p := b.do("list /q").run(t).problem(t, pointer); p.Errno != "ELOOP" {
				t.Errorf("refused with %q, want ELOOP", p.Errno)
			}
		})
	}
}

// TestMaskIsNobodysFile: what covers a masked path is nobody's to change. It was the host's /dev/null once, whose owner
// and mode root in a container could change.
func TestMaskIsNobodysFile(t *testing.T) {
	b := newBundle(t)
	b.put(t, "secret", "secret", 0o666)
	b.spec.Linux.MaskedPaths = []string{"/secret"}
	r := b.do("chown /secret 0 0", "read /secret").run(t).ok(t)
	r.wantErrno(t, "chown /secret 0 0", "EROFS")
	if got := r.value(t, "read /secret"); got != "" {
		t.Errorf("read %q, want nothing", got)
	}
}

// TestDevicesOfHostKeepTheirOwner: devices that are bound over an image's own /dev are the host's nodes.
func TestDevicesOfHostKeepTheirOwner(t *testing.T) {
	needsRoot(t, "only root's ids would own the host's nodes")
	b := newBundle(t)
	dropMount(b.spec, "/dev/pts")
	dropMount(b.spec, "/dev/mqueue")
	dropMount(b.spec, "/dev/shm")
	dropMount(b.spec, "/dev")
	must(t, os.MkdirAll(filepath.Join(b.rootfs, "dev"), 0o755))
	withCaps(b.spec, "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE")
	b.do("chown /dev/full 0 0", "write /dev/null x").run(t).ok(t).wantErrno(t, "chown /dev/full 0 0", "EROFS")
}

// TestChildIsUndumpable: while a container is set up, root in a container whose pid namespace it joins must not reach
// its descriptors (CVE-2016-9962). The other container looks at whatever process comes up beside it.
func TestChildIsUndumpable(t *testing.T) {
	needsRoot(t, "only root joins a pid namespace")
	h := hold(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID})
	b := newBundle(t)
	replaceNamespace(b.spec, specs.PIDNamespace, h.path("pid"))
	b.write(t)
	r := shim(t, "bundle", "run", "--dry-run", "--bundle", b.dir, "--id", b.id)
	listing := r.stdout
	if !strings.Contains(listing, "   0 prctl(dumpable, 0, 0, 0, 0)") || strings.Contains(listing, "vfork") {
		t.Errorf("the child can be traced, or shares memory:\n%s", r)
	}
}

// TestUsersBaseIsNotRoots: a container of root's does not lie where a user's containers do, whose directory the shim
// would give to that user.
func TestUsersBaseIsNotRoots(t *testing.T) {
	needsRoot(t, "is about root's containers")
	b := newBundle(t)
	for _, path := range []string{"/locald/u4242", "/locald/u4242/web"} {
		b.spec.Linux.CgroupsPath = path
		b.run(t).problem(t, "/linux/cgroupsPath")
	}
}

// TestProgramIsInside: a link of the image's to /proc/self/fd/N, or the first line of a script, led execve(2) by a
// directory that the shim still had open, such as the cgroup's, to a program of the host's (CVE-2024-21626).
func TestProgramIsInside(t *testing.T) {
	b := newBundle(t)
	host := filepath.Join(b.dir, "outside")
	must(t, copyFile(host, filepath.Join(b.rootfs, probe.Name), 0o755))
	numbers := thin([]int{6, 7, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	for _, n := range numbers {
		way := "/proc/self/fd/" + itoa(n) + strings.Repeat("/..", 12) + host
		must(t, os.Symlink(way, filepath.Join(b.rootfs, "link"+itoa(n))))
		b.put(t, "script"+itoa(n), "#!"+way+"\n", 0o755)
	}
	check := func(verb string, call func(program string) *result) {
		for _, n := range numbers {
			for _, program := range []string{"/link" + itoa(n), "/script" + itoa(n)} {
				r := call(program)
				if refused := strings.HasPrefix(r.stderr, "locald-shim: ") || len(failuresOf(r)) > 0; !refused {
					t.Errorf("%s of %s: %s", verb, program, r)
				}
			}
		}
	}
	b.do("look", "line")
	r := b.running(t)
	check("exec", func(program string) *result { return shim(t, "exec", b.id, program, "exit 0") })
	b.ends(t, r)
	check("bundle run", func(program string) *result {
		b.spec.Process.Args = []string{program, "exit 0"}
		return b.run(t)
	})
	check("run", func(program string) *result {
		b.spec.Process.Args = []string{program, "exit 0"}
		b.write(t)
		return shim(t, "run", "--bundle", b.dir, b.id)
	})
}
