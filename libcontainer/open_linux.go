package libcontainer

import (
	"path/filepath"

	"github.com/locald/locald/libcontainer/internal/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Bundle is a bundle directory that is held open, and the one reading of its config.json.
type Bundle struct {
	Spec *specs.Spec // what config.json said when it was read: the only reading there is
	Path string      // absolute; for messages, and for relative paths below a joined mount namespace
	fd   int
}

// Open opens the bundle directory and reads config.json in it, once. Errors: an errno with the path; a
// *ProblemError when config.json is no JSON or not that of a bundle.
func Open(dir string) (*Bundle, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &OpError{PhaseOpened, -1, "open bundle " + dir, "", errnoOf(err), "--bundle names a directory that holds config.json"}
	}
	b := &Bundle{Path: dir, fd: fd}
	if !filepath.IsAbs(dir) {
		// The working directory may be gone or out of reach; only a joined mount namespace needs the path.
		if abs, err := filepath.Abs(dir); err == nil {
			b.Path = abs
		}
	}
	data, err := readConfig(fd)
	if err == nil {
		b.Spec, err = config.Decode(data)
		if e, ok := err.(*config.SyntaxError); ok {
			reason := "the file is " + e.Reason
			if e.Offset >= 0 {
				reason = e.Reason + " (byte " + itoa(e.Offset) + ")"
			}
			err = &ProblemError{[]Problem{{e.Pointer, reason, ""}}}
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return b, nil
}

// Close lets go of the bundle directory.
func (b *Bundle) Close() error { return unix.Close(b.fd) }

// readConfig reads config.json, which must be a regular file: opening a FIFO must not wait for its
// writer, nor a device be touched.
func readConfig(dir int) ([]byte, error) {
	fail := func(err error, hint string) error {
		return &OpError{PhaseOpened, -1, "read config.json", "", errnoOf(err), hint}
	}
	fd, err := unix.Openat(dir, "config.json", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fail(err, "a bundle is a directory with config.json and a rootfs")
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fail(err, "")
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fail(unix.EINVAL, "config.json must be a regular file")
	}
	if st.Size > config.MaxSize {
		return nil, fail(unix.EFBIG, "config.json may have 4 MiB")
	}
	buf := make([]byte, st.Size+1) // one more, to see the end, and growth
	n := 0
	for n < len(buf) {
		k, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fail(err, "")
		}
		if k == 0 {
			return buf[:n], nil
		}
		n += k
	}
	return nil, fail(unix.EAGAIN, "config.json grew while it was read")
}
