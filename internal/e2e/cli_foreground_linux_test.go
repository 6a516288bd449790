package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestForegroundSeen: a container in the foreground is one for the other verbs, as long as it runs.
func TestForegroundSeen(t *testing.T) {
	c := newOwner(t)
	b := c.background(t, "run", "--name", "front", "-l", "a=b", "--network", "none", "dir:rootfs", "/probe", "trap 2", "exit 6")
	b.answer("ready")
	c.says(t, "front dir:rootfs running\n", "ps", "--format", "{{.Name}} {{.Image}} {{.State}}") // waits for the word of the locald that runs it
	s := c.inspect(t, "front")
	if s.State.PID == 0 || len(s.ID) != 12 {
		t.Errorf("%+v", s)
	}
	if r := c.locald(t, "exec", "front", "/probe", "look", "exit 4"); r.code != 4 || r.answer(t, "look").Look.Hostname != "front" {
		t.Error(r)
	}
	c.locald(t, "run", "-d", "--name", "front", "--network", "none", "dir:rootfs", "/probe").failed(t, 125, "the name front is in use by another container. [LD120]")
	c.locald(t, "run", "--name", "front", "--network", "none", "dir:rootfs", "/probe").failed(t, 125, "the name front is in use by another container. [LD120]")
	c.locald(t, "logs", "front").failed(t, 1, "is in the foreground of another locald: what it writes is where that was started. [LD122]")
	c.locald(t, "rm", "front").failed(t, 1, "runs. [LD122]")
	waits := c.background(t, "wait", s.ID[:6])
	until(t, "somebody waits", func() bool { return watchesSomething(waits.cmd.Process.Pid) })
	c.says(t, "front\n", "kill", "-s", "USR1", "front")
	b.answer("signal SIGUSR1")
	c.says(t, "front\n", "stop", "front")
	if r := b.wait(); r.code != 6 {
		t.Error(r)
	}
	if r := waits.wait(); r.code != 0 || r.stdout != "6\n" {
		t.Error(r)
	}
	c.says(t, "", "ps", "-aq")

	deaf := c.background(t, "run", "--name", "front", "--network", "none", "--stop-timeout", "0", "dir:rootfs", "/probe", "trap 1000")
	deaf.answer("ready")
	c.says(t, "front\n", "stop", "front")
	if r := deaf.wait(); r.code != 137 {
		t.Error(r)
	}

	// Of one whose locald is killed nothing is left, and its name is free.
	killed := c.background(t, "run", "--name", "front", "--network", "none", "dir:rootfs", "/probe", "trap 1000")
	killed.answer("ready")
	must(t, unix.Kill(killed.cmd.Process.Pid, unix.SIGKILL))
	killed.wait()
	c.says(t, "", "ps", "-aq")
	c.probe(t, []string{"--network", "none", "--name", "front"}, "exit 0").ok(t)
}

// watchesSomething says whether a process has an inotify descriptor.
func watchesSomething(pid int) bool {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
	names, _ := os.ReadDir(dir)
	return slices.ContainsFunc(names, func(n os.DirEntry) bool {
		link, _ := os.Readlink(dir + n.Name())
		return strings.HasSuffix(link, "inotify")
	})
}

// TestForegroundNames: of two containers in the foreground that want one name at once, one gets it.
func TestForegroundNames(t *testing.T) {
	c := newOwner(t)
	var all []*running
	for range 4 {
		all = append(all, c.background(t, "run", "--name", "one", "--network", "none", "dir:rootfs", "/probe", "forever"))
	}
	until(t, "one runs", func() bool { return c.locald(t, "ps", "--format", "{{.Name}}").stdout == "one\n" })
	until(t, "the others have lost", func() bool {
		left := 0
		for _, r := range all {
			if !awaitEnd(r.cmd.Process.Pid, 0) {
				left++
			}
		}
		return left == 1
	})
	c.says(t, "one\n", "kill", "one")
	won := 0
	for _, r := range all {
		switch end := r.wait(); end.code {
		case 137:
			won++
		case 125:
		default:
			t.Error(end)
		}
	}
	if won != 1 {
		t.Errorf("%d got the name", won)
	}
}

// TestForegroundCIDFile: the file is there for a container that ran, and for no other.
func TestForegroundCIDFile(t *testing.T) {
	seenOnHost(t)
	c := newOwner(t)
	cid := filepath.Join(c.dir, "cid")
	front := c.background(t, "run", "--name", "front", "--network", "none", "dir:rootfs", "/probe", "trap 1")
	front.answer("ready")
	for name, args := range map[string][]string{
		"a program that is not there": {"--network", "none", "dir:rootfs", "/none"},
		"a name that is taken":        {"--name", "front", "--network", "none", "dir:rootfs", "/probe"},
	} {
		if r := c.locald(t, append([]string{"run", "--cidfile", cid}, args...)...); r.code != 127 && r.code != 125 {
			t.Errorf("%s: %s", name, r)
		}
		if _, err := os.Lstat(cid); err == nil {
			t.Errorf("%s: the file is left", name)
		}
	}
	c.says(t, "front\n", "stop", "front")
	front.wait()
	c.probe(t, []string{"--cidfile", cid, "--network", "none"}, "exit 3")
	if id := textOf(t, cid); len(id) != 12 {
		t.Errorf("%q", id)
	}
	c.probe(t, []string{"--cidfile", cid, "--network", "none"}, "exit 0").failed(t, 125, "--cidfile")
}
