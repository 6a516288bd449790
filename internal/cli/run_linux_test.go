package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestRunExit is the table of exit codes and of what is said with them (stderr, complete).
func TestRunExit(t *testing.T) {
	running := `{"phase":"opened"}|{"phase":"validated"}|{"phase":"compiled"}|{"phase":"cloned","pid":5}|{"phase":"limited"}|{"phase":"running"}|`
	first := "5" // the index of the caller's first mount
	if os.Getuid() == 0 {
		first = "7" // after /sys and /sys/fs/cgroup
	}
	setUp := "" // what a caller can do who has no cgroup
	if os.Getuid() != 0 {
		setUp = "  limits need a cgroup, which a set-user-ID locald-shim makes for you\n  try: sudo locald setup\n"
	}
	for _, c := range []struct {
		name   string
		args   []string
		status string
		exit   string
		code   int
		stderr string
	}{
		{name: "zero", status: running + `{"phase":"exited","code":0}`, exit: "0"},
		{name: "its code", status: running + `{"phase":"exited","code":3}`, exit: "3", code: 3},
		{name: "125 of its own", status: running + `{"phase":"exited","code":125}`, exit: "125", code: 125},
		{name: "signal", status: running + `{"phase":"exited","code":143,"signal":15}`, exit: "143", code: 143},
		{
			name: "out of memory", args: []string{"--memory", "64m"}, exit: "137", code: 137,
			status: running + `{"phase":"exited","code":137,"signal":9,"oom":true}`,
			stderr: "locald: killed: over --memory 64m. [LD403]\n",
		},
		{
			name: "not found", exit: "127", code: 127,
			status: `{"phase":"running","op":"execve","pointer":"/process/args/0","errno":"ENOENT","message":"executable file not found in $PATH","hint":""}`,
			stderr: "locald: \"bsh\" was not found in the container's PATH (/bin:/usr/bin). [LD402]\n  Found: /bin/bash, /bin/sh\n",
		},
		{
			name: "not executable", exit: "126", code: 126,
			status: `{"phase":"running","op":"execve","pointer":"/process/args/0","errno":"ENOEXEC","message":"exec format error","hint":""}`,
			stderr: "locald: \"bsh\" cannot be executed: exec format error. [LD401]\n  it is made for another kind of machine, or is a script without a #! line\n",
		},
		{
			name: "one problem", args: []string{"-v", "./rootfs:/data"}, exit: "125", code: 125,
			status: `{"phase":"validated","op":"","pointer":"/mounts/FIRST","errno":"","message":"no good","hint":"do better"}`,
			stderr: "locald: locald-shim refused the container: no good. [LD600]\n  in config.json /mounts/FIRST (from -v ./rootfs:/data)\n  do better\n",
		},
		{
			name: "problems", exit: "125", code: 125,
			status: `{"phase":"validated","pointer":"/hostname","message":"too long","hint":"shorten it"}|{"phase":"validated","pointer":"/root","message":"missing"}`,
			stderr: "locald: locald-shim refused the container for 2 reasons. [LD600]\n" +
				"  config.json /hostname (from --hostname): too long; shorten it\n  config.json /root (from the image): missing\n",
		},
		{
			name: "kernel", args: []string{"--tmpfs", "/data"}, exit: "125", code: 125,
			status: `{"phase":"running","op":"mount tmpfs on /data","pointer":"/mounts/FIRST","errno":"ENOSPC","message":"mount tmpfs on /data (config.json /mounts/FIRST): no space left on device"}`,
			stderr: "locald: mount tmpfs on /data: no space left on device. [LD601]\n  in config.json /mounts/FIRST (from --tmpfs /data)\n",
		},
		{
			name: "limit", args: []string{"--memory", "64m", "--cpus", "1"}, exit: "125", code: 125,
			status: `{"phase":"limited","pointer":"/linux/resources/memory/limit","message":"the controller is missing","hint":"use another host"}`,
			stderr: "locald: a limit cannot be applied: the controller is missing. [LD303]\n  in config.json /linux/resources/memory/limit (from --memory 64m)\n  use another host\n",
		},
		{
			name: "limit without a cgroup", args: []string{"--memory", "64m"}, exit: "125", code: 125,
			status: `{"phase":"opened","pointer":"/linux/cgroupsPath","message":"not yours"}`,
			stderr: "locald: a limit cannot be applied: not yours. [LD303]\n  in config.json /linux/cgroupsPath (from --memory 64m)\n" + setUp,
		},
		{
			name: "silent helper", exit: "1", code: 125,
			stderr: "locald: locald-shim ended with exit code 1 and did not say why. [LD602]\n  try: locald doctor\n",
		},
		{
			name: "silent and content", exit: "0", code: 125,
			stderr: "locald: locald-shim ended with exit code 0 and did not say why. [LD602]\n  try: locald doctor\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := newCall(t)
			c.status, c.stderr = strings.ReplaceAll(c.status, "FIRST", first), strings.ReplaceAll(c.stderr, "FIRST", first)
			programs(t, "rootfs/bin/bash", "rootfs/bin/sh", "rootfs/bin/other")
			name := "test-" + randomID()
			args := append([]string{"run", "--name", name, "--network", "host", "-e", "PATH=/bin:/usr/bin", "-e", "FAKE_STATUS=" + c.status, "-e", "FAKE_EXIT=" + c.exit}, c.args...)
			args = append(args, "dir:rootfs", "bsh")
			code, stdout, stderr := call.locald(t, args...)
			if code != c.code || stdout != "" || stderr != c.stderr {
				t.Errorf("code %d, want %d; stdout %q; stderr:\n%swant:\n%s", code, c.code, stdout, stderr, c.stderr)
			}
			// The helper's own stderr is passed through, and never read.
			_, _, noisy := call.locald(t, slices.Insert(args, 1, "-e", "FAKE_STDERR=panic: executable file not found\n")...)
			if noisy != "panic: executable file not found\n"+c.stderr {
				t.Errorf("with a noisy helper:\n%s", noisy)
			}
			nothingLeft(t, name)
		})
	}
}

