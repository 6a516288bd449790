package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locald/locald/internal/e2e/probe"
	"github.com/locald/locald/internal/image"
	"golang.org/x/sys/unix"
)

// TestLocaldHello is the README's command.
func TestLocaldHello(t *testing.T) {
	c := newCaller(t)
	for _, flags := range [][]string{{"--network", "host"}, {"--network", "none"}} {
		res := c.locald(t, append(append([]string{"run"}, flags...), "builtin:hello")...)
		if res.code != 0 || res.stderr != "" {
			t.Fatal(res)
		}
		uid := "0 here, uid " + itoa(os.Getuid()) + " outside"
		for _, want := range []string{"Hello from inside a container.\n", "pid           1\n", uid, "no_new_privs  yes\n", "namespaces    cgroup:[", "rw  proc      /proc\n", " ms from locald's first instruction to this program's first\n"} {
			if !strings.Contains(res.stdout, want) {
				t.Errorf("%q is not said: %s", want, res)
			}
		}
	}
	// Without --network the container is not isolated from the network, and that is said.
	if res := c.locald(t, "run", "builtin:hello"); res.code != 0 || !strings.Contains(res.stderr, "note: the container uses this machine's network") {
		t.Error(res)
	}
	if res := c.locald(t, "-q", "run", "builtin:hello"); res.code != 0 || res.stderr != "" {
		t.Error(res)
	}
}

// TestLocaldRunFlags looks from inside at what each flag has done.
func TestLocaldRunFlags(t *testing.T) {
	c := newCaller(t)
	c.put(t, "vars", "# comment\n\nFILE=1\nBOTH=file\nPASSED\n", 0o644)
	c.put(t, "src/file", "mine", 0o644)
	c.put(t, "locked/file", "old", 0o666)
	must(t, os.Chmod(filepath.Join(c.dir, "src"), 0o777))
	res := c.probe(t, []string{
		"--network", "none", "--name", "e2e-name", "--hostname", "e2e-host", "-e", "A=1", "-e", "PASSED", "-e", "BOTH=flag", "--env-file", "vars", "-w", "/src",
		"-v", "./src:/src", "-v", filepath.Join(c.dir, "locked") + ":/locked:ro", "--tmpfs", "/scratch:size=64k",
	}, "look", "read file", "create new made inside", "read /locked/file", "write /locked/file x", "create /locked/new", "create /scratch/x", "append /scratch/y 100000").ok(t)
	look := res.look(t)
	for _, want := range []string{"A=1", "PASSED=on", "BOTH=flag", "FILE=1"} {
		if !slices.Contains(look.Env, want) {
			t.Errorf("%s is not in the environment %q", want, look.Env)
		}
	}
	for _, entry := range look.Env {
		if name, _, _ := strings.Cut(entry, "="); !slices.Contains([]string{"A", "PASSED", "BOTH", "FILE", "PATH", "HOME", "HOSTNAME", "TERM"}, name) || strings.Contains(entry, "s3cret") {
			t.Errorf("%s is in the environment", entry)
		}
	}
	if look.Hostname != "e2e-host" || look.Cwd != "/src" {
		t.Errorf("host name %q, working directory %q", look.Hostname, look.Cwd)
	}
	res.wantErrno(t, "read file", "")
	res.wantErrno(t, "write /locked/file x", "EROFS")
	res.wantErrno(t, "create /locked/new", "EROFS")
	res.wantErrno(t, "create /scratch/x", "")
	res.wantErrno(t, "append /scratch/y 100000", "ENOSPC")
	if got := res.value(t, "read /locked/file"); got != "old" {
		t.Errorf("/locked/file holds %q", got)
	}
	made := filepath.Join(c.dir, "src/new")
	if got := textOf(t, made); got != "made inside" {
		t.Errorf("%s holds %q", made, got)
	}
	info, err := os.Stat(made)
	must(t, err)
	if want := " " + itoa(os.Getuid()) + ":" + itoa(os.Getgid()); owner(info) != want {
		t.Errorf("%s belongs to%s, want%s", made, owner(info), want)
	}
}

// TestLocaldNetwork: host is this machine's, none one with loopback only.
func TestLocaldNetwork(t *testing.T) {
	c := newCaller(t)
	own, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	for network, same := range map[string]bool{"host": true, "none": false} {
		res := c.probe(t, []string{"--network", network}, "look", "loopback").ok(t)
		if got := res.look(t).Namespaces["net"]; (got == own) != same {
			t.Errorf("--network %s: the name space is %s, outside it is %s", network, got, own)
		}
		if network == "none" {
			res.wantErrno(t, "loopback", "")
		}
	}
}

