package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyTree copies the directory at path of the root file system in root, found as a container would find it, to a new
// directory: files, directories and links with their owners and modes. It does nothing where there is no such directory.
// Times, attributes and hard links are not kept.
func copyTree(root, path, to string) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(dir, path, &how)
	for err == unix.EAGAIN || err == unix.EINTR { // a rename or a mount anywhere, while ".." was resolved (openat2(2))
		fd, err = unix.Openat2(dir, path, &how)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	defer unix.Close(fd)
	from, err := os.OpenRoot("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	into, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer into.Close()
	c := copier{from: from, into: into, single: singleID()}
	if err := fs.WalkDir(from.FS(), ".", c.entry); err != nil {
		return err
	}
	for n := len(c.dirs) - 1; n >= 0; n-- { // when nothing more is to be written to them
		if err := c.own(c.dirs[n].path, c.dirs[n].info); err != nil {
			return err
		}
	}
	_, err = fmt.Println("copied")
	return err
}

type copier struct {
	from, into *os.Root
	single     bool // there is one id only: everything is its
	dirs       []copied
}

type copied struct {
	path string
	info fs.FileInfo
}

func (c *copier) entry(path string, _ fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	info, err := c.from.Lstat(path)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		c.dirs = append(c.dirs, copied{path, info})
		if path == "." {
			return nil
		}
		return c.into.Mkdir(path, 0o700)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := c.from.Readlink(path)
		if err == nil {
			err = c.into.Symlink(target, path)
		}
		if err != nil {
			return err
		}
	case info.Mode().IsRegular():
		if err := c.file(path); err != nil {
			return err
		}
	default:
		return nil // a device, a socket or a FIFO
	}
	return c.own(path, info)
}

func (c *copier) file(path string) error {
	in, err := c.from.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := c.into.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (c *copier) own(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &os.PathError{Op: "lstat", Path: path, Err: errors.ErrUnsupported}
	}
	if !c.single {
		if err := c.into.Lchown(path, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return c.into.Chmod(path, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
}

// copyMain is the verb of UnpackMain.
func copyMain(path, name string) error {
	unix.Umask(0)
	return copyTree("/tmp", path, filepath.Join("/layers", filepath.Base(name)))
}
