package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// trace is what strace(1) saw of one call of the shim, by thread.
type trace struct {
	dir     string
	result  *result
	threads map[int][]string
	main    int
	joins   bool // the call is exec, whose child gets no user namespace of its own
}

// traced runs a bundle as the account, under a strace of root's, under which the set-user-ID bit has its effect.
// flags are strace's.
func (a *account) traced(t *testing.T, b *bundle, flags []string, shimFlags ...string) *trace {
	t.Helper()
	return a.tracedVerb(t, b, flags, append([]string{"bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3"}, shimFlags...)...)
}

// tracedVerb is traced for any verb.
func (a *account) tracedVerb(t *testing.T, b *bundle, flags []string, args ...string) *trace {
	t.Helper()
	b.write(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("these tests need strace: apt-get install strace")
	}
	tr := &trace{dir: t.TempDir(), threads: map[int][]string{}}
	r := launch(t, b, func(c *exec.Cmd) {
		args := append([]string{strace, "-ff", "-y", "-qq", "-u", a.name, "-o", filepath.Join(tr.dir, "t")}, flags...)
		c.Args = append(append(args, a.shim), c.Args[1:]...)
		c.Path = strace
		c.Dir = "/"
	}, args...)
	hangs := time.AfterFunc(10*patience(), func() { r.kill(b) })
	tr.result = r.wait()
	if !hangs.Stop() {
		t.Fatalf("the shim did not end under strace: %s", tr.result)
	}
	files, err := filepath.Glob(filepath.Join(tr.dir, "t.*"))
	must(t, err)
	for _, name := range files {
		tid, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(name), "."))
		must(t, err)
		tr.threads[tid] = linesOf(t, name)
		if lines := tr.threads[tid]; len(lines) > 0 && strings.HasPrefix(lines[0], `execve("`+a.shim+`"`) {
			tr.main = tid
		}
	}
	if tr.main == 0 {
		t.Fatalf("strace saw no shim: %s", tr.result)
	}
	return tr
}

func linesOf(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	var lines []string
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		lines = append(lines, in.Text())
	}
	must(t, in.Err())
	return lines
}

// call is one system call that a thread made.
type call struct {
	name, line string
	nth        int    // of this name and thread, from 1
	euid       int    // when it was made
	fsuid      int    //
	caps       string // that were effective
	permitted  string //
	forged     bool   // by strace: it had no effect
}

// privileged: the capabilities to change ids give nothing by themselves.
func (c *call) privileged() bool {
	return c.euid == 0 || c.fsuid == 0 || c.overrides() || strings.Contains(c.caps, "CAP_SYS_ADMIN")
}

// overrides says whether permissions of files meant nothing to the call.
func (c *call) overrides() bool {
	return strings.Contains(c.caps, "CAP_DAC_OVERRIDE") && !strings.Contains(c.caps, "CAP_FOWNER") // as all are before the first capset
}

var (
	callName  = regexp.MustCompile(`^(\w+)\(`)
	newThread = regexp.MustCompile(`^clone3?\(.*CLONE_THREAD.* = (\d+)$`)
	newUIDs   = regexp.MustCompile(`^setresuid\((-?\d+), (-?\d+), (-?\d+)\) += 0$`)
	newCaps   = regexp.MustCompile(`^capset\(.*\{effective=([^,]+), permitted=([^,]+), .*\) += 0$`)
	newFSUID  = regexp.MustCompile(`^setfsuid\((-?\d+)\) += (\d+)$`)
)

// calls are those of the threads of the shim, not of its child's: each with the ids that it was made with. A
// thread begins with those of its maker.
func (tr *trace) calls(t *testing.T) map[int][]call {
	t.Helper()
	all := map[int][]call{}
	tr.follow(t, tr.main, ids{0, 0, "CAP_FOWNER and all others", "all"}, all)
	return all
}

type ids struct {
	euid, fsuid     int
	caps, permitted string
}

