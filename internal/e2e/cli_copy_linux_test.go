package e2e

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locald/locald/internal/image"
	"golang.org/x/sys/unix"
)

// owned is a file's owner, in the ids of this machine.
func owned(t *testing.T, path string) [2]int {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	return [2]int{int(st.Uid), int(st.Gid)}
}

// TestCopy: cp out of a container and into one, which runs or not. What comes out is the caller's, what goes in is the
// container's root's.
func TestCopy(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	me := [2]int{os.Getuid(), os.Getgid()}
	c.put(t, "site/index", "hello", 0o640)
	c.put(t, "site/deep/er", "x", 0o644)
	c.put(t, "rootfs/var/data/inner", "from inside", 0o600)
	must(t, os.Symlink("/var/data", filepath.Join(c.dir, "rootfs/data")))
	if here.root {
		must(t, os.Lchown(filepath.Join(c.dir, "site/index"), 7, 8))
		must(t, os.Lchown(filepath.Join(c.dir, "rootfs/var/data/inner"), 7, 8))
	}
	id := c.detach(t, []string{"--name", "web", "--cap-drop", "ALL"}, "forever")
	for _, state := range []string{"runs", "stopped"} {
		if state == "stopped" {
			c.says(t, "web\n", "kill", "web")
			c.locald(t, "wait", "web").ok(t)
		}
		c.locald(t, "cp", "site", "web:/"+state).ok(t)
		in := filepath.Join(c.dir, "rootfs", state)
		if got := textOf(t, in+"/index") + textOf(t, in+"/deep/er"); got != "hellox" || owned(t, in+"/index") != me || owned(t, in+"/deep") != me {
			t.Errorf("%s: %q is %v", state, got, owned(t, in+"/index"))
		}
		c.locald(t, "cp", "-a", "site/index", id+":"+state+"/index").ok(t)
		want := me
		if here.root {
			want = [2]int{7, 8}
		}
		if got := owned(t, in+"/index"); got != want {
			t.Errorf("%s: cp -a gives the owner %v, not %v", state, got, want)
		}
		out := filepath.Join(c.dir, "out-"+state)
		c.locald(t, "cp", "web:/data/", out).ok(t) // through a link of the container's
		if got := textOf(t, out+"/inner"); got != "from inside" || owned(t, out+"/inner") != me || owned(t, out) != me {
			t.Errorf("%s: %q is %v", state, got, owned(t, out+"/inner"))
		}
		r := c.locald(t, "cp", "web:/data/.", "-").ok(t)
		name, text := "", ""
		for stream := tar.NewReader(strings.NewReader(r.stdout)); ; {
			h, err := stream.Next()
			if err != nil {
				break
			}
			data, _ := io.ReadAll(stream)
			name, text = name+h.Name+" ", text+string(data)
		}
		if name != "./ inner " || text != "from inside" {
			t.Errorf("%s: the stream has %q with %q", state, name, text)
		}
		cmd := c.command("cp", "-", "web:/var")
		cmd.Stdin = bytes.NewReader(layerOf(t, entry{name: "piped", body: "piped", mode: 0o644}))
		if text, err := cmd.CombinedOutput(); err != nil || textOf(t, filepath.Join(c.dir, "rootfs/var/piped")) != "piped" {
			t.Errorf("%s: %v: %s", state, err, text)
		}
		must(t, os.Remove(filepath.Join(c.dir, "rootfs/var/piped")))
	}
}

