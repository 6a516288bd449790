package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// HelloPath is the program of the rootfs that WriteHello makes.
const HelloPath = "/hello"

// UnpackPath is the same program by the name under which it writes the layers of images to LayersPath.
const (
	UnpackPath = "/unpack"
	LayersPath = "/layers"
)

// helloDirs are the mount points of a container whose rootfs is read-only.
var helloDirs = [...]string{"dev", "etc", "layers", "proc", "sys/fs/cgroup", "tmp"}

// WriteHello fills an empty directory with the rootfs of builtin:hello: the program in executable, which
// must be static, and empty mount points. Every directory can be read by any id of the container.
func WriteHello(rootfs, executable string) error {
	for _, dir := range helloDirs {
		if err := os.MkdirAll(filepath.Join(rootfs, dir), 0o755); err != nil {
			return err
		}
	}
	from, err := os.Open(executable)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(rootfs, HelloPath), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = os.Symlink(HelloPath[1:], filepath.Join(rootfs, UnpackPath))
	}
	// The caller's umask may have taken bits away that another id of the container needs.
	return errors.Join(err, to.Chmod(0o755), to.Close(), chmodDirs(rootfs))
}

func chmodDirs(rootfs string) error {
	return filepath.WalkDir(rootfs, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return err
	})
}

// CachedHello is the rootfs of builtin:hello for this executable, below the directory cache. It is made
// once for each build and appears whole or not at all: it is filled beside its place and then renamed.
func CachedHello(cache, executable string) (rootfs string, err error) {
	info, err := os.Stat(executable)
	if err != nil {
		return "", err
	}
	// A rebuilt binary has another time or size. Hashing its content would cost more than a whole run.
	key := strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36)
	builtin := filepath.Join(cache, "builtin")
	rootfs = filepath.Join(builtin, key, "rootfs")
	if _, err := os.Lstat(rootfs + HelloPath); err == nil {
		return rootfs, nil
	}
	if err := os.MkdirAll(builtin, 0o755); err != nil {
		return "", err
	}
	removeOld(builtin)
	made, err := os.MkdirTemp(builtin, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(made)
	if err := os.Mkdir(filepath.Join(made, "rootfs"), 0o755); err != nil {
		return "", err
	}
	if err := WriteHello(filepath.Join(made, "rootfs"), executable); err != nil {
		return "", err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return "", err
	}
	// Another locald may have been faster; its directory is as good. A directory is renamed onto an empty
	// one only (rename(2)), so neither can damage the other.
	err = os.Rename(made, filepath.Join(builtin, key))
	if _, lost := os.Lstat(rootfs + HelloPath); err != nil && lost != nil {
		return "", fmt.Errorf("%s: %w", builtin, err)
	}
	return rootfs, nil
}

// helloAge is how long the rootfs of an earlier build stays, and what a killed locald left half made.
const helloAge = 24 * time.Hour

// removeOld is tidiness: what cannot be removed stays until next time.
func removeOld(builtin string) {
	entries, _ := os.ReadDir(builtin)
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > helloAge {
			os.RemoveAll(filepath.Join(builtin, entry.Name()))
		}
	}
}