func (tr *trace) follow(t *testing.T, tid int, now ids, all map[int][]call) {
	t.Helper()
	count := map[string]int{}
	for _, line := range tr.threads[tid] {
		m := callName.FindStringSubmatch(line)
		if m == nil {
			continue // a signal, or the end
		}
		count[m[1]]++
		c := call{m[1], line, count[m[1]], now.euid, now.fsuid, now.caps, now.permitted, strings.HasSuffix(line, "(INJECTED)")}
		all[tid] = append(all[tid], c)
		switch {
		case c.forged:
		case newThread.MatchString(line):
			tr.follow(t, number(t, newThread.FindStringSubmatch(line)[1]), now, all)
		case newUIDs.MatchString(line):
			now.euid = number(t, newUIDs.FindStringSubmatch(line)[2])
			now.fsuid = now.euid
			if now.euid != 0 {
				now.caps = "0" // capabilities(7), "Effect of user ID changes on capabilities"
			}
		case newCaps.MatchString(line):
			m := newCaps.FindStringSubmatch(line)
			now.caps, now.permitted = m[1], m[2]
		case newFSUID.MatchString(line):
			m := newFSUID.FindStringSubmatch(line)
			if now.fsuid = number(t, m[1]); now.fsuid < 0 {
				now.fsuid = number(t, m[2]) // an id that is never valid: the call tells the one in force
			}
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	must(t, err)
	return n
}

// permitted reads the list of calls that may be made with root's ids.
func permitted(t *testing.T) map[string]bool {
	t.Helper()
	list := map[string]bool{}
	for _, line := range linesOf(t, "testdata/privileged-calls.txt") {
		name, why, ok := strings.Cut(line, "\t")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !ok || name == "" || why == "" || list[name] {
			t.Fatalf("testdata/privileged-calls.txt: %q is not CALL<TAB>WHY, or comes twice", line)
		}
		list[name] = true
	}
	return list
}

// What root's ids are used on: for reading, and for making and writing. U is the caller's uid.
var (
	mayRead  = `^(/|/etc|/etc/(passwd|group|subuid|subgid|locald|locald/shim\.conf)|/run|/run/locald|/run/locald/uU|/proc|/proc/(self|\d+)(/.*)?|/sys/fs/cgroup(/.*)?|/sys/kernel/mm/transparent_hugepage/hpage_pmd_size|/dev/null)$`
	mayWrite = `^(/run/locald|/run/locald/uU|/sys/fs/cgroup(/unified)?(/locald|/locald/uU)?|/sys/fs/cgroup(/unified)?(/locald|/locald/uU)?/cgroup\.subtree_control|/sys/fs/cgroup(/unified)?/locald/uU/(cgroup\.(procs|threads|max\.descendants|max\.depth)|(memory|pids|cpu|cpuset)\.[a-z.]+)|/proc/\d+/(uid_map|gid_map|setgroups|timens_offsets|oom_score_adj)|/dev/null)$`
	firstFD  = regexp.MustCompile(`^\w+\((\d+|AT_FDCWD)<([^>]*)>`)
	pathArg  = regexp.MustCompile(`^\w+\((?:(?:\d+|AT_FDCWD)<[^>]*>, )?"([^"]*)"`)
	opens    = regexp.MustCompile(`O_(WRONLY|RDWR|CREAT|TRUNC)`)
)

// mapsIDs is the one thing that is done to a mount, which is a descriptor's.
var mapsIDs = regexp.MustCompile(`^mount_setattr\(\d+<[^>]*>, "", AT_EMPTY_PATH, \{attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0[^,]*, userns_fd=\d+<[^>]*>\}, 32\) `)

// file is the file that a call is about, "" for none.
func (c *call) file() string {
	fd := firstFD.FindStringSubmatch(c.line)
	at := ""
	if fd != nil {
		at = fd[2]
	}
	switch c.name {
	case "write", "read", "pread64", "pwrite64": // what is in quotes is the text
	default:
		if m := pathArg.FindStringSubmatch(c.line); m != nil {
			if filepath.IsAbs(m[1]) {
				return filepath.Clean(m[1])
			}
			at = filepath.Join(at, m[1])
		}
	}
	if !filepath.IsAbs(at) { // a pipe
		return ""
	}
	return at
}

func (c *call) writes() bool {
	switch c.name {
	case "openat", "openat2":
		return opens.MatchString(c.line)
	case "read", "pread64", "close", "fstat", "newfstatat", "statx", "fstatfs", "statfs", "getdents64", "flock", "readlinkat", "fcntl", "lseek", "faccessat", "faccessat2":
		return false
	}
	return true
}

// checkPrivileged looks at everything that is done with root's ids: only calls on the list, and none about
// anything that the caller could have put there.
func (tr *trace) checkPrivileged(t *testing.T, a *account, list map[string]bool) {
	t.Helper()
	read := regexp.MustCompile(strings.ReplaceAll(mayRead, "U", itoa(a.uid)))
	write := regexp.MustCompile(strings.ReplaceAll(mayWrite, "U", itoa(a.uid)))
	for tid, calls := range tr.calls(t) {
		for i := range calls {
			c := &calls[i]
			if c.name == "clone3" && (c.euid == 0 || c.fsuid == 0 || tr.joins == strings.Contains(c.line, "CLONE_NEWUSER")) {
				t.Errorf("a child that is not the caller's: %s", c.line)
			}
			if !c.privileged() || tid == tr.main && i == 0 { // the execve itself
				continue
			}
			if !list[c.name] || c.name == "bpf" && !strings.HasPrefix(c.line, "bpf(BPF_PROG_QUERY, ") {
				t.Errorf("not in testdata/privileged-calls.txt, with euid %d, fsuid %d and capabilities %s: %s", c.euid, c.fsuid, c.caps, c.line)
			}
			if name := c.file(); c.overrides() && name != "" && !strings.HasPrefix(name, "/sys/fs/cgroup") {
				t.Errorf("%s with CAP_DAC_OVERRIDE: %s", name, c.line)
			}
			if c.name == "sendto" && !strings.Contains(c.line, `sun_path="/dev/log"`) {
				t.Errorf("with euid %d, fsuid %d and capabilities %s: %s", c.euid, c.fsuid, c.caps, c.line)
			}
			if c.name == "mount_setattr" {
				if !mapsIDs.MatchString(c.line) || c.euid != a.uid || c.fsuid != a.uid || c.caps != "1<<CAP_SYS_ADMIN" {
					t.Errorf("with euid %d, fsuid %d and capabilities %s: %s", c.euid, c.fsuid, c.caps, c.line)
				}
				continue
			}
			may := read
			if c.writes() {
				may = write
			}
			standard := strings.HasPrefix(c.line, "fcntl(") && strings.Contains(c.line, "F_GETFD") // the runtime looks at 0, 1 and 2
			if name := c.file(); name != "" && !standard && !may.MatchString(name) {
				t.Errorf("%s with euid %d, fsuid %d and capabilities %s: %s", name, c.euid, c.fsuid, c.caps, c.line)
			}
		}
	}
}

// TestSetuidPrivilegedCalls holds everything that the shim does while it has root's ids to a list.
func TestSetuidPrivilegedCalls(t *testing.T) {
	u, _ := accounts(t)
	list := permitted(t)
	for _, name := range []string{"mount", "umount2", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "unlink", "unlinkat", "rename", "renameat2", "execve", "execveat", "link", "linkat", "symlink", "symlinkat", "setns", "unshare", "ptrace"} {
		if list[name] {
			t.Errorf("%s is on the list", name)
		}
	}
	subordinate := []specs.LinuxIDMapping{{ContainerID: 1, HostID: uint32(u.sub), Size: 1000}}
	for _, c := range []struct {
		name   string
		change func(s *specs.Spec)
		flags  []string
		code   int
	}{
		{"first call", func(*specs.Spec) {}, nil, 7},
		{"later call", func(*specs.Spec) {}, nil, 7},
		{"range of ids", func(s *specs.Spec) {
			s.Linux.UIDMappings, s.Linux.GIDMappings = append(s.Linux.UIDMappings, subordinate...), append(s.Linux.GIDMappings, subordinate...)
		}, nil, 7},
		{"time and oom score", func(s *specs.Spec) {
			addNamespace(s, specs.TimeNamespace, "")
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1000}}
			s.Process.OOMScoreAdj = ptr(500)
		}, nil, 7},
		{"idmapped mounts", u.someIDMapped(t), nil, 7},
		{"no cgroup", func(s *specs.Spec) { s.Linux.CgroupsPath = "" }, nil, 7},
		{"refused", func(s *specs.Spec) { s.Linux.UIDMappings = oneID(0) }, nil, 125},
		{"dry run", func(*specs.Spec) {}, []string{"--dry-run"}, 0},
		{"bad flag", func(*specs.Spec) {}, []string{"--colour", "blue"}, 125},
	} {
		if here.guest && (c.code != 7 || c.name == "idmapped mounts") { // strace is slow there
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			b := u.bundle(t).do("exit 7")
			c.change(b.spec)
			tr := u.traced(t, b, nil, c.flags...)
			if tr.result.code != c.code {
				t.Fatalf("exit status %d, want %d: %s", tr.result.code, c.code, tr.result)
			}
			tr.checkPrivileged(t, u, list)
			if asks := c.name == "idmapped mounts"; c.code == 7 && tr.keptAdmin() != asks {
				t.Errorf("CAP_SYS_ADMIN was kept after config.json was read: %v, a mount asks for it: %v", !asks, asks)
			}
		})
	}
}

