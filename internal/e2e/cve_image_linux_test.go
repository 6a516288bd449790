package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Mistakes of other runtimes with what is an image's or a volume's to choose, each as its own scenario. Those of this
// kind that are not here are beside what they are about: docs/security-tests.md.

// exchanging exchanges two names until the test says so.
func exchanging(one, other string) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// runOrRefused says whether it ran.
func (b *bundle) runOrRefused(t *testing.T) (res *result, ran bool) {
	t.Helper()
	res = b.run(t)
	if res.code != 0 && (res.code != 125 || len(failuresOf(res)) == 0) {
		t.Errorf("neither run nor refused: %s", res)
	}
	return res, res.code == 0
}

// TestCVE_2019_16884: a mount over /proc took the writes that should have reached the kernel. By its name nothing can be
// mounted there; by a link of the image's it can, and the writes reach the kernel all the same.
func TestCVE_2019_16884(t *testing.T) {
	seenOnHost(t)
	for _, dest := range []string{"/proc", "/proc/self", "/proc/self/attr", "/proc/sys"} {
		for _, typ := range []string{"tmpfs", "bind"} {
			b := newBundle(t)
			addMount(b.spec, dest, typ, volume(t))
			b.run(t).problem(t, "/mounts/3/destination")
		}
	}
	b, fake := newBundle(t).do("read /proc/self/oom_score_adj", "line"), volume(t)
	must(t, os.Mkdir(fake+"/self", 0o755))
	must(t, os.WriteFile(fake+"/self/oom_score_adj", []byte("fake"), 0o666))
	must(t, os.Symlink("/proc", b.rootfs+"/alias"))
	addMount(b.spec, "/alias", "bind", fake)
	b.spec.Process.OOMScoreAdj = ptr(1000)
	r := b.start(t, nil)
	pid := r.await("cloned").Pid
	r.answer("read /proc/self/oom_score_adj")
	if got := textOf(t, "/proc/"+itoa(pid)+"/oom_score_adj"); got != "1000\n" {
		t.Errorf("the score is %q", got)
	}
	r.say("")
	if got := r.wait().ok(t).value(t, "read /proc/self/oom_score_adj"); got != "fake" || textOf(t, fake+"/self/oom_score_adj") != "fake" {
		t.Errorf("the file that covers it reads %q inside", got)
	}
}

// TestCVE_2019_19921_2023_27561_2023_28642: the image's /proc or /sys is a link into a volume that another container may
// change.
func TestCVE_2019_19921_2023_27561_2023_28642(t *testing.T) {
	seenOnHost(t)
	for _, dest := range []string{"/proc", "/sys"} {
		b, shared := newBundle(t), volume(t)
		must(t, os.MkdirAll(shared+"/p/self/attr", 0o755))
		before := describeFiles(t, shared)
		must(t, os.Symlink("/shared/p", b.rootfs+dest))
		b.spec.Mounts = append([]specs.Mount{{Destination: "/shared", Type: "bind", Source: shared}}, b.spec.Mounts...)
		pointer := "/mounts/1"
		if dest == "/sys" {
			addMount(b.spec, dest, "sysfs", "sysfs", "ro")
			pointer = "/mounts/4"
		}
		if p := b.run(t).problem(t, pointer); p.Errno != "ELOOP" {
			t.Errorf("%s: refused with %q, want ELOOP", dest, p.Errno)
		}
		compareDescribed(t, before, describeFiles(t, shared))
	}
}

// TestCVE_2024_45310: a directory of a volume that another container has, too, becomes a link out of it while mount
// points are made in there. No empty file or directory is made on the host.
func TestCVE_2024_45310(t *testing.T) {
	seenOnHost(t)
	dir, unchanged := outside(t)
	b, shared := newBundle(t).do("exit 0"), volume(t)
	must(t, os.Mkdir(shared+"/dir", 0o755))
	must(t, os.Symlink(strings.Repeat("../", 30)+dir[1:], shared+"/link"))
	addMount(b.spec, "/shared", "bind", shared)
	addMount(b.spec, "/shared/dir/new/directory", "tmpfs", "tmpfs", "size=4k")
	addMount(b.spec, "/shared/dir/file", "bind", "/dev/null")
	end := exchanging(shared+"/dir", shared+"/link")
	for range 10 {
		b.runOrRefused(t)
	}
	end()
	unchanged(t)
}

