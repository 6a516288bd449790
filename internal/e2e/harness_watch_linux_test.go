package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
	"golang.org/x/sys/unix"
)

// snapshot is what there is outside that a container could leave behind, by name.
type snapshot map[string]string

// watch compares, when the test ends, with what there is now. It runs before the cleanups that are
// registered before it, and after those that come later: a test ends its own processes in one of these.
func watch(t *testing.T, b *bundle) {
	t.Helper()
	before := look(t)
	t.Cleanup(func() {
		after := look(t)
		for _, what := range before.compare(after) {
			t.Error(what)
		}
		before.sweepUp(after)
		if b.files != nil {
			compareFiles(t, b)
		}
	})
}

// compare says what is there now that was not, and what was changed. Containers of the same test may have
// ended meanwhile, so processes, cgroups and states may also go.
func (before snapshot) compare(after snapshot) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, was := before[name]; !was {
			all = append(all, "left behind: "+name+" "+after[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		kind, _, _ := strings.Cut(name, " ")
		now, is := after[name]
		if is && now != before[name] && kind != "process" || !is && kind != "process" && kind != "cgroup" && kind != "state" {
			all = append(all, fmt.Sprintf("changed: %s was %q, is %q", name, before[name], now))
		}
	}
	return all
}

// sweepUp removes what compare found, so that it fails one test only.
func (before snapshot) sweepUp(after snapshot) {
	names := slices.Sorted(maps.Keys(after))
	for _, name := range slices.Backward(names) { // what lies deeper comes first
		kind, rest, _ := strings.Cut(name, " ")
		if _, was := before[name]; was {
			continue
		}
		switch kind {
		case "process":
			if pid, err := strconv.Atoi(rest); err == nil {
				unix.Kill(pid, unix.SIGKILL)
				awaitEnd(pid, time.Second)
			}
		case "cgroup":
			os.WriteFile(rest+"/cgroup.kill", []byte("1"), 0)
			os.Remove(rest)
		case "state":
			os.Remove(rest)
		}
	}
}

func look(t *testing.T) snapshot {
	t.Helper()
	s := snapshot{}
	s.processes()
	for _, m := range probe.Mounts("/proc/self/mountinfo") {
		s["mount "+m.Point+" "+m.Type+" "+m.Root] = ""
	}
	s.cgroups()
	s.tree("state", "/run/locald")
	if !here.root {
		s.home()
	}
	for _, key := range []string{"kernel/hostname", "kernel/domainname", "kernel/core_pattern", "kernel/shmmax", "kernel/msgmax", "net/ipv4/ip_forward", "net/ipv4/ip_unprivileged_port_start"} {
		text, _ := os.ReadFile("/proc/sys/" + key)
		s["sysctl "+key] = string(text)
	}
	return s
}

// processes are our descendants, with the namespaces that they alone keep alive, and who is in a cgroup
// of ours.
func (s snapshot) processes() {
	reap()
	parents := map[int]int{}
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		if pid, err := strconv.Atoi(d.Name()); err == nil {
			parents[pid] = parentOf(pid)
		}
	}
	own := map[int]bool{os.Getpid(): true}
	var descends func(pid int) bool
	descends = func(pid int) bool { return pid > 0 && (own[pid] || descends(parents[pid])) }
	for pid := range parents {
		if pid == os.Getpid() {
			continue
		}
		groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if descends(pid) || strings.Contains(string(groups), idPrefix) {
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			s["process "+strconv.Itoa(pid)] = strings.ReplaceAll(string(command), "\x00", " ")
		}
	}
}

// parentOf is the parent's pid; 0 when the process is gone.
func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	f := strings.Fields(rest)
	if len(f) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(f[1])
	return ppid
}

// reap waits for children that have ended and that are ours only because their parent has ended as well.
// A test that still has a shim running has not come here.
func reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}