// keptAdmin says whether CAP_SYS_ADMIN was still permitted when the container's first process was made.
func (tr *trace) keptAdmin() bool {
	caps := ""
	for _, line := range tr.threads[tr.main] {
		if strings.HasPrefix(line, "capset(") {
			caps = line
		}
		if strings.HasPrefix(line, "clone3(") && strings.Contains(line, "CLONE_NEWUSER") {
			break
		}
	}
	return strings.Contains(caps, "CAP_SYS_ADMIN")
}

// TestSetuidLies: strace says that a call has succeeded, and it has not been made. The shim must find out, and
// not do with root's ids what it would have done with the caller's.
func TestSetuidLies(t *testing.T) {
	u, _ := accounts(t)
	list, maps := permitted(t), u.someIDMapped(t)
	for _, lie := range []string{"setresuid", "capset", "prctl", "setfsuid"} {
		for _, when := range []string{"", ":when=1", ":when=2", ":when=2+"} {
			if here.guest && when != "" { // strace is slow there
				continue
			}
			t.Run(lie+when, func(t *testing.T) {
				b := u.bundle(t).do("exit 7")
				if !here.guest {
					maps(b.spec)
				}
				tr := u.traced(t, b, []string{"-e", "inject=" + lie + ":retval=0" + when})
				told := 0
				for _, calls := range tr.calls(t) {
					for i := range calls {
						if calls[i].forged {
							told++
						}
					}
				}
				switch {
				case told == 0:
					t.Logf("there is no such call")
				case when != "" && tr.result.code == 7: // what was left out was not needed, or was done again
					t.Logf("%d lies made no difference", told)
				case tr.result.code == 0 || tr.result.code == 7:
					t.Errorf("%d lies were believed: %s", told, tr.result)
				}
				tr.checkPrivileged(t, u, list)
				if res := u.start(t, b).wait(); res.code != 7 { // and removes what a sudden end has left
					t.Errorf("the next call: %s", res)
				}
			})
		}
	}
}

