package files

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Pack writes what is at a path as a tar stream: a file, a link, or a directory with all that is below it. follow has a
// link at the end of the path mean what it leads to, as a slash there does. The first entry is that of the path, by its
// last element; it is "." for a path that ends so, whose contents are meant. Sockets are left out. The owners are in the
// ids of this process, or what ids makes of them.
func Pack(w io.Writer, name string, follow bool, ids func(uid, gid int) (int, int)) error {
	top := Last(name)
	clean := filepath.Clean(name)
	if follow || strings.HasSuffix(name, "/") || top == "." {
		real, err := filepath.EvalSymlinks(clean)
		if err != nil {
			return err
		}
		clean = real
	}
	abs, err := filepath.Abs(clean)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(abs))
	if err != nil {
		return err
	}
	defer root.Close()
	p := &packer{root: root, w: tar.NewWriter(w), ids: ids}
	base := filepath.Base(abs)
	if base == "/" {
		base = "."
	}
	info, err := root.Lstat(base)
	if err != nil {
		return &fs.PathError{Op: "copy", Path: name, Err: reason(err)}
	}
	if !info.IsDir() {
		return errors.Join(p.entry(base, top, info), p.w.Close())
	}
	if p.root, err = root.OpenRoot(base); err != nil {
		return err
	}
	defer p.root.Close()
	err = fs.WalkDir(p.root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = p.root.Lstat(name)
		}
		if errors.Is(err, fs.ErrNotExist) && name != "." {
			return nil // it went meanwhile
		}
		if err != nil {
			return err
		}
		return p.entry(name, path.Join(top, name), info)
	})
	return errors.Join(err, p.w.Close())
}

// Last is the last element of a path as it was typed: "." where the contents of a directory are meant.
func Last(name string) string {
	if base := filepath.Base(name); strings.HasSuffix(name, "/.") || base == "." || base == "/" || base == ".." {
		return "."
	}
	return filepath.Base(name)
}

type packer struct {
	root *os.Root
	w    *tar.Writer
	ids  func(uid, gid int) (int, int)
}

// entry writes one, under another name. The header is not made by tar.FileInfoHeader, which looks for names of users.
func (p *packer) entry(name, as string, info fs.FileInfo) error {
	h := &tar.Header{Name: as, Mode: unixMode(info.Mode()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if h.Uid, h.Gid = owner(info); p.ids != nil {
		h.Uid, h.Gid = p.ids(h.Uid, h.Gid)
	}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, as+"/"
		return p.w.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := p.root.Readlink(name)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return p.w.WriteHeader(h)
	case !info.Mode().IsRegular():
		return p.special(h, info)
	}
	// Not followed, and not waited for: it may be another file by now.
	f, err := p.root.OpenFile(name, openFlags, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "read", Path: as, Err: errors.New("it became another kind of file")}
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(p.w, f, h.Size); err == io.EOF {
		return &fs.PathError{Op: "read", Path: as, Err: errors.New("it became shorter meanwhile")}
	} else if err != nil {
		return err
	}
	return nil
}

// unixMode are the permissions, with the bits above them, as tar has them.
func unixMode(m fs.FileMode) int64 {
	mode := int64(m.Perm())
	for _, b := range []struct {
		bit fs.FileMode
		tar int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.bit != 0 {
			mode |= b.tar
		}
	}
	return mode
}

// special writes a device or a FIFO, which only a tar that is written to a file keeps; Unpack leaves it out.
func (p *packer) special(h *tar.Header, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode&fs.ModeNamedPipe != 0:
		h.Typeflag = tar.TypeFifo
	case mode&fs.ModeDevice != 0:
		h.Typeflag = tar.TypeBlock
		if mode&fs.ModeCharDevice != 0 {
			h.Typeflag = tar.TypeChar
		}
		h.Devmajor, h.Devminor = device(info)
	default:
		return nil
	}
	return p.w.WriteHeader(h)
}

// reason is an error without the part of a path that it came with.
func reason(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
