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
	"syscall"
	"time"
)

// Into is how Unpack writes.
type Into struct {
	Archive  bool   // every entry goes below the directory by its own name; else the first one says what the others are below
	Name     string // of what is copied, when it goes into a directory; "" is that of the first entry, which a container says
	Contents bool   // the contents of the first entry, a directory, are meant
	SetID    bool   // keep the bits by which a program runs as its owner
	// Owner is whom an entry with these ids is to belong to; nil leaves all to this process.
	Owner func(uid, gid int) (int, int)
}

// Unpack writes the tar stream of Pack to a path, as cp(1) would: into it when it is a directory, else to it, whose
// parent must exist. Nothing is written but that, and what is below it where it is a directory: no link of the stream
// leads to anything beside it. Files take the place of others, and are new. It counts the devices, FIFOs and the like,
// which are left out.
func Unpack(r io.Reader, name string, how Into) (left int, err error) {
	u := &unpacker{r: tar.NewReader(r), Into: how}
	h, err := u.r.Next()
	if err == io.EOF && how.Archive {
		return 0, nil
	}
	if err == io.EOF {
		return 0, errors.New("there is nothing to copy")
	}
	if err != nil {
		return 0, err
	}
	if err := u.open(name, h); err != nil {
		return 0, err
	}
	defer u.root.Close()
	for err == nil {
		if err = u.entry(h); err == nil {
			h, err = u.r.Next()
		}
	}
	if err != io.EOF {
		return u.left, err
	}
	// Read to the end: who writes the stream is not to find it closed.
	io.Copy(io.Discard, r)
	for n := len(u.dirs) - 1; n >= 0; n-- { // when nothing more is to be written to them
		if err := u.finish(u.dirs[n].name, u.dirs[n].h); err != nil {
			return u.left, err
		}
	}
	return u.left, nil
}

type unpacker struct {
	Into
	r    *tar.Reader
	root *os.Root
	from string // what the names of entries begin with
	to   string // what takes its place, below root
	dirs []made
	left int

	single bool // the first entry is no directory: nothing is below it
}

type made struct {
	name string
	h    *tar.Header
}

// open decides where the first entry goes.
func (u *unpacker) open(name string, h *tar.Header) (err error) {
	info, err := os.Stat(name)
	dir := h.Typeflag == tar.TypeDir
	u.from, u.to, u.single = path.Clean(h.Name), path.Base(path.Clean(h.Name)), !dir && !u.Archive
	if u.Name != "" {
		u.to = u.Name
	}
	switch fails := func(why string) error { return &fs.PathError{Op: "copy to", Path: name, Err: errors.New(why)} }; {
	case err == nil && info.IsDir():
		if u.Archive {
			u.from, u.to = ".", "."
		}
		if u.Contents && dir || u.to == "/" || u.to == ".." {
			u.to = "."
		}
		if u.root, err = os.OpenRoot(name); err == nil && dir && u.to != "." {
			err = u.enter(h)
		}
		return err
	case u.Archive && err == nil, err == nil && strings.HasSuffix(name, "/"):
		return fails("it is no directory")
	case u.Archive:
		return err
	case err == nil && dir:
		return fails("a directory cannot take the place of a file")
	case err == nil: // what a link leads to is what is written to
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist), strings.HasSuffix(name, "/") && !dir:
		return err
	}
	if name, err = filepath.Abs(name); err != nil {
		return err
	}
	u.to = filepath.Base(name)
	if u.root, err = os.OpenRoot(filepath.Dir(name)); err == nil && dir {
		err = u.enter(h)
	}
	return err
}

// enter makes the directory that the first entry is, and has all others below it. With the parent for the root, a link
// of the stream by the directory's name would lead to what is beside it.
func (u *unpacker) enter(h *tar.Header) error {
	parent := u.root
	defer parent.Close()
	if err := u.dir(u.to, h); err != nil {
		return err
	}
	inner, err := parent.OpenRoot(u.to)
	if err != nil {
		return err
	}
	u.root, u.to = inner, "."
	for i := range u.dirs {
		u.dirs[i].name = "."
	}
	return nil
}

// below is where an entry goes; false for one that is not below the first.
func (u *unpacker) below(name string) (string, bool) {
	name = path.Clean(name)
	rest, ok := strings.CutPrefix(name, u.from)
	switch {
	case u.from == ".":
		rest = name
	case !ok || rest != "" && rest[0] != '/':
		return "", false
	}
	if u.single && rest != "" {
		return "", false
	}
	to := path.Join(u.to, strings.TrimPrefix(rest, "/"))
	return to, filepath.IsLocal(to)
}

func (u *unpacker) entry(h *tar.Header) error {
	name, ok := u.below(h.Name)
	if !ok {
		return &fs.PathError{Op: "unpack", Path: h.Name, Err: errors.New("it is not below what is copied")}
	}
	if u.Archive && name != "." {
		if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(name, h)
	case tar.TypeReg, tar.TypeSymlink, tar.TypeLink:
	default:
		u.left++
		return nil
	}
	if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
		return &fs.PathError{Op: "replace", Path: name, Err: errors.New("it is a directory")}
	} else if err == nil {
		if err := u.root.Remove(name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		return u.own(name, h)
	case tar.TypeLink:
		old, ok := u.below(h.Linkname)
		if !ok {
			return &fs.PathError{Op: "link", Path: h.Linkname, Err: errors.New("it is not below what is copied")}
		}
		return u.root.Link(old, name)
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, u.r)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return u.finish(name, h)
}

// dir makes one, or uses the one that is there, which stays what it is.
func (u *unpacker) dir(name string, h *tar.Header) error {
	info, err := u.root.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "replace", Path: name, Err: errors.New("it is no directory")}
	}
	u.dirs = append(u.dirs, made{name, h})
	return u.root.Mkdir(name, 0o700)
}

func (u *unpacker) own(name string, h *tar.Header) error {
	if u.Owner == nil {
		return nil
	}
	uid, gid := u.Owner(h.Uid, h.Gid)
	err := u.root.Lchown(name, uid, gid)
	if errors.Is(err, syscall.EINVAL) { // an id that is nobody's in this user namespace
		return nil
	}
	return err
}

// finish gives a file or a directory its owner, mode and time, in that order: chown(2) takes bits of the mode away.
func (u *unpacker) finish(name string, h *tar.Header) error {
	if err := u.own(name, h); err != nil {
		return err
	}
	mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid)
	if !u.SetID {
		mode &^= fs.ModeSetuid | fs.ModeSetgid
	}
	if err := u.root.Chmod(name, mode); err != nil {
		return err
	}
	return u.root.Chtimes(name, time.Time{}, h.ModTime)
}
