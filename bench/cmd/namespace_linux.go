package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The benchmark runs in a mount namespace and a cgroup namespace of its own. There
// /run is an empty tmpfs, and /sys/fs/cgroup is a cgroup2 directory made for this
// run: the same pure cgroup v2 for every candidate, also on a hybrid host. The
// host's tree is not touched but for that one directory; in particular what a
// runtime writes to the cgroup.subtree_control of "/" (crun and runc enable there
// whatever they find) ends in it.

// cgroup2Mount is where the host's cgroup2 tree is.
func cgroup2Mount() (string, error) {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", errors.New("no cgroup2 tree at /sys/fs/cgroup or /sys/fs/cgroup/unified")
}

// makeCgroup makes the directory that will be the root of the tree inside, and the
// one below it that holds the benchmark itself: a cgroup with processes could not
// enable controllers for its children. What a killed run has left is removed first:
// the caller holds the lock.
func makeCgroup() (string, error) {
	mount, err := cgroup2Mount()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(mount, "locald-bench")
	if _, err := os.Stat(dir); err == nil {
		if err := removeCgroup(dir); err != nil {
			return "", err
		}
	}
	return dir, errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(filepath.Join(dir, "driver"), 0o755))
}

// removeCgroup kills what is left in the tree and removes it.
func removeCgroup(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		return err
	}
	// The killed are gone from the tree once cgroup.events says so.
	events, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		text := make([]byte, 256)
		n, err := events.ReadAt(text, 0)
		if n == 0 {
			return err
		}
		if strings.Contains(string(text[:n]), "populated 0") {
			break
		}
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, 5000); err != nil || n == 0 {
			return fmt.Errorf("processes left in %s: %w", dir, errors.Join(err, unix.ETIMEDOUT))
		}
	}
	for _, d := range slices.Backward(directories(dir)) {
		if err := os.Remove(d); err != nil {
			return err
		}
	}
	return nil
}

// directories are dir and all below it, parents first.
func directories(dir string) []string {
	var out []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			out = append(out, path)
		}
		return nil
	})
	return out
}

// enter makes the mounts. The process is in the new namespaces already, and in the
// cgroup that becomes their root.
func enter(cgroup string) error {
	var own, parent unix.Stat_t
	if err := errors.Join(unix.Stat("/proc/self/ns/mnt", &own), unix.Stat("/proc/"+strconv.Itoa(os.Getppid())+"/ns/mnt", &parent)); err != nil {
		return err
	}
	if own.Ino == parent.Ino {
		return errors.New("refusing to mount anything: this is the mount namespace of the caller")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make / private: %w", err)
	}
	// The process has not moved yet, so "driver" is still found below the host's tree.
	if err := os.WriteFile(filepath.Join(cgroup, "driver/cgroup.procs"), []byte("0"), 0); err != nil {
		return err
	}
	if err := unix.Mount(cgroup, "/sys/fs/cgroup", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s on /sys/fs/cgroup: %w", cgroup, err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on /run: %w", err)
	}
	// Above the Go runtime's and the shell's neighbours on a busy machine; the
	// candidates inherit it, all alike.
	return syscall.Setpriority(syscall.PRIO_PROCESS, 0, -15)
}

// traces is everything that a container could have left behind: cgroups, files
// below /run, mounts, and processes in the benchmark's tree.
func traces() []string {
	out := directories("/sys/fs/cgroup")
	for _, dir := range slices.Clone(out) {
		procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for pid := range strings.Lines(string(procs)) {
			out = append(out, "process "+strings.TrimSpace(pid)+" in "+dir)
		}
	}
	filepath.WalkDir("/run", func(path string, _ fs.DirEntry, _ error) error {
		if strings.HasPrefix(path, "/run/podman") { // what podman keeps of itself
			return fs.SkipDir
		}
		out = append(out, path)
		return nil
	})
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		out = append(out, "mount on "+f[4])
	}
	return out
}

// leftovers are the traces that were not there before.
func leftovers(before, after []string) []string {
	var out []string
	for _, t := range after {
		if !slices.Contains(before, t) {
			out = append(out, t)
		}
	}
	return out
}