// cgroups are all of them in a guest. Elsewhere other people's come and go, and only those with our ids are
// looked at.
func (s snapshot) cgroups() {
	trees, _ := filepath.Glob("/sys/fs/cgroup/*")
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		trees = []string{"/sys/fs/cgroup"}
	}
	for _, tree := range trees {
		filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil
			}
			name := strings.TrimPrefix(path, tree)
			base := name == "/locald" || strings.HasPrefix(name, "/locald/u") && (strings.Count(name, "/") == 2 || filepath.Base(name) == "in")
			if !base && (here.guest || strings.Contains(path, idPrefix)) {
				s["cgroup "+path] = ""
			}
			return nil
		})
	}
}

// tree lists a directory; the top of it may stay.
func (s snapshot) tree(kind, top string) {
	filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if name := strings.TrimPrefix(path, top); err == nil && strings.Count(name, "/") > 1 {
			s[kind+" "+path] = d.Type().String()
		}
		return nil
	})
}

func (s snapshot) home() {
	home, err := os.UserHomeDir()
	if err != nil {
		return
	}
	entries, _ := os.ReadDir(home)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasPrefix(e.Name(), ".") {
			s["home "+e.Name()] = info.ModTime().String()
		}
	}
}

// listFiles describes the files of a bundle outside of its rootfs.
func listFiles(dir, rootfs string) map[string]string {
	all := map[string]string{}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == rootfs {
			return fs.SkipDir
		}
		if err != nil || path == dir {
			return nil
		}
		if info, err := d.Info(); err == nil && !d.IsDir() {
			all[path] = info.Mode().String() + owner(info)
		}
		return nil
	})
	return all
}

func owner(info fs.FileInfo) string {
	st, _ := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf(" %d:%d", st.Uid, st.Gid)
}

// compareFiles sees that nothing was added to a bundle, and that no file of root's was made for a user.
func compareFiles(t *testing.T, b *bundle) {
	t.Helper()
	after := listFiles(b.dir, b.rootfs)
	for name, is := range after {
		if was := b.files[name]; was != is {
			t.Errorf("left behind in the bundle: %s %s (was %q)", name, is, was)
		}
	}
	if here.root {
		return
	}
	filepath.WalkDir(b.rootfs, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, _ := info.Sys().(*syscall.Stat_t); st.Uid == 0 || st.Gid == 0 {
				t.Errorf("made as root in a user's bundle: %s", path)
			}
		}
		return nil
	})
}

// settle waits until none of our processes is left: after a SIGKILL the kernel needs a moment for the rest.
func settle(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(limit())
	for {
		s := snapshot{}
		s.processes()
		if len(s) == 0 {
			return
		}
		for name, command := range s {
			if time.Now().After(deadline) {
				t.Fatalf("still alive: %s %s", name, command)
			}
			if pid, err := strconv.Atoi(strings.TrimPrefix(name, "process ")); err == nil {
				awaitEnd(pid, time.Until(deadline))
			}
		}
	}
}

// awaitEnd waits for the end of any process.
func awaitEnd(pid int, most time.Duration) (ended bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(most.Milliseconds()))
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// lookCloser also looks at files that nothing of what a torturer does may change: the programs, those that say who may
// have which ids, the directories of the machine's, and what is left of a program that crashes where the shim is started.
func lookCloser(t *testing.T, o *torturer) snapshot {
	t.Helper()
	s := look(t)
	for _, name := range []string{o.shim, o.other.shim, "/etc", "/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid", "/etc/hosts", "/etc/resolv.conf", "/dev", "/dev/null", "/dev/full", "/core"} {
		info, err := os.Lstat(name)
		if err != nil {
			continue
		}
		st := info.Sys().(*syscall.Stat_t)
		is := fmt.Sprint(info.Mode(), " ", st.Uid, ":", st.Gid, " ", st.Ino, " ", st.Rdev)
		if info.Mode()&os.ModeDevice == 0 {
			is += fmt.Sprint(" ", st.Nlink, " ", info.Size(), " ", info.ModTime())
		}
		s["file "+name] = is
	}
	return s
}
