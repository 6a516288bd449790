package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tryCaller is a caller with a home directory, in which the project is the working directory.
func tryCaller(t *testing.T) (c *caller, home string) {
	t.Helper()
	needs(t, !here.guest, "is seen on the host")
	c = newCaller(t)
	home = filepath.Join(filepath.Dir(c.dir), "home")
	must(t, os.Mkdir(home, 0o700))
	project := filepath.Join(home, "project")
	must(t, os.Rename(c.dir, project))
	must(t, os.RemoveAll(filepath.Join(project, "rootfs")))
	must(t, copyFile(filepath.Join(project, "probe"), probeExe, 0o755))
	c.dir = project
	for i, entry := range c.env {
		if strings.HasPrefix(entry, "HOME=") {
			c.env[i] = "HOME=" + home
		}
		if strings.HasPrefix(entry, "PATH=") {
			c.env[i] = "PATH=/usr/local/bin:/usr/bin:/bin"
		}
	}
	c.env = append(c.env, "USER=me", "LANG=C", "DBUS_SESSION_BUS_ADDRESS=unix:path=/x")
	t.Cleanup(func() {
		for _, dir := range []string{"/dev/shm/locald-" + itoa(os.Getuid()), "/var/tmp/locald-" + itoa(os.Getuid()), c.run + "/locald-try"} {
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left in %s: %v", dir, left)
			}
		}
	})
	return c, home
}

// try runs the probe on the host.
func (c *caller) try(t *testing.T, flags []string, actions ...string) *result {
	t.Helper()
	return c.locald(t, slices.Concat([]string{"try"}, flags, []string{"./probe"}, actions)...)
}

