package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/locald/locald/internal/compress"
)

// file is one entry of a tar that a test makes.
type file struct {
	tar.Header
	body string
}

func text(name, body string) file {
	return file{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, body}
}

func tarOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		f.Size = int64(len(f.body))
		if err := w.WriteHeader(&f.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func digestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// ociFiles are the files of an OCI layout with one image of one layer.
func ociFiles(t *testing.T, name string, layer []byte, mediaType string, plain []byte) map[string]string {
	t.Helper()
	config := jsonOf(t, Config{OS: "linux", Architecture: "amd64", RootFS: RootFS{Type: "layers", DiffIDs: []Digest{digestOf(plain)}}})
	manifest := jsonOf(t, Manifest{
		SchemaVersion: 2, MediaType: TypeManifest,
		Config: Descriptor{MediaType: TypeConfig, Digest: digestOf([]byte(config)), Size: int64(len(config))},
		Layers: []Descriptor{{MediaType: mediaType, Digest: digestOf(layer), Size: int64(len(layer))}},
	})
	index := jsonOf(t, Index{SchemaVersion: 2, Manifests: []Descriptor{{
		MediaType: TypeManifest, Digest: digestOf([]byte(manifest)), Size: int64(len(manifest)), Annotations: map[string]string{refName: name},
	}}})
	return map[string]string{
		"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": index,
		blobName(digestOf([]byte(config))): config, blobName(digestOf([]byte(manifest))): manifest, blobName(digestOf(layer)): string(layer),
	}
}

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var list []file
	for name, body := range files {
		list = append(list, text(name, body))
	}
	return tarOf(t, list...)
}

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var amd64 = Options{Platform: Platform{OS: "linux", Architecture: "amd64"}, Name: "localhost/archive", Decompress: compress.Reader}