// TestCopyRefused: what cannot be copied is said, and where.
func TestCopyRefused(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	c.put(t, "file", "x", 0o644)
	c.put(t, "mine/file", "x", 0o644)
	c.detach(t, []string{"--name", "web", "-v", "./mine:/mine"}, "forever")
	for _, bad := range []struct {
		code     int
		from, to string
		want     string
	}{
		{1, "web:/missing", "out", `"/missing": no such file or directory, in the container web. [LD124]`},
		{1, "file", "web:/missing/file", `no such file or directory, in the container web. [LD124]`},
		{1, "missing", "web:/", `missing cannot be copied: no such file or directory. [LD124]`},
		{1, "web:/probe", "missing/out", `cannot be copied: no such file or directory. [LD124]`},
		{1, "nobody:/x", "out", `there is no container nobody. [LD121]`},
		{2, "file", "other", `neither file nor other is CONTAINER:PATH. [LD020]`},
		{2, "web:/x", "web:/y", `cp copies between a container and this machine. [LD020]`},
		{1, "file", "web:/proc/x", `in the container web. [LD124]`},
	} {
		c.locald(t, "cp", bad.from, bad.to).failed(t, bad.code, bad.want)
	}
	c.locald(t, "diff", "web").failed(t, 1, "nothing says what was there before")
	c.says(t, "web\n", "kill", "web")
	c.locald(t, "wait", "web").ok(t)
	r := c.locald(t, "cp", "web:/mine/file", "out")
	r.failed(t, 1, "/mine is mounted only while the container web runs. [LD124]")
	if !strings.Contains(r.stderr, "on this machine it is "+filepath.Join(c.dir, "mine")) {
		t.Error(r)
	}
	if _, err := os.Lstat(filepath.Join(c.dir, "out")); err == nil {
		t.Error("something was copied")
	}
}

// TestCVE_2018_15664: links of a container that lead to what is on this machine lead nowhere, also while they take the place of
// what is meant (CVE-2018-15664).
func TestCVE_2018_15664(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	secret, victim := filepath.Join(c.dir, "secret"), filepath.Join(c.dir, "victim")
	c.put(t, "secret", "the caller's own", 0o600)
	c.put(t, "file", "copied", 0o644)
	must(t, os.Mkdir(victim, 0o755))
	c.put(t, "rootfs/dir/data", "the container's", 0o644)
	c.put(t, "rootfs/data", "the container's", 0o644)
	at := func(name string) string { return filepath.Join(c.dir, "rootfs", name) }
	must(t, os.Symlink(victim, at("todir")))
	must(t, os.Symlink(secret, at("tosecret")))
	c.detach(t, []string{"--name", "web"}, "forever")
	check := func(what string) {
		t.Helper()
		if left, _ := os.ReadDir(victim); len(left) > 0 {
			t.Fatalf("%s: a file of this machine was made: %v", what, left)
		}
		if got := textOf(t, secret); got != "the caller's own" {
			t.Fatalf("%s: a file of this machine was written: %q", what, got)
		}
		for _, name := range []string{"out", "out/data", "out/tosecret"} {
			if info, err := os.Lstat(filepath.Join(c.dir, name)); err == nil && info.Mode().IsRegular() && strings.Contains(textOf(t, filepath.Join(c.dir, name)), "caller") {
				t.Fatalf("%s: a file of this machine was read", what)
			}
		}
		must(t, os.RemoveAll(filepath.Join(c.dir, "out")))
	}
	rounds := map[string]int{"runs": 3, "stopped": 1}
	for _, state := range []string{"runs", "stopped"} {
		if state == "stopped" {
			c.says(t, "web\n", "kill", "web")
			c.locald(t, "wait", "web").ok(t)
		}
		for _, args := range [][]string{
			{"-L", "web:/tosecret", "out"}, {"web:/todir/", "out"}, {"web:/todir/../secret", "out"}, {"web:/../../.." + secret, "out"},
			{"file", "web:/todir/new"}, {"file", "web:/tosecret"}, {"file", "web:/tosecret/new"},
		} {
			r := c.locald(t, append([]string{"cp"}, args...)...)
			if check(strings.Join(args, " ")); r.code == 0 && args[1] != "web:/tosecret" {
				t.Errorf("%v: %s", args, r)
			}
		}
		// What it did with the dangling link: a file of the container's took its place.
		must(t, os.Remove(at("tosecret")))
		must(t, os.Symlink(secret, at("tosecret")))

		stop, ended := make(chan struct{}), make(chan int)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					ended <- n
					return
				default:
				}
				unix.Renameat2(unix.AT_FDCWD, at("dir"), unix.AT_FDCWD, at("todir"), unix.RENAME_EXCHANGE)
				unix.Renameat2(unix.AT_FDCWD, at("data"), unix.AT_FDCWD, at("tosecret"), unix.RENAME_EXCHANGE)
				time.Sleep(50 * time.Microsecond)
			}
		}()
		for range rounds[state] {
			for _, args := range [][]string{{"web:/dir", "out"}, {"-L", "web:/data", "out"}, {"web:/dir/.", "out"}, {"file", "web:/dir/new"}, {"file", "web:/data"}} {
				c.locald(t, append([]string{"cp"}, args...)...)
				check(strings.Join(args, " "))
			}
		}
		close(stop)
		if n := <-ended; n%2 == 1 {
			unix.Renameat2(unix.AT_FDCWD, at("dir"), unix.AT_FDCWD, at("todir"), unix.RENAME_EXCHANGE)
		}
	}
}