// sweepCalls are the calls of the shim's own, not of the Go runtime's, that it makes on its first thread up to the
// moment when the container is let go, in their order. On a busy machine the Go runtime may move the program to another
// thread before it is bound to one; such a run is of no use here.
func (u *account) sweepCalls(t *testing.T) []call {
	t.Helper()
	for range 20 {
		if sweep := ownCalls(t, u.traced(t, u.bundle(t).do("exit 7"), nil)); len(sweep) >= 50 {
			return sweep
		}
	}
	t.Fatal("few calls: strace's output is not what this test expects")
	return nil
}

func ownCalls(t *testing.T, tr *trace) []call {
	t.Helper()
	own := []string{"prctl", "umask", "capset", "capget", "openat", "openat2", "read", "write", "close_range", "fstat", "fstatfs", "statfs", "newfstatat", "getdents64", "mkdirat", "fchown", "fchownat",
		"prlimit64", "setresgid", "setresuid", "setfsuid", "setuid", "flock", "ftruncate", "pwrite64", "pread64", "pipe2", "pidfd_open", "clone3"}
	var sweep []call
	started := false
	for _, c := range tr.calls(t)[tr.main] {
		started = started || c.name == "close_range" // the shim's first
		bounding := strings.Contains(c.line, "PR_CAPBSET_DROP") && !strings.Contains(c.line, "CAP_CHOWN,") && !strings.Contains(c.line, "CAP_SYS_ADMIN,")
		if started && slices.Contains(own, c.name) && !bounding {
			sweep = append(sweep, c)
		}
	}
	return sweep
}