// state is every file of a store but its locks, so that two of them can be compared.
func (s *Store) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(s.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !strings.HasPrefix(info.Name(), "lock-") {
			b.WriteString(path + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestLoad: every form comes to the same image, under the name that the archive gives, and goes without a trace.
func TestLoad(t *testing.T) {
	plain := tarOf(t, text("hello", "world"))
	oci := func(layer []byte, mediaType string) []byte {
		return archiveOf(t, ociFiles(t, "alpine:3.22", layer, mediaType, plain))
	}
	config := jsonOf(t, Config{OS: "linux", Architecture: "amd64", RootFS: RootFS{DiffIDs: []Digest{digestOf(plain), digestOf(plain)}}})
	docker := []file{ // the old form: a link for a layer that is there already, and what says it all at the end
		text("a/layer.tar", string(plain)),
		{tar.Header{Typeflag: tar.TypeSymlink, Name: "b/layer.tar", Linkname: "../a/layer.tar"}, ""},
		text("c.json", config),
		text("manifest.json", `[{"Config":"c.json","RepoTags":["alpine:3.22"],"Layers":["a/layer.tar","b/layer.tar"]}]`),
	}
	for name, data := range map[string][]byte{
		"oci tar": oci(plain, TypeLayer), "oci gzip": oci(gzipped(t, plain), TypeLayerGzip), "oci zstd": oci(zstded(t, plain), TypeLayerZstd),
		"oci in gzip": gzipped(t, oci(plain, TypeLayer)), "oci in zstd": zstded(t, oci(plain, TypeLayer)), "docker": tarOf(t, docker...),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			names, err := s.Load(bytes.NewReader(data), amd64)
			if err != nil || len(names) != 1 || names[0] != "docker.io/library/alpine:3.22" {
				t.Fatal(names, err)
			}
			i, err := s.Find("alpine:3.22")
			if err != nil || i.Config.RootFS.DiffIDs[0] != digestOf(plain) {
				t.Fatal(i, err)
			}
			if again, err := s.Find(i.Manifest.Config.Digest.Short()); err != nil || again.Name != i.Name {
				t.Error(again, err)
			}
			var out bytes.Buffer
			if err := s.Save(&out, []*Image{i}); err != nil {
				t.Fatal(err)
			}
			other := newStore(t)
			if names, err := other.Load(&out, amd64); err != nil || len(names) != 1 || names[0] != i.Name {
				t.Error("what Save wrote:", names, err)
			}
			if orphans, err := s.Untag(i.Name); err != nil || len(orphans) != 0 {
				t.Error(orphans, err)
			}
			if left, _ := os.ReadDir(s.blobs()); len(left) != 0 {
				t.Error("blobs are left:", left)
			}
		})
	}
}

// TestLoadRefuses: an archive that is wrong is refused with words, and the store is what it was.
func TestLoadRefuses(t *testing.T) {
	plain := tarOf(t, text("hello", "world"))
	good := func() map[string]string { return ociFiles(t, "alpine:3.22", plain, TypeLayer, plain) }
	without := func(name string) []byte { f := good(); delete(f, name); return archiveOf(t, f) }
	with := func(name, body string) []byte { f := good(); f[name] = body; return archiveOf(t, f) }
	whole := archiveOf(t, good())
	layer := blobName(digestOf(plain))
	many := make([]file, archiveEntries+1)
	for i := range many {
		many[i] = text("x", "")
	}
	for name, c := range map[string]struct {
		data []byte
		say  string
	}{
		"nothing":         {nil, "neither manifest.json nor index.json"},
		"no archive":      {[]byte(strings.Repeat("no archive ", 100)), "cannot be read"},
		"truncated":       {whole[:len(whole)/2], "cannot be read"},
		"truncated gzip":  {gzipped(t, whole)[:100], "cannot be read"},
		"no index":        {without("index.json"), "neither"},
		"no layer":        {without(layer), "has no file"},
		"another content": {with(layer, strings.Replace(string(plain), "world", "wor1d", 1)), "has another content"},
		"another size":    {with(layer, string(plain)+"x"), "another content"},
		"index no JSON":   {with("index.json", "{"), "index.json"},
		"no digest":       {with("index.json", `{"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]}`), "leads to no image"},
		"sha512":          {with("index.json", `{"manifests":[{"digest":"sha512:00","size":1}]}`), "leads to no image"},
		"name":            {archiveOf(t, ociFiles(t, "Not/A:Name", plain, TypeLayer, plain)), "Not/A:Name"},
		"layer type":      {archiveOf(t, ociFiles(t, "a:1", plain, "application/x-rar", plain)), "not supported"},
		"docker escape":   {tarOf(t, text("manifest.json", `[{"Config":"../../etc/passwd"}]`)), "has no file"},
		"many files":      {tarOf(t, many...), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			before := s.state(t)
			names, err := s.Load(bytes.NewReader(c.data), amd64)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Fatalf("%v, %v is not an error with %q", names, err, c.say)
			}
			if _, err := s.Untag(); err != nil { // whole blobs of a refused image stay until the next one is removed
				t.Fatal(err)
			}
			if after := strings.ReplaceAll(s.state(t), filepath.Join(s.images(), "index.json")+"\n", ""); after != before {
				t.Errorf("the store has changed:\n%s", after)
			}
		})
	}
}

