package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// workDir holds the binaries and bundles while the benchmark runs. It is on the
// disk, where programs are installed, and every component of its path can be
// written by root only: a set-user-ID program belongs nowhere else.
const workDir = "/var/lib/locald-bench"

var (
	rootCaller = caller{0, 0}
	// userCaller needs no line in /etc/passwd or /etc/subuid: its container maps its
	// own id only.
	userCaller = caller{54321, 54321}
)

func bin(name string) string { return filepath.Join(workDir, "bin", name) }

// peer is where another runtime is installed: /usr/sbin in Debian, for runc.
func peer(name string) string {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"} {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	return name
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// bundleDir is the bundle of a caller's slot; hereDir is that of a container which
// stays in the user's own cgroup.
func bundleDir(as caller, slot string) string { return filepath.Join(workDir, as.String(), slot) }

func hereDir(slot string) string { return filepath.Join(workDir, "here", slot) }

// runtimeDir is the caller's directory below /run.
func runtimeDir(as caller) string { return filepath.Join("/run/user", strconv.Itoa(as.uid)) }

// makeRuntimeDirs makes them, in the empty /run of the benchmark.
func makeRuntimeDirs() error {
	err := os.Mkdir("/run/user", 0o755)
	for _, as := range []caller{rootCaller, userCaller} {
		err = errors.Join(err, os.Mkdir(runtimeDir(as), 0o700), os.Chown(runtimeDir(as), as.uid, as.gid))
	}
	return err
}

// runtimes are the candidates that run true in the bundle of their slot.
func runtimes() []candidate {
	root, user := bundleDir(rootCaller, "{slot}"), bundleDir(userCaller, "{slot}")
	shim := func(name string, as caller, bundle string) candidate {
		return candidate{name: name, as: as, argv: []string{bin("locald-shim"), "bundle", "run", "--bundle", bundle, "--id", "bench-{slot}"}}
	}
	return []candidate{
		shim(shimRoot, rootCaller, root),
		shim(shimUser, userCaller, user),
		shim(shimHere, userCaller, hereDir("{slot}")),
		{name: crunRoot, argv: []string{peer("crun"), "--cgroup-manager=cgroupfs", "run", "--bundle", root, "bench-{slot}"}},
		{
			name: crunUser, as: userCaller, env: []string{"XDG_RUNTIME_DIR=" + runtimeDir(userCaller)},
			argv: []string{peer("crun"), "--cgroup-manager=disabled", "run", "--bundle", hereDir("{slot}"), "bench-{slot}"},
		},
		{name: runcRoot, argv: []string{peer("runc"), "run", "--bundle", root, "bench-{slot}"}},
		{name: floorRoot, argv: []string{bin("floor"), root, "/sys/fs/cgroup/locald/bench-{slot}"}},
		{name: embedRoot, argv: []string{bin("runc-embed"), root, "bench-{slot}"}},
	}
}

// starts are the programs that only start and end.
func starts() []candidate {
	return []candidate{
		{name: versionShim, argv: []string{bin("locald-shim"), "--version"}},
		{name: versionUser, argv: []string{bin("locald"), "version"}},
		{name: emptyGo, argv: []string{bin("empty")}},
		{name: emptyC, argv: []string{bin("true")}},
	}
}

// home is a directory that belongs to the caller.
func home(as caller) string { return filepath.Join(workDir, "home", as.String()) }

// locald returns `locald run builtin:hello`, and `bundle run` of the bundle that
// --print-bundle writes for it, which is written here. What the first takes longer is
// the cost of locald itself.
func locald(as caller, name, shimName string) ([]candidate, error) {
	bundle := filepath.Join(home(as), "bundle")
	run := candidate{
		name: name, as: as, argv: []string{bin("locald"), "run", "builtin:hello"},
		env: []string{"LOCALD_SHIM=" + bin("locald-shim"), "HOME=" + home(as), "XDG_RUNTIME_DIR=" + runtimeDir(as)},
	}
	write := run
	write.argv = []string{bin("locald"), "run", "--name", "hello", "--print-bundle", bundle, "builtin:hello"}
	if _, _, err := write.spawn(bin("spawn"), 1, 1); err != nil {
		return nil, fmt.Errorf("--print-bundle: %w", err)
	}
	return []candidate{
		run,
		{name: shimName, as: as, argv: []string{bin("locald-shim"), "bundle", "run", "--bundle", bundle, "--id", "hello"}},
	}, nil
}

// install copies the built binaries to workDir, the shim set-user-ID root, and
// writes the bundles of both callers.
func install(built string) error {
	if err := errors.Join(os.RemoveAll(workDir), os.MkdirAll(filepath.Join(workDir, "bin"), 0o755), os.Chmod(workDir, 0o755)); err != nil {
		return err
	}
	entries, err := os.ReadDir(built)
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(built, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(bin(e.Name()), data, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(bin("locald-shim"), 0o755|os.ModeSetuid); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, as := range []caller{rootCaller, userCaller} {
		err = errors.Join(err, os.MkdirAll(home(as), 0o755), os.Chown(home(as), as.uid, as.gid))
		for slot := range slots {
			err = errors.Join(err, installBundles(as, slot))
		}
	}
	return err
}

func installBundles(as caller, slot int) error {
	spec, err := newSpec(as, slot)
	if err != nil {
		return err
	}
	dir := strconv.Itoa(slot)
	if err := writeBundle(bundleDir(as, dir), spec, bin("true")); err != nil || as.root() {
		return err
	}
	spec.Linux.CgroupsPath = ""
	return writeBundle(hereDir(dir), spec, bin("true"))
}

// protect does what setup does by chattr(1): the shim does not execute itself once more from a file that nobody can
// write.
func protect(file string) error {
	return errors.Join(unix.Mount(file, file, "", unix.MS_BIND, ""), unix.Mount("", file, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
}
