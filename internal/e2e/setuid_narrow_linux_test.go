package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestSetuidNarrows: what power is not needed any more, or cannot be needed, is given up before anything is done that
// somebody else has a say in: how long it takes, or what is there.
func TestSetuidNarrows(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	u, _ := accounts(t)
	maps := u.someIDMapped(t)
	const admin, dac = "CAP_SYS_ADMIN", "1<<CAP_DAC_OVERRIDE"

	// at are the capabilities that were permitted at the first call with these words in it, and at all that came after.
	at := func(t *testing.T, tr *trace, words ...string) (all []call) {
		t.Helper()
		for _, c := range tr.calls(t)[tr.main] {
			found := true
			for _, w := range words {
				found = found && strings.Contains(c.line, w)
			}
			if found || all != nil {
				all = append(all, c)
			}
		}
		if all == nil {
			t.Fatalf("there is no call with %q: %s", words, tr.result)
		}
		return all
	}
	code := func(t *testing.T, tr *trace, want int) {
		t.Helper()
		if tr.result.code != want {
			t.Fatalf("exit status %d, want %d: %s", tr.result.code, want, tr.result)
		}
	}

	t.Run("bundle run", func(t *testing.T) {
		tr := u.traced(t, u.bundle(t).do("exit 7"), nil)
		code(t, tr, 7)
		if c := at(t, tr, `openat(`, `"rootfs"`)[0]; strings.Contains(c.permitted, admin) {
			t.Errorf("no mount wants its ids mapped; permitted %s: %s", c.permitted, c.line)
		}
	})
	for _, verb := range []string{"create", "run"} {
		t.Run(verb+" by systemd", func(t *testing.T) {
			b := u.bundle(t).do("exit 7")
			b.spec.Linux.CgroupsPath = ""
			tr := u.tracedVerb(t, b, nil, "--systemd-cgroup", verb, "--bundle", b.dir, b.id)
			code(t, tr, 1) // there is no bus
			if c := at(t, tr, `connect(`, `"/run/user/`+itoa(u.uid)+`/bus"`)[0]; strings.Contains(c.permitted, admin) {
				t.Errorf("no mount wants its ids mapped; permitted %s: %s", c.permitted, c.line)
			}
		})
	}
	t.Run("exec", func(t *testing.T) {
		b := u.bundle(t).do("forever")
		b.write(t)
		created := u.launch(t, b, "create", "--bundle", b.dir, b.id)
		if code := created.returned(); code != 0 {
			t.Fatalf("create: %s", created.closed())
		}
		defer func() {
			u.launch(t, nil, "delete", "--force", b.id).wait().ok(t)
			created.closed()
		}()
		tr := u.tracedVerb(t, b, nil, "--log", "/dev/null", "exec", b.id, "/probe", "exit 7")
		code(t, tr, 7)
		tr.joins = true
		tr.checkPrivileged(t, u, permitted(t))
		for _, c := range at(t, tr, `openat(AT_FDCWD`, `"/dev/null"`, "O_APPEND") {
			if c.permitted != dac && c.permitted != "0" {
				t.Errorf("permitted %s: %s", c.permitted, c.line)
				break
			}
		}
	})
	t.Run("maps of mounts", func(t *testing.T) {
		b := u.bundle(t).do("exit 7")
		maps(b.spec)
		tr := u.traced(t, b, nil)
		code(t, tr, 7)
		clones := 0
		for _, c := range at(t, tr, "clone3(", "CLONE_NEWUSER") {
			if c.name != "clone3" {
				continue
			}
			if own := clones == 0; own != (c.caps == dac) || !own && c.caps != "0" {
				t.Errorf("effective %s, and the child is the container's: %v: %s", c.caps, own, c.line)
			}
			clones++
		}
		if clones != 3 {
			t.Errorf("%d children, want the container's, and one for each of two maps", clones)
		}
	})
	t.Run("before what failed is undone", func(t *testing.T) {
		b := u.bundle(t).do("exit 7")
		maps(b.spec)
		closed := t.TempDir()
		must(t, os.Mkdir(closed+"/inner", 0o755))
		must(t, os.Chmod(closed, 0o700))
		b.spec.Mounts[len(b.spec.Mounts)-1].Source = closed + "/inner"
		tr := u.traced(t, b, nil)
		code(t, tr, 125)
		for _, c := range at(t, tr, "cgroup.kill") {
			if c.permitted != "0" || c.caps != "0" {
				t.Errorf("permitted %s: %s", c.permitted, c.line)
				break
			}
		}
	})
}
