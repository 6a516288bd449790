package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/shim"
)

// hostScratch is what a container on the machine's own files writes, and its mount points.
type hostScratch struct {
	scratch
	parent string
}

// hostScratchDirs are where it may be, the best first. Memory is fast, and /dev/shm has more of it than a session's
// directory has, which others need.
func hostScratchDirs() []string {
	name := "locald-" + strconv.Itoa(os.Getuid())
	list := []string{filepath.Join("/dev/shm", name)}
	if dir, err := runDir(); err == nil {
		list = append(list, dir+"-try")
	}
	return append(list, filepath.Join("/var/tmp", name), filepath.Join(os.TempDir(), name+"-try"))
}

// newHostScratch makes it where overlays can have their upper directories, and removes what a killed locald left behind.
func (a *app) newHostScratch(helper shim.Helper, id string, v *hostView) (*hostScratch, error) {
	var why error
	for _, parent := range hostScratchDirs() {
		if slices.ContainsFunc(v.over, func(dir string) bool { return bundle.Within(parent, dir) }) {
			continue // an overlay's upper directory must not be in its lower one
		}
		s, err := a.hostScratchIn(helper, parent, id)
		if err == nil {
			if err = s.fill(v); err == nil {
				return s, nil
			}
			s.remove()
		}
		why = errors.Join(why, err)
	}
	return nil, &failure{id: idHostView, what: "there is no place for what the program writes: " + why.Error()}
}

func (a *app) hostScratchIn(helper shim.Helper, parent, id string) (*hostScratch, error) {
	for {
		if _, err := privateDir(parent, os.Getuid()); err != nil {
			return nil, err
		}
		a.removeScratches(helper, parent)
		s := &hostScratch{scratch{path: filepath.Join(parent, id), app: a, helper: helper}, parent}
		err := os.Mkdir(s.path, 0o700)
		if err == nil {
			// Another locald may take it for one left behind, as with bundles.
			s.fd, err = lock(s.path)
		}
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.ENOENT): // another locald has just removed it, or parent
		default:
			return nil, err
		}
	}
}

// fill makes the directories, and says in v where they are.
func (s *hostScratch) fill(v *hostView) error {
	dir := func(name string, mode os.FileMode) (string, error) {
		path := filepath.Join(s.path, name)
		return path, errors.Join(os.Mkdir(path, mode), os.Chmod(path, mode), v.give(path))
	}
	root, err := dir("root", 0o755)
	if err != nil {
		return err
	}
	for _, name := range v.links {
		target, err := os.Readlink("/" + name)
		if err == nil {
			err = os.Symlink(target, filepath.Join(root, name))
		}
		if err != nil {
			return err
		}
	}
	if err := s.cover(v, dir); err != nil {
		return err
	}
	if len(v.hidden) == 0 {
		return nil
	}
	nothing, err := dir("nothing", 0o555)
	if err != nil {
		return err
	}
	v.Masked = nil
	for _, path := range v.hidden {
		info, err := os.Stat(path)
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return err
		case err != nil || !info.IsDir():
			// Sockets come and go: what is not there when the container starts needs no mask.
			v.Masked = append(v.Masked, path)
			continue
		}
		v.Binds = append(v.Binds, specs.Mount{Destination: path, Type: "bind", Source: nothing, Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev", "noexec"}})
	}
	return nil
}

// cover makes the upper directories. Each has the mode of what it covers, which it takes the place of.
func (s *hostScratch) cover(v *hostView, dir func(string, os.FileMode) (string, error)) error {
	v.Covered, v.Binds = nil, nil
	if v.who.Root() && v.realHome != "" {
		home, err := dir("upper0", 0o700)
		v.Binds = append(v.Binds, specs.Mount{Destination: v.realHome, Type: "bind", Source: home, Options: []string{"bind", "rprivate", "nosuid", "nodev"}})
		return err
	}
	for i, path := range v.over {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		upper, err := dir("upper"+strconv.Itoa(i), info.Mode().Perm())
		if err != nil {
			return err
		}
		// Without attributes of users an overlay cannot remember that a directory was made anew; tmpfs has them since
		// Linux 6.6.
		if err := unix.Setxattr(upper, "user.overlay.locald", nil, 0); err != nil {
			return &os.PathError{Op: "setxattr", Path: upper, Err: err}
		}
		work, err := dir("work"+strconv.Itoa(i), 0o700)
		if err != nil {
			return err
		}
		v.Covered = append(v.Covered, bundle.Cover{Path: path, Upper: upper, Work: work})
	}
	if len(v.over) > 0 && !overlayUpper(s.path) {
		return errors.New("the file system of " + s.path + " cannot hold what an overlay writes")
	}
	return nil
}

// give makes a file the container's, which is not root's in it.
func (v *hostView) give(path string) error {
	if !v.who.Root() {
		return nil
	}
	return os.Chown(path, int(v.ID), int(v.ID))
}

func (s *hostScratch) remove() {
	// Nearly all of it is the mount points in the root directory, which os.RemoveAll would open and read one by one.
	root := filepath.Join(s.path, "root")
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if path := filepath.Join(root, e.Name()); e.IsDir() {
			unix.Rmdir(path)
		} else {
			unix.Unlink(path)
		}
	}
	for _, name := range []string{"work0", "work1"} {
		os.Chmod(filepath.Join(s.path, name, "work"), 0o700) // the kernel makes it with no permissions at all
	}
	s.scratch.remove()
	os.Remove(s.parent)
}
