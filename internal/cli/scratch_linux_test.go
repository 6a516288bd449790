package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/shim"
)

// The tests of setup run in a root directory of their own, in a mount namespace of their own: setup writes
// below /usr, /etc and /var. scratchEnv names the directory for the process that enters it, and insideEnv
// tells that process after its execve that it is there.
const (
	scratchEnv = "LOCALD_TEST_SCRATCH"
	insideEnv  = "LOCALD_TEST_INSIDE"
)

func TestSetup(t *testing.T) { inRoot(t, inScratch, "undo") }

// inRoot tells a story in a root directory of its own, and sees that it has come to the part last.
func inRoot(t *testing.T, story func(t *testing.T), last string) {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		story(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to install files of root's in a root directory of its own")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkBuild(self); err != nil {
		t.Skip("the test binary stands for locald-shim, and " + err.Error() + "; test with CGO_ENABLED=0 and without -cover and -race")
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), scratchEnv+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	output, err := cmd.CombinedOutput()
	t.Log("\n" + string(output))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(output, []byte("--- PASS: "+t.Name()+"/"+last)) {
		t.Error("the tests in the scratch root did not run")
	}
}

// enterScratch makes a root directory on a tmpfs and executes the test binary in it.
func enterScratch(dir string) int {
	self, err := os.Executable()
	steps := []func() error{
		func() error { return err },
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755") },
		func() error { return makeTree(dir, self) },
		func() error { return unix.Mount("proc", dir+"/proc", "proc", 0, "") },
		func() error { return unix.Mount("/dev", dir+"/dev", "", unix.MS_BIND|unix.MS_REC, "") },
		func() error { return unix.Mount("tmpfs", dir+"/mnt", "tmpfs", unix.MS_NOSUID, "mode=755") },
		func() error { return unix.Chroot(dir) },
		func() error { return unix.Chdir("/") },
		func() error {
			env := []string{insideEnv + "=1", "SUDO_USER=alice", "TMPDIR=/tmp"}
			return unix.Exec("/build/locald", append([]string{"locald"}, os.Args[1:]...), env)
		},
	}
	for i, step := range steps {
		if err := step(); err != nil {
			fmt.Fprintln(os.Stderr, "scratch step", i, err)
			return 1
		}
	}
	return 0
}

const scratchSubuid = "bob:100000:65536"

