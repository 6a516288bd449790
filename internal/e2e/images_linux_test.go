package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/internal/image"
	"golang.org/x/sys/unix"
)

// newImages is a caller with a store of his own, which is empty again at the end.
func newImages(t *testing.T) (c *caller, store string) {
	t.Helper()
	c = newCaller(t)
	store = filepath.Join(filepath.Dir(c.dir), "store")
	t.Cleanup(func() {
		if res := c.locald(t, "rmi", "--all"); res.code != 0 {
			t.Error(res)
		}
		for _, dir := range []string{"layers", "running", "images/blobs/sha256"} {
			if left, _ := os.ReadDir(filepath.Join(store, dir)); len(left) > 0 {
				t.Errorf("left in %s: %v", dir, left)
			}
		}
	})
	return c, store
}

// entry is a file of a layer: a directory when its name ends so.
type entry struct {
	name, body, link string
	mode             int64
	uid              int
}

func layerOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.uid, Gid: e.uid, Size: int64(len(e.body))}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.body))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// writeImage makes the archive of an image in a store of this process's own.
func writeImage(t *testing.T, file, name string, process image.Process, layers ...[]byte) {
	t.Helper()
	writeImageFor(t, runtime.GOARCH, file, name, process, layers...)
}

func writeImageFor(t *testing.T, arch, file, name string, process image.Process, layers ...[]byte) {
	t.Helper()
	s, err := image.Open(filepath.Join(t.TempDir(), "maker"))
	must(t, err)
	config := image.Config{OS: "linux", Architecture: arch, Config: process}
	m := image.Manifest{SchemaVersion: 2, MediaType: image.TypeManifest}
	for _, l := range layers {
		d, err := s.Put(bytes.NewReader(l), "", -1)
		must(t, err)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
		d.MediaType = image.TypeLayer
		m.Layers = append(m.Layers, d)
	}
	put := func(v any, mediaType string) image.Descriptor {
		data, err := json.Marshal(v)
		must(t, err)
		d, err := s.Put(bytes.NewReader(data), "", -1)
		must(t, err)
		d.MediaType = mediaType
		return d
	}
	m.Config = put(config, image.TypeConfig)
	ref, err := image.ParseReference(name)
	must(t, err)
	must(t, s.Add(ref, put(m, image.TypeManifest)))
	i, err := s.Find(name)
	must(t, err)
	f, err := os.Create(file)
	must(t, err)
	must(t, s.Save(f, []*image.Image{i}))
	must(t, f.Close())
}

// attributes reports whether files of tests can have extended attributes of users: a tmpfs can since Linux 6.6.
func attributes(t *testing.T) bool {
	t.Helper()
	return unix.Setxattr(t.TempDir(), "user.locald", nil, 0) == nil
}

func testLayers(t *testing.T) [][]byte {
	t.Helper()
	opaque := entry{name: "dir/.wh..wh..opq"}
	if !attributes(t) {
		opaque = entry{name: "dir/.wh.old"}
	}
	probe, err := os.ReadFile(probeExe)
	must(t, err)
	return [][]byte{
		layerOf(t, entry{name: "probe", body: string(probe), mode: 0o755},
			entry{name: "etc/", mode: 0o755}, entry{name: "etc/passwd", body: "root:x:0:0::/root:/\nann:x:7:8::/home/ann:/\n", mode: 0o644},
			entry{name: "home/", mode: 0o755}, entry{name: "home/ann/", mode: 0o700, uid: 7}, entry{name: "home/ann/file", body: "hers", mode: 0o600, uid: 7},
			entry{name: "gone", body: "x", mode: 0o644}, entry{name: "dir/", mode: 0o755}, entry{name: "dir/old", body: "x", mode: 0o644},
			entry{name: "changed", body: "below", mode: 0o644}),
		layerOf(t, entry{name: ".wh.gone"}, entry{name: "dir/", mode: 0o755}, opaque, entry{name: "dir/new", body: "x", mode: 0o644},
			entry{name: "changed", body: "above", mode: 0o644}),
	}
}

