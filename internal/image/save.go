package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Save writes images as an archive that is two things at once, as newer Dockers write it: an OCI layout, and, by its
// manifest.json, what docker load and podman load read.
func (s *Store) Save(w io.Writer, images []*Image) error {
	archive := tar.NewWriter(w)
	file := func(name string, data []byte) error {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err := archive.Write(data)
		return err
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	err := s.export(images, file, func(d Descriptor) error {
		f, err := os.Open(s.BlobPath(d.Digest))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: blobName(d.Digest), Mode: 0o644, Size: d.Size}); err != nil {
			return err
		}
		_, err = io.Copy(archive, f)
		return err
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

// SaveDir writes images as an OCI layout into a new or empty directory.
func (s *Store) SaveDir(dir string, images []*Image) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return errors.New(dir + " is not empty")
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	file := func(name string, data []byte) error {
		if name == "manifest.json" {
			return nil
		}
		return os.WriteFile(filepath.Join(dir, name), data, 0o644)
	}
	return s.export(images, file, func(d Descriptor) error {
		from, err := os.Open(s.BlobPath(d.Digest))
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := os.OpenFile(filepath.Join(dir, blobName(d.Digest)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		return errors.Join(err, to.Close())
	})
}

// export calls file for the small files of a layout and blob for each blob, once.
func (s *Store) export(images []*Image, file func(string, []byte) error, blob func(Descriptor) error) error {
	type docker struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	list, old := Index{SchemaVersion: 2, MediaType: TypeIndex}, []docker{}
	written := map[Digest]bool{}
	for _, i := range images {
		one := docker{Config: blobName(i.Manifest.Config.Digest), RepoTags: []string{}, Layers: []string{}}
		for _, d := range append([]Descriptor{i.Descriptor, i.Manifest.Config}, i.Manifest.Layers...) {
			if !written[d.Digest] {
				if err := blob(d); err != nil {
					return err
				}
			}
			written[d.Digest] = true
		}
		for _, l := range i.Manifest.Layers {
			one.Layers = append(one.Layers, blobName(l.Digest))
		}
		d := i.Descriptor
		d.Annotations = nil
		if ref, err := ParseReference(i.Name); err == nil {
			d.Annotations = map[string]string{refName: ref.Familiar(), "io.containerd.image.name": ref.String()}
			if ref.Digest == "" {
				one.RepoTags = append(one.RepoTags, ref.Familiar())
			}
		}
		list.Manifests, old = append(list.Manifests, d), append(old, one)
	}
	for _, f := range []struct {
		name string
		v    any
	}{{"index.json", list}, {"manifest.json", old}, {"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}}} {
		data, err := json.Marshal(f.v)
		if err != nil {
			return err
		}
		if err := file(f.name, data); err != nil {
			return err
		}
	}
	return nil
}
