package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// files are what an archive or a layout holds. Their names are keys here and never paths of this machine.
type files interface {
	read(name string) ([]byte, error)                              // a small file
	take(name string, want Digest, size int64) (Descriptor, error) // makes a file a blob; "" and -1 take any
}

// Options of a load.
type Options struct {
	Platform Platform // which image of several to take
	Name     string   // what an image that says only a tag, or nothing, is called
	Only     string   // the one name to take from a layout; "" is all

	Decompress Decompressor // for Load
}

// Load reads an archive that docker save or podman save wrote, or an OCI layout in a tar, compressed or not. It
// returns the full names of the images it added.
func (s *Store) Load(r io.Reader, o Options) (names []string, err error) {
	done, err := s.Adding()
	if err != nil {
		return nil, err
	}
	defer done()
	from, err := s.spool(r, o.Decompress)
	if err != nil {
		return nil, err
	}
	defer from.remove()
	if from.has("manifest.json") {
		return s.loadDocker(from, o)
	}
	if !from.has("index.json") {
		return nil, errors.New("the archive holds neither manifest.json nor index.json: it is no image")
	}
	return s.loadOCI(from, o)
}

// LoadDir reads an OCI layout in a directory.
func (s *Store) LoadDir(dir string, o Options) (names []string, err error) {
	done, err := s.Adding()
	if err != nil {
		return nil, err
	}
	defer done()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return s.loadOCI(&layoutDir{store: s, root: root}, o)
}

type layoutDir struct {
	store *Store
	root  *os.Root // no link leads out of the layout
}

func (l *layoutDir) read(name string) ([]byte, error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSmall(f, name)
}

func (l *layoutDir) take(name string, want Digest, size int64) (Descriptor, error) {
	if want != "" && l.store.Has(want, size) {
		return Descriptor{Digest: want, Size: size}, nil
	}
	f, err := l.root.Open(name)
	if err != nil {
		return Descriptor{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return Descriptor{}, fmt.Errorf("%s is not a regular file", name)
	}
	return l.store.Put(f, want, size)
}

func readSmall(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, jsonMax+1))
	if len(data) > jsonMax {
		return nil, fmt.Errorf("%s is larger than 4 MiB", name)
	}
	return data, err
}

// loadDocker reads manifest.json (moby image/spec, "Combined Image JSON + Filesystem Changeset Format").
func (s *Store) loadDocker(from files, o Options) (names []string, err error) {
	data, err := from.read("manifest.json")
	if err != nil {
		return nil, err
	}
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	for _, one := range list {
		m := Manifest{SchemaVersion: 2, MediaType: TypeManifest, Layers: []Descriptor{}}
		if m.Config, err = from.take(path.Clean(one.Config), "", -1); err != nil {
			return names, err
		}
		m.Config.MediaType = TypeConfig
		for _, name := range one.Layers {
			l, err := from.take(path.Clean(name), "", -1)
			if err != nil {
				return names, err
			}
			if l.MediaType, err = s.layerType(l.Digest); err != nil {
				return names, err
			}
			m.Layers = append(m.Layers, l)
		}
		d, err := s.putManifest(m)
		if err != nil {
			return names, err
		}
		added, err := s.addAll(d, one.RepoTags, o)
		names = append(names, added...)
		if err != nil {
			return names, err
		}
	}
	return names, nil
}

func (s *Store) putManifest(m Manifest) (Descriptor, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return Descriptor{}, err
	}
	d, err := s.Put(strings.NewReader(string(data)), "", -1)
	d.MediaType = TypeManifest
	return d, err
}

// layerType looks at the first bytes of a layer for what an archive does not say.
func (s *Store) layerType(d Digest) (string, error) {
	f, err := os.Open(s.BlobPath(d))
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := io.ReadFull(f, head)
	switch sniff(head[:n]) {
	case "gzip":
		return TypeLayerGzip, nil
	case "zstd":
		return TypeLayerZstd, nil
	}
	return TypeLayer, nil
}

// sniff knows compressed data by its first bytes (RFC 1952, RFC 8878).
func sniff(head []byte) string {
	switch {
	case len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b:
		return "gzip"
	case len(head) > 3 && string(head[:4]) == "\x28\xb5\x2f\xfd":
		return "zstd"
	}
	return ""
}

