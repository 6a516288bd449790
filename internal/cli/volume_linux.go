package cli

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// holdVolume keeps a volume from being removed, until what it returns is closed. alone says that nobody else holds it,
// nor can until shareVolume. It waits for who fills the volume or removes it. fs.ErrNotExist says that the volume was
// removed meanwhile, perhaps for another of its name.
func holdVolume(dir string) (held *os.File, alone bool, err error) {
	// The second time, because it may have been the glance of a "volume ls" that was in the way.
	hows := []int{unix.LOCK_EX | unix.LOCK_NB, unix.LOCK_SH, unix.LOCK_EX | unix.LOCK_NB, unix.LOCK_SH}
	held, how, err := lockVolume(dir, hows...)
	return held, how&unix.LOCK_EX != 0, err
}

// shareVolume lets others hold the volume as well. On the way from one lock to the other there is none (flock(2)), so
// that the error may be fs.ErrNotExist.
func shareVolume(held *os.File, dir string) error {
	if err := flock(held, unix.LOCK_SH); err != nil {
		return &os.PathError{Op: "flock", Path: dir, Err: err}
	}
	return stillAt(held, dir)
}

// ownVolume is for its removal: an error says that somebody uses it.
func ownVolume(dir string) (release func(), err error) {
	held, _, err := lockVolume(dir, unix.LOCK_EX|unix.LOCK_NB)
	return func() { held.Close() }, err
}

// lockVolume asks for one lock after another until it gets an exclusive one, or the last. What could not be had has
// taken the lock before it away (flock(2)).
func lockVolume(dir string, hows ...int) (held *os.File, how int, err error) {
	held, err = os.Open(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, how = range hows {
		err = flock(held, how)
		if err == nil && how&unix.LOCK_EX != 0 || err != nil && err != unix.EWOULDBLOCK {
			break
		}
	}
	if err != nil {
		err = &os.PathError{Op: "flock", Path: dir, Err: err}
	} else {
		err = stillAt(held, dir)
	}
	if err != nil {
		held.Close()
	}
	return held, how, err
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// stillAt is fs.ErrNotExist when a name does not lead to an open file any more.
func stillAt(f *os.File, path string) error {
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return &os.PathError{Op: "flock", Path: path, Err: fs.ErrNotExist}
	}
	return nil
}

// replaceEmpty renames a directory to the place of an empty one, which os.Rename refuses to do. It is fs.ErrExist when
// that is not empty (ENOTEMPTY, rename(2)).
func replaceEmpty(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.PathError{Op: "rename", Path: to, Err: err}
	}
	return nil
}
