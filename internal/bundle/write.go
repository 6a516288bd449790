package bundle

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Write makes dir a bundle: config.json, which only its owner can read since it holds the environment, and
// the directory of a relative root.path. A config.json that is there already stays, and is an error.
func Write(dir string, spec *specs.Spec) error {
	if root := spec.Root; root != nil && !filepath.IsAbs(root.Path) {
		if err := os.MkdirAll(filepath.Join(dir, root.Path), 0o755); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, "config.json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(encode(spec))
	return errors.Join(err, f.Close())
}

// textMax bounds /etc/passwd and its kind in a rootfs that somebody else made.
const textMax = 1 << 20

// ReadRootfs is the text of a file of a rootfs, found as the container would find it: no symbolic link
// leads out, whoever made the rootfs. A file that does not exist is empty.
func ReadRootfs(rootfs, name string) (string, error) {
	f, err := openInRoot(rootfs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readText(f)
}

// readText reads a regular file of a bounded size: not a FIFO that never ends, nor a device.
func readText(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	text, err := io.ReadAll(io.LimitReader(f, textMax+1))
	if len(text) > textMax {
		return "", &fs.PathError{Op: "read", Path: f.Name(), Err: errors.New("larger than 1 MiB")}
	}
	return string(text), err
}