// TestCVE_2025_31133_2025_62161: the image's /dev/null is a link to what is to stay covered, or to a setting of the host's.
// What covers a masked path is not the image's.
func TestCVE_2025_31133_2025_62161(t *testing.T) {
	seenOnHost(t)
	for _, to := range []string{"/hidden", "/proc/sys/kernel/core_pattern", "/nowhere"} {
		b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") })
		b.put(t, "hidden", "secret", 0o666)
		must(t, os.Mkdir(b.rootfs+"/dev", 0o755))
		must(t, os.Symlink(to, b.rootfs+"/dev/null"))
		b.spec.Linux.MaskedPaths = []string{"/hidden", "/proc/keys"}
		res, ran := b.do("read /hidden", "write /hidden x", "read /proc/keys", "look").runOrRefused(t)
		if !ran {
			continue
		}
		res.wantErrno(t, "write /hidden x", "EROFS")
		for _, action := range []string{"read /hidden", "read /proc/keys"} {
			if got := res.value(t, action); got != "" {
				t.Errorf("/dev/null leads to %s: %s: %q", to, action, got)
			}
		}
		if m := mountAt(t, res.look(t), "/proc/keys"); m.Type == "proc" {
			t.Errorf("a file of the kernel's covers /proc/keys: %+v", m)
		}
	}
}

// TestCVE_2025_52565: the place of the terminal, or of what covers /dev/console, is the image's own link to something of
// the kernel's.
func TestCVE_2025_52565(t *testing.T) {
	seenOnHost(t)
	for _, name := range []string{"/dev/console", "/dev/pts", "/dev/ptmx"} {
		b := newBundle(t, func(s *specs.Spec) { dropMount(s, "/dev") }, withTerminal)
		must(t, os.MkdirAll(b.rootfs+"/dev/pts", 0o755))
		must(t, os.RemoveAll(b.rootfs+name))
		must(t, os.Symlink("/proc/sys/kernel", b.rootfs+name))
		b.spec.Linux.ReadonlyPaths = []string{"/proc/sys"}
		l := listenConsole(t, filepath.Join(t.TempDir(), "console"))
		res := b.do("look").run(t, "--console-socket", l.Addr().String())
		if res.code == 0 && name == "/dev/console" || res.code != 0 && (res.code != 125 || len(failuresOf(res)) != 1) {
			t.Errorf("%s leads to a directory of proc's: %s", name, res)
		}
		for _, line := range res.answers() {
			for _, m := range line.Look.Mounts {
				if strings.HasPrefix(m.Point, "/proc/sys/") {
					t.Errorf("%s: something is mounted on %s", name, m.Point)
				}
			}
		}
	}
}

// TestCVE_2025_52881_2025_62596: while sysctls are written, /proc of the image is exchanged for a link to a directory with
// files of their names. They are written to proc, or not at all.
func TestCVE_2025_52881_2025_62596(t *testing.T) {
	seenOnHost(t)
	const key = "net/ipv4/ip_unprivileged_port_start"
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.MkdirAll(filepath.Dir(dir+"/sys/"+key), 0o755))
	must(t, os.WriteFile(dir+"/sys/"+key, []byte("precious"), 0o666))
	before := describeFiles(t, dir)
	b := newBundle(t, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{key: "81"} })
	addMount(b.spec, dir, "bind", dir) // so that the link leads to it inside, too
	for _, name := range []string{"proc", "dev", "tmp"} {
		must(t, os.Mkdir(b.rootfs+"/"+name, 0o755))
	}
	must(t, os.Symlink(dir, b.rootfs+"/link"))
	end := exchanging(b.rootfs+"/proc", b.rootfs+"/link")
	set := 0
	for range 10 {
		if res, ran := b.do("read /proc/sys/" + key).runOrRefused(t); ran {
			if got := res.answer(t, "read /proc/sys/"+key); strings.TrimSpace(got.Value) == "81" {
				set++
			}
		}
	}
	end()
	t.Logf("set %d times", set)
	compareDescribed(t, before, describeFiles(t, dir))
}

// TestCVE_2026_41579_2026_47766: the image's /dev is a link out of it. No device and no link is made there.
func TestCVE_2026_41579_2026_47766(t *testing.T) {
	seenOnHost(t)
	for _, mounted := range []bool{true, false} {
		for _, way := range []string{"", strings.Repeat("../", 30), "/proc/self/root/"} {
			dir, unchanged := outside(t)
			b := newBundle(t)
			if !mounted {
				dropMount(b.spec, "/dev")
			}
			to := dir
			if way != "" {
				to = way + dir[1:]
			}
			must(t, os.Symlink(to, b.rootfs+"/dev"))
			if res := b.run(t); res.code != 125 || len(failuresOf(res)) != 1 {
				t.Errorf("/dev leads to %s: %s", to, res)
			}
			unchanged(t)
		}
	}
}