func programs(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// nothingLeft looks for bundles of a container with this name.
func nothingLeft(t *testing.T, name string) {
	t.Helper()
	dir, err := runDir()
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, name+"-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}

func TestRunHelperKilled(t *testing.T) {
	c := newCall(t)
	for status, want := range map[string]string{
		`{"phase":"opened"}`:  "before it ran the program",
		`{"phase":"running"}`: "while the program ran",
	} {
		code, _, stderr := c.locald(t, "run", "--network=host", "-e", "FAKE_KILL=9", "-e", "FAKE_STATUS="+status, "dir:rootfs", "x")
		if code != 137 || !strings.Contains(stderr, "ended by signal 9 "+want) {
			t.Errorf("%d, %s", code, stderr)
		}
	}
}

// TestRunRefuses holds what is said before any helper is asked.
func TestRunRefuses(t *testing.T) {
	for _, c := range []struct {
		args   string
		stderr string
	}{
		{"", "locald: run needs an image. [LD020]\n  try: locald run builtin:hello\n"},
		{"--pull never alpine", "locald: image \"alpine\" is not on this machine, and --pull never was given. [LD101]\n"},
		{"dir:", "locald: dir: needs a directory. [LD110]\n  try: locald run dir:./rootfs COMMAND\n"},
		{"dir:missing x", "locald: the root file system %d/missing cannot be used: no such file or directory. [LD110]\n"},
		{"dir:file x", "locald: the root file system %d/file is not a directory. [LD110]\n"},
		{"dir:rootfs", "locald: dir: needs a command. [LD020]\n  try: locald run dir:%d/rootfs /bin/sh\n"},
		{"-v ./missing:/x dir:rootfs x", "locald: %d/missing does not exist on this machine (from -v ./missing:/x). [LD301]\n  try: mkdir -p ./missing\n"},
		{"-v /rootfs:/x dir:rootfs x", "locald: /rootfs does not exist on this machine (from -v /rootfs:/x). [LD301]\n  try: mkdir -p /rootfs   or -v ./rootfs:/x\n"},
		{"-v data dir:rootfs x", "locald: --volume data: a volume is written SRC:DST, NAME:DST, or DST for a new one: the place in the container starts with /. [LD301]\n"},
		{"--memory 64 dir:rootfs x", "locald: --memory 64: that is a number of bytes, and less than a program needs. [LD020]\n  try: --memory 64m\n"},
		{"--cpus x dir:rootfs x", "locald: --cpus x: a number of CPUs is written 2 or 0.5. [LD020]\n  try: --cpus 0.5\n"},
		{"--network bridge dir:rootfs x", "locald: --network bridge: this version knows host and none. [LD020]\n  try: --network none\n"},
		{"--name ../x dir:rootfs x", "locald: --name ../x: a name is made of a-z, 0-9 and, after the first character, _ . -. [LD020]\n"},
		{"-u nobody dir:rootfs x", "locald: --user nobody: there is no user \"nobody\" in the container's /etc/passwd. [LD302]\n"},
		{"-w x dir:rootfs x", "locald: --workdir x: a working directory in the container starts with /. [LD020]\n  try: -w /x\n"},
		{"-e =x dir:rootfs x", "locald: --env =x: a variable is written NAME=VALUE, and its name has no blanks. [LD020]\n"},
		{"--env-file missing dir:rootfs x", "locald: --env-file missing: no such file or directory. [LD020]\n"},
		{"-P dir:rootfs x", "locald: -P is not supported yet. [LD020]\n  try: locald run --help\n"},
		{"-p 80:80/udp dir:rootfs x", "locald: --publish 80:80/udp: publishing udp is not supported yet. [LD020]\n  try: -p 8080:80\n"},
		{"--network host -p 80:80 dir:rootfs x", "locald: --publish 80:80: with --network host the ports of the container are this machine's already. [LD020]\n  try: --network none -p 80:80\n"},
		{"--colour dir:rootfs x", "locald: unknown flag: --colour. [LD020]\n  try: locald run --help\n"},
		{"--pids-limit many dir:rootfs x", "locald: invalid argument \"many\" for \"--pids-limit\" flag: strconv.ParseInt: parsing \"many\": invalid syntax. [LD020]\n  try: locald run --help\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			call := newCall(t)
			if err := os.WriteFile("file", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := call.locald(t, append([]string{"run"}, strings.Fields(c.args)...)...)
			want := strings.ReplaceAll(c.stderr, "%d", call.dir)
			if code != 125 || stdout != "" || stderr != want {
				t.Errorf("%d, %q, stderr:\n%swant:\n%s", code, stdout, stderr, want)
			}
		})
	}
}

func TestRunWithoutHelper(t *testing.T) {
	c := newCall(t)
	t.Setenv("LOCALD_SHIM", "")
	code, _, stderr := c.locald(t, "run", "--shim", "nowhere", "dir:rootfs", "x")
	if code != 125 || !strings.Contains(stderr, "cannot be used") || !strings.Contains(stderr, "[LD602]") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestRunFlags(t *testing.T) {
	c := newCall(t)
	if err := os.WriteFile("rootfs/etc/passwd", []byte("root:x:0:0::/root:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("vars", []byte("FILE=1\nBOTH=file\nHOST\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOST", "from here")
	spec := c.spec(t, "-q", "--rm", "-i", "--name", "web", "-e", "BOTH=flag", "-e", "HOST", "-e", "NOWHERE", "--env-file", "vars",
		"-w", "/src", "-v", "./rootfs:/src:ro", "--tmpfs", "/tmp", "--read-only", "--network", "none", "--hostname", "box",
		"--cap-drop", "ALL", "--cap-add", "kill", "dir:rootfs", "--", "sh", "-c", "--", "-x")
	if got := strings.Join(spec.Process.Args, " "); got != "sh -c -- -x" {
		t.Errorf("args %q", got)
	}
	for _, want := range []string{"FILE=1", "BOTH=flag", "HOST=from here", "HOME=/root", "HOSTNAME=box"} {
		if !slices.Contains(spec.Process.Env, want) {
			t.Errorf("%s is not in %q", want, spec.Process.Env)
		}
	}
	for _, entry := range spec.Process.Env {
		if strings.HasPrefix(entry, "NOWHERE") || strings.HasPrefix(entry, "TERM") || strings.HasPrefix(entry, "LOCALD") {
			t.Errorf("%s is in the environment", entry)
		}
	}
	m := spec.Mounts[len(spec.Mounts)-2]
	if m.Source != filepath.Join(c.dir, "rootfs") || m.Destination != "/src" || !slices.Contains(m.Options, "ro") {
		t.Errorf("%+v", m)
	}
	if spec.Root.Path != filepath.Join(c.dir, "rootfs") || !spec.Root.Readonly || spec.Hostname != "box" || spec.Process.Cwd != "/src" {
		t.Errorf("%+v %s %s", spec.Root, spec.Hostname, spec.Process.Cwd)
	}
	if got := spec.Process.Capabilities.Effective; len(got) != 1 || got[0] != "CAP_KILL" {
		t.Errorf("capabilities %v", got)
	}
	if first, second := c.spec(t, "dir:rootfs", "x"), c.spec(t, "dir:rootfs", "x"); first.Hostname == second.Hostname || len(first.Hostname) != 12 {
		t.Errorf("host names %q and %q", first.Hostname, second.Hostname)
	}
}

func TestRunHello(t *testing.T) {
	c := newCall(t)
	spec := c.spec(t, "builtin:hello")
	if !slices.Equal(spec.Process.Args, []string{"/hello"}) || !spec.Root.Readonly {
		t.Errorf("%v %+v", spec.Process.Args, spec.Root)
	}
	if !strings.HasPrefix(spec.Root.Path, filepath.Join(c.dir, "cache/builtin")) {
		t.Errorf("rootfs %s", spec.Root.Path)
	}
	if _, err := os.Stat(spec.Root.Path + "/hello"); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(spec.Process.Env, func(e string) bool { return strings.HasPrefix(e, "LOCALD_STARTED_NS=") }) {
		t.Errorf("env %v", spec.Process.Env)
	}
}

// A user without a home directory has a cache all the same.
func TestRunHelloHomeless(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root's cache is not below a home directory")
	}
	c := newCall(t)
	for _, home := range []string{"", "/proc/nowhere"} {
		t.Setenv("LOCALD_CACHE", "")
		t.Setenv("XDG_CACHE_HOME", "")
		t.Setenv("HOME", home)
		if spec := c.spec(t, "builtin:hello"); !strings.HasPrefix(spec.Root.Path, filepath.Join(c.dir, "locald-cache/builtin")) {
			t.Errorf("HOME=%q: rootfs %s", home, spec.Root.Path)
		}
	}
}

func TestRunNotes(t *testing.T) {
	c := newCall(t)
	ended := `FAKE_STATUS={"phase":"exited"}`
	for _, args := range [][]string{{"--network", "host"}, {"--network=none"}, {"-q"}} {
		args = append(append([]string{"run", "-e", ended}, args...), "dir:rootfs", "x")
		if code, _, stderr := c.locald(t, args...); code != 0 || stderr != "" {
			t.Errorf("%v: %d, %s", args, code, stderr)
		}
	}
	code, stdout, stderr := c.locald(t, "run", "-e", ended, "dir:rootfs", "x")
	if code != 0 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "locald: note: the container uses this machine's network") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestRunDryRun(t *testing.T) {
	c := newCall(t)
	code, stdout, stderr := c.locald(t, "run", "--dry-run", "-e", `FAKE_STATUS={"phase":"compiled"}`, "dir:rootfs", "x")
	if code != 0 || stdout != "a listing\n" || stderr != "" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestPrintBundle(t *testing.T) {
	c := newCall(t)
	code, stdout, stderr := c.locald(t, "run", "--print-bundle", "out/b", "--name", "x", "builtin:hello", "serve")
	config := filepath.Join(c.dir, "out/b/config.json")
	if code != 0 || stdout != config+"\n" || stderr != "" {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	text, err := os.ReadFile(config)
	if err != nil || !strings.Contains(string(text), `"root":{"path":"rootfs","readonly":true}`) || !strings.Contains(string(text), `"args":["/hello","serve"]`) {
		t.Errorf("%s, %v", text, err)
	}
	if strings.Contains(string(text), "LOCALD_STARTED_NS") {
		t.Error("a bundle that is run later knows nothing of when locald started")
	}
	if info, err := os.Stat("out/b/rootfs/hello"); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	code, _, stderr = c.locald(t, "run", "--print-bundle", "out/b", "dir:rootfs", "x")
	if code != 125 || !strings.Contains(stderr, config+" exists already. [LD310]") {
		t.Errorf("%d, %s", code, stderr)
	}
	if code, _, _ = c.locald(t, "run", "--print-bundle", "out/c", "dir:rootfs", "x"); code != 0 {
		t.Error(code)
	}
	text, _ = os.ReadFile("out/c/config.json")
	if !strings.Contains(string(text), `"root":{"path":"`+filepath.Join(c.dir, "rootfs")+`"}`) {
		t.Errorf("%s", text)
	}
}

func TestPrivateDir(t *testing.T) {
	base := t.TempDir()
	uid := os.Getuid()
	made := filepath.Join(base, "made")
	for range 2 {
		if dir, err := privateDir(made, uid); err != nil || dir != made {
			t.Errorf("%s, %v", dir, err)
		}
	}
	open, link, file := filepath.Join(base, "open"), filepath.Join(base, "link"), filepath.Join(base, "file")
	os.Mkdir(open, 0o700)
	os.Chmod(open, 0o770)
	os.Symlink(made, link)
	os.WriteFile(file, nil, 0o600)
	for _, path := range []string{open, link, file} {
		if _, err := privateDir(path, uid); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	if _, err := privateDir(made, uid+1); err == nil {
		t.Error("somebody else's was accepted")
	}
}

func TestRemoveStale(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"stale", "locked", "full"} {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, "config.json"), nil, 0o600)
		if name == "full" {
			os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600)
		}
	}
	held, err := lock(filepath.Join(parent, "locked"))
	if err != nil {
		t.Fatal(err)
	}
	defer (&bundleDir{path: filepath.Join(parent, "locked"), fd: held}).remove()
	removeStale(parent)
	for name, want := range map[string]bool{"stale": false, "locked/config.json": true, "full/mine": true, "full/config.json": false} {
		if _, err := os.Stat(filepath.Join(parent, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBundleDirsAtOnce: nobody takes the directory that another is about to use for one left behind.
func TestBundleDirsAtOnce(t *testing.T) {
	parent := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				dir, err := bundleDirIn(parent, "id")
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(dir.path, "config.json"), nil, 0o600); err != nil {
					t.Error(err)
				}
				dir.remove()
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(parent); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"bsh", "bash", true}, {"bsh", "sh", true}, {"nod", "node", true}, {"ls", "la", true}, {"make", "make", false},
		{"", "x", true}, {"ab", "ba", false}, {"abc", "abcde", false}, {"abc", "xyz", false},
	} {
		if near(c.a, c.b) != c.want || near(c.b, c.a) != c.want {
			t.Errorf("%q %q: %v", c.a, c.b, !c.want)
		}
	}
}