// checkEnded: after a call that failed the container has run, or an error says why not.
func (tr *trace) checkEnded(t *testing.T, c call) {
	t.Helper()
	res := tr.result
	switch {
	case res.code == 7:
	case res.code == 125 && (len(failuresOf(res)) > 0 || strings.HasPrefix(res.stderr, "locald-shim: ")):
	case res.code == 2 && strings.Contains(res.stderr, "AllThreadsSyscall6 results differ"): // threads of which one is not the caller's: the end
	default:
		t.Errorf("after %s: neither run nor an error: %s", c.line, res)
	}
}

// TestSetuidErrors: each of these calls fails in turn. The container runs in spite of it, or an error says so and
// nothing is left; and root's ids touch nothing of the caller's.
func TestSetuidErrors(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	list := permitted(t)
	u.traced(t, u.bundle(t).do("exit 7"), nil)
	errnos := []string{"EPERM", "ENOMEM", "EINTR", "EIO"}
	for i, c := range u.sweepCalls(t) {
		if c.name == "prlimit64" && c.nth%5 != 0 {
			continue // all limits are read alike
		}
		errno := errnos[i%len(errnos)]
		name := fmt.Sprintf("%s %d %s", c.name, c.nth, errno)
		t.Run(name, func(t *testing.T) {
			b := u.bundle(t).do("exit 7")
			tr := u.traced(t, b, []string{"-e", fmt.Sprintf("inject=%s:error=%s:when=%d", c.name, errno, c.nth)})
			tr.checkEnded(t, c)
			res := tr.result
			tr.checkPrivileged(t, u, list)
			// An end without a word more, in doubt about the ids in force, leaves what a kill would. So does a lock
			// that nobody has and that cannot be had: it may be another's.
			if res.code == 2 || res.code == 125 && res.stderr != "" || c.name == "flock" {
				if res := u.start(t, b).wait(); res.code != 7 {
					t.Errorf("the next call: %s", res)
				}
			}
		})
	}
}

// TestSetuidKilled: the shim is killed at each of these calls, and the next call removes what is left.
func TestSetuidKilled(t *testing.T) {
	needs(t, !here.guest, "takes too long in an emulated machine")
	u, _ := accounts(t)
	u.traced(t, u.bundle(t).do("exit 7"), nil)
	for i, c := range u.sweepCalls(t) {
		if i%3 != 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s %d", c.name, c.nth), func(t *testing.T) {
			b := u.bundle(t).do("exit 7")
			u.traced(t, b, []string{"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", c.name, c.nth)})
			settle(t)
			if res := u.start(t, b).wait(); res.code != 7 {
				t.Errorf("killed at %s; the next call: %s", c.line, res)
			}
		})
	}
}
