package libcontainer

import (
	"strings"

	"golang.org/x/sys/unix"
)

// stateDir is <StateDir>/<id>/, which holds one file: lock. Its owner keeps the lock (flock(2)), which
// the kernel takes back when the owner dies; its text is the cgroup's path. So a directory whose lock can
// be had belongs to a dead process, and says what that process may have left behind.
type stateDir struct {
	root int // descriptor of StateDir
	id   string
	lock int
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
	if old := s.text(); old != "" {
		if err := remove(old); err != nil {
			s.drop()
			return nil, stateError("remove what is left of "+id, err)
		}
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
	s.lock = fd
	return false, nil
}

// text is the path in the lock file; "" when it is new or was cut short by the owner's death, before
// which no cgroup was made.
func (s *stateDir) text() string {
	var buf [4096]byte
	n, _ := unix.Pread(s.lock, buf[:], 0)
	line, _, whole := strings.Cut(string(buf[:max(n, 0)]), "\n")
	if !whole {
		return ""
	}
	return line
}

// drop gives the lock back and leaves the files.
func (s *stateDir) drop() {
	closeFD(&s.lock)
	closeFD(&s.root)
}

// release removes the files, then gives the lock back.
func (s *stateDir) release() error {
	err := unix.Unlinkat(s.root, s.id+"/lock", 0)
	if e := unix.Unlinkat(s.root, s.id, unix.AT_REMOVEDIR); e != nil && e != unix.ENOTEMPTY && e != unix.ENOENT && err == nil {
		err = e // not empty: the next owner is already there
	}
	s.drop()
	if err != nil && err != unix.ENOENT {
		return stateError("remove the state of "+s.id, err)
	}
	return nil
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
		if remove(s.text()) == nil {
			s.release()
		} else {
			s.drop()
		}
	}
}
