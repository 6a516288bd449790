package cli

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/shim"
)

// scratch is what a container in the foreground writes. It goes with the container.
type scratch struct {
	path   string
	fd     int
	app    *app
	helper shim.Helper
}

// newScratch makes it in the store, and removes what a killed locald left behind.
func (a *app) newScratch(helper shim.Helper, id string) (*scratch, error) {
	dir, err := dataDir()
	if err != nil {
		return nil, &failure{id: idStore, what: err.Error()}
	}
	parent := filepath.Join(dir, "running")
	if !overlayUpper(dir) {
		// An overlay cannot write into another, nor to NFS.
		if parent, err = runDir(); err != nil {
			return nil, &failure{id: idStore, what: err.Error()}
		}
		parent += "-written"
		a.note("the file system of " + dir + " cannot take what the container writes; it goes to " + parent)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, &failure{id: idStore, what: "no directory for what the container writes: " + err.Error()}
	}
	a.removeScratches(helper, parent)
	s := &scratch{path: filepath.Join(parent, id), app: a, helper: helper}
	for {
		if err := os.Mkdir(s.path, 0o700); err != nil {
			if errors.Is(err, os.ErrExist) {
				return nil, &failure{id: idUsage, what: "a container named " + id + " runs already", try: []string{"--name " + id + "2"}}
			}
			return nil, &failure{id: idStore, what: err.Error()}
		}
		// Another locald may take it for one left behind, as with bundles.
		if s.fd, err = lock(s.path); err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.ENOENT) {
			return nil, &failure{id: idStore, what: err.Error()}
		}
	}
	if err := makeScratch(s.path); err != nil {
		s.remove()
		return nil, &failure{id: idStore, what: err.Error()}
	}
	return s, nil
}

// makeScratch makes what an overlay needs beside its layers.
func makeScratch(dir string) error {
	for _, name := range []string{"rootfs", "upper", "work"} {
		path := filepath.Join(dir, name)
		// The upper directory's mode is that of the container's "/", whatever the umask.
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, 0o755)); err != nil {
			return err
		}
	}
	return nil
}

func (s *scratch) remove() {
	// The kernel makes these with no permissions at all, and leaves them there when the mount was volatile.
	for _, dir := range []string{"work", "work/incompat", "work/incompat/volatile"} {
		os.Chmod(filepath.Join(s.path, "work", dir), 0o700)
	}
	err := s.app.removeTrees(s.helper, filepath.Dir(s.path), filepath.Base(s.path))
	if err != nil {
		s.app.note("what the container wrote stays in " + s.path + ": " + err.Error())
	}
	unix.Close(s.fd)
}

func (a *app) removeScratches(helper shim.Helper, parent string) {
	entries, _ := os.ReadDir(parent)
	for _, entry := range entries {
		path := filepath.Join(parent, entry.Name())
		if fd, err := lock(path); err == nil {
			(&scratch{path: path, fd: fd, app: a, helper: helper}).remove()
		}
	}
}

// overlayUpper reports whether an overlay can have its upper directory on the file system of dir.
func overlayUpper(dir string) bool {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return true
	}
	return st.Type != unix.OVERLAYFS_SUPER_MAGIC && st.Type != unix.NFS_SUPER_MAGIC
}

// spare is the room that unpacking leaves on a disk, and unpackMax the largest layer, in bytes.
const (
	spare     = 256 << 20
	unpackMax = 64 << 30
)

// unpackLimit is how many bytes a layer may have: a few kilobytes of zeros can be many gigabytes.
func unpackLimit(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return unpackMax
	}
	return max(min(int64(st.Bavail)*st.Bsize-spare, unpackMax), 0)
}

// hideInput keeps a terminal from showing what is typed.
func hideInput(f *os.File) (restore func()) {
	old, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return func() {}
	}
	hidden := *old
	hidden.Lflag &^= unix.ECHO
	unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &hidden)
	return func() { unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, old) }
}