// TestImageRun: an image is loaded, and what it says is what runs, on its layers, which no container changes.
func TestImageRun(t *testing.T) {
	c, store := newImages(t)
	process := image.Process{Env: []string{"FROM=image", "BOTH=image"}, Entrypoint: []string{"/probe"}, Cmd: []string{"look"}, WorkingDir: "/home"}
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", process, testLayers(t)...)
	if res := c.locald(t, "load", "-i", "image.tar"); res.code != 0 || res.stdout != "docker.io/library/probe:1\n" {
		t.Fatal(res)
	}
	run := func(flags ...string) *result {
		return c.locald(t, append([]string{"-q", "run", "--network", "none"}, flags...)...)
	}
	look := run("-e", "BOTH=flag", "probe:1").ok(t).look(t)
	if look.Cwd != "/home" || !slices.Contains(look.Env, "FROM=image") || !slices.Contains(look.Env, "BOTH=flag") || slices.Contains(look.Env, "BOTH=image") {
		t.Error(look.Cwd, look.Env)
	}
	root := look.Mounts[0]
	for _, m := range look.Mounts {
		if m.Point == "/" {
			root = m
		}
	}
	if root.Type != "overlay" || !strings.Contains(root.Super, "userxattr") || !strings.Contains(root.Super, "volatile") {
		t.Error("the root is", root)
	}
	if !here.root && look.Caps.Effective == 0 || here.root != (look.Namespaces["user"] == namespaceHere(t, "user")) {
		t.Error("the user namespace:", look.Namespaces["user"])
	}
	for range 2 { // the second sees nothing of what the first did
		res := run("probe:1", "list /dir", "read /changed", "stat /gone", "read /new", "create /new x", "create /changed x", "remove /etc/passwd", "stat /home/ann/file").ok(t)
		res.wantErrno(t, "stat /gone", "ENOENT")
		res.wantErrno(t, "read /new", "ENOENT")
		if res.value(t, "list /dir") != "new" || res.value(t, "read /changed") != "above" {
			t.Error(res)
		}
		if subordinate("/etc/subuid") != 0 && !strings.HasPrefix(res.value(t, "stat /home/ann/file"), "file 600 7:7") {
			t.Error(res)
		}
	}
	if subordinate("/etc/subuid") != 0 {
		res := run("-u", "ann", "probe:1", "read /home/ann/file", "mkdir /home/ann/d", "create /home/ann/d/f x", "create /x x").ok(t)
		res.wantErrno(t, "create /home/ann/d/f x", "")
		res.wantErrno(t, "create /x x", "EACCES")
		if res.value(t, "read /home/ann/file") != "hers" {
			t.Error(res)
		}
	}
	run("--entrypoint", "", "probe:1").failed(t, 125, "the image names no program, so run needs a command. [LD020]")
	run("--entrypoint", "", "probe:1", "/probe", "look").ok(t)
	run("--read-only", "probe:1", "create /new x").ok(t).wantErrno(t, "create /new x", "EROFS")
	if layers, _ := os.ReadDir(filepath.Join(store, "layers")); len(layers) != 2 {
		t.Error(layers)
	}
}

func namespaceHere(t *testing.T, kind string) string {
	t.Helper()
	link, err := os.Readlink("/proc/self/ns/" + kind)
	must(t, err)
	return link
}