// put makes a file of the caller's, and the directories above it.
func put(t *testing.T, path, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// TestTry: what is written in the project stays and is the caller's; what is written elsewhere goes.
func TestTry(t *testing.T) {
	c, home := tryCaller(t)
	old := put(t, home+"/old", "old")
	put(t, home+"/gone", "gone")
	put(t, home+"/dir/a", "a")
	script := "echo draft > notes.txt; echo oops > ~/oops.txt; cd ~; echo t > /tmp/t; echo t > /var/tmp/t"
	if !here.root {
		script += "; echo new > old; rm gone; rm -r dir; mkdir dir; echo b > dir/b"
	}
	res := c.locald(t, "try", "--diff", "sh", "-c", script+"; hostname; exit 7")
	diff := "A " + home + "/oops.txt\n"
	if !here.root {
		diff = "D " + home + "/dir/a\nA " + home + "/dir/b\nD " + home + "/gone\nC " + home + "/old\n" + diff
	}
	name, rest, _ := strings.Cut(res.stdout, "\n")
	if res.code != 7 || res.stderr != "" || !strings.HasPrefix(name, "try-") || rest != diff {
		t.Errorf("not exit code 7 and %q: %s", diff, res)
	}
	for path, want := range map[string]string{old: "old", home + "/gone": "gone", home + "/dir/a": "a", c.dir + "/notes.txt": "draft\n"} {
		if got := textOf(t, path); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{home + "/oops.txt", home + "/dir/b", "/tmp/t", "/var/tmp/t"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s has come out", path)
		}
	}
	info, err := os.Stat(c.dir + "/notes.txt")
	must(t, err)
	if want := " " + itoa(os.Getuid()) + ":" + itoa(os.Getgid()); owner(info) != want {
		t.Errorf("notes.txt belongs to%s, want%s", owner(info), want)
	}
	// Without --diff one line says so.
	if res := c.locald(t, "try", "sh", "-c", "echo oops > ~/oops.txt"); res.code != 0 || !strings.Contains(res.stderr, "thrown away: 1 file outside this directory") {
		t.Error(res)
	}
	if res := c.locald(t, "try", "nowhere"); res.code != 127 {
		t.Error(res)
	}
}

// TestTryInside: the program is nobody who could do anything, and sees nothing that runs outside.
func TestTryInside(t *testing.T) {
	c, home := tryCaller(t)
	sleeper := exec.Command("sleep", "1000")
	must(t, sleeper.Start())
	defer func() { sleeper.Process.Kill(); sleeper.Wait() }()
	pid := itoa(sleeper.Process.Pid)
	res := c.try(t, nil, "look", "kill "+pid+" 9", "read /proc/"+pid+"/root/etc/passwd", "create /etc/oops x", "create /usr/oops x", "write /etc/passwd x",
		"write /proc/sys/kernel/core_pattern x", "stat /etc/passwd", "list /run", "read /etc/shadow", "create /oops x").ok(t)
	look := res.look(t)
	if look.Caps.Effective|look.Caps.Permitted|look.Caps.Bounding|look.Caps.Ambient|look.Caps.Inheritable != 0 || look.Status["NoNewPrivs"] != "1" {
		t.Errorf("capabilities %+v, no_new_privs %v", look.Caps, look.Status["NoNewPrivs"])
	}
	for _, entry := range look.Env {
		if name, _, _ := strings.Cut(entry, "="); !slices.Contains([]string{"PATH", "HOME", "USER", "LANG", "PWD", "HOSTNAME", "TERM"}, name) {
			t.Errorf("%s is in the environment", entry)
		}
	}
	if look.Cwd != c.dir || !slices.Contains(look.Env, "HOME="+home) {
		t.Errorf("working directory %q, environment %q", look.Cwd, look.Env)
	}
	if want := os.Getuid(); look.Uid[1] != want {
		t.Errorf("uid %d, want %d", look.Uid[1], want)
	}
	for _, kind := range []string{"user", "pid", "mnt", "ipc", "uts", "net"} {
		if own, _ := os.Readlink("/proc/self/ns/" + kind); own == look.Namespaces[kind] {
			t.Errorf("the %s namespace is the caller's", kind)
		}
	}
	res.wantErrno(t, "kill "+pid+" 9", "ESRCH")
	res.wantErrno(t, "read /proc/"+pid+"/root/etc/passwd", "ENOENT")
	for _, did := range []string{"create /etc/oops x", "create /usr/oops x", "write /etc/passwd x", "write /proc/sys/kernel/core_pattern x", "create /oops x"} {
		if answer := res.answer(t, did); answer.Errno != "EACCES" && answer.Errno != "EROFS" {
			t.Errorf("%s: %+v", did, answer)
		}
	}
	if got := res.value(t, "stat /etc/passwd"); !strings.Contains(got, " 65534:65534") {
		t.Errorf("/etc/passwd is %s: root is not nobody", got)
	}
	if got := res.value(t, "read /etc/shadow"); got != "" {
		t.Error("/etc/shadow can be read")
	}
	if sleeper.Process.Signal(unix.Signal(0)) != nil {
		t.Error("a process of the machine was ended")
	}
}

// TestTryHidden: nothing is seen of what holds credentials, by whatever path, and no cover can be taken off.
func TestTryHidden(t *testing.T) {
	c, home := tryCaller(t)
	put(t, home+"/.ssh/id_ed25519", "s3cret")
	put(t, home+"/.netrc", "s3cret")
	put(t, home+"/.config/gcloud/token", "s3cret")
	put(t, home+"/.config/other", "seen")
	put(t, home+"/dotfiles/aws/credentials", "s3cret")
	must(t, os.Symlink("dotfiles/aws", home+"/.aws"))
	kube := put(t, home+"/elsewhere/kube", "s3cret")
	own := put(t, home+"/own", "s3cret")
	c.env = append(c.env, "KUBECONFIG="+home+"/none:"+kube)
	files := []string{home + "/.ssh/id_ed25519", home + "/.netrc", home + "/.config/gcloud/token", home + "/.aws/credentials", home + "/dotfiles/aws/credentials", kube, own}
	if here.root { // other paths to a store and to a part of it, which anybody may read
		put(t, home+"/.ssh/sub/key", "s3cret")
		for from, to := range map[string]string{home + "/.ssh": "/srv", home + "/.ssh/sub": "/media"} {
			must(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
			t.Cleanup(func() { unix.Unmount(to, unix.MNT_DETACH) })
		}
		files = append(files, "/srv/id_ed25519", "/media/key")
	}
	for _, before := range []string{"", "unshare -Urm sh -c 'for d in ~/.ssh ~/.netrc ~/.config/gcloud; do umount $d; done; mkdir /tmp/m; mount --bind / /tmp/m; mount -t overlay -o lowerdir=$HOME o /tmp/m;' ; mv ~/.config ~/moved; mv ~/.ssh ~/moved-ssh;"} {
		res := c.locald(t, "try", "--hide", own, "sh", "-c", before+"cat "+strings.Join(files, " ")+" ~/moved/gcloud/* ~/moved-ssh/*; ls -laR ~; cat ~/.config/other ~/moved/other")
		if strings.Contains(res.stdout+res.stderr, "s3cret") || strings.Contains(res.stdout, "id_ed25519") {
			t.Errorf("a store can be read: %s", res)
		}
		if !here.root && !strings.Contains(res.stdout, "seen") {
			t.Errorf("what is no store cannot be read: %s", res)
		}
	}
	if res := c.locald(t, "try", "--hide", home+"/none", "true"); res.code != 125 || !strings.Contains(res.stderr, "[LD301]") {
		t.Error(res)
	}
	c.dir = home + "/.ssh"
	if res := c.locald(t, "try", "true"); res.code != 125 || !strings.Contains(res.stderr, "is hidden from the program") {
		t.Error(res)
	}
}

// TestTrySockets: no socket of the machine answers, wherever its name is.
func TestTrySockets(t *testing.T) {
	c, home := tryCaller(t)
	places := []string{filepath.Join(home, "s"), filepath.Join(c.run, "s"), "@locald-e2e-" + itoa(os.Getpid())}
	if here.root {
		must(t, unix.Mount(t.TempDir(), "/srv", "", unix.MS_BIND, ""))
		t.Cleanup(func() { unix.Unmount("/srv", unix.MNT_DETACH) })
		places = append(places, "/srv/s", "/run/locald-e2e.sock")
	}
	var actions []string
	for _, path := range places {
		l, err := net.Listen("unix", path)
		must(t, err)
		defer l.Close()
		if !strings.HasPrefix(path, "@") {
			must(t, os.Chmod(path, 0o777))
		}
		actions = append(actions, "connect "+path)
	}
	res := c.try(t, nil, actions...).ok(t)
	for _, did := range actions {
		if res.answer(t, did).Errno == "" {
			t.Errorf("%s: somebody answered", did)
		}
	}
	// On the machine's network the abstract one does, and it is said that there are such.
	last := "connect @locald-e2e-" + itoa(os.Getpid())
	res = c.try(t, []string{"--network", "host"}, last).ok(t)
	res.wantErrno(t, last, "")
	if !strings.Contains(res.stderr, "note: --network host: the program reaches") || !strings.Contains(res.stderr, "abstract sockets") {
		t.Error(res)
	}
	if res := c.locald(t, "try", "--offline", "--network", "host", "true"); res.code != 125 || !strings.Contains(res.stderr, "contradict") {
		t.Error(res)
	}
}

// TestTryDirectories: what can be written to, and what not.
func TestTryDirectories(t *testing.T) {
	c, home := tryCaller(t)
	other := filepath.Join(home, "other")
	must(t, os.Mkdir(other, 0o755))
	res := c.try(t, []string{"--ro"}, "create new x", "write probe x").ok(t)
	res.wantErrno(t, "create new x", "EROFS")
	c.try(t, []string{"--rw", other}, "create "+other+"/stays x").ok(t).wantErrno(t, "create "+other+"/stays x", "")
	if got := textOf(t, other+"/stays"); got != "x" {
		t.Errorf("%q was written", got)
	}
	for _, dir := range []string{"/", home, "/usr", "/proc/self", "nowhere", "project/probe"} {
		if res := c.locald(t, "try", "--rw", dir, "true"); res.code != 125 || !strings.Contains(res.stderr, "--rw "+dir) {
			t.Errorf("--rw %s: %s", dir, res)
		}
	}
	for _, dir := range []string{"/", home} {
		c.dir = dir
		res := c.locald(t, "try", "sh", "-c", "echo x > "+home+"/made; pwd")
		if res.code != 0 || res.stdout != dir+"\n" || !strings.Contains(res.stderr, "started in "+dir+", so nothing that is written stays") {
			t.Error(res)
		}
		if _, err := os.Lstat(home + "/made"); err == nil {
			t.Error("it stays in", dir)
		}
	}
	c.dir = filepath.Join(filepath.Dir(home), "elsewhere", "project") // not in the home directory
	must(t, os.MkdirAll(c.dir, 0o755))
	if res := c.locald(t, "try", "sh", "-c", "echo x > ../beside; echo x > stays"); res.code != 0 && !here.root {
		t.Error(res)
	}
	if _, err := os.Lstat(c.dir + "/../beside"); err == nil {
		t.Error("what is beside the project was written to")
	}
	if got := textOf(t, c.dir+"/stays"); got != "x\n" {
		t.Errorf("%q was written", got)
	}
}

// TestTryKeep: what was changed is saved, and goes nowhere else, whatever the program makes of the directory meanwhile.
func TestTryKeep(t *testing.T) {
	c, home := tryCaller(t)
	put(t, home+"/gone", "gone")
	script := "mkdir -p ~/d/e; echo one > ~/d/e/f; ln -s /etc/passwd ~/link; chmod 0 ~/d/e/f; mkfifo ~/fifo"
	if !here.root {
		script += "; rm ~/gone"
	}
	if res := c.locald(t, "try", "--keep", "../kept", "sh", "-c", script); res.code != 0 || res.stderr != "" {
		t.Fatal(res)
	}
	kept := home + "/kept/files" + home
	must(t, os.Chmod(kept+"/d/e/f", 0o600))
	if got := textOf(t, kept+"/d/e/f"); got != "one\n" {
		t.Errorf("kept is %q", got)
	}
	if target, err := os.Readlink(kept + "/link"); err != nil || target != "/etc/passwd" {
		t.Error(target, err)
	}
	if !here.root && textOf(t, home+"/kept/deleted") != home+"/gone\n" {
		t.Errorf("deleted: %q", textOf(t, home+"/kept/deleted"))
	}
	victim := filepath.Join(home, "victim")
	must(t, os.Mkdir(victim, 0o755))
	for _, attack := range []string{"rmdir kept; ln -s " + victim + " kept", "ln -s " + victim + " kept/files", "mkdir -p kept/files; ln -s " + victim + " kept/files/" + strings.Split(home, "/")[1]} {
		must(t, os.RemoveAll(c.dir+"/kept"))
		c.locald(t, "try", "--keep", "kept", "sh", "-c", attack+"; echo x > ~/loot")
		if left, _ := os.ReadDir(victim); len(left) > 0 {
			t.Errorf("%s: %v was written", attack, left)
		}
	}
	if res := c.locald(t, "try", "--keep", home, "true"); res.code != 125 || !strings.Contains(res.stderr, "it is not empty") {
		t.Error(res)
	}
}

// TestRunHost: host: in the place of an image is the same view, with the flags of run.
func TestRunHost(t *testing.T) {
	c, home := tryCaller(t)
	put(t, home+"/.ssh/id", "s3cret")
	res := c.locald(t, "run", "--hostname", "here", "-e", "A=1", "host:", "sh", "-c", "hostname; echo $A; cat ~/.ssh/id; echo x > stays; echo x > ~/goes; exit 4")
	if res.code != 4 || res.stdout != "here\n1\n" {
		t.Error(res)
	}
	if got := textOf(t, c.dir+"/stays"); got != "x\n" {
		t.Errorf("%q was written", got)
	}
	if _, err := os.Lstat(home + "/goes"); err == nil {
		t.Error("what is written in the home directory stays")
	}
	for _, flag := range []string{"-d", "--user=0", "--cap-add=ALL", "--publish=8080:80", "--read-only"} {
		c.locald(t, "run", flag, "host:", "true").failed(t, 125, "cannot be used with host:")
	}
	c.locald(t, "run", "host:").failed(t, 125, "host: needs a command")
	c.locald(t, "try").failed(t, 125, "try needs a command")
}

// TestTryKilled: with locald the program goes, and the next call removes what was written.
func TestTryKilled(t *testing.T) {
	c, _ := tryCaller(t)
	cmd := c.command("try", "./probe", "create started x", "forever")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	buf := make([]byte, 1)
	_, err = out.Read(buf) // its first answer
	must(t, err)
	must(t, cmd.Process.Kill())
	cmd.Wait()
	settle(t)
	if res := c.locald(t, "try", "true"); res.code != 0 || res.stderr != "" {
		t.Error(res)
	}
}

// TestTryHiddenProject: what is hidden in the project is, as are the sockets of monitors wherever the store is.
func TestTryHiddenProject(t *testing.T) {
	c, _ := tryCaller(t)
	must(t, os.Mkdir(filepath.Join(c.dir, "rootfs"), 0o755))
	must(t, os.Link(probeExe, filepath.Join(c.dir, "rootfs", "probe")))
	c.env = append(c.env, "LOCALD_HOME="+filepath.Join(c.dir, "store"))
	id := c.detach(t, nil, "forever")
	t.Cleanup(func() {
		if res := c.locald(t, "rm", "-f", id); res.code != 0 {
			t.Error(res)
		}
	})
	must(t, os.WriteFile(filepath.Join(c.dir, "secret"), []byte("s3cret"), 0o644))
	must(t, os.WriteFile(filepath.Join(c.dir, "seen"), []byte("seen"), 0o644))
	socket := filepath.Join(c.dir, "store", "containers", id, "attach")
	if info, err := os.Lstat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Fatal(info, err)
	}
	res := c.try(t, []string{"--hide", "secret"}, "read secret", "read seen", "stat "+socket).ok(t)
	if a := res.answer(t, "read secret"); strings.Contains(a.Value, "s3cret") {
		t.Errorf("%+v", a)
	}
	res.wantErrno(t, "stat "+socket, "ENOENT")
	if got := res.value(t, "read seen"); got != "seen" {
		t.Errorf("read %q", got)
	}
}
