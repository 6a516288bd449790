package image

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of one layer.
const (
	entriesMax = 1_000_000
	nameMax    = unix.PathMax
)

// extractor writes one layer below the process's root directory, which is the layer's own by then (chroot(2)): no name
// and no link of the layer leads anywhere else.
type extractor struct {
	left    int64 // bytes that may still be written
	single  bool  // there is one id only; everything belongs to it
	dirs    []dirTime
	devices int    // that were left out
	block   []byte // what of a file is copied at once
}

// blockSize is as much as the reader before it buffers, so that what fills a block is not copied twice.
const blockSize = 1 << 18

type dirTime struct {
	name string
	time time.Time
}

// extract writes the layer that r holds. In it, what the image-spec calls whiteouts becomes what overlayfs does
// (layer.md, "Whiteouts"; overlayfs.rst): a character device 0/0, and the attribute user.overlay.opaque.
func (x *extractor) extract(r io.Reader) error {
	archive := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return x.finish()
		}
		if err != nil {
			return err
		}
		if n == entriesMax {
			return fmt.Errorf("it has more than %d files", entriesMax)
		}
		if err := x.entry(h, archive); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

// finish sets the times of directories, which writing into them has changed.
func (x *extractor) finish() error {
	for i := len(x.dirs) - 1; i >= 0; i-- {
		if err := setTime(x.dirs[i].name, x.dirs[i].time); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// local is a name of the archive below "/". One that climbs is refused, and not repaired: nobody writes it by mistake.
func local(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("the name leads out of the layer")
		}
	}
	if len(name) >= nameMax || strings.IndexByte(name, 0) >= 0 {
		return "", errors.New("the name is no file name")
	}
	return path.Clean("/" + name), nil
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

func (x *extractor) entry(h *tar.Header, r io.Reader) error {
	name, err := local(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := makeParents(path.Dir(name)); err != nil {
		return err
	}
	base := path.Base(name)
	switch {
	case base == opaque:
		return setOpaque(path.Dir(name))
	case strings.HasPrefix(base, ".wh..wh."): // aufs's own, of which nothing else is defined
		return nil
	case strings.HasPrefix(base, whiteout):
		hidden := strings.TrimPrefix(base, whiteout)
		if hidden == "" || hidden == "." || hidden == ".." {
			return errors.New("a whiteout of nothing")
		}
		return hide(path.Join(path.Dir(name), hidden))
	}
	return x.create(name, h, r)
}

// makeParents makes directories that the layer did not name first.
func makeParents(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	if err != nil && errors.Is(err, unix.ENOTDIR) {
		return errors.New("its directory is a file in this layer")
	}
	return err
}

func setOpaque(dir string) error { return unix.Lsetxattr(dir, "user.overlay.opaque", []byte("y"), 0) }

// hide makes a whiteout. It hides what is in the layers below; what this layer itself put there stays, and a directory
// of it no longer shows what is below.
func hide(name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unix.Mknod(name, unix.S_IFCHR, 0)
	case err != nil:
		return err
	case info.IsDir():
		return setOpaque(name)
	}
	return nil
}

// create makes one file. The later of two with one name counts.
func (x *extractor) create(name string, h *tar.Header, r io.Reader) error {
	info, err := os.Lstat(name)
	there := err == nil
	hidden := there && info.Mode()&fs.ModeCharDevice != 0 // a whiteout: no other device is made
	if there && !(info.IsDir() && h.Typeflag == tar.TypeDir) {
		if name == "/" {
			return errors.New("the root of a layer is a directory")
		}
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	mode := uint32(h.Mode) & 0o7777
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if hidden {
			if err := setOpaque(name); err != nil {
				return err
			}
		}
		x.dirs = append(x.dirs, dirTime{name, h.ModTime})
	case tar.TypeReg:
		if err := x.file(name, h.Size, r); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := os.Symlink(h.Linkname, name); err != nil {
			return err
		}
	case tar.TypeLink:
		target, err := local(h.Linkname)
		if err != nil {
			return errors.New("the hard link leads out of the layer")
		}
		return os.Link(target, name) // its owner and mode are the target's
	case tar.TypeFifo:
		if err := unix.Mkfifo(name, 0o600); err != nil {
			return err
		}
	case tar.TypeChar, tar.TypeBlock:
		x.devices++ // a container's /dev is its own
		return nil
	default:
		return fmt.Errorf("a file of type %q is not supported", h.Typeflag)
	}
	return x.attributes(name, h, mode)
}

func (x *extractor) file(name string, size int64, r io.Reader) error {
	if x.left -= size; x.left < 0 {
		return errors.New("the layer is larger than what may be written")
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	// io.Copy would make a block of its own for every file.
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, r, x.block)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, f.Close())
}

// attributes come in this order: chown(2) clears set-id bits and security.capability.
func (x *extractor) attributes(name string, h *tar.Header, mode uint32) error {
	if !x.single {
		if err := os.Lchown(name, h.Uid, h.Gid); err != nil {
			return fmt.Errorf("its owner %d:%d does not exist in a container: %w", h.Uid, h.Gid, err)
		}
	}
	for key, value := range h.PAXRecords {
		attribute, ok := strings.CutPrefix(key, "SCHILY.xattr.")
		if !ok || !kept(attribute) {
			continue
		}
		if err := unix.Lsetxattr(name, attribute, []byte(value), 0); err != nil {
			return fmt.Errorf("extended attribute %s: %w", attribute, err)
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return setTime(name, h.ModTime)
	}
	if err := unix.Chmod(name, mode); err != nil {
		return err
	}
	return setTime(name, h.ModTime)
}

// kept says which extended attributes a layer may have. Those of overlayfs would tell it to look elsewhere; labels of
// a security module belong to the machine that made the image.
func kept(attribute string) bool {
	if attribute == "security.capability" {
		return true
	}
	return strings.HasPrefix(attribute, "user.") && !strings.HasPrefix(attribute, "user.overlay.")
}

func setTime(name string, t time.Time) error {
	if t.Before(time.Unix(0, 0)) {
		t = time.Unix(0, 0)
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	err = unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &os.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return nil
}

// extractAll reads a layer to its last byte and says what its tar stream's digest is.
func (x *extractor) extractAll(r io.Reader, compression string, decompress Decompressor) (Digest, error) {
	plain, done, err := decompress(bufio.NewReaderSize(r, blockSize), compression)
	if err != nil {
		return "", err
	}
	defer done()
	hash := sha256.New()
	stream := io.TeeReader(plain, hash)
	x.block = make([]byte, blockSize)
	if err := x.extract(bufio.NewReaderSize(stream, blockSize)); err != nil {
		return "", err
	}
	// Behind the end of a tar there may be more, which is part of the digest. Zeros without an end are not.
	n, err := io.Copy(io.Discard, io.LimitReader(stream, max(x.left, 1<<20)))
	if err == nil && n == max(x.left, 1<<20) {
		err = errors.New("the layer is larger than what may be written")
	}
	return Digest("sha256:" + hex.EncodeToString(hash.Sum(nil))), err
}