// TestLocaldReadOnly: nothing can be made in the root, and everything in what is mounted on it.
func TestLocaldReadOnly(t *testing.T) {
	c := newCaller(t)
	for _, dir := range []string{"proc", "dev", "sys", "tmp", "scratch"} { // which a read-only root must have already
		must(t, os.Mkdir(filepath.Join(c.dir, "rootfs", dir), 0o755))
	}
	res := c.probe(t, []string{"--network", "none", "--read-only", "--tmpfs", "/scratch"}, "create /x", "create /tmp/x", "remove /probe", "create /scratch/x", "create /dev/shm/x").ok(t)
	for did, errno := range map[string]string{"create /x": "EROFS", "remove /probe": "EROFS", "create /scratch/x": "", "create /dev/shm/x": ""} {
		res.wantErrno(t, did, errno)
	}
}

// TestLocaldUser: -u takes numbers, and names of the image's files.
func TestLocaldUser(t *testing.T) {
	needsSubIDs(t)
	c := newCaller(t)
	c.put(t, "rootfs/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:101:102:Web:/srv/web:/bin/sh\n", 0o644)
	c.put(t, "rootfs/etc/group", "root:x:0:\nweb:x:102:\nstaff:x:50:web\n", 0o644)
	for _, u := range []struct {
		flag     string
		uid, gid int
		home     string
	}{{"web", 101, 102, "/srv/web"}, {"101", 101, 102, "/srv/web"}, {"101:0", 101, 0, "/srv/web"}, {"500:600", 500, 600, "/"}, {"web:staff", 101, 50, "/srv/web"}, {"root", 0, 0, "/root"}} {
		look := c.probe(t, []string{"--network", "none", "-u", u.flag}, "look").ok(t).look(t)
		if look.Uid[1] != u.uid || look.Gid[1] != u.gid || !slices.Contains(look.Env, "HOME="+u.home) {
			t.Errorf("-u %s: uid %d, gid %d, environment %q", u.flag, look.Uid[1], look.Gid[1], look.Env)
		}
		if u.uid != 0 && look.Caps.Effective|look.Caps.Permitted|look.Caps.Ambient != 0 {
			t.Errorf("-u %s: capabilities %+v", u.flag, look.Caps)
		}
	}
	c.probe(t, []string{"--network", "none", "-u", "nobody-there"}, "look").failed(t, 125, "nobody-there")
}

// TestLocaldOwner: with owner= what that user of the container writes belongs to the caller, who is that user inside.
func TestLocaldOwner(t *testing.T) {
	needs(t, !here.guest, "needs id maps on tmpfs, which Linux has since 6.3")
	needsSubIDs(t)
	c := newCaller(t)
	c.put(t, "rootfs/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:101:102:Web:/srv/web:/bin/sh\n", 0o644)
	for i, u := range []struct {
		user, owner string
		uid, gid    int
	}{{"root", "root", 0, 0}, {"web", "web", 101, 102}, {"999:998", "me", 999, 998}, {"101:0", "101", 101, 102}} {
		dir, own := "data"+itoa(i), "file 644 "+itoa(u.uid)+":"+itoa(u.gid)
		must(t, os.Mkdir(filepath.Join(c.dir, dir), 0o755))
		c.put(t, dir+"/mine", "", 0o644)
		res := c.probe(t, []string{"--network", "none", "-u", u.user, "-v", "./" + dir + ":/data:owner=" + u.owner}, "stat /data/mine", "touch /data/new").ok(t)
		if got := res.value(t, "stat /data/mine"); got != own {
			t.Errorf("owner=%s: the caller's file is %q, want %q", u.owner, got, own)
		}
		res.wantErrno(t, "touch /data/new", "")
		if uid, _ := ownerOf(t, filepath.Join(c.dir, dir, "new")); uid != os.Getuid() {
			t.Errorf("owner=%s: outside the new file is %d's", u.owner, uid)
		}
	}
	c.probe(t, []string{"-v", "./data0:/data:owner=nobody-there"}, "look").failed(t, 125, "owner=nobody-there")
	if !here.root {
		c.probe(t, []string{"-v", "./data0:/data:owner=70000"}, "look").failed(t, 125, "the owner 70000:0 is no user that the container has")
	}
}

