package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locald/locald/internal/image"
	"golang.org/x/sys/unix"
)

// volumes are the names that volume ls prints.
func (c *caller) volumes(t *testing.T) string {
	t.Helper()
	res := c.locald(t, "volume", "ls", "-q")
	if res.code != 0 {
		t.Fatal(res)
	}
	return strings.Join(strings.Fields(res.stdout), " ")
}

// TestVolume: a volume outlives containers and is theirs together; it cannot be removed under one.
func TestVolume(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	c := newOwner(t)
	c.says(t, "data\n", "volume", "create", "-l", "a=b", "data")
	c.says(t, "data\n", "volume", "create", "data") // is there already
	c.probe(t, []string{"--network", "none", "-v", "data:/d", "--mount", "type=volume,src=More.1,dst=/m"}, "create /d/file one", "create /m/file two").ok(t).wantErrno(t, "create /d/file one", "")
	if got := c.volumes(t); got != "More.1 data" {
		t.Errorf("the volumes are %s", got)
	}
	res := c.probe(t, []string{"--network", "none", "-v", "data:/x:ro", "--mount", "type=bind,source=.,target=/b,readonly", "--mount", "type=tmpfs,target=/t,tmpfs-size=64k"},
		"read /x/file", "create /x/new", "create /b/new", "append /t/file 100000").ok(t)
	if got := res.value(t, "read /x/file"); got != "one" {
		t.Errorf("read %q", got)
	}
	res.wantErrno(t, "create /x/new", "EROFS")
	res.wantErrno(t, "create /b/new", "EROFS")
	res.wantErrno(t, "append /t/file 100000", "ENOSPC")

	var rows []struct {
		Name, Mountpoint string
		Labels           map[string]string
		InUse            bool
	}
	res = c.locald(t, "volume", "inspect", "data")
	must(t, json.Unmarshal([]byte(res.stdout), &rows))
	if len(rows) != 1 || rows[0].Labels["a"] != "b" || rows[0].InUse || textOf(t, filepath.Join(rows[0].Mountpoint, "file")) != "one" {
		t.Errorf("%+v", rows)
	}
	// Others see no volume, also where they can look into the directory above, as with root's /var/lib/locald.
	if info, err := os.Stat(filepath.Dir(filepath.Dir(rows[0].Mountpoint))); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}

	c.says(t, "More.1 \ndata a=b\n", "volume", "ls", "--format", "{{.Name}} {{.Labels}}")

	id := c.detach(t, []string{"-v", "data:/d"}, "forever")
	if res := c.locald(t, "volume", "rm", "data"); res.code != 1 || !strings.Contains(res.stderr, "the volume data is in use by a container. [LD301]") {
		t.Error(res)
	}
	c.says(t, "More.1\n", "volume", "prune", "-f")
	if res := c.locald(t, "rm", "-f", id); res.code != 0 {
		t.Error(res)
	}
	c.says(t, "data\n", "volume", "rm", "data")
	if res := c.locald(t, "volume", "rm", "data"); res.code != 1 || !strings.Contains(res.stderr, "there is no volume data") {
		t.Error(res)
	}
	c.says(t, "", "volume", "rm", "-f", "data", "../containers")
	if left, _ := os.ReadDir(filepath.Dir(filepath.Dir(rows[0].Mountpoint))); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for word, want := range map[string]string{"type=nfs,dst=/x,src=a": "type is bind, volume or tmpfs", "type=bind,dst=/x": "source is missing", "type=bind,src=./none,dst=/x": "does not exist", "src=a,dst=/x,colour=red": "colour is not supported"} {
		if res := c.probe(t, []string{"--mount", word}, "look"); res.code != 125 || !strings.Contains(res.stderr, want) {
			t.Errorf("--mount %s: %s", word, res)
		}
	}
}

// TestVolumeInUse: while a container in the foreground has a volume it stays.
func TestVolumeInUse(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	c := newCaller(t)
	cmd, answer := c.start(t, []string{"-v", "data:/d"}, "create /d/x y", "trap 1", "exit 0")
	answer("ready")
	if res := c.locald(t, "volume", "rm", "data"); res.code != 1 || !strings.Contains(res.stderr, "in use") {
		t.Error(res)
	}
	c.says(t, "", "volume", "prune", "-f")
	must(t, cmd.Process.Signal(unix.SIGTERM))
	cmd.Wait()
	c.says(t, "data\n", "volume", "rm", "data")
}