// TestImageBundle: the bundle that --print-bundle writes runs by itself.
func TestImageBundle(t *testing.T) {
	c, _ := newImages(t)
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", image.Process{Entrypoint: []string{"/probe"}}, testLayers(t)...)
	res := c.locald(t, "run", "--network", "none", "--print-bundle", "bundle", "docker-archive:image.tar", "read /changed")
	if res.code != 0 {
		t.Fatal(res)
	}
	text := textOf(t, filepath.Join(c.dir, "bundle", "config.json"))
	if !strings.Contains(text, `"mounts":[{"destination":"/","type":"overlay","source":"overlay","options":["lowerdir=`) {
		t.Error(text)
	}
	if strings.Contains(text, "volatile") { // what this container writes stays
		t.Error(text)
	}
	cmd := exec.Command(c.shim, "bundle", "run", "--bundle", filepath.Join(c.dir, "bundle"), "--id", idPrefix+"printed")
	cmd.Env = []string{"XDG_RUNTIME_DIR=" + c.run}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"above"`) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestImageErrors is what is said of images that are not there or not what they say.
func TestImageErrors(t *testing.T) {
	c, store := newImages(t)
	writeImage(t, filepath.Join(c.dir, "image.tar"), "probe:1", image.Process{}, testLayers(t)...)
	c.locald(t, "load", "-i", "image.tar").ok(t)
	c.locald(t, "run", "--pull", "never", "prob").failed(t, 125, `image "prob" is not on this machine, and --pull never was given. Local images with a similar name: probe:1. [LD101]`)
	c.locald(t, "run", "probe:1").failed(t, 125, "the image names no program, so run needs a command. [LD020]")
	c.locald(t, "run", "--pull", "later", "probe:1").failed(t, 125, "--pull later: it is missing, always or never. [LD020]")
	c.locald(t, "tag", "probe:1", "Not A Name").failed(t, 2, `"Not A Name" is no name of an image`)
	c.locald(t, "rmi", "other").failed(t, 1, `image "other" is not on this machine. [LD101]`)
	c.put(t, "broken.tar", "nothing", 0o644)
	c.locald(t, "load", "-i", "broken.tar").failed(t, 1, "broken.tar cannot be loaded: the archive cannot be read: unexpected EOF. [LD107]")

	binary := entry{name: "node", body: "\x7fELF of another machine", mode: 0o755}
	writeImageFor(t, "s390x", filepath.Join(c.dir, "other.tar"), "other", image.Process{}, layerOf(t, binary))
	c.locald(t, "load", "-i", "other.tar").ok(t)
	res := c.locald(t, "-q", "run", "other", "/node")
	res.failed(t, 126, `"/node" in the image is for linux/s390x; this machine is `+runtime.GOARCH+`. [LD401]`)
	if !strings.Contains(res.stderr, "\n  try: locald run --platform linux/"+runtime.GOARCH+" …\n") {
		t.Error(res)
	}
	c.locald(t, "rmi", "other").ok(t)

	for name, layer := range map[string][]byte{
		"climb": layerOf(t, entry{name: "../../escaped", body: "x", mode: 0o644}),
		"owner": layerOf(t, entry{name: "file", body: "x", mode: 0o644, uid: 200000}),
	} {
		if name == "owner" && subordinate("/etc/subuid") == 0 {
			continue // with one id everything belongs to it
		}
		writeImage(t, filepath.Join(c.dir, name+".tar"), name, image.Process{}, layer)
		c.locald(t, "load", "-i", name+".tar").ok(t)
		res := c.locald(t, "-q", "run", name, "/x")
		want := map[string]string{"climb": "the name leads out of the layer. [LD108]", "owner": "its owner 200000:200000 does not exist in a container"}[name]
		res.failed(t, 125, want)
		if left, _ := os.ReadDir(filepath.Join(store, "layers")); len(left) != 2 { // those of probe:1
			t.Errorf("%s: in layers: %v", name, left)
		}
		if found, _ := filepath.Glob(filepath.Join(store, "*", "escaped")); len(found) > 0 {
			t.Error(found)
		}
	}

	// A layer on the disk that somebody has changed is not what the config says.
	i := layerOf(t, entry{name: "file", body: "right", mode: 0o644})
	writeImage(t, filepath.Join(c.dir, "changed.tar"), "changed", image.Process{}, i)
	c.locald(t, "load", "-i", "changed.tar").ok(t)
	s, err := image.Open(store)
	must(t, err)
	one, err := s.Find("changed")
	must(t, err)
	must(t, os.WriteFile(s.BlobPath(one.Manifest.Layers[0].Digest), bytes.Replace(i, []byte("right"), []byte("wrong"), 1), 0o644))
	c.locald(t, "-q", "run", "changed", "/x").failed(t, 125, "its content is not what the image says")
}

// TestImageVerbs: names come and go, and layers with the last of them.
func TestImageVerbs(t *testing.T) {
	c, store := newImages(t)
	must(t, os.WriteFile(filepath.Join(c.dir, "root.tar"), testLayers(t)[0], 0o644))
	if res := c.locald(t, "import", "root.tar", "mine:1"); res.code != 0 || res.stdout != "docker.io/library/mine:1\n" {
		t.Fatal(res)
	}
	c.locald(t, "tag", "mine:1", "localhost:5000/other").ok(t)
	c.locald(t, "-q", "run", "--network", "none", "mine:1", "/probe", "look").ok(t)
	res := c.locald(t, "images", "--format", "json").ok(t)
	var rows []struct {
		Schema   int
		Name, ID string
		Platform string
	}
	must(t, json.Unmarshal([]byte(res.stdout), &rows))
	if len(rows) != 2 || rows[0].Schema != 1 || rows[1].Name != "localhost:5000/other:latest" || rows[0].ID != rows[1].ID || !strings.HasPrefix(rows[0].Platform, "linux/") {
		t.Error(res)
	}
	if res := c.locald(t, "images", "--format", "{{.Repository}} {{.Tag}}").ok(t); res.stdout != "docker.io/library/mine 1\nlocalhost:5000/other latest\n" {
		t.Error(res)
	}
	if res := c.locald(t, "images", "--format", "{{.Nothing}}"); res.code != 2 || !strings.Contains(res.stderr, "there is no field {{.Nothing}}") {
		t.Error(res)
	}
	if res := c.locald(t, "images").ok(t); !strings.Contains(res.stdout, "mine:1 ") || !strings.HasPrefix(res.stdout, "NAME ") {
		t.Error(res)
	}
	c.locald(t, "save", "-o", "oci:layout", "mine:1").ok(t)
	c.locald(t, "rmi", "mine:1").ok(t)
	if layers, _ := os.ReadDir(filepath.Join(store, "layers")); len(layers) != 1 {
		t.Error("the layer has gone with one of two names:", layers)
	}
	c.locald(t, "rmi", rows[0].ID[:len("sha256:")+6]).ok(t)
	if layers, _ := os.ReadDir(filepath.Join(store, "layers")); len(layers) != 0 {
		t.Error("the layer has stayed:", layers)
	}
	c.locald(t, "-q", "run", "--network", "none", "oci:layout", "/probe", "look").ok(t)
	for _, transport := range []string{"oci:" + filepath.Join(store, "images") + ":docker.io/library/mine:1", "oci:" + filepath.Join(c.dir, "layout") + ":mine:1"} {
		cmd := exec.Command("skopeo", "inspect", transport)
		if _, err := exec.LookPath("skopeo"); err != nil {
			t.Log("there is no skopeo to read the store with")
			break
		}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"Os": "linux"`) {
			t.Errorf("%s: %v: %s", transport, err, out)
		}
	}
}
