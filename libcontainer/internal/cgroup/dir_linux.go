package cgroup

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// beneath is how every name of a cgroup is resolved. The tree has no symbolic links and nothing is
// mounted in it, unless someone made it so to lead us elsewhere.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// openDir opens a directory for use as the start of other calls. O_PATH is enough for that, for
// CLONE_INTO_CGROUP and for BPF_PROG_ATTACH, and needs no permission on the directory itself.
func openDir(at int, rel string) (int, error) {
	return openat2(at, rel, unix.O_PATH|unix.O_DIRECTORY)
}

func openat2(at int, rel string, flags uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: beneath}
	err = retry(func() error {
		fd, err = unix.Openat2(at, rel, &how)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

func openFile(at int, path string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(at, path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// readFile reads a file of a cgroup; name is one name.
func readFile(dir int, name string) (string, error) {
	fd, err := openat2(dir, name, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readFD(fd)
}

// readFD reads from the start. The files that are read here are short, but cgroup.controllers could grow.
func readFD(fd int) (string, error) {
	var text []byte
	buf := make([]byte, 1024)
	for {
		n := 0
		err := retry(func() (err error) {
			n, err = unix.Pread(fd, buf, int64(len(text)))
			return err
		})
		if err != nil {
			return "", err
		}
		if n == 0 {
			return string(text), nil
		}
		text = append(text, buf[:n]...)
	}
}

// writeFile writes a file of a cgroup; name is one name. The kernel takes a value in one write.
func writeFile(dir int, name, value string) error {
	fd, err := openat2(dir, name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return retry(func() error {
		_, err := unix.Write(fd, []byte(value))
		return err
	})
}

func mkdir(dir int, name string) error {
	return retry(func() error { return unix.Mkdirat(dir, name, 0o755) })
}

func rmdir(dir int, name string) error {
	return retry(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
}

// checkMagic refuses a directory that is not in a cgroup file system of the wanted version: anywhere
// else the same calls would make plain directories and files.
func checkMagic(fd int, magic int64) error {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return err
	}
	if int64(st.Type) != magic {
		return unix.EINVAL
	}
	return nil
}

// retry repeats a call that a signal interrupted. Not EAGAIN: openat2 gives that for paths with ".."
// only, and mkdir gives it where cgroup.max.descendants is reached.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// gone reports whether an error says that the directory does not exist: by its name, or because it
// was removed while it was open.
func gone(err error) bool { return err == unix.ENOENT || err == unix.ENODEV }

func errno(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EIO
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
