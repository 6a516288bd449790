package cli

import (
	"debug/buildinfo"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/shim"
)

// missingDirs are the directories that have to be made for dir, outermost first. What is there must be
// root's alone, up to the root directory, and must honour the set-user-ID bit.
func missingDirs(dir string) ([]string, error) {
	var missing []string
	for {
		_, err := os.Lstat(dir)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append([]string{dir}, missing...)
		dir = filepath.Dir(dir)
	}
	const other = "sudo locald setup --shim-dir /usr/libexec/locald"
	unsafe, err := shim.UnsafeDir(dir)
	if err != nil {
		return nil, err
	}
	if unsafe != "" {
		return nil, &failure{id: idUnsafe, what: unsafe + ", so others could replace a locald-shim in it", try: []string{other}}
	}
	ignored, err := shim.NoSUID(dir)
	if err != nil {
		return nil, err
	}
	if ignored {
		return nil, &failure{id: idNoSUID, what: dir + " is mounted nosuid, so the shim cannot work from there", try: []string{other}}
	}
	return missing, nil
}

// makeDir does not let the umask decide.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// install puts a copy of source at target, whole or not at all. The copy is looked at and asked for its
// version before it gets any power; nobody but root can change it then.
func install(source, target string, who executors) error {
	temp, err := copyBeside(source, target)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := checkBuild(temp); err != nil {
		return err
	}
	version, err := shim.Helper{Path: temp}.Version()
	if err != nil {
		return errors.New(source + ": " + err.Error())
	}
	if version != shim.Version {
		return &failure{id: idVersion, what: source + " is " + version + " but this locald needs " + shim.Version, try: []string{"make"}}
	}
	if err := arm(temp, who); err != nil {
		return err
	}
	if err := takeBit(target); err != nil {
		return err
	}
	if err := os.Rename(temp, target); err != nil {
		return err
	}
	if err := fix(target); err != nil {
		return err
	}
	return syncDir(filepath.Dir(target))
}

// fix makes an installed helper immutable (chattr(1)), where the file system knows that: root in a container of root's
// cannot write it then (CVE-2019-5736), and the helper need not see to that at every start.
func fix(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return setImmutable(f, true)
}

const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h

// setImmutable does nothing where there is nothing to change.
func setImmutable(f *os.File, on bool) error {
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil || (flags&immutable != 0) == on {
		return nil // no such flags, as on overlay and NFS
	}
	err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags^immutable)
	if on && (err == unix.EOPNOTSUPP || err == unix.EPERM) { // not this flag; no CAP_LINUX_IMMUTABLE, as in a container
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "change the flags of", Path: f.Name(), Err: err}
	}
	return nil
}

// copyBeside copies source to a new file in the directory of target, for root alone.
func copyBeside(source, target string) (temp string, err error) {
	from, err := os.OpenFile(source, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New(source + " is not a regular file")
	}
	to, err := os.CreateTemp(filepath.Dir(target), "."+shim.Name+"-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Chmod(0o700), to.Sync(), to.Close()); err != nil {
		os.Remove(to.Name())
		return "", err
	}
	return to.Name(), nil
}

// checkBuild refuses builds that do more than the program says: a coverage build writes files where its
// caller's environment points, and with cgo the dynamic loader runs first.
func checkBuild(path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	for _, s := range info.Settings {
		switch {
		case (s.Key == "-cover" || s.Key == "-race" || s.Key == "-msan" || s.Key == "-asan") && s.Value == "true":
			return errors.New("locald-shim was built with " + s.Key + ", which must not be set-user-ID")
		case s.Key == "CGO_ENABLED" && s.Value == "1":
			return errors.New("locald-shim was built with cgo, which must not be set-user-ID")
		}
	}
	return nil
}

// arm makes a file root's and set-user-ID, in this order: a change of the owner takes the bit away (chown(2)).
func arm(path string, who executors) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return errors.Join(f.Chown(0, who.gid), f.Chmod(who.mode), f.Sync())
}

// takeBit makes an installed helper powerless under every name it has: somebody may keep a hard link to it,
// to use its mistakes after an upgrade (CVE-2021-44730).
func takeBit(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ELOOP):
		return nil // a symbolic link: the rename replaces it, and what it leads to is not ours
	case err != nil:
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if err := setImmutable(f, false); err != nil {
		return err
	}
	return f.Chmod(0)
}

// disarm removes an installed helper for good.
func disarm(path string) error {
	if err := takeBit(path); err != nil {
		return err
	}
	return removeFile(path)
}

func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeBlank leaves a file in which somebody has written something since.
func removeBlank(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || strings.TrimSpace(string(text)) != "" {
		return err
	}
	return removeFile(path)
}

// removeEmpty leaves a directory in which somebody has put something since.
func removeEmpty(dir string) error {
	err := syscall.Rmdir(dir)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		return nil
	}
	return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
}

// edit changes a file of the system as shadow's tools do: with its lock, and by a new file in its place.
func edit(path string, change func(string) string) error {
	lock := path + ".lock"
	f, err := os.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New(lock + " exists: another program is changing the file; if none is, remove it")
	}
	if err != nil {
		return err
	}
	f.Close()
	defer os.Remove(lock)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replace(path, []byte(change(string(text))), 0o644)
}

// replace gives a file new content, whole or not at all.
func replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chown(0, 0), f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
