package libcontainer

import (
	"path/filepath"

	"github.com/locald/locald/libcontainer/internal/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Bundle is a bundle directory that is held open, and the one reading of its config.json.
type Bundle struct {
	Spec    *specs.Spec // what config.json said when it was read: the only reading there is
	Path    string      // absolute; for messages, and for relative paths below a joined mount namespace
	Unknown []string    // JSON pointers of members that the specification does not know, which count for nothing
	text    []byte      // config.json
	fd      int
}

// Config is config.json as it was read.
func (b *Bundle) Config() []byte { return b.text }

// Open opens the bundle directory and reads config.json in it, once. Errors: an errno with the path; a
// *ProblemError when config.json is no JSON or not that of a bundle.
func Open(dir string) (*Bundle, error) { return OpenWith(dir, "") }

// OpenWith is Open with the file of another path in place of the config.json in the directory, unless it is "".
func OpenWith(dir, config string) (*Bundle, error) {
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
	if config != "" {
		b.text, err = readFile(unix.AT_FDCWD, config, "it stands for the config.json of the bundle")
	} else {
		b.text, err = readConfig(fd)
	}
	if err == nil {
		err = b.decode()
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return b, nil
}

func (b *Bundle) decode() (err error) {
	b.Spec, b.Unknown, err = config.DecodeUnknown(b.text)
	return syntaxProblem(err, "")
}

// Close lets go of the bundle directory.
func (b *Bundle) Close() error { return unix.Close(b.fd) }

// readConfig reads config.json.
func readConfig(dir int) ([]byte, error) {
	return readFile(dir, "config.json", "a bundle is a directory with config.json and a rootfs")
}

// ReadProcess reads a process object (config.md, Process) from a file, as engines hand it to exec. unknown is
// Bundle.Unknown of it. Errors are those of Open.
func ReadProcess(path string) (p *specs.Process, unknown []string, err error) {
	text, err := readFile(unix.AT_FDCWD, path, "")
	if err != nil {
		return nil, nil, err
	}
	p, unknown, err = config.DecodeProcess(text)
	return p, below("/process", unknown), syntaxProblem(err, "/process")
}

// below are pointers into a part of config.json as pointers into the whole.
func below(part string, pointers []string) []string {
	for i := range pointers {
		pointers[i] = part + pointers[i]
	}
	return pointers
}

// ReadResources is ReadProcess for linux.resources, as engines hand it to update; "-" is standard input.
func ReadResources(path string) (r *specs.LinuxResources, unknown []string, err error) {
	var text []byte
	if path == "-" {
		text, err = readStream(0)
	} else {
		text, err = readFile(unix.AT_FDCWD, path, "")
	}
	if err != nil {
		return nil, nil, err
	}
	r, unknown, err = config.DecodeResources(text)
	return r, below("/linux/resources", unknown), syntaxProblem(err, "/linux/resources")
}

// readStream reads what may be a pipe to its end.
func readStream(fd int) ([]byte, error) {
	var text []byte
	buf := make([]byte, 16<<10)
	for len(text) <= config.MaxSize {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &OpError{PhaseOpened, -1, "read standard input", "", errnoOf(err), ""}
		}
		if n == 0 {
			return text, nil
		}
		text = append(text, buf[:n]...)
	}
	return nil, &OpError{PhaseOpened, -1, "read standard input", "", unix.EFBIG, "4 MiB is the most"}
}

// readText is the text of a file of the kernel's; "" where there is none. Package os would make an epoll set to open it,
// and the Go runtime ends the program when it cannot have one (EMFILE).
func readText(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	text, _ := readStream(fd)
	return string(text)
}

// syntaxProblem is a SyntaxError in a document that stands for a part of config.json.
func syntaxProblem(err error, below string) error {
	e, ok := err.(*config.SyntaxError)
	if !ok {
		return err
	}
	reason := "the file is " + e.Reason
	if e.Offset >= 0 {
		reason = e.Reason + " (byte " + itoa(e.Offset) + ")"
	}
	return &ProblemError{[]Problem{{below + e.Pointer, reason, ""}}}
}

// readFile reads a file that must be a regular one: opening a FIFO must not wait for its writer, nor a device be
// touched.
func readFile(dir int, name, hint string) ([]byte, error) {
	fail := func(err error, hint string) error {
		return &OpError{PhaseOpened, -1, "read " + name, "", errnoOf(err), hint}
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fail(err, hint)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fail(err, "")
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fail(unix.EINVAL, name+" must be a regular file")
	}
	if st.Size > config.MaxSize {
		return nil, fail(unix.EFBIG, name+" may have 4 MiB")
	}
	buf, err := readExactly(fd, st.Size)
	if err == unix.EAGAIN {
		return nil, fail(err, name+" grew while it was read")
	}
	if err != nil {
		return nil, fail(err, "")
	}
	return buf, nil
}

// readExactly reads a file of size bytes, or fewer; EAGAIN says that it has grown.
func readExactly(fd int, size int64) ([]byte, error) {
	buf := make([]byte, size+1) // one more, to see the end, and growth
	n := 0
	for n < len(buf) {
		k, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if k == 0 {
			return buf[:n], nil
		}
		n += k
	}
	return nil, unix.EAGAIN
}
