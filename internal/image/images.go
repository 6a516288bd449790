package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Image is one name in the store.
type Image struct {
	Name       string // full; "" for an image without one
	Descriptor Descriptor
	Manifest   Manifest
	Config     Config
}

// Size is that of the config and the layers as they are kept, in bytes.
func (i *Image) Size() int64 {
	n := i.Manifest.Config.Size
	for _, l := range i.Manifest.Layers {
		n += l.Size
	}
	return n
}

// List is every name in the store, in the order they came.
func (s *Store) List() ([]Image, error) {
	list, err := s.index()
	if err != nil {
		return nil, err
	}
	var images []Image
	for _, d := range list.Manifests {
		one, err := s.load(d)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Annotations[refName], err)
		}
		images = append(images, *one)
	}
	return images, nil
}

// Names are the short names of the store's images.
func (s *Store) Names() []string {
	list, _ := s.index()
	var names []string
	for _, d := range list.Manifests {
		if r, err := ParseReference(d.Annotations[refName]); err == nil {
			names = append(names, r.Familiar())
		}
	}
	return names
}

// Find is the image that a caller means: by name, else by the beginning of its id, the digest of its config.
func (s *Store) Find(word string) (*Image, error) {
	list, err := s.index()
	if err != nil {
		return nil, err
	}
	ref, refErr := ParseReference(word)
	if refErr == nil {
		for _, d := range list.Manifests {
			if d.Annotations[refName] == ref.String() || ref.Digest != "" && sameName(d, ref) {
				return s.load(d)
			}
		}
	}
	prefix := strings.TrimPrefix(word, "sha256:")
	if len(prefix) >= 4 && strings.Trim(prefix, "0123456789abcdef") == "" {
		for _, d := range list.Manifests {
			one, err := s.load(d)
			if err == nil && (strings.HasPrefix(one.Manifest.Config.Digest.Hex(), prefix) || strings.HasPrefix(d.Digest.Hex(), prefix)) {
				return one, nil
			}
		}
	}
	if refErr != nil {
		return nil, fmt.Errorf("%q is no name of an image: %w", word, refErr)
	}
	return nil, ErrNotFound
}

// sameName says whether an image has that digest and came from that repository.
func sameName(d Descriptor, ref Reference) bool {
	have, err := ParseReference(d.Annotations[refName])
	return err == nil && d.Digest == ref.Digest && have.Registry == ref.Registry && have.Repository == ref.Repository
}

// load reads an image and looks whether it makes sense.
func (s *Store) load(d Descriptor) (*Image, error) {
	i := &Image{Name: d.Annotations[refName], Descriptor: d}
	if err := s.readJSON(d, &i.Manifest); err != nil {
		return nil, err
	}
	if err := s.readJSON(i.Manifest.Config, &i.Config); err != nil {
		return nil, err
	}
	return i, i.check()
}

// layersMax is how many layers an image may have. Docker stops at 127 (moby layer_store.go, maxLayerDepth 125 and two).
const layersMax = 127

func (i *Image) check() error {
	layers, ids := i.Manifest.Layers, i.Config.RootFS.DiffIDs
	switch {
	case len(layers) != len(ids):
		return fmt.Errorf("the image has %d layers and names %d in its config", len(layers), len(ids))
	case len(layers) > layersMax:
		return fmt.Errorf("the image has %d layers; the most is %d", len(layers), layersMax)
	}
	for n := range layers {
		if !layers[n].Digest.Valid() || !ids[n].Valid() {
			return fmt.Errorf("layer %d has a digest that locald does not know; it knows sha256", n)
		}
		if _, err := Compression(layers[n].MediaType); err != nil {
			return err
		}
	}
	return nil
}

// Check reads an image whose blobs were written and says whether anything is missing.
func (s *Store) Check(d Descriptor) (*Image, error) {
	i, err := s.load(d)
	if err != nil {
		return nil, err
	}
	for _, l := range i.Manifest.Layers {
		if !s.Has(l.Digest, l.Size) {
			return nil, fmt.Errorf("layer %s is missing, or not of its %d bytes", l.Digest, l.Size)
		}
	}
	return i, nil
}

// Compression is how a layer of that media type is compressed: "", "gzip" or "zstd".
func Compression(mediaType string) (string, error) {
	switch mediaType {
	case TypeLayer, "application/vnd.docker.image.rootfs.diff.tar":
		return "", nil
	case TypeLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip":
		return "gzip", nil
	case TypeLayerZstd, "application/vnd.docker.image.rootfs.diff.tar.zstd":
		return "zstd", nil
	}
	return "", fmt.Errorf("a layer of type %q is not supported", mediaType)
}

// Tag gives an image one more name.
func (s *Store) Tag(i *Image, name Reference) error { return s.Add(name, i.Descriptor) }

// Untag takes names away, and says which digests of layers nothing names any more.
func (s *Store) Untag(names ...string) (orphans []Digest, err error) {
	// Nobody is adding an image meanwhile, whose blobs have no name yet.
	unlock, err := s.lock("blobs", true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	err = s.change(func(list *Index) error {
		kept := list.Manifests[:0]
		for _, d := range list.Manifests {
			if !slices.Contains(names, d.Annotations[refName]) {
				kept = append(kept, d)
			}
		}
		list.Manifests = kept
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.collect()
}

// collect removes the blobs that no image uses.
func (s *Store) collect() (orphans []Digest, err error) {
	images, err := s.List()
	if err != nil {
		return nil, err // what is used is not known
	}
	used, layers := map[string]bool{}, map[string]bool{}
	for _, i := range images {
		used[i.Descriptor.Digest.Hex()], used[i.Manifest.Config.Digest.Hex()] = true, true
		for n, l := range i.Manifest.Layers {
			used[l.Digest.Hex()] = true
			layers[i.Config.RootFS.DiffIDs[n].Hex()] = true
		}
	}
	s.collectUnfinished()
	entries, err := os.ReadDir(s.blobs())
	for _, e := range entries {
		if d := Digest("sha256:" + e.Name()); d.Valid() && !used[e.Name()] {
			err = errors.Join(err, os.Remove(s.BlobPath(d)))
		}
	}
	entries, err2 := os.ReadDir(s.Layers())
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), SingleSuffix)
		if d := Digest("sha256:" + name); d.Valid() && !layers[name] {
			orphans = append(orphans, d)
		}
	}
	if errors.Is(err2, fs.ErrNotExist) {
		err2 = nil
	}
	return orphans, errors.Join(err, err2)
}

// partialAge is how long a download that broke off can go on.
const partialAge = 24 * time.Hour

// collectUnfinished removes what killed calls left in tmp/: nobody writes a blob meanwhile.
func (s *Store) collectUnfinished() {
	entries, _ := os.ReadDir(s.tmp())
	for _, e := range entries {
		kind, _, _ := strings.Cut(e.Name(), "-")
		info, err := e.Info()
		if err == nil && (kind == "blob" || kind == "load" || kind == "partial" && time.Since(info.ModTime()) > partialAge) {
			os.RemoveAll(filepath.Join(s.tmp(), e.Name()))
		}
	}
}

// Adding keeps blobs that have no name yet from being removed, until done is called.
func (s *Store) Adding() (done func(), err error) { return s.lock("blobs", false) }
