package libcontainer

import (
	"strings"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"golang.org/x/sys/unix"
)

// stateDir is <StateDir>/<id>/. The file lock is held (flock(2)) by whoever works on the container: for the whole
// life of one that dies with its maker, else for one step of it. The kernel takes it back when its holder dies. Its
// text is the cgroup's path, written before there is a cgroup. So what is in a directory whose lock can be had is
// either a container on its own, which state.json says (Detached), or what a dead process has left.
//
//	lock         held by who works on the container; its text is the path of the cgroup
//	config.json  as it was when the container was made, to the byte
//	state.json   the record of a container that is made
//	start        FIFO at which a created container waits
//	report       FIFO on which it tells how its start went
//	seccomp      socket to which the listener of its seccomp filter is handed over
//	notify/      directory of a socket that the container finds mounted, see Container.Notify
//	hooks        FIFO to which its startContainer hooks write errors
type stateDir struct {
	root int // descriptor of StateDir
	id   string
	lock int
	left int64 // length of the lock's text when it was taken
}

// claimTries bounds the meetings with an owner that is just letting go. Something else than a directory in the id's
// place, which only its owner can have put there, would be met for ever.
const claimTries = 100

// claim takes id for this process. remove is called with the cgroup's path of a dead owner.
func claim(dir, id, cgroupPath string, remove func(string) error) (*stateDir, error) {
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, stateError("open "+dir, err)
	}
	s := &stateDir{root: root, id: id, lock: -1}
	for tries := 0; ; tries++ {
		if err := unix.Mkdirat(root, id, 0o700); err != nil && err != unix.EEXIST || tries == claimTries {
			unix.Close(root)
			return nil, stateError("make "+dir+"/"+id, err)
		}
		again, err := s.take(unix.O_CREAT)
		if err != nil {
			unix.Unlinkat(root, id, unix.AT_REMOVEDIR) // goes only when it is empty
			unix.Close(root)
			return nil, err
		}
		if !again {
			break
		}
	}
	if s.left > 0 { // else the lock is new, or its owner has died before there was anything
		rec, err := s.read()
		if err == nil && rec.Detached {
			s.drop()
			return nil, ErrInUse
		}
		if err != nil && err != unix.ENOENT { // what cannot be read now may be of a container that runs
			s.drop()
			return nil, stateError("read "+dir+"/"+id+"/state.json", err)
		}
	}
	old, err := s.text()
	if err == nil && old != "" {
		err = remove(old)
	}
	if err != nil {
		s.drop()
		return nil, stateError("remove what is left of "+id, err)
	}
	err = unix.Ftruncate(s.lock, 0)
	if err == nil {
		_, err = unix.Pwrite(s.lock, []byte(cgroupPath+"\n"), 0)
	}
	if err != nil {
		s.release()
		return nil, stateError("write "+dir+"/"+id+"/lock", err)
	}
	return s, nil
}

func stateError(op string, err error) error {
	if e, ok := err.(*cgroup.Error); ok {
		return &OpError{PhaseCompiled, -1, op + ": " + e.Op, "", e.Err, e.Hint}
	}
	return &OpError{PhaseCompiled, -1, op, "", errnoOf(err), hintFor("state", errnoOf(err))}
}

