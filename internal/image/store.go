package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Store is a directory:
//
//	images/   oci-layout, index.json and blobs/sha256/: an OCI image layout
//	layers/   DIFFID/fs: the file systems of layers
//	tmp/      what is being written; it is renamed into its place when it is whole
type Store struct {
	dir string
}

// ErrNotFound is an image that the store does not have.
var ErrNotFound = errors.New("image not found")

// Open makes the directories of a store. Only its owner can look into them, whatever becomes of the one that they are in:
// layers hold set-user-ID programs, and /var/lib/locald holds the record of setup, too, which everybody may read.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	if _, err := os.Stat(filepath.Join(s.images(), "oci-layout")); err == nil {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, d := range []string{s.blobs(), s.Layers(), s.tmp()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	return s, s.writeFile("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// Dir is the store's directory.
func (s *Store) Dir() string { return s.dir }

// Layers is the directory of the layers' file systems.
func (s *Store) Layers() string { return filepath.Join(s.dir, "layers") }

func (s *Store) images() string { return filepath.Join(s.dir, "images") }
func (s *Store) blobs() string  { return filepath.Join(s.images(), "blobs", "sha256") }
func (s *Store) tmp() string    { return filepath.Join(s.dir, "tmp") }

// BlobPath is where a blob is, when it is there.
func (s *Store) BlobPath(d Digest) string { return filepath.Join(s.blobs(), d.Hex()) }

// Has reports whether a blob is there, of that size. A negative size is any.
func (s *Store) Has(d Digest, size int64) bool {
	if !d.Valid() {
		return false
	}
	info, err := os.Lstat(s.BlobPath(d))
	return err == nil && info.Mode().IsRegular() && (size < 0 || info.Size() == size)
}

// writeFile replaces a file of images/ as a whole.
func (s *Store) writeFile(name string, data []byte) error {
	f, err := os.CreateTemp(s.tmp(), "file-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(s.images(), name))
}

// Put writes a blob. It takes its place only when it is whole and is what want says: the digest, and the size where
// that is not negative. An empty digest takes any content.
func (s *Store) Put(r io.Reader, want Digest, size int64) (Descriptor, error) {
	if want != "" && !want.Valid() {
		return Descriptor{}, fmt.Errorf("%q is no digest that locald knows; it knows sha256", want)
	}
	f, err := os.CreateTemp(s.tmp(), "blob-")
	if err != nil {
		return Descriptor{}, err
	}
	defer os.Remove(f.Name())
	hash := sha256.New()
	from := r
	if size >= 0 {
		from = io.LimitReader(r, size+1)
	}
	n, err := io.Copy(io.MultiWriter(f, hash), from)
	err = errors.Join(err, f.Close())
	got := Digest("sha256:" + hex.EncodeToString(hash.Sum(nil)))
	switch {
	case err != nil:
		return Descriptor{}, err
	case size >= 0 && n < size:
		return Descriptor{}, fmt.Errorf("blob %s ends after %d of %d bytes", want, n, size)
	case size >= 0 && n > size:
		return Descriptor{}, fmt.Errorf("blob %s is longer than its %d bytes", want, size)
	case want != "" && got != want:
		return Descriptor{}, fmt.Errorf("blob %s has another content: its digest is %s", want, got)
	}
	return Descriptor{Digest: got, Size: n}, s.adopt(f.Name(), got)
}

// adopt gives a file of tmp/ its place among the blobs.
func (s *Store) adopt(path string, d Digest) error {
	if err := os.Chmod(path, 0o644); err != nil {
		return err
	}
	return os.Rename(path, s.BlobPath(d))
}

// jsonMax bounds manifests and configs: registries refuse longer manifests (distribution-spec, "Pushing Manifests").
const jsonMax = 4 << 20

// readJSON reads a blob that is JSON, and verifies it: it is small, and what it says decides which files are used.
func (s *Store) readJSON(d Descriptor, v any) error {
	if !d.Digest.Valid() {
		return fmt.Errorf("%q is no digest", d.Digest)
	}
	f, err := os.Open(s.BlobPath(d.Digest))
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, jsonMax+1))
	if err != nil {
		return err
	}
	if len(data) > jsonMax {
		return fmt.Errorf("%s is larger than 4 MiB", d.Digest)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != d.Digest.Hex() {
		return fmt.Errorf("%s has another content on this disk", d.Digest)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	return nil
}

// index reads index.json; a store that has none is empty.
func (s *Store) index() (Index, error) {
	var list Index
	data, err := os.ReadFile(filepath.Join(s.images(), "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Index{}, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	return list, err
}

// change reads, changes and writes index.json, and nobody else does meanwhile.
func (s *Store) change(f func(*Index) error) error {
	unlock, err := s.lock("index", true)
	if err != nil {
		return err
	}
	defer unlock()
	list, err := s.index()
	if err != nil {
		return err
	}
	if err := f(&list); err != nil {
		return err
	}
	list.SchemaVersion, list.MediaType = 2, TypeIndex
	if list.Manifests == nil {
		list.Manifests = []Descriptor{}
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return s.writeFile("index.json", data)
}

// Add names an image whose blobs are in the store. Another image of that name loses it.
func (s *Store) Add(name Reference, d Descriptor) error {
	return s.change(func(list *Index) error {
		list.Manifests = slices.DeleteFunc(list.Manifests, func(m Descriptor) bool {
			return m.Annotations[refName] == name.String()
		})
		d.Annotations = map[string]string{refName: name.String()}
		list.Manifests = append(list.Manifests, d)
		return nil
	})
}