// TestGHSA_3q8j_pf29_vwv8: a directory on the way to a path that becomes read-only or masked is exchanged between the
// bind and what closes it. What was bound is what is closed.
func TestGHSA_3q8j_pf29_vwv8(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t)
	for _, dir := range []string{"one", "other"} {
		b.put(t, dir+"/seal", "text", 0o666)
		b.put(t, dir+"/mask", "secret", 0o666)
	}
	b.spec.Linux.ReadonlyPaths, b.spec.Linux.MaskedPaths = []string{"/one/seal"}, []string{"/one/mask"}
	end := exchanging(b.rootfs+"/one", b.rootfs+"/other")
	defer end()
	for range 10 {
		res, ran := b.runOrRefused(t)
		if !ran {
			continue
		}
		closed := 0
		for _, m := range res.look(t).Mounts {
			if strings.HasSuffix(m.Point, "/seal") || strings.HasSuffix(m.Point, "/mask") {
				closed++
				if !hasOption(m.Options, "ro") {
					t.Errorf("%s is mounted %s", m.Point, m.Options)
				}
			}
		}
		if closed != 2 {
			t.Errorf("%d paths are closed: %v", closed, res.look(t).Mounts)
		}
	}
}

// TestCVE_2019_18837: a destination climbs out of the root, by itself or behind a directory of the image's.
func TestCVE_2019_18837(t *testing.T) {
	seenOnHost(t)
	dir, unchanged := outside(t)
	for _, way := range []string{strings.Repeat("/..", 30), "/a/b" + strings.Repeat("/..", 30), "/./../a/../.."} {
		b := newBundle(t)
		must(t, os.MkdirAll(b.rootfs+"/a/b", 0o755))
		dropMount(b.spec, "/tmp") // where the directory outside may lie
		addMount(b.spec, way+dir+"/etc", "bind", volume(t))
		addMount(b.spec, way+dir+"/new", "tmpfs", "tmpfs")
		r := b.run(t).ok(t).look(t)
		mountAt(t, r, dir+"/etc")
		mountAt(t, r, dir+"/new")
	}
	unchanged(t)
}

// TestCVE_2025_24965: files that some runtime or other writes into a container are links of the image's.
func TestCVE_2025_24965(t *testing.T) {
	seenOnHost(t)
	dir, unchanged := outside(t)
	b := newBundle(t).do("exit 0")
	dropMount(b.spec, "/tmp")
	names := []string{".krun_config.json", ".krun_vm.json", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab", "etc/passwd", "etc/group", "run/.containerenv", ".dockerenv"}
	for i, name := range names {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(b.rootfs, name)), 0o755))
		to := filepath.Join(dir, "new"+itoa(i))
		if i%2 == 0 {
			to = strings.Repeat("../", 30) + to[1:]
		}
		must(t, os.Symlink(to, filepath.Join(b.rootfs, name)))
	}
	before := describeFiles(t, b.rootfs)
	for _, name := range []string{"dev", "proc"} {
		must(t, os.Mkdir(filepath.Join(b.rootfs, name), 0o755))
	}
	for _, annotations := range []map[string]string{nil, {"run.oci.handler": "krun"}} {
		b.spec.Annotations = annotations
		if _, ran := b.runOrRefused(t); !ran && annotations == nil {
			t.Error("the container did not run")
		}
	}
	unchanged(t)
	for path, was := range before {
		if is := describeFiles(t, b.rootfs)[path]; path != b.rootfs && is != was && !strings.HasPrefix(is, "d") {
			t.Errorf("%s is %s, was %s", path, is, was)
		}
	}
}

// TestCVE_2026_87766: directories above a mount point are links of the image's to the host, when what is missing below
// them is made.
func TestCVE_2026_87766(t *testing.T) {
	seenOnHost(t)
	dir, unchanged := outside(t)
	for _, way := range []string{"/", strings.Repeat("../", 30)} {
		b := newBundle(t)
		dropMount(b.spec, "/tmp")
		must(t, os.Symlink(way+dir[1:], b.rootfs+"/srv"))
		must(t, os.MkdirAll(b.rootfs+"/var", 0o755))
		must(t, os.Symlink(way+dir[1:]+"/etc", b.rootfs+"/var/lib"))
		addMount(b.spec, "/srv/deep/directory", "tmpfs", "tmpfs", "size=4k")
		addMount(b.spec, "/srv/deep/file", "bind", volume(t)+"/file")
		addMount(b.spec, "/var/lib/deep/directory", "bind", volume(t))
		r := b.run(t).ok(t).look(t)
		for _, point := range []string{dir + "/deep/directory", dir + "/deep/file", dir + "/etc/deep/directory"} {
			mountAt(t, r, point)
		}
		unchanged(t)
	}
}
