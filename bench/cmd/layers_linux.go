package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// largeImage is written by writeImage: files of this machine's /usr in layers of gzip.
const (
	largeImage  = "docker.io/bench/large:latest"
	largeLayers = 10
	largeBytes  = 500_000_000 // of the files, before compression
)

// descriptor is what the image-spec calls so.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// writeImage writes an OCI layout to dir, and the archive of it, as skopeo's oci-archive, to archive. It returns how many
// bytes the compressed layers have.
func writeImage(dir, archive string) (size int64, err error) {
	blobDir := filepath.Join(dir, "blobs/sha256")
	if err := os.MkdirAll(blobDir, 0o755); err != nil {
		return 0, err
	}
	parts, err := usrFiles()
	if err != nil {
		return 0, err
	}
	layers, diffIDs := make([]descriptor, largeLayers), make([]string, largeLayers)
	failed := make([]error, largeLayers)
	var wait sync.WaitGroup
	for i, files := range parts {
		wait.Go(func() {
			layers[i], diffIDs[i], failed[i] = writeLayer(filepath.Join(dir, "layer"+strconv.Itoa(i)), blobDir, files)
		})
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	for _, l := range layers {
		size += l.Size
	}
	config, err := writeBlob(blobDir, "application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return 0, err
	}
	manifest, err := writeBlob(blobDir, "application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers,
	})
	if err != nil {
		return 0, err
	}
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": largeImage}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return 0, err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644),
		os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	if err != nil {
		return 0, err
	}
	return size, archiveOf(dir, archive)
}

// usrFiles are regular files and directories of /usr in the order of their names, in as many parts as there are layers.
// Each part has its share of largeBytes.
func usrFiles() (parts [][]string, err error) {
	var part []string
	var size int64
	err = filepath.WalkDir("/usr", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		part = append(part, path)
		if d.IsDir() {
			return nil
		}
		if size += info.Size(); size < largeBytes/largeLayers {
			return nil
		}
		if parts = append(parts, part); len(parts) == largeLayers {
			return fs.SkipAll
		}
		part, size = nil, 0
		return nil
	})
	if err == nil && len(parts) < largeLayers {
		err = fmt.Errorf("/usr has less than %d bytes for a large image", largeBytes)
	}
	return parts, err
}

// writeLayer writes one layer with a name of its own, then gives it that of its digest.
func writeLayer(file, blobDir string, files []string) (d descriptor, diffID string, err error) {
	out, err := os.Create(file)
	if err != nil {
		return d, "", err
	}
	defer out.Close()
	packed, plain := sha256.New(), sha256.New()
	z := gzip.NewWriter(io.MultiWriter(out, packed))
	w := tar.NewWriter(io.MultiWriter(z, plain))
	for _, path := range files {
		if err := addFile(w, path); err != nil {
			return d, "", err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return d, "", err
	}
	info, err := out.Stat()
	if err != nil {
		return d, "", err
	}
	d = descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: digest(packed), Size: info.Size()}
	return d, digest(plain), os.Rename(file, filepath.Join(blobDir, d.Digest[len("sha256:"):]))
}

func addFile(w *tar.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	if h.Name = path[1:]; info.IsDir() {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || info.IsDir() {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

func writeBlob(blobDir, mediaType string, content any) (descriptor, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:])
	return descriptor{MediaType: mediaType, Digest: "sha256:" + name, Size: int64(len(data))}, os.WriteFile(filepath.Join(blobDir, name), data, 0o644)
}

func digest(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// archiveOf writes what lies in dir to a tar.
func archiveOf(dir, archive string) error {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return w.Close()
}
