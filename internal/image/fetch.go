package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// Source opens a blob at an offset. A source that cannot start there says where it did: at 0.
type Source func(offset int64) (body io.ReadCloser, start int64, err error)

// Fetch makes a blob of what a source sends. What has come stays when the source breaks off, also over calls, and the
// next attempt goes on from there. Two calls for one blob take turns. again is asked after each failure whether to try
// once more: progress says that bytes have come since.
func (s *Store) Fetch(d Descriptor, source Source, again func(err error, progress bool) bool) error {
	if !d.Digest.Valid() || d.Size < 0 {
		return fmt.Errorf("%q is no digest that locald knows; it knows sha256", d.Digest)
	}
	p, err := s.openPartial(d)
	if err != nil || p == nil {
		return err
	}
	defer p.file.Close()
	resumed := p.size > 0
	for {
		before := p.size
		err := p.receive(source)
		if err == nil {
			if err = p.verify(); err == nil {
				return s.adopt(p.file.Name(), d.Digest)
			}
			if resumed { // what an earlier call left may be what is wrong
				resumed = false
				continue
			}
			os.Remove(p.file.Name())
			return err
		}
		if !again(err, p.size > before) {
			return err
		}
	}
}

// partial is a blob that is not whole yet.
type partial struct {
	want Descriptor
	file *os.File
	size int64
	hash hash.Hash
}

// openPartial is nil when the blob is there, perhaps by the work of another call.
func (s *Store) openPartial(d Descriptor) (*partial, error) {
	path := filepath.Join(s.tmp(), "partial-"+d.Digest.Hex())
	for {
		if s.Has(d.Digest, d.Size) {
			return nil, nil
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := wait(f); err != nil {
			f.Close()
			return nil, err
		}
		// Whoever had the lock may have finished the file, or thrown it away.
		mine, err := f.Stat()
		there, err2 := os.Lstat(path)
		if err == nil && err2 == nil && os.SameFile(mine, there) {
			// The file may be a new one, made after the blob came: the look above was before it.
			if s.Has(d.Digest, d.Size) {
				err := os.Remove(path)
				f.Close()
				return nil, err
			}
			p := &partial{want: d, file: f, hash: sha256.New()}
			p.size, err = io.Copy(p.hash, f)
			if err == nil && p.size > d.Size {
				err = p.reset()
			}
			if err != nil {
				f.Close()
				return nil, err
			}
			return p, nil
		}
		f.Close()
	}
}

func (p *partial) reset() error {
	p.size = 0
	p.hash.Reset()
	_, err := p.file.Seek(0, io.SeekStart)
	return errors.Join(p.file.Truncate(0), err)
}

// receive reads from the source to the end of the blob.
func (p *partial) receive(source Source) error {
	if p.size == p.want.Size {
		return nil
	}
	body, start, err := source(p.size)
	if err != nil {
		return err
	}
	defer body.Close()
	if start != p.size {
		if start != 0 {
			return fmt.Errorf("the source answered from byte %d in place of %d", start, p.size)
		}
		if err := p.reset(); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.MultiWriter(p.file, p.hash), io.LimitReader(body, p.want.Size-p.size))
	p.size += n
	if err == nil && p.size < p.want.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// verify empties the file of a blob that is not the one.
func (p *partial) verify() error {
	got := Digest("sha256:" + hex.EncodeToString(p.hash.Sum(nil)))
	if got == p.want.Digest {
		return nil
	}
	return errors.Join(fmt.Errorf("blob %s has another content: its digest is %s", p.want.Digest, got), p.reset())
}

// PutManifest keeps the bytes of a manifest and reads it.
func (s *Store) PutManifest(data []byte, mediaType string) (d Descriptor, m Manifest, err error) {
	sum := sha256.Sum256(data)
	d = Descriptor{MediaType: mediaType, Digest: Digest("sha256:" + hex.EncodeToString(sum[:])), Size: int64(len(data))}
	if _, err = s.Put(bytes.NewReader(data), d.Digest, d.Size); err == nil {
		err = s.readJSON(d, &m)
	}
	return d, m, err
}

// AddChecked names an image whose blobs have all come, and says what it is for.
func (s *Store) AddChecked(name Reference, d Descriptor) error {
	_, err := s.addAll(d, []string{name.String()}, Options{})
	return err
}