// TestVolumeFilled: an empty volume gets what the image has in its place, with its owners and modes; no link leads out.
func TestVolumeFilled(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	needsSubIDs(t)
	c, _ := newImages(t)
	exe, err := os.ReadFile(probeExe)
	must(t, err)
	file := filepath.Join(t.TempDir(), "image.tar")
	writeImage(t, file, "volumes", image.Process{Cmd: []string{"/probe", "look"}},
		layerOf(t, entry{name: "probe", body: string(exe), mode: 0o755}, entry{name: "data/", mode: 0o750, uid: 70}, entry{name: "data/sub/", mode: 0o755, uid: 70}, entry{name: "data/sub/file", body: "old", mode: 0o640, uid: 71}, entry{name: "data/gone", body: "x", mode: 0o644}),
		layerOf(t, entry{name: "data/", mode: 0o750, uid: 70}, entry{name: "data/.wh.gone"}, entry{name: "data/link", link: "/etc/passwd"}, entry{name: "out", link: "../../../../data/sub"}))
	if res := c.locald(t, "load", "-i", file); res.code != 0 {
		t.Fatal(res)
	}
	run := func(mount string, actions ...string) *result {
		return c.locald(t, append([]string{"run", "--network", "none", "-v", mount, "volumes", "/probe"}, actions...)...).ok(t)
	}
	for range 2 { // the second time there is nothing to copy
		res := run("v:/data", "stat /data", "stat /data/sub/file", "read /data/sub/file", "stat /data/gone", "readlink /data/link", "create /data/sub/new x")
		for did, want := range map[string]string{"stat /data": " 750 70:70", "stat /data/sub/file": " 640 71:71", "read /data/sub/file": "old", "readlink /data/link": "/etc/passwd"} {
			if got := res.value(t, did); !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", did, got, want)
			}
		}
		res.wantErrno(t, "stat /data/gone", "ENOENT")
	}
	if got := run("v:/elsewhere", "read /elsewhere/sub/new").value(t, "read /elsewhere/sub/new"); got != "x" {
		t.Errorf("the volume was filled anew: %q", got)
	}
	if got := run("w:/out", "read /out/file").value(t, "read /out/file"); got != "old" {
		t.Errorf("through a link: %q", got)
	}
	run("e:/none", "create /none/x y")
	c.says(t, "e\nv\nw\n", "volume", "rm", "e", "v", "w")
}

// TestVolumeFilledAlone: an empty volume that a container has stays that container's directory, whatever the image of
// the next one has in its place.
func TestVolumeFilledAlone(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	c, _ := newImages(t)
	exe, err := os.ReadFile(probeExe)
	must(t, err)
	file := filepath.Join(t.TempDir(), "image.tar")
	writeImage(t, file, "volumes", image.Process{Cmd: []string{"/probe", "look"}},
		layerOf(t, entry{name: "probe", body: string(exe), mode: 0o755}, entry{name: "data/", mode: 0o755}, entry{name: "data/file", body: "old", mode: 0o644}))
	if res := c.locald(t, "load", "-i", file); res.code != 0 {
		t.Fatal(res)
	}
	second := func(name string) *result {
		return c.locald(t, "run", "--network", "none", "-v", name+":/data", "volumes", "/probe", "stat /data/file").ok(t)
	}
	cmd, answer := c.start(t, []string{"-v", "front:/d"}, "trap 1", "create /d/own x")
	answer("ready")
	second("front").wantErrno(t, "stat /data/file", "ENOENT")
	must(t, cmd.Process.Signal(unix.SIGTERM))
	if a := answer("create /d/own x"); a.Errno != "" {
		t.Errorf("%+v", a)
	}
	cmd.Wait()
	res := c.probe(t, []string{"--network", "none", "-v", "front:/d"}, "read /d/own").ok(t)
	res.wantErrno(t, "read /d/own", "")

	id := c.detach(t, []string{"-v", "own:/d"}, "forever")
	second("own").wantErrno(t, "stat /data/file", "ENOENT")
	if r := c.locald(t, "exec", id, "/probe", "create /d/own x"); r.code != 0 {
		t.Error(r)
	} else {
		r.wantErrno(t, "create /d/own x", "")
	}
	if res := c.locald(t, "rm", "-f", id); res.code != 0 {
		t.Error(res)
	}
	c.probe(t, []string{"--network", "none", "-v", "own:/d"}, "read /d/own").ok(t).wantErrno(t, "read /d/own", "")

	second("free").wantErrno(t, "stat /data/file", "")
	c.says(t, "free\nfront\nown\n", "volume", "rm", "free", "front", "own")
}

