package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/container"
)

// bundleDir is the bundle of one run. It is locked as long as locald lives, so that another locald can tell
// one in use from one that a killed locald left behind.
type bundleDir struct {
	path string
	fd   int
	once sync.Once
}

// newBundleDir makes a private directory for one bundle, and removes those that nobody uses any more.
func newBundleDir(id string) (*bundleDir, error) {
	parent, err := runDir()
	if err != nil {
		return nil, err
	}
	return bundleDirIn(parent, id)
}

// bundleDirIn begins again when another locald took the directory for one left behind, between its making and
// its lock.
func bundleDirIn(parent, id string) (*bundleDir, error) {
	removeStale(parent)
	for {
		path, err := os.MkdirTemp(parent, id+"-")
		if err != nil {
			return nil, err
		}
		fd, err := lock(path)
		switch {
		case err == nil:
			return &bundleDir{path: path, fd: fd}, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.ENOENT):
			os.Remove(path)
			return nil, err
		}
	}
}

// remove takes the bundle away; a second call does nothing.
func (d *bundleDir) remove() {
	d.once.Do(func() {
		// Anything else in it somebody else put there.
		for _, name := range container.ForegroundFiles {
			os.Remove(filepath.Join(d.path, name))
		}
		os.Remove(filepath.Join(d.path, "config.json"))
		os.Remove(d.path)
		unix.Close(d.fd)
	})
}

// lock is EWOULDBLOCK when the directory is another locald's, and ENOENT when that has removed it.
func lock(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	if _, err := os.Lstat(path); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// removeStale removes what a killed locald left: a directory that can be locked is nobody's.
func removeStale(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, entry := range entries {
		path := filepath.Join(parent, entry.Name())
		if fd, err := lock(path); err == nil {
			(&bundleDir{path: path, fd: fd}).remove()
		}
	}
}

// runDir is where the bundles of this user are: memory that goes with the session or the machine.
func runDir() (string, error) {
	if uid := os.Getuid(); uid != 0 {
		home, err := runHome()
		if err != nil {
			return "", err
		}
		return privateDir(filepath.Join(home, "locald"), uid)
	}
	// Not XDG_RUNTIME_DIR: under sudo that may be the user's.
	if err := os.Mkdir("/run/locald", 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return privateDir("/run/locald/bundles", 0)
}

// runHome is XDG_RUNTIME_DIR, or what stands for it where there is no session that made one.
func runHome() (string, error) {
	uid := os.Getuid()
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		if owner, _, err := ownerMode(dir); err == nil && owner == uid {
			return dir, nil
		}
	}
	return privateDir(filepath.Join(os.TempDir(), "locald-"+strconv.Itoa(uid)), uid)
}

// privateDir is a directory that nobody else can look into. In /tmp somebody else may have made it first,
// to read along; then it is refused.
func privateDir(path string, uid int) (string, error) {
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	owner, mode, err := ownerMode(path)
	switch {
	case err != nil:
		return "", err
	case !mode.IsDir() || owner != uid || mode.Perm()&0o077 != 0:
		return "", errors.New(path + " is not a directory of yours alone; remove it")
	}
	return path, nil
}

// ownerMode does not follow a symbolic link.
func ownerMode(path string) (owner int, mode os.FileMode, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, &os.PathError{Op: "lstat", Path: path, Err: errors.ErrUnsupported}
	}
	return int(st.Uid), info.Mode(), nil
}
