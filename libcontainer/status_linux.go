package libcontainer

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// StatusPaused is the status of a container whose processes are frozen.
const StatusPaused specs.ContainerState = "paused"

// List is the states of all containers of a StateDir, in the order of their ids. One that goes away meanwhile is left
// out. The annotations are in config.json, which is read only when they are asked for. No container keeps a descriptor
// open meanwhile, so that the limit of those does not limit the list.
func List(stateDir string, annotations bool) ([]State, error) {
	s, err := lookup(stateDir, "")
	if err == ErrNotExist {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.drop()
	names, err := readNames(s.root)
	if err != nil {
		return nil, stateError("read "+stateDir, err)
	}
	var v viewer
	defer v.close()
	list := make([]State, 0, len(names))
	for _, id := range names {
		if !ValidID(id) {
			continue
		}
		s.id = id
		rec, err := v.read(s)
		if err != nil {
			continue
		}
		st := v.state(s, &rec, lives(rec.Pid, rec.Start))
		if annotations {
			if st.Annotations, err = s.annotations(); err != nil {
				continue
			}
		}
		list = append(list, st)
	}
	return list, nil
}

// State is the state of a container (runtime.md, State), as it is at this moment. Its Pid is 0 when it is stopped.
func (c *Container) State() (State, error) {
	var v viewer
	defer v.close()
	s, err := lookup(c.StateDir, c.ID)
	if err != nil {
		return State{}, err
	}
	defer s.drop()
	st := v.state(s, &c.run.record, c.alive())
	st.Annotations, err = s.annotations()
	return st, err
}

// Status is what can be seen of the container at this moment: created, running, stopped, or paused, which is not the
// specification's.
func (c *Container) Status() specs.ContainerState {
	var v viewer
	defer v.close()
	s, err := lookup(c.StateDir, c.ID)
	if err != nil {
		return specs.StateStopped
	}
	defer s.drop()
	return v.status(s, &c.run.record, c.alive())
}

// viewer looks at one container after another.
type viewer struct {
	tree    cgroup.V2
	opened  bool
	records config.StateDecoder
	text    [4096]byte
}

func (v *viewer) close() {
	if v.opened {
		v.tree.Close()
	}
}

// read is stateDir.read for many: a record is replaced as a whole and never written to, so that one read(2) has all of
// it, unless it is longer than others.
func (v *viewer) read(s *stateDir) (record, error) {
	fd, err := s.open("state.json")
	if err != nil {
		return record{}, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, v.text[:])
	if err != nil || n == len(v.text) {
		return s.read()
	}
	return v.records.Decode(v.text[:n])
}

func (v *viewer) state(s *stateDir, r *record, alive bool) State {
	st := State{State: specs.State{Version: specs.Version, ID: s.id, Status: v.status(s, r, alive), Bundle: r.Bundle}, Rootfs: r.Rootfs, Created: r.Created}
	if st.Status != specs.StateStopped {
		st.Pid = r.Pid
	}
	return st
}

func (v *viewer) status(s *stateDir, r *record, alive bool) specs.ContainerState {
	switch {
	case !alive:
		return specs.StateStopped
	case s.waitsForStart():
		return specs.StateCreated
	case v.frozen(r):
		return StatusPaused
	}
	return specs.StateRunning
}

func (v *viewer) frozen(r *record) bool {
	if r.Cgroup == "" {
		return false
	}
	if !v.opened {
		v.tree, v.opened = cgroup.OpenV2("/sys/fs/cgroup"), true
	}
	return v.tree.Frozen(r.Cgroup)
}

func (c *Container) frozen() bool {
	var v viewer
	defer v.close()
	return v.frozen(&c.run.record)
}

// alive says whether the first process has not ended: a pidfd can be read when the last of its threads has (the first
// thread is shown as a zombie before that).
func (c *Container) alive() bool { return c.run.pidfd >= 0 && !ended(c.run.pidfd) }

func ended(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		return n != 0
	}
}

// lives is alive for the process of a record that nothing will be done to: it needs no pidfd, unless the first thread
// has ended.
func lives(pid int, start uint64) bool {
	if pid <= 0 {
		return false
	}
	began, zombie, err := processStat(pid)
	if err != nil || began != start {
		return false
	}
	if !zombie {
		return true
	}
	fd, err := openProcess(&record{Pid: pid, Start: start})
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return !ended(fd)
}

// startTime is when a process started, in clock ticks since boot: with its pid it names the process for good
// (proc_pid_stat(5), field 22). One that has ended has it too, until it is waited for.
func startTime(pid int) (uint64, error) {
	start, _, err := processStat(pid)
	return start, err
}

// processStat is the start of a process, and whether its first thread has ended.
func processStat(pid int) (start uint64, zombie bool, err error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return 0, false, unix.ESRCH
	}
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return 0, false, err
	}
	// The name, field 2, may hold anything, blanks and parentheses too; no later field holds a parenthesis.
	rest := buf[bytes.LastIndexByte(buf[:n], ')')+1 : n]
	field := 2
	for word := range bytes.FieldsSeq(rest) {
		switch field++; field {
		case 3:
			zombie = word[0] == 'Z' || word[0] == 'X'
		case 22:
			start, err = strconv.ParseUint(string(word), 10, 64)
			return start, zombie, err
		}
	}
	return 0, false, unix.EIO
}

// waitsForStart: a FIFO that nobody reads cannot be opened for writing only (ENXIO: open(2)).
func (s *stateDir) waitsForStart() bool {
	fd, err := s.openStart()
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

func (s *stateDir) openStart() (int, error) {
	return unix.Openat(s.root, s.id+"/start", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
}

// annotations are those of config.json as it was when the container was made.
func (s *stateDir) annotations() (map[string]string, error) {
	text, err := s.get("config.json")
	if err != nil {
		return nil, stateError("read "+s.id+"/config.json", err)
	}
	m, err := config.DecodeAnnotations(text)
	return m, syntaxProblem(err, "")
}

// readNames are the names in a directory, sorted.
func readNames(dir int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			slices.Sort(names)
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