// TestLocaldCapabilities: as few as Docker gives, more and less on demand, in any spelling.
func TestLocaldCapabilities(t *testing.T) {
	c := newCaller(t)
	bit := func(n int) uint64 { return 1 << n }
	caps := func(flags ...string) uint64 {
		return c.probe(t, append([]string{"--network", "none"}, flags...), "look").ok(t).look(t).Caps.Effective
	}
	usual := caps()
	if usual&bit(unix.CAP_CHOWN) == 0 || usual&bit(unix.CAP_SYS_ADMIN) != 0 || usual&bit(unix.CAP_SYS_PTRACE) != 0 {
		t.Errorf("without flags: %x", usual)
	}
	for _, f := range []struct {
		flags []string
		want  uint64
	}{
		{[]string{"--cap-add", "SYS_PTRACE"}, usual | bit(unix.CAP_SYS_PTRACE)},
		{[]string{"--cap-add", "cap_sys_ptrace", "--cap-drop", "chown"}, usual&^bit(unix.CAP_CHOWN) | bit(unix.CAP_SYS_PTRACE)},
		{[]string{"--cap-drop", "ALL"}, 0},
		{[]string{"--cap-drop", "ALL", "--cap-add", "CHOWN"}, bit(unix.CAP_CHOWN)},
	} {
		if got := caps(f.flags...); got != f.want {
			t.Errorf("%v: %x, want %x", f.flags, got, f.want)
		}
	}
	if here.root && !hasCap(t, unix.CAP_SYS_RESOURCE) { // what root has not got it cannot give
		res := c.probe(t, []string{"--network", "none", "--cap-add", "SYS_RESOURCE"}, "look")
		if res.code != 0 || strings.Count(res.stderr, "this process does not have CAP_SYS_RESOURCE itself; it is left out") != 1 {
			t.Errorf("no note about a capability that is left out: %s", res)
		}
	}
	c.probe(t, []string{"--network", "none", "--cap-add", "FLY"}, "look").failed(t, 125, "FLY")
}

// TestLocaldLimits: where a limit cannot be put into force, an error names the flag.
func TestLocaldLimits(t *testing.T) {
	c := newCaller(t)
	if !here.root && !here.guest {
		for _, flag := range []string{"--memory=64m", "--cpus=0.5", "--pids-limit=20"} {
			res := c.probe(t, []string{"--network", "none", flag}, "look")
			name, value, _ := strings.Cut(flag, "=")
			res.failed(t, 125, "a limit cannot be applied")
			if !strings.Contains(res.stderr, "(from "+name+" "+value+")") || !strings.Contains(res.stderr, "[LD303]") {
				t.Errorf("the flag is not named: %s", res)
			}
		}
		return
	}
	res := c.probe(t, []string{"--network", "none", "--pids-limit", "20"}, "fork 40").ok(t)
	res.wantErrno(t, "fork 40", "EAGAIN")
	if res := c.probe(t, []string{"--network", "none", "--memory", "32m"}, "alloc 200"); res.code != 137 || !strings.Contains(res.stderr, "locald: killed: over --memory 32m. [LD403]") {
		t.Errorf("over the memory limit: %s", res)
	}
	c.probe(t, []string{"--network", "none", "--cpus", "0.5", "--memory", "64m"}, "exit 0").ok(t)
}

// TestLocaldExitCodes: the program's own, and 125 to 127 when it has not run.
func TestLocaldExitCodes(t *testing.T) {
	c := newCaller(t)
	c.put(t, "rootfs/plain", "x", 0o644)
	c.put(t, "rootfs/bin/garbage", "\x00garbage", 0o755)
	run := func(args ...string) *result {
		return c.locald(t, append([]string{"run", "--network", "none"}, args...)...)
	}
	for _, code := range []string{"0", "1", "3", "125", "127", "255"} {
		if res := c.probe(t, []string{"--network", "none"}, "exit "+code); itoa(res.code) != code || res.stderr != "" {
			t.Errorf("exit %s: %s", code, res)
		}
	}
	run("dir:rootfs", "/nowhere").failed(t, 127, `"/nowhere" does not exist in the container`)
	run("dir:rootfs", "nowhere").failed(t, 127, `"nowhere" was not found in the container's PATH`)
	run("dir:rootfs", "/plain").failed(t, 126, `"/plain" cannot be executed: execute /plain: permission denied`)
	run("dir:rootfs", "garbage").failed(t, 126, `"garbage" cannot be executed: execute /bin/garbage: exec format error`)
	run("-v", "./nowhere:/x", "dir:rootfs", "/probe").failed(t, 125, "nowhere does not exist on this machine (from -v ./nowhere:/x). [LD301]")
	run("--colour", "dir:rootfs", "/probe").failed(t, 125, "--colour")
	run("dir:nowhere", "/probe").failed(t, 125, "nowhere cannot be used: no such file or directory")
	run("dir:rootfs/probe", "/probe").failed(t, 125, "is not a directory")
	run("dir:rootfs").failed(t, 125, "dir: needs a command")
	run("dir:/", "/bin/true").failed(t, 125, "root")
	run("--pull", "never", "alpine", "sh").failed(t, 125, `image "alpine" is not on this machine`)
	run().failed(t, 125, "run needs an image")
	run("--name", "a/b", "dir:rootfs", "/probe").failed(t, 125, "a/b")
	run("-w", "/plain", "dir:rootfs", "/probe").failed(t, 125, "enter the working directory /plain: not a directory")
	run("-e", "=x", "dir:rootfs", "/probe").failed(t, 125, "=x")
	run("--env-file", "nowhere", "dir:rootfs", "/probe").failed(t, 125, "--env-file nowhere: no such file or directory")
	run("--network", "bridge", "dir:rootfs", "/probe").failed(t, 125, "bridge")
	run("--memory", "much", "dir:rootfs", "/probe").failed(t, 125, "much")
	if entries, _ := os.ReadDir(c.dir); len(entries) != 1 {
		t.Errorf("the working directory holds %v", entries)
	}
}

