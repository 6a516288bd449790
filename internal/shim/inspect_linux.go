package shim

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Installation is how a helper lies on the disk.
type Installation struct {
	Owner  uint32
	Mode   fs.FileMode
	Links  uint64 // names of the file; a second one could keep an old version alive (CVE-2021-44730)
	NoSUID bool   // the file system is mounted nosuid: the kernel ignores the bit
	Unsafe string // why somebody else than root could replace it; "" when nobody can
}

// Inspect looks at an installed helper.
func Inspect(path string) (Installation, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Installation{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return Installation{}, err
	}
	i := Installation{Owner: st.Uid, Mode: info.Mode(), Links: uint64(st.Nlink)}
	if i.NoSUID, err = NoSUID(path); err != nil {
		return i, err
	}
	switch {
	case !info.Mode().IsRegular():
		i.Unsafe = path + " is not a regular file"
	case st.Uid != 0:
		i.Unsafe = path + " does not belong to root"
	case st.Mode&0o022 != 0:
		i.Unsafe = path + " can be written by others than its owner"
	default:
		i.Unsafe, err = UnsafeDir(filepath.Dir(path))
	}
	return i, err
}

// NoSUID reports whether the file system that holds path ignores set-user-ID bits.
func NoSUID(path string) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return false, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return fs.Flags&unix.ST_NOSUID != 0, nil
}

// UnsafeDir says why somebody else than root could put another file in the place of one in dir: a directory
// on the way to it, up to the root, that is not root's alone. "" is a safe one. Both the path as it is
// written and what its symbolic links lead to are looked at.
func UnsafeDir(dir string) (string, error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	for _, path := range []string{dir, resolved} {
		for {
			reason, err := unsafeComponent(path)
			if reason != "" || err != nil {
				return reason, err
			}
			if path == "/" {
				break
			}
			path = filepath.Dir(path)
		}
	}
	return "", nil
}

func unsafeComponent(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "", &os.PathError{Op: "lstat", Path: path, Err: errors.ErrUnsupported}
	case st.Uid != 0:
		return path + " does not belong to root", nil
	case info.Mode()&fs.ModeSymlink != 0:
		return "", nil // its own mode means nothing; where it leads is looked at as well
	case !info.IsDir():
		return path + " is not a directory", nil
	case info.Mode().Perm()&0o022 != 0:
		return path + " can be written by others than root", nil
	}
	// Access control lists can give what the mode does not show; their mask then stands in the group bits,
	// which were looked at above (acl(5)).
	return "", nil
}

// effectiveSetuid reports whether executing path gives root's power. The kernel ignores the bit on a nosuid
// mount, and for a process that has no_new_privs (execve(2)).
func effectiveSetuid(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Uid != 0 || st.Mode&unix.S_ISUID == 0 {
		return false
	}
	if ignored, err := NoSUID(path); err != nil || ignored {
		return false
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 0
}
