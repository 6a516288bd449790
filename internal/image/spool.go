package image

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// spool is an archive whose files lie in tmp/ under numbers: it is read once, from front to back, and what its
// files are for stands in one that may be the last.
type spool struct {
	store *Store
	dir   string
	files map[string]spooled
	links map[string]string
}

type spooled struct {
	path string
	Descriptor
}

// archiveEntries bounds the files of an archive, which has some three a layer.
const archiveEntries = 10_000

func (s *Store) spool(r io.Reader, decompress Decompressor) (sp *spool, err error) {
	dir, err := os.MkdirTemp(s.tmp(), "load-")
	if err != nil {
		return nil, err
	}
	sp = &spool{store: s, dir: dir, files: map[string]spooled{}, links: map[string]string{}}
	if err := sp.fill(r, decompress); err != nil {
		sp.remove()
		return nil, err
	}
	return sp, nil
}

func (sp *spool) remove() { os.RemoveAll(sp.dir) }

func (sp *spool) fill(r io.Reader, decompress Decompressor) error {
	head := bufio.NewReaderSize(r, 1<<16)
	magic, _ := head.Peek(4)
	plain, done, err := decompress(head, sniff(magic))
	if err != nil {
		return err
	}
	defer done()
	archive := tar.NewReader(plain)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the archive cannot be read: %w", err)
		}
		if n == archiveEntries {
			return fmt.Errorf("the archive has more than %d files: it is no image", archiveEntries)
		}
		name := path.Clean("/" + h.Name)[1:]
		switch h.Typeflag {
		case tar.TypeReg:
			if err := sp.keep(name, archive); err != nil {
				return fmt.Errorf("the archive cannot be read: %w", err)
			}
		case tar.TypeSymlink: // older writers share layers so
			sp.links[name] = path.Join(path.Dir("/"+name), h.Linkname)[1:]
		case tar.TypeLink:
			sp.links[name] = path.Clean("/" + h.Linkname)[1:]
		}
	}
}

func (sp *spool) keep(name string, r io.Reader) error {
	f, err := os.Create(filepath.Join(sp.dir, strconv.Itoa(len(sp.files))))
	if err != nil {
		return err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), r)
	sp.files[name] = spooled{f.Name(), Descriptor{Digest: Digest("sha256:" + hex.EncodeToString(hash.Sum(nil))), Size: n}}
	return errors.Join(err, f.Close())
}

func (sp *spool) has(name string) bool { _, ok := sp.files[name]; return ok }

func (sp *spool) find(name string) (spooled, error) {
	if target, ok := sp.links[name]; ok {
		name = target
	}
	f, ok := sp.files[name]
	if !ok {
		return f, fmt.Errorf("the archive has no file %q", name)
	}
	return f, nil
}

func (sp *spool) read(name string) ([]byte, error) {
	f, err := sp.find(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSmall(file, name)
}

func (sp *spool) take(name string, want Digest, size int64) (Descriptor, error) {
	f, err := sp.find(name)
	switch {
	case err != nil:
		return Descriptor{}, err
	case want != "" && f.Digest != want:
		return Descriptor{}, fmt.Errorf("blob %s has another content: its digest is %s", want, f.Digest)
	case size >= 0 && f.Size != size:
		return Descriptor{}, fmt.Errorf("blob %s has %d bytes and should have %d", f.Digest, f.Size, size)
	case sp.store.Has(f.Digest, f.Size): // also when it is in the archive twice
		return f.Descriptor, nil
	}
	return f.Descriptor, sp.store.adopt(f.path, f.Digest)
}