// TestDiff: what a container has changed in its image, while it runs and afterwards; and cp with an image's layers.
func TestDiff(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	t.Cleanup(func() { c.locald(t, "rmi", "--all").ok(t) })
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", image.Process{Entrypoint: []string{"/probe"}}, testLayers(t)...)
	c.locald(t, "load", "-i", "image.tar").ok(t)
	c.put(t, "changed", "by cp", 0o644)
	c.locald(t, "-q", "run", "-d", "--network", "none", "--name", "web", "probe:1", "forever").ok(t)
	c.says(t, "", "diff", "web")
	c.locald(t, "cp", "changed", "web:/changed").ok(t)
	c.locald(t, "cp", "changed", "web:/etc/new\nline").ok(t)
	want := "C /changed\nC /etc\nA \"/etc/new\\nline\"\n"
	c.says(t, want, "diff", "web")
	c.says(t, "web\n", "kill", "web")
	c.locald(t, "wait", "web").ok(t)
	c.says(t, want, "diff", "web")
	c.locald(t, "cp", "web:/changed", "out").ok(t)
	c.locald(t, "cp", "web:/home/ann/file", "hers").ok(t)
	if got := textOf(t, filepath.Join(c.dir, "out")) + textOf(t, filepath.Join(c.dir, "hers")); got != "by cphers" {
		t.Errorf("%q", got)
	}
	c.locald(t, "cp", "out", "web:/later").ok(t)
	c.says(t, want+"A /later\n", "diff", "web")
	c.says(t, `{"schema":1,"kind":"C","path":"/changed"}
{"schema":1,"kind":"C","path":"/etc"}
{"schema":1,"kind":"A","path":"/etc/new\nline"}
{"schema":1,"kind":"A","path":"/later"}
`, "diff", "--format", "jsonl", "web")
	c.locald(t, "rm", "web").ok(t)
}

// TestCVE_2019_14271: a container's own libraries, and what tells a program which to load, are nothing to who copies out of
// it and into it.
func TestCVE_2019_14271(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	c.put(t, "rootfs/data", "the container's", 0o644)
	c.put(t, "file", "copied", 0o644)
	for _, name := range []string{"lib/x86_64-linux-gnu/libnss_files.so.2", "lib64/ld-linux-x86-64.so.2", "etc/ld.so.preload", "etc/nsswitch.conf", "bin/tar", "usr/bin/tar"} {
		c.put(t, "rootfs/"+name, "not what it seems", 0o755)
	}
	c.detach(t, []string{"--name", "web"}, "forever")
	c.locald(t, "cp", "web:/data", "out").ok(t)
	c.locald(t, "cp", "file", "web:/new").ok(t)
	c.locald(t, "cp", "web:/new", "back").ok(t)
	for name, want := range map[string]string{"out": "the container's", "back": "copied"} {
		if got := textOf(t, filepath.Join(c.dir, name)); got != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	c.says(t, "web\n", "rm", "--force", "web")
}
