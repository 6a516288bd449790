package cgroup

import (
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// OOMWatch tells when the kernel kills processes of a cgroup for want of memory.
type OOMWatch struct {
	fd     int // inotify
	cgroup *Cgroup
	kills  uint64 // told so far
}

// WatchOOM starts to watch for OOM kills in the cgroup and in those below it. The kernel modifies
// memory.events at each of them, and cgroup.events when the last process is gone; inotify(7) reports both.
// It needs the memory controller in the cgroup2 tree. The Cgroup must stay open as long as the watch.
func (c *Cgroup) WatchOOM() (*OOMWatch, error) {
	fail := func(err error) (*OOMWatch, error) {
		e := &Error{Op: "watch for OOM kills in cgroup " + c.path, Err: errno(err)}
		if err == unix.ENOENT && c.placeOf("memory") != nil {
			e.Err, e.Hint = unix.EOPNOTSUPP, "the memory controller is in cgroup v1 on this host, which has no such events"
		} else if err == unix.ENOENT && !c.isGone() {
			e.Hint = "its memory is not counted: set a memory limit"
		}
		return nil, e
	}
	if c.v2.dir < 0 {
		return fail(unix.ENOENT)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fail(err)
	}
	for _, name := range []string{"memory.events", "cgroup.events"} {
		if err = watch(fd, c.v2.dir, name); err != nil {
			unix.Close(fd)
			return fail(err)
		}
	}
	w := &OOMWatch{fd: fd, cgroup: c}
	w.kills, _ = w.count()
	return w, nil
}

// watch adds a file of a cgroup to an inotify descriptor, by the descriptor that it was found with.
func watch(fd, dir int, name string) error {
	file, err := openat2(dir, name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	_, err = unix.InotifyAddWatch(fd, "/proc/self/fd/"+strconv.Itoa(file), unix.IN_MODIFY)
	return err
}

// FD becomes readable (POLLIN) when there may be something to tell: call Check then.
func (w *OOMWatch) FD() int { return w.fd }

// Check returns the number of kills since the last call, without waiting. The error is io.EOF once the cgroup
// has no process any more, and there is nothing left to tell.
func (w *OOMWatch) Check() (kills uint64, err error) {
	buf := make([]byte, 4096)
	for {
		// What the events say is not of interest: the files are read anyway, after them.
		if n, err := unix.Read(w.fd, buf); err == unix.EINTR {
			continue
		} else if n <= 0 || err != nil {
			break
		}
	}
	empty := !populated(w.cgroup.v2.dir) // before the count, so that no kill comes between
	n, err := w.count()
	if err != nil {
		return 0, io.EOF
	}
	if kills = n - w.kills; kills > 0 {
		w.kills = n
		return kills, nil
	}
	if empty {
		return 0, io.EOF
	}
	return 0, nil
}

// Next waits for the next kills and returns their number. The error is io.EOF once the cgroup has no process
// any more.
func (w *OOMWatch) Next() (kills uint64, err error) {
	for {
		if kills, err = w.Check(); kills > 0 || err != nil {
			return kills, err
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, -1); err != nil && err != unix.EINTR {
			return 0, &Error{Op: "wait for OOM kills", Err: errno(err)}
		}
	}
}

func (w *OOMWatch) count() (uint64, error) {
	text, err := readFile(w.cgroup.v2.dir, "memory.events")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(value(text, "oom_kill"), 10, 64)
}

// Close ends the watch.
func (w *OOMWatch) Close() {
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.fd = -1
}
