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

// The programs in the rootfs that WriteProgram makes, by which they know what they are.
const (
	HelloPath  = "/hello"  // locald, as builtin:hello
	UnpackPath = "/unpack" // locald-registry, which writes the layers of images to LayersPath
	LayersPath = "/layers"
)

// programDirs are the mount points of a container whose rootfs is read-only.
var programDirs = [...]string{"dev", "etc", "layers", "proc", "sys/fs/cgroup", "tmp"}

// WriteProgram fills an empty directory with a rootfs that holds one program, under the path program: executable,
// which must be static, and empty mount points. Every directory can be read by any id of the container.
func WriteProgram(rootfs, program, executable string) error {
	for _, dir := range programDirs {
		if err := os.MkdirAll(filepath.Join(rootfs, dir), 0o755); err != nil {
			return err
		}
	}
	from, err := os.Open(executable)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(rootfs, program), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
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

// CachedProgram is the rootfs of WriteProgram below the directory cache. It is made once for each build of
// executable, and appears whole or not at all: it is filled beside its place and then renamed.
func CachedProgram(cache, program, executable string) (rootfs string, err error) {
	info, err := os.Stat(executable)
	if err != nil {
		return "", err
	}
	// A rebuilt binary has another time or size. Hashing its content would cost more than a whole run.
	key := program[1:] + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36)
	builtin := filepath.Join(cache, "builtin")
	rootfs = filepath.Join(builtin, key, "rootfs")
	if _, err := os.Lstat(rootfs + program); err == nil {
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
	if err := WriteProgram(filepath.Join(made, "rootfs"), program, executable); err != nil {
		return "", err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return "", err
	}
	// Another locald may have been faster; its directory is as good. A directory is renamed onto an empty
	// one only (rename(2)), so neither can damage the other.
	err = os.Rename(made, filepath.Join(builtin, key))
	if _, lost := os.Lstat(rootfs + program); err != nil && lost != nil {
		return "", fmt.Errorf("%s: %w", builtin, err)
	}
	return rootfs, nil
}

// programAge is how long the rootfs of an earlier build stays, and what a killed locald left half made.
const programAge = 24 * time.Hour

// removeOld is tidiness: what cannot be removed stays until next time.
func removeOld(builtin string) {
	entries, _ := os.ReadDir(builtin)
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > programAge {
			os.RemoveAll(filepath.Join(builtin, entry.Name()))
		}
	}
}
