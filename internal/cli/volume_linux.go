package cli

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// holdVolume keeps a volume from being removed until release is called.
func holdVolume(dir string) (release func(), err error) { return lockVolume(dir, unix.LOCK_SH) }

// ownVolume is for its removal: an error says that somebody uses it.
func ownVolume(dir string) (release func(), err error) {
	return lockVolume(dir, unix.LOCK_EX|unix.LOCK_NB)
}

// lockVolume is fs.ErrNotExist when the volume was removed meanwhile, perhaps for another of its name.
func lockVolume(dir string, how int) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err == nil {
		a, errA := f.Stat()
		b, errB := os.Stat(dir)
		if errA != nil || errB != nil || !os.SameFile(a, b) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "flock", Path: dir, Err: err}
	}
	return func() { f.Close() }, nil
}

// replaceEmpty renames a directory to the place of an empty one, which os.Rename refuses to do. It is fs.ErrExist when
// that is not empty (ENOTEMPTY, rename(2)).
func replaceEmpty(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.PathError{Op: "rename", Path: to, Err: err}
	}
	return nil
}
