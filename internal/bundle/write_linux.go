package bundle

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openInRoot resolves name with rootfs as "/", as the container does: an absolute symbolic link starts again
// at rootfs, and ".." stops there (openat2(2), RESOLVE_IN_ROOT). O_NONBLOCK keeps a FIFO from blocking.
func openInRoot(rootfs, name string) (*os.File, error) {
	dir, err := unix.Open(rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: rootfs, Err: err}
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	full := filepath.Join(rootfs, name)
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: full, Err: err}
	}
	return os.NewFile(uintptr(fd), full), nil
}