// TestLocaldHostileNames: what others put into names does not reach the terminal.
func TestLocaldHostileNames(t *testing.T) {
	c := newCaller(t)
	const name = "x\x1b[2J\x07\x9by"
	for _, args := range [][]string{
		{"dir:rootfs", "/" + name}, {"dir:rootfs", name}, {"-w", "/probe/" + name, "dir:rootfs", "/probe"}, {"-v", "./" + name + ":/x", "dir:rootfs", "/probe"},
		{"-v", "./rootfs:/probe/" + name, "dir:rootfs", "/probe"}, {"dir:" + name, "/probe"}, {name}, {"--name", name, "dir:rootfs", "/probe"}, {"-u", name, "dir:rootfs", "/probe"}, {"--" + name, "dir:rootfs", "/probe"},
	} {
		res := c.locald(t, append([]string{"run", "--network", "none"}, args...)...)
		if res.code < 125 || res.code > 127 || strings.ContainsAny(res.stderr, "\x1b\x07") || !strings.HasPrefix(res.stderr, "locald: ") {
			t.Errorf("%q: %s", args, res)
		}
	}
}

// running starts locald run with the probe, and reads its answers.
func (c *caller) start(t *testing.T, flags []string, actions ...string) (*exec.Cmd, func(did string) probe.Answer) {
	t.Helper()
	cmd := c.command(append(append([]string{"run", "--network", "none"}, flags...), append([]string{"dir:rootfs", "/probe"}, actions...)...)...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	hangs := time.AfterFunc(limit(), func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if !hangs.Stop() {
			t.Error("locald did not end")
		}
	})
	lines := bufio.NewScanner(out)
	return cmd, func(did string) probe.Answer {
		t.Helper()
		for lines.Scan() {
			var a probe.Answer
			if json.Unmarshal(lines.Bytes(), &a) == nil && a.Did == did {
				return a
			}
		}
		t.Fatalf("the container did not say %q", did)
		return probe.Answer{}
	}
}

// TestLocaldSignals: a signal for locald is one for the program, whose exit code is locald's.
func TestLocaldSignals(t *testing.T) {
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1} {
		c := newCaller(t)
		cmd, answer := c.start(t, nil, "trap 1", "exit "+itoa(128+int(s)))
		answer("ready")
		must(t, cmd.Process.Signal(s))
		answer("signal " + unix.SignalName(s))
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 128+int(s) {
			t.Errorf("%v: exit code %d", s, code)
		}
	}
}