// TestVolumeNameless: a volume without a name is one container's; it goes with one in the foreground, with --rm and with
// rm -v. What an image declares as a volume is such a one for a container on its own, or with a read-only root.
func TestVolumeNameless(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	c, _ := newImages(t)
	exe, err := os.ReadFile(probeExe)
	must(t, err)
	file := filepath.Join(t.TempDir(), "image.tar")
	declared := map[string]struct{}{"/data": {}, "/more/": {}}
	writeImage(t, file, "volumes", image.Process{Cmd: []string{"/probe", "forever"}, Volumes: declared},
		layerOf(t, entry{name: "probe", body: string(exe), mode: 0o755}, entry{name: "data/", mode: 0o750}, entry{name: "data/file", body: "old", mode: 0o640}))
	if res := c.locald(t, "load", "-i", file); res.code != 0 {
		t.Fatal(res)
	}
	count := func(want int) {
		t.Helper()
		if got := strings.Fields(c.volumes(t)); len(got) != want {
			t.Errorf("the volumes are %q, want %d", got, want)
		}
	}
	for range 2 { // the second has another one
		res := c.probe(t, []string{"--network", "none", "-v", "/d", "--mount", "type=volume,dst=/m"}, "read /d/file", "create /d/file x", "create /m/file x").ok(t)
		res.wantErrno(t, "read /d/file", "ENOENT")
		res.wantErrno(t, "create /d/file x", "")
		res.wantErrno(t, "create /m/file x", "")
	}
	count(0)
	run := func(flags []string, actions ...string) *result {
		t.Helper()
		return c.locald(t, append(append(append([]string{"run", "--network", "none"}, flags...), "volumes", "/probe"), actions...)...)
	}
	res := run([]string{"--read-only"}, "read /data/file", "create /data/new x", "create /more/new x", "create /new x").ok(t)
	for did, want := range map[string]string{"read /data/file": "", "create /data/new x": "", "create /more/new x": "", "create /new x": "EROFS"} {
		res.wantErrno(t, did, want)
	}
	count(0)

	detached := func(flags ...string) string {
		t.Helper()
		res := run(append(flags, "-d"), "forever")
		if res.code != 0 {
			t.Fatal(res)
		}
		return strings.TrimSpace(res.stdout)
	}
	id := detached("-v", "named:/more")
	count(2)
	c.locald(t, "exec", id, "/probe", "append /data/file 3").ok(t).wantErrno(t, "append /data/file 3", "")
	c.says(t, id+"\n", "kill", id)
	c.locald(t, "wait", id)
	c.says(t, id+"\n", "start", id)
	c.locald(t, "exec", id, "/probe", "stat /data/file").ok(t).wantErrno(t, "stat /data/file", "")
	c.says(t, id+"\n", "rm", "-f", "-v", id)
	if got := c.volumes(t); got != "named" {
		t.Errorf("the volumes are %s", got)
	}
	id = detached("-v", "named:/more")
	c.says(t, id+"\n", "rm", "-f", id)
	count(2)
	if res := c.locald(t, "volume", "prune", "-f"); res.code != 0 {
		t.Error(res)
	}
	count(0)

	c.says(t, "", "ps", "-aq")
	id = detached("--rm")
	count(2)
	c.says(t, id+"\n", "kill", id)
	until(t, "its volumes are removed", func() bool { return c.volumes(t) == "" })
	if res := run([]string{"-d", "--rm"}, "exit 0"); res.code != 0 { // may have ended before locald run
		t.Error(res)
	}
	until(t, "the volumes of a short one are removed", func() bool { return c.volumes(t) == "" })
	if res := run([]string{"-d"}, "x"); res.code != 0 {
		t.Error(res)
	} else {
		c.says(t, strings.TrimSpace(res.stdout)+"\n", "rm", "-fv", strings.TrimSpace(res.stdout))
	}
	if res := c.locald(t, "run", "-d", "--network", "none", "volumes", "/none"); res.code != 127 {
		t.Error(res)
	}
	count(0)
	settle(t)
}
