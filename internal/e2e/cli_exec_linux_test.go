package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestLocaldExec: exec knows the container's users by name, keeps its environment, and says what went wrong by its exit
// code.
func TestLocaldExec(t *testing.T) {
	c := newOwner(t)
	c.put(t, "rootfs/etc/passwd", "root:x:0:0::/root:/bin/sh\nadmin:x:0:0::/home/admin:/bin/sh\ndaemon:x:7:8::/:/bin/sh\n", 0o644)
	c.put(t, "rootfs/etc/group", "root:x:0:\nwheel:x:10:daemon\n", 0o644)
	c.put(t, "rootfs/plain", "no program", 0o644)
	c.put(t, "rootfs/garbage", "\x01\x02\x03\x04", 0o755)
	c.put(t, "more.env", "B=from a file\n", 0o644)
	id := c.detach(t, []string{"-e", "A=1", "-e", "B=1"}, "forever")
	r := c.locald(t, "exec", "-u", "admin", "--env-file", "more.env", "-e", "PASSED", id, "/probe", "look")
	look := r.ok(t).answer(t, "look").Look
	for _, entry := range []string{"A=1", "B=from a file", "PASSED=on", "HOME=/home/admin"} {
		if !slices.Contains(look.Env, entry) {
			t.Errorf("%s is not in %q", entry, look.Env)
		}
	}
	if look.Uid[0] != 0 || look.Status["NoNewPrivs"] != "1" || look.Caps.Effective == 0 || look.Caps.Effective != look.Caps.Bounding {
		t.Errorf("%+v", look)
	}
	if here.root {
		look := c.locald(t, "exec", "--user", "daemon", id, "/probe", "look").ok(t).answer(t, "look").Look
		if look.Uid[0] != 7 || look.Gid[0] != 8 || !slices.Equal(look.Groups, []int{10}) || look.Caps.Effective != 0 {
			t.Errorf("%+v", look)
		}
	}
	for _, bad := range []struct {
		code int
		text string
		args []string
	}{
		{125, `there is no user "nobody" in the container's /etc/passwd. [LD302]`, []string{"-u", "nobody", id, "/probe"}},
		{125, `there is no group "nobody" in the container's /etc/group. [LD302]`, []string{"-u", "root:nobody", id, "/probe"}},
		{125, "a working directory in the container starts with /. [LD020]", []string{"-w", "proc", id, "/probe"}},
		{125, "there is no container nobody. [LD121]", []string{"nobody", "/probe"}},
		{127, "no such file or directory", []string{id, "/missing"}},
		{127, "executable file not found in $PATH", []string{id, "missing"}},
		{126, "permission denied", []string{id, "/plain"}},
		{126, "exec format error", []string{id, "/garbage"}},
	} {
		if r := c.locald(t, append([]string{"exec"}, bad.args...)...); r.code != bad.code || !strings.Contains(r.stderr, bad.text) {
			t.Errorf("%v: want %d and %q: %s", bad.args, bad.code, bad.text, r)
		}
	}
}