func makeTree(dir, self string) error {
	for _, d := range []string{"build", "dev", "etc", "mnt", "opt", "proc", "tmp", "usr/local", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\nbob:x:1001:1001::/:\nalice:x:1000:1000::/home/alice:/bin/sh\n",
		"etc/group":  "root:x:0:\nstaff:x:50:\n",
		"etc/subuid": scratchSubuid, // without a newline at its end
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"build/locald", "build/locald-shim"} {
		if err := copyFile(self, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(dir, "tmp"), 0o1777)
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = io.Copy(w, r)
	return err
}

// tree is what the scratch root holds: name, mode, owner, and the text of what is not a binary.
func tree(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, top := range []string{"/etc", "/usr", "/var", "/opt", "/mnt"} {
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %v %d\n", path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
			if info.Mode().IsRegular() && info.Size() < 4096 {
				text, _ := os.ReadFile(path)
				fmt.Fprintf(&b, "%s\n", text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

const (
	target    = "/usr/local/libexec/locald-shim"
	aliceLine = "alice:165536:65536"
)

const installed = `write /var/lib/locald/setup.json (what --undo takes back)
create /usr/local/libexec (root:root 0755)
install /usr/local/libexec/locald-shim (root:root 4755, immutable, from /build/locald-shim)
append to /etc/subuid: alice:165536:65536
append to /etc/subgid: alice:165536:65536
`

// inScratch is one story: each part starts where the one before ended.
func inScratch(t *testing.T) {
	c := &call{}
	empty := tree(t)
	setup := func(t *testing.T, code int, want string, args ...string) {
		t.Helper()
		got, stdout, stderr := c.locald(t, append([]string{"setup"}, args...)...)
		if got != code || code == 0 && stdout != want || code != 0 && !strings.Contains(stderr, want) {
			t.Errorf("setup %v: %d, want %d\n%s%swant:\n%s", args, got, code, stdout, stderr, want)
		}
	}
	same := func(t *testing.T, before string) {
		t.Helper()
		if after := tree(t); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}

	t.Run("dry run", func(t *testing.T) {
		setup(t, 0, installed, "--dry-run")
		same(t, empty)
	})
	t.Run("nothing to undo", func(t *testing.T) {
		setup(t, 1, "there is nothing to undo", "--undo")
		same(t, empty)
	})
	t.Run("install", func(t *testing.T) {
		syscall.Umask(0o777) // decides nothing
		setup(t, 0, installed)
		syscall.Umask(0o022)
		checkInstalled(t)
	})
	t.Run("again", func(t *testing.T) {
		setup(t, 0, "write /var/lib/locald/setup.json (what --undo takes back)\ninstall /usr/local/libexec/locald-shim (root:root 4755, immutable, from /build/locald-shim)\n")
		checkInstalled(t)
	})
	t.Run("group", func(t *testing.T) {
		setup(t, 0, "write /var/lib/locald/setup.json (what --undo takes back)\ninstall /usr/local/libexec/locald-shim (root:staff 4750, immutable, from /build/locald-shim)\n", "--group", "staff")
		info, err := os.Stat(target)
		if err != nil || info.Mode() != 0o750|fs.ModeSetuid || info.Sys().(*syscall.Stat_t).Gid != 50 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
	t.Run("no set-user-ID bit", func(t *testing.T) {
		const want = "write /var/lib/locald/setup.json (what --undo takes back)\ninstall /usr/local/libexec/locald-shim (root:root 0755, immutable, from /build/locald-shim)\n"
		code, stdout, stderr := c.locald(t, "setup", "--no-setuid")
		if code != 0 || !strings.HasPrefix(stdout, want) || !strings.Contains(stdout, "\nprofile locald-shim \"/usr/local/libexec/locald-shim\" flags=(unconfined) {\n  userns,\n") {
			t.Errorf("%d\n%s%s", code, stdout, stderr)
		}
		info, err := os.Stat(target)
		if err != nil || info.Mode() != 0o755 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
	t.Run("another directory", func(t *testing.T) {
		setup(t, 0, "write /var/lib/locald/setup.json (what --undo takes back)\ncreate /usr/libexec (root:root 0755)\ncreate /usr/libexec/locald (root:root 0755)\n"+
			"install /usr/libexec/locald/locald-shim (root:root 4755, immutable, from /build/locald-shim)\nremove /usr/local/libexec/locald-shim\n", "--shim-dir", "/usr/libexec/locald")
		if _, err := os.Lstat(target); err == nil {
			t.Error("the old helper is still there")
		}
	})
	t.Run("dry run by who cannot read the record", func(t *testing.T) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.Chmod("/var/lib/locald", 0o700))
		must(syscall.Setfsuid(65534))
		code, stdout, stderr := c.locald(t, "setup", "--dry-run")
		undo, _, denied := c.locald(t, "setup", "--undo", "--dry-run")
		must(syscall.Setfsuid(0))
		must(os.Chmod("/var/lib/locald", 0o755))
		if code != 0 || !strings.Contains(stdout, "install "+target) || !strings.Contains(stderr, "what an earlier setup did cannot be read: permission denied") {
			t.Errorf("%d\n%s%s", code, stdout, stderr)
		}
		if undo == 0 || !strings.Contains(denied, "permission denied") {
			t.Errorf("undo: %d %s", undo, denied)
		}
	})
	t.Run("undo", func(t *testing.T) {
		before := tree(t)
		want := "remove from /etc/subgid: alice:165536:65536\nremove from /etc/subuid: alice:165536:65536\nremove /usr/libexec/locald/locald-shim\n" +
			"remove /usr/libexec/locald if it is empty\nremove /usr/libexec if it is empty\nremove /usr/local/libexec if it is empty\n" +
			"remove /var/lib/locald/setup.json\nremove /var/lib/locald if it is empty\n"
		setup(t, 0, want, "--undo", "--dry-run")
		same(t, before)
		setup(t, 0, want, "--undo")
		// The files of ids are as long as before; one did not exist, and one lacked its last newline.
		os.WriteFile("/etc/subuid", []byte(scratchSubuid), 0o644)
		os.Remove("/etc/subgid")
		same(t, empty)
	})
	t.Run("low ports", func(t *testing.T) {
		want := "create /etc/sysctl.d (root:root 0755)\nappend to /etc/sysctl.d/60-locald.conf: net.ipv4.ip_unprivileged_port_start=80 (every user may listen on ports from 80 on)\n" +
			"set net.ipv4.ip_unprivileged_port_start=80 until the next boot, when /etc/sysctl.d/60-locald.conf does\n"
		setup(t, 0, installed+want, "--low-ports")
		text, err := os.ReadFile(lowPortsFile)
		if now := readText(lowPortsNow); err != nil || string(text) != lowPortsLine+"\n" || now != "80" {
			t.Errorf("%q, %v; the setting is %q", text, err, now)
		}
		if code, stdout, stderr := c.locald(t, "setup", "--low-ports"); code != 0 || strings.Contains(stdout, "sysctl") {
			t.Errorf("again: %s%s", stdout, stderr)
		}
		if code, _, stderr := c.locald(t, "setup", "--undo"); code != 0 {
			t.Error(stderr)
		}
		os.WriteFile("/etc/subuid", []byte(scratchSubuid), 0o644)
		os.Remove("/etc/subgid")
		same(t, empty)
	})
	t.Run("bypass", func(t *testing.T) { bypassStory(t, c, empty) })
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			r.prepare()
			before := tree(t)
			setup(t, 1, r.stderr, r.args...)
			if r.unchanged {
				same(t, before)
			}
			r.restore()
			if code, stdout, _ := c.locald(t, "setup", "--undo"); code != 0 && r.unchanged == (stdout != "") {
				t.Errorf("undo: %d, %s", code, stdout)
			}
			os.WriteFile("/etc/subuid", []byte(scratchSubuid), 0o644)
			os.Remove("/etc/subgid")
			same(t, empty)
		})
	}
	t.Run("a link in the place of the helper", func(t *testing.T) {
		os.MkdirAll(filepath.Dir(target), 0o755)
		os.WriteFile("/opt/other", []byte("x"), 0o755)
		os.Symlink("/opt/other", target)
		if code, _, stderr := c.locald(t, "setup", "--user", "root"); code != 0 {
			t.Fatal(stderr)
		}
		if info, err := os.Lstat(target); err != nil || info.Mode() != 0o755|fs.ModeSetuid {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if text, _ := os.ReadFile("/opt/other"); string(text) != "x" {
			t.Error("what the link led to was changed")
		}
	})
}

// bypassStory makes the changes of a host that forbids user namespaces, which this one need not be.
func bypassStory(t *testing.T, c *call, empty string) {
	now := &record{Schema: schema, Shim: target}
	steps, err := bypass(now, "alice", 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(steps, step{"", func() error { return writeRecord(now) }}) {
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(shimConf)
	if err != nil || string(text) != "allow-userns-bypass = alice\n" {
		t.Errorf("%q, %v", text, err)
	}
	if i, err := shim.Inspect(shimConf); err != nil || i.Unsafe != "" || i.Mode != 0o644 {
		t.Errorf("%+v, %v", i, err)
	}
	if again, err := bypass(now, "alice", 1000, string(text)); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	if _, err := bypass(now, "bob", 1001, string(text)); err == nil {
		t.Error("a decision of the administrator's was changed")
	}
	if _, err := bypass(now, "bob", 1001, "nonsense"); err == nil {
		t.Error("a file that cannot be read was changed")
	}
	if code, _, stderr := c.locald(t, "setup", "--undo"); code != 0 {
		t.Error(stderr)
	}
	if after := tree(t); after != empty {
		t.Errorf("before:\n%s\nafter:\n%s", empty, after)
	}
}

func checkInstalled(t *testing.T) {
	t.Helper()
	i, err := shim.Inspect(target)
	if err != nil || i.Mode != 0o755|fs.ModeSetuid || i.Owner != 0 || i.Links != 1 || i.Unsafe != "" || i.NoSUID {
		t.Errorf("%+v, %v", i, err)
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, target, 0, 0, &st); err != nil || st.Attributes_mask&unix.STATX_ATTR_IMMUTABLE != 0 && st.Attributes&unix.STATX_ATTR_IMMUTABLE == 0 {
		t.Errorf("the helper can be written: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v beside the helper, %v", entries, err)
	}
	for name, want := range map[string]string{"/etc/subuid": scratchSubuid + "\n" + aliceLine + "\n", "/etc/subgid": aliceLine + "\n"} {
		text, err := os.ReadFile(name)
		info, _ := os.Stat(name)
		if err != nil || string(text) != want || info.Mode() != 0o644 {
			t.Errorf("%s: %q %v, %v", name, text, info.Mode(), err)
		}
		if _, err := os.Lstat(name + ".lock"); err == nil {
			t.Errorf("%s is still locked", name)
		}
	}
	var r record
	text, _ := os.ReadFile(recordFile)
	if err := json.Unmarshal(text, &r); err != nil || r.Shim != target || len(r.Lines) != 2 || len(r.Dirs) != 1 {
		t.Errorf("%s: %v", text, err)
	}
}

// refusals each leave the scratch root as it was, at the latest after --undo.
var refusals = []struct {
	name             string
	prepare, restore func()
	args             []string
	stderr           string
	unchanged        bool
}{
	{
		"directory of others", func() { os.Chmod("/usr/local", 0o777) }, func() { os.Chmod("/usr/local", 0o755) }, nil,
		"/usr/local can be written by others than root, so others could replace a locald-shim in it. [LD004]", true,
	},
	{
		"directory of somebody", func() { os.Chown("/usr", 1000, 0) }, func() { os.Chown("/usr", 0, 0) }, nil,
		"/usr does not belong to root", true,
	},
	{
		"nosuid", func() {}, func() {}, []string{"--shim-dir", "/mnt/x"},
		"/mnt is mounted nosuid, so the shim cannot work from there. [LD003]\n  try: sudo locald setup --shim-dir /usr/libexec/locald\n", true,
	},
	{
		"unknown user", func() {}, func() {}, []string{"--user", "carol"}, `there is no user "carol" in /etc/passwd. [LD701]`, true,
	},
	{
		"unknown group", func() {}, func() {}, []string{"--group", "wheel"}, `there is no group "wheel" in /etc/group. [LD701]`, true,
	},
	{
		"no helper", func() { os.Rename("/build/locald-shim", "/build/x") }, func() { os.Rename("/build/x", "/build/locald-shim") }, nil,
		"there is no locald-shim beside this locald", true,
	},
	{
		"a link for a helper", func() { os.Rename("/build/locald-shim", "/build/x"); os.Symlink("x", "/build/locald-shim") },
		func() { os.Rename("/build/x", "/build/locald-shim") }, nil, "too many levels of symbolic links", false,
	},
	{
		"another version", func() {
			os.MkdirAll("/usr/local/libexec", 0o755)
			os.WriteFile("/usr/local/libexec/version", []byte("0.0.1"), 0o644)
		},
		func() { os.RemoveAll("/usr/local/libexec") }, nil, "/build/locald-shim is 0.0.1 but this locald needs " + shim.Version, false,
	},
	{
		"a locked file", func() { os.WriteFile("/etc/subgid.lock", nil, 0o600) }, func() { os.Remove("/etc/subgid.lock") }, nil,
		"/etc/subgid.lock exists: another program is changing the file", false,
	},
	{
		"a record of others", func() {
			os.Mkdir("/var/lib/locald", 0o755)
			os.WriteFile(recordFile, []byte("{}"), 0o644)
			os.Chmod(recordFile, 0o666)
		},
		func() { os.RemoveAll("/var/lib/locald") }, []string{"--undo"}, "/var/lib/locald/setup.json can be written by others than its owner, so it cannot be trusted. [LD004]", true,
	},
}
