package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// logged is the socket of a system log, /dev/log, that keeps the messages until they are read: a few
// (/proc/sys/net/unix/max_dgram_qlen), so /dev is no other test's meanwhile.
func logged(t *testing.T) (fd int) {
	t.Helper()
	dev := t.TempDir()
	for _, dir := range []string{"/upper", "/work"} {
		must(t, os.Mkdir(dev+dir, 0o755))
	}
	mountHere(t, "overlay", "/dev", "overlay", "lowerdir=/dev,upperdir="+dev+"/upper,workdir="+dev+"/work")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() {
		unix.Close(fd)
		os.Remove("/dev/log")
	})
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: "/dev/log"}))
	must(t, os.Chmod("/dev/log", 0o666))
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	return fd
}

// messages are all that have come, each with the uid of who sent it.
func messages(t *testing.T, fd int) (texts []string, uids []int) {
	t.Helper()
	for {
		buf, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
		n, used, _, _, err := unix.Recvmsg(fd, buf, control, 0)
		if err != nil {
			return texts, uids
		}
		list, err := unix.ParseSocketControlMessage(control[:used])
		must(t, err)
		cred, err := unix.ParseUnixCredentials(&list[0])
		must(t, err)
		texts, uids = append(texts, string(buf[:n])), append(uids, int(cred.Uid))
	}
}

// TestSetuidAudit: each use of root's power is a line of the system's log, sent with the caller's ids, in which no word is
// the caller's; and no state of the log stops a container.
func TestSetuidAudit(t *testing.T) {
	needs(t, !here.guest, "/dev/log is the guest's")
	u, _ := accounts(t)
	log := logged(t)
	expect := func(t *testing.T, want ...string) {
		t.Helper()
		texts, uids := messages(t, log)
		if len(texts) != len(want) {
			t.Fatalf("%q, want %q", texts, want)
		}
		for i := range want {
			if re := regexp.MustCompile(`^<8[56]>locald-shim\[\d+\]: uid=` + itoa(u.uid) + want[i] + `$`); !re.MatchString(texts[i]) || uids[i] != u.uid {
				t.Errorf("%q of uid %d, want %q", texts[i], uids[i], re)
			}
		}
	}
	digest := func(b *bundle) string {
		text, err := os.ReadFile(b.dir + "/config.json")
		must(t, err)
		sum := sha256.Sum256(text)
		return " config=sha256:" + hex.EncodeToString(sum[:])
	}
	b := u.bundle(t).do("exit 7")
	if r := u.start(t, b).wait(); r.code != 7 {
		t.Fatalf("%s", r)
	}
	expect(t, " verb=bundle-run"+digest(b)+" verdict=allowed")
	u.start(t, b, "--dry-run").wait()
	expect(t)

	b = u.bundle(t).do("exit 7")
	b.spec.Linux.UIDMappings, b.spec.Hostname = oneID(0), "x\nuid=0 verdict=allowed"
	u.start(t, b).wait()
	expect(t, " verb=bundle-run"+digest(b)+" verdict=refused")

	b = u.bundle(t).do("forever")
	b.spec.Annotations = map[string]string{"a\nb": "c"}
	b.write(t)
	created := u.launch(t, b, "create", "--bundle", b.dir, b.id)
	if code := created.returned(); code != 0 {
		t.Fatalf("create: %s", created.closed())
	}
	u.launch(t, nil, "start", b.id).wait().ok(t)
	u.launch(t, nil, "exec", b.id, "/probe", "exit 0").wait().ok(t)
	u.launch(t, nil, "exec", b.id, "/probe\n", "exit 0").wait()
	u.launch(t, nil, "exec", "--user", "77", b.id, "/probe").wait()
	u.launch(t, nil, "state", b.id).wait().ok(t)
	u.launch(t, nil, "delete", "--force", b.id).wait().ok(t)
	created.closed()
	expect(t, " verb=create"+digest(b)+" verdict=allowed", " verb=exec config=- verdict=allowed", " verb=exec config=- verdict=allowed", " verb=exec config=- verdict=refused")

	for _, c := range []struct {
		args    []string
		code    int
		digest  bool
		verdict string
	}{
		{[]string{"create", "--bundle", b.dir, "--pidfd-socket", "/nonexistent", "x"}, 1, true, "failed"},
		{[]string{"run", "--bundle", b.dir, "--console-socket", "/nonexistent", "x"}, 1, true, "failed"},
		{[]string{"--root", "/proc/nonexistent", "run", "--bundle", b.dir, "x"}, 1, true, "failed"},
		{[]string{"run", "--bundle", "/nonexistent", "x"}, 1, false, "failed"},
		{[]string{"--log", "/nonexistent/log", "create", "--bundle", b.dir, "x"}, 1, false, "failed"},
		{[]string{"--systemd-cgroup", "create", "--bundle", b.dir, "x"}, 1, true, "failed"},
		{[]string{"bundle", "run", "--bundle", b.dir, "--id", "x", "--console-socket", "/nonexistent"}, 125, true, "failed"},
		{[]string{"exec", "x", "/probe"}, 255, false, "failed"},
	} {
		if r := u.launch(t, nil, c.args...).wait(); r.code != c.code {
			t.Errorf("%q: exit status %d, want %d: %s", c.args, r.code, c.code, r)
		}
		verb := c.args[slices.IndexFunc(c.args, func(a string) bool { return slices.Contains([]string{"create", "run", "exec", "bundle"}, a) })]
		config := " config=-"
		if c.digest {
			config = digest(b)
		}
		expect(t, " verb="+map[bool]string{true: "bundle-run", false: verb}[verb == "bundle"]+config+" verdict="+c.verdict)
	}
	for _, args := range [][]string{{"create", "--help"}, {"--version"}, {"list"}, {"create", "--colour", "x"}, {"bundle", "run", "--colour", "blue"}} {
		u.launch(t, nil, args...).wait()
		expect(t) // no power was used
	}
	for _, limit := range [][]string{{"prlimit", "--sigpending=0"}, {"strace", "-o", "/dev/null", "-u", u.name, "-e", "inject=setfsuid:retval=0"}} {
		launch(t, b, func(c *exec.Cmd) {
			path, err := exec.LookPath(limit[0])
			must(t, err)
			if c.Path, c.Args = path, append(append(slices.Clone(limit), u.shim), c.Args[1:]...); limit[0] == "prlimit" {
				u.become(c)
			}
		}, "bundle", "run", "--bundle", b.dir, "--id", "x").wait()
		expect(t, " verb=- config=- verdict=failed")
	}

	must(t, os.Mkdir("/etc/locald", 0o755))
	must(t, os.WriteFile("/etc/locald/shim.conf", []byte("users = nobody\n"), 0o644))
	u.start(t, u.bundle(t).do("exit 7")).wait()
	expect(t, " verb=- config=- verdict=refused")
	must(t, os.Remove("/etc/locald/shim.conf"))

	for i, spoil := range []func(){
		func() { // nobody reads, and what comes is lost
			u.does(t, func() {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
				for err == nil {
					err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: "/dev/log"})
				}
				unix.Close(fd)
			})
		},
		func() { must(t, os.Chmod("/dev/log", 0o600)) },
		func() { must(t, os.Remove("/dev/log")) },
		func() { must(t, os.WriteFile("/dev/log", nil, 0o666)) },
	} {
		spoil()
		if r := u.start(t, u.bundle(t).do("exit 7")).wait(); r.code != 7 || r.stderr != "" {
			t.Errorf("%d: %s", i, r)
		}
	}
}