// addAll checks an image and gives it its names, or the one of the options where it has none.
func (s *Store) addAll(d Descriptor, names []string, o Options) (added []string, err error) {
	i, err := s.Check(d)
	if err != nil {
		return nil, err
	}
	d.Platform = &Platform{OS: i.Config.OS, Architecture: i.Config.Architecture, Variant: i.Config.Variant}
	if len(names) == 0 {
		names = []string{o.Name}
	}
	for _, name := range names {
		ref, err := ParseReference(name)
		if err != nil {
			return added, fmt.Errorf("%q in the archive: %w", name, err)
		}
		if err := s.Add(ref, d); err != nil {
			return added, err
		}
		added = append(added, ref.String())
	}
	return added, nil
}

// loadOCI reads index.json and what it points at (image-spec image-layout.md).
func (s *Store) loadOCI(from files, o Options) (names []string, err error) {
	data, err := from.read("index.json")
	if err != nil {
		return nil, err
	}
	var list Index
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	for _, d := range list.Manifests {
		name := layoutName(d, o)
		if o.Only != "" && o.Only != name && o.Only != d.Annotations[refName] {
			continue
		}
		one, err := s.takeImage(from, d, o.Platform, 0)
		if err != nil {
			return names, err
		}
		added, err := s.addAll(one, []string{name}, o)
		names = append(names, added...)
		if err != nil {
			return names, err
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no image %q in index.json", o.Only)
	}
	return names, nil
}

// layoutName is what an image of a layout is called. Many writers annotate the tag alone.
func layoutName(d Descriptor, o Options) string {
	if name := d.Annotations["io.containerd.image.name"]; name != "" {
		return name
	}
	name := d.Annotations[refName]
	switch {
	case name == "":
		return o.Name
	case strings.ContainsAny(name, ":/@"):
		return name
	}
	return o.Name + ":" + name
}

// takeImage makes the blobs of one image ours; an index leads to the one for the platform.
func (s *Store) takeImage(from files, d Descriptor, p Platform, depth int) (Descriptor, error) {
	if !d.Digest.Valid() || depth > 2 {
		return d, fmt.Errorf("%q leads to no image", d.Digest)
	}
	if d.Size > jsonMax {
		return d, fmt.Errorf("manifest %s is larger than 4 MiB", d.Digest)
	}
	if _, err := from.take(blobName(d.Digest), d.Digest, d.Size); err != nil {
		return d, err
	}
	if d.MediaType == TypeIndex || d.MediaType == TypeDockerList {
		var list Index
		if err := s.readJSON(d, &list); err != nil {
			return d, err
		}
		one, err := list.Select(p)
		if err != nil {
			return d, err
		}
		return s.takeImage(from, one, p, depth+1)
	}
	var m Manifest
	if err := s.readJSON(d, &m); err != nil {
		return d, err
	}
	for _, b := range append([]Descriptor{m.Config}, m.Layers...) {
		if !b.Digest.Valid() {
			return d, fmt.Errorf("%q is no digest that locald knows; it knows sha256", b.Digest)
		}
		if _, err := from.take(blobName(b.Digest), b.Digest, b.Size); err != nil {
			return d, err
		}
	}
	return Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, nil
}

func blobName(d Digest) string { return "blobs/sha256/" + d.Hex() }

// Select is the image for a platform: the same variant before another.
func (l *Index) Select(p Platform) (Descriptor, error) {
	var found *Descriptor
	var have []string
	for i := range l.Manifests {
		m := &l.Manifests[i]
		if m.Platform == nil || m.Platform.OS == "unknown" { // what is not an image: attestations
			continue
		}
		have = append(have, m.Platform.String())
		if m.Platform.OS != p.OS || m.Platform.Architecture != p.Architecture {
			continue
		}
		if m.Platform.Variant == p.Variant {
			return *m, nil
		}
		if found == nil {
			found = m
		}
	}
	if found != nil && p.Variant == "" {
		return *found, nil
	}
	if len(have) == 0 && len(l.Manifests) == 1 {
		return l.Manifests[0], nil
	}
	return Descriptor{}, fmt.Errorf("the image is not for %s; it is for %s", p, strings.Join(have, ", "))
}
