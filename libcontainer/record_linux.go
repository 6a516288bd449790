package libcontainer

import (
	"strconv"
	"strings"
	"time"

	"github.com/locald/locald/internal/jsontext"
	"github.com/locald/locald/libcontainer/internal/config"
	"golang.org/x/sys/unix"
)

// newRecord is the record of a container whose first process is pid.
func newRecord(c *Container, pid int) (record, error) {
	start, err := startTime(pid) // also of one that has ended: it is a child that nobody has waited for
	if err != nil {
		return record{}, err
	}
	r := record{Pid: pid, Start: start, Created: time.Now().UTC().Format(time.RFC3339Nano), Bundle: c.Bundle.Path, Cgroup: c.Program.CgroupPath, Detached: c.Program.Mode == ModeCreate}
	if s := c.Program.Scope; s != nil {
		r.Scope, r.Bus = s.Unit.Name, s.Bus
	}
	if root := c.Bundle.Spec.Root; root != nil {
		r.Rootfs = root.Path
		if !strings.HasPrefix(root.Path, "/") {
			r.Rootfs = strings.TrimSuffix(c.Bundle.Path, "/") + "/" + root.Path
		}
	}
	return r, nil
}

// record is state.json: what has to be known of a container after the process that made it is gone. Whether it runs
// is not in it, but seen.
type record = config.State

func encodeRecord(r record) string {
	return `{"pid":` + strconv.Itoa(r.Pid) + `,"start":` + strconv.FormatUint(r.Start, 10) + `,"created":` + jsontext.String(r.Created) +
		`,"bundle":` + jsontext.String(r.Bundle) + `,"rootfs":` + jsontext.String(r.Rootfs) + `,"cgroup":` + jsontext.String(r.Cgroup) +
		`,"scope":` + jsontext.String(r.Scope) + `,"bus":` + jsontext.String(r.Bus) + `,"detached":` + strconv.FormatBool(r.Detached) + "}\n"
}

// write replaces the record: a reader, and a crash, see the old one or the new one.
func (s *stateDir) write(r record) error {
	name := s.id + "/state.json"
	err := s.put("state.json.new", []byte(encodeRecord(r)))
	if err == nil {
		err = unix.Renameat(s.root, name+".new", s.root, name)
	}
	if err != nil {
		return stateError("write "+name, err)
	}
	return nil
}

// put writes a file of the directory.
func (s *stateDir) put(name string, text []byte) error {
	fd, err := unix.Openat(s.root, s.id+"/"+name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for len(text) > 0 {
		n, err := unix.Write(fd, text)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// maxStateFile is as much as a config.json may have: anybody who owns the directory can put a larger file there.
const maxStateFile = 4 << 20

// get reads a file of the directory.
func (s *stateDir) get(name string) ([]byte, error) {
	fd, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size > maxStateFile {
		return nil, unix.EFBIG
	}
	return readExactly(fd, st.Size)
}

func (s *stateDir) open(name string) (int, error) {
	return unix.Openat(s.root, s.id+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// read is the record; ENOENT where there is none.
func (s *stateDir) read() (record, error) {
	text, err := s.get("state.json")
	if err != nil {
		return record{}, err
	}
	return config.DecodeState(text)
}
