package image

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
)

// Import makes an image of one layer: the tar, compressed or not, of a root file system.
func (s *Store) Import(r io.Reader, name Reference, p Platform, decompress Decompressor) error {
	done, err := s.Adding()
	if err != nil {
		return err
	}
	defer done()
	layer, err := s.Put(r, "", -1)
	if err != nil {
		return err
	}
	if layer.MediaType, err = s.layerType(layer.Digest); err != nil {
		return err
	}
	id, err := s.diffID(layer, decompress)
	if err != nil {
		return err
	}
	data, err := json.Marshal(Config{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, RootFS: RootFS{Type: "layers", DiffIDs: []Digest{id}}})
	if err != nil {
		return err
	}
	m := Manifest{SchemaVersion: 2, MediaType: TypeManifest, Layers: []Descriptor{layer}}
	if m.Config, err = s.Put(strings.NewReader(string(data)), "", -1); err != nil {
		return err
	}
	m.Config.MediaType = TypeConfig
	d, err := s.putManifest(m)
	if err != nil {
		return err
	}
	d.Platform = &p
	return s.Add(name, d)
}

// diffID is the digest of a layer's tar, uncompressed.
func (s *Store) diffID(layer Descriptor, decompress Decompressor) (Digest, error) {
	compression, err := Compression(layer.MediaType)
	if err != nil || compression == "" {
		return layer.Digest, err
	}
	f, err := os.Open(s.BlobPath(layer.Digest))
	if err != nil {
		return "", err
	}
	defer f.Close()
	plain, done, err := decompress(bufio.NewReader(f), compression)
	if err != nil {
		return "", err
	}
	defer done()
	hash := sha256.New()
	if _, err := io.Copy(hash, plain); err != nil {
		return "", err
	}
	return Digest("sha256:" + hex.EncodeToString(hash.Sum(nil))), nil
}