// TestLocaldInterruptedTwice: two quick Ctrl-C end a program that does not listen.
func TestLocaldInterruptedTwice(t *testing.T) {
	c := newCaller(t)
	cmd, answer := c.start(t, nil, "trap 1000") // and does nothing about it
	answer("ready")
	stop := make(chan struct{})
	go func() { // two that are pending are one: until the end, as a person would
		for {
			select {
			case <-stop:
				return
			default:
				cmd.Process.Signal(unix.SIGINT)
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()
	cmd.Wait()
	close(stop)
	// One that comes when locald is done with its signals and has not ended yet ends it.
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if code := cmd.ProcessState.ExitCode(); code != 137 && status.Signal() != unix.SIGINT {
		t.Errorf("exit code %d", code)
	}
}

// TestLocaldKilled: with locald the container goes, however locald ends, and all that it had.
func TestLocaldKilled(t *testing.T) {
	for range 3 {
		c := newCaller(t)
		cmd, answer := c.start(t, nil, "spawn session", "mkdir /started", "forever")
		answer("mkdir /started")
		must(t, cmd.Process.Kill())
		cmd.Wait()
		settle(t)
		c.says(t, "", "ps", "-aq") // which takes away the directory that others saw the container by
	}
}

// TestLocaldPrintBundle: what locald would have run, as a bundle: the shim makes the same container of it.
func TestLocaldPrintBundle(t *testing.T) {
	c := newCaller(t)
	c.put(t, "src/file", "x", 0o644)
	flags := []string{"--network", "none", "--name", "e2e-same", "--hostname", "e2e-host", "-e", "A=1", "-w", "/src", "-v", "./src:/src:ro", "--tmpfs", "/scratch:size=64k", "--cap-drop", "CHOWN"}
	want := c.probe(t, flags, "look", "read file", "exit 7")
	if want.code != 7 {
		t.Fatal(want)
	}
	dir := filepath.Join(c.dir, "bundle")
	res := c.probe(t, append([]string{"--print-bundle", dir}, flags...), "look", "read file", "exit 7")
	if res.code != 0 || res.stdout != filepath.Join(dir, "config.json")+"\n" {
		t.Fatal(res)
	}
	got := shim(t, "bundle", "run", "--bundle", dir, "--id", "e2e-same")
	if got.code != 7 {
		t.Fatal(got)
	}
	if got.value(t, "read file") != want.value(t, "read file") {
		t.Errorf("%s\nwant %s", got, want)
	}
	a, b := *got.look(t), *want.look(t)
	for _, r := range []*probe.Report{&a, &b} {
		r.Status, r.Namespaces, r.Fds = nil, nil, nil // which differ from run to run
		for i := range r.Mounts {
			r.Mounts[i].Tags = ""
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("through the bundle the container is\n%+v\nby locald\n%+v", a, b)
	}
	c.probe(t, append([]string{"--print-bundle", dir}, flags...), "look").failed(t, 125, "exists already")
	hello := filepath.Join(c.dir, "hello")
	if res := c.locald(t, "run", "--network", "none", "--print-bundle", hello, "builtin:hello"); res.code != 0 {
		t.Fatal(res)
	}
	if res := shim(t, "bundle", "run", "--bundle", hello, "--id", newID()); res.code != 0 || !strings.HasPrefix(res.stdout, "Hello from inside a container.\n") {
		t.Error(res)
	}
}

// TestLocaldDryRun: the listing of the shim's Program, and nothing else happens.
func TestLocaldDryRun(t *testing.T) {
	c := newCaller(t)
	res := c.probe(t, []string{"--network", "none", "--dry-run"}, "create /made")
	if res.code != 0 || res.stderr != "" || !strings.Contains(res.stdout, "execve(\"/probe\"") {
		t.Error(res)
	}
	if entries, _ := os.ReadDir(filepath.Join(c.dir, "rootfs")); len(entries) != 1 {
		t.Errorf("the root file system holds %v", entries)
	}
}

// TestLocaldInterruptedBetween: after what locald did in a container of its own, and before the caller's begins, a signal
// ends it.
func TestLocaldInterruptedBetween(t *testing.T) {
	seenOnHost(t)
	c, store := newImages(t)
	file := filepath.Join(t.TempDir(), "image.tar")
	writeImage(t, file, "one", image.Process{Cmd: []string{"/probe", "look"}}, testLayers(t)...)
	if res := c.locald(t, "load", "-i", file); res.code != 0 {
		t.Fatal(res)
	}
	c.says(t, "data\n", "volume", "create", "data")
	volume, err := os.Open(filepath.Join(store, "volumes", "data"))
	must(t, err)
	defer volume.Close()
	must(t, unix.Flock(int(volume.Fd()), unix.LOCK_EX)) // as who removes it
	run := c.background(t, "run", "--network", "none", "-v", "data:/d", "one")
	waits := func() bool { // "1: -> FLOCK  ADVISORY  READ 123 …" (proc_locks(5))
		text, err := os.ReadFile("/proc/locks")
		must(t, err)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 5 && f[1] == "->" && f[4] == "READ" && f[5] == itoa(run.cmd.Process.Pid) {
				return true
			}
		}
		return false
	}
	until(t, "it waits for the volume", waits)
	must(t, run.cmd.Process.Signal(unix.SIGTERM))
	run.wait()
	if s := run.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != unix.SIGTERM {
		t.Errorf("%v", run.cmd.ProcessState)
	}
	volume.Close()
	c.says(t, "data\n", "volume", "rm", "data")
}