// TestLoadDirLinks: a layout in a directory cannot make a file outside of it part of an image.
func TestLoadDirLinks(t *testing.T) {
	plain := tarOf(t, text("hello", "world"))
	top := t.TempDir()
	dir := filepath.Join(top, "layout")
	for name, body := range ociFiles(t, "alpine", plain, TypeLayer, plain) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := newStore(t).LoadDir(dir, amd64); err != nil || names[0] != "localhost/archive:alpine" {
		t.Fatal(names, err)
	}
	layer := filepath.Join(dir, blobName(digestOf(plain)))
	if err := os.Rename(layer, filepath.Join(top, "outside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../../outside", layer); err != nil {
		t.Fatal(err)
	}
	if names, err := newStore(t).LoadDir(dir, amd64); err == nil {
		t.Error("a link out of the layout was followed:", names)
	}
}

func TestPut(t *testing.T) {
	s := newStore(t)
	before := s.state(t)
	good := digestOf([]byte("content"))
	for _, c := range []struct {
		body string
		want Digest
		size int64
	}{{"other", good, -1}, {"content", good, 6}, {"content", good, 8}, {"content", "md5:00", -1}, {"content", Digest("sha256:" + strings.Repeat("../", 21) + "x"), -1}} {
		if d, err := s.Put(strings.NewReader(c.body), c.want, c.size); err == nil {
			t.Errorf("%q was taken for %s with %d bytes: %v", c.body, c.want, c.size, d)
		}
	}
	if s.state(t) != before {
		t.Error("something is left:", s.state(t))
	}
	if d, err := s.Put(strings.NewReader("content"), good, 7); err != nil || d.Digest != good || !s.Has(good, 7) || s.Has(good, 8) {
		t.Error(d, err)
	}
	if err := os.WriteFile(s.BlobPath(good), []byte("{}     "), 0o644); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := s.readJSON(Descriptor{Digest: good, Size: 7}, &v); err == nil {
		t.Error("a blob that has changed on the disk was used")
	}
}

// TestUnfinished: what a killed call left goes with the next removal, but for a download that can go on.
func TestUnfinished(t *testing.T) {
	s := newStore(t)
	before := s.state(t)
	for name, age := range map[string]time.Duration{"blob-1": 0, "load-1/0": 0, "partial-old": 2 * partialAge, "partial-new": 0} {
		path := filepath.Join(s.tmp(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Untag(); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(s.tmp(), "partial-new")
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	after := strings.ReplaceAll(strings.ReplaceAll(s.state(t), kept+"\n", ""), filepath.Join(s.images(), "index.json")+"\n", "")
	if after != before {
		t.Errorf("left: %s", after)
	}
}

func TestReference(t *testing.T) {
	hash := "@sha256:" + strings.Repeat("ab", 32)
	for word, want := range map[string]string{
		"alpine": "docker.io/library/alpine:latest alpine:latest", "alpine:3.22": "docker.io/library/alpine:3.22 alpine:3.22",
		"me/app": "docker.io/me/app:latest me/app:latest", "docker.io/alpine": "docker.io/library/alpine:latest alpine:latest",
		"localhost/x": "localhost/x:latest localhost/x:latest", "localhost:5000/x:1": "localhost:5000/x:1 localhost:5000/x:1",
		"ghcr.io/a/b/c:V1.0_x": "ghcr.io/a/b/c:V1.0_x ghcr.io/a/b/c:V1.0_x", "index.docker.io/me/app:1": "docker.io/me/app:1 me/app:1",
		"alpine" + hash: "docker.io/library/alpine" + hash + " alpine" + hash, "alpine:3" + hash: "docker.io/library/alpine:3" + hash + " alpine:3" + hash,
	} {
		ref, err := ParseReference(word)
		if got := ref.String() + " " + ref.Familiar(); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", word, got, err, want)
		}
		if again, err := ParseReference(ref.String()); err != nil || again != ref {
			t.Errorf("%s: %v, %v", ref, again, err)
		}
	}
	for _, word := range []string{"", "Alpine", "a b", "a:", "a:-x", "a//b", "/a", "a/", "../a", "a/../b", "a@sha256:00", "a@md5:0", "a:b:c", "a\nb", "-a", "x.y:z/..", strings.Repeat("a", 300)} {
		if ref, err := ParseReference(word); err == nil {
			t.Errorf("%q is taken for %s", word, ref)
		}
	}
}

func TestSelect(t *testing.T) {
	at := func(os, arch, variant string) Descriptor {
		return Descriptor{Digest: Digest(os + arch + variant), Platform: &Platform{os, arch, variant}}
	}
	list := Index{Manifests: []Descriptor{at("unknown", "unknown", ""), at("linux", "arm", "v6"), at("linux", "arm", "v7"), at("linux", "amd64", ""), at("windows", "amd64", "")}}
	for want, p := range map[Digest]Platform{"linuxamd64": {"linux", "amd64", ""}, "linuxarmv7": {"linux", "arm", "v7"}, "linuxarmv6": {"linux", "arm", ""}} {
		if d, err := list.Select(p); err != nil || d.Digest != want {
			t.Error(want, d, err)
		}
	}
	if d, err := list.Select(Platform{"linux", "s390x", ""}); err == nil || !strings.Contains(err.Error(), "linux/arm/v6, linux/arm/v7, linux/amd64") {
		t.Error(d, err)
	}
}

func FuzzReference(f *testing.F) {
	f.Add("localhost:5000/a/b:1@sha256:" + strings.Repeat("ab", 32))
	f.Fuzz(func(t *testing.T, word string) {
		ref, err := ParseReference(word)
		if err != nil {
			return
		}
		if again, err := ParseReference(ref.Familiar()); err != nil || again != ref {
			t.Errorf("%q: %v is no %v: %v", word, again, ref, err)
		}
	})
}