// take opens the lock file and locks it. again says that the file was removed meanwhile by its owner.
func (s *stateDir) take(create int) (again bool, err error) {
	name := s.id + "/lock"
	fd, err := unix.Openat(s.root, name, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW|create, 0o600)
	if err == unix.ENOENT && create != 0 {
		return true, nil // the directory went away
	}
	if err != nil {
		return false, stateError("open "+name, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		if err == unix.EWOULDBLOCK {
			return false, ErrInUse
		}
		return false, stateError("lock "+name, err)
	}
	var held, named unix.Stat_t
	if unix.Fstat(fd, &held) != nil || unix.Fstatat(s.root, name, &named, unix.AT_SYMLINK_NOFOLLOW) != nil || held.Ino != named.Ino || held.Dev != named.Dev {
		unix.Close(fd)
		return true, nil
	}
	s.lock, s.left = fd, held.Size
	return false, nil
}

// text is the path in the lock file; "" when it is new or was cut short by the owner's death, before
// which no cgroup was made.
func (s *stateDir) text() (string, error) {
	if s.left == 0 {
		return "", nil
	}
	var buf [4096]byte
	n, err := unix.Pread(s.lock, buf[:], 0)
	if err != nil {
		return "", err
	}
	line, _, whole := strings.Cut(string(buf[:n]), "\n")
	if !whole {
		return "", nil
	}
	return line, nil
}

// drop gives the lock back and leaves the files.
func (s *stateDir) drop() {
	closeFD(&s.lock)
	closeFD(&s.root)
}

// release removes the files, then gives the lock back. The record goes first: without it the rest is a dead
// process's.
func (s *stateDir) release() error {
	var err error
	for _, name := range [...]string{"/state.json", "/state.json.new", "/start", "/report", "/seccomp", "/notify/notify.sock", "/hooks", "/config.json", "/lock"} {
		if e := unix.Unlinkat(s.root, s.id+name, 0); e != nil && e != unix.ENOENT {
			err = e
			break // a record without the rest would be no container that a verb understands
		}
	}
	unix.Unlinkat(s.root, s.id+"/notify", unix.AT_REMOVEDIR)
	if e := unix.Unlinkat(s.root, s.id, unix.AT_REMOVEDIR); e != nil && e != unix.ENOTEMPTY && e != unix.ENOENT && err == nil {
		err = e // not empty: the next owner is already there
	}
	s.drop()
	if err != nil && err != unix.ENOENT {
		return stateError("remove the state of "+s.id, err)
	}
	return nil
}

// fifo makes a FIFO of the directory, unless it is there, and opens it.
func (s *stateDir) fifo(name string, flags int) (int, error) {
	path := s.id + "/" + name
	if err := unix.Mkfifoat(s.root, path, 0o600); err != nil && err != unix.EEXIST {
		return -1, err
	}
	return unix.Openat(s.root, path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
}

// writer opens a FIFO for writing, which takes a reader (fifo(7)), and leaves it without one.
func (s *stateDir) writer(name string) (int, error) {
	r, err := s.fifo(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return -1, err
	}
	defer unix.Close(r)
	return s.fifo(name, unix.O_WRONLY)
}

// reader opens a FIFO for reading, without waiting.
func (s *stateDir) reader(name string) (int, error) {
	return unix.Openat(s.root, s.id+"/"+name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
}

// lookup is the directory of a container that exists, unlocked; ErrNotExist when there is none.
func lookup(dir, id string) (*stateDir, error) {
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, stateError("open "+dir, err)
	}
	return &stateDir{root: root, id: id, lock: -1}, nil
}

// sweepMost bounds the work that one container does for others that died.
const sweepMost = 64

// sweep removes what dead owners left in dir.
func sweep(dir string, remove func(string) error) {
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(root)
	buf := make([]byte, 4096)
	n, err := unix.Getdents(root, buf)
	if err != nil || n <= 0 {
		return
	}
	_, _, names := unix.ParseDirent(buf[:n], sweepMost, nil)
	for _, id := range names {
		if !ValidID(id) {
			continue
		}
		own, err := unix.FcntlInt(uintptr(root), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return
		}
		s := &stateDir{root: own, id: id, lock: -1}
		if again, err := s.take(0); err != nil || again {
			unix.Unlinkat(root, id, unix.AT_REMOVEDIR) // only if its owner died before it made the lock
			s.drop()
			continue
		}
		if rec, err := s.read(); err == nil && rec.Detached || err != nil && err != unix.ENOENT {
			s.drop()
			continue
		}
		old, err := s.text()
		if err == nil && remove(old) == nil {
			s.release()
		} else {
			s.drop()
		}
	}
}
