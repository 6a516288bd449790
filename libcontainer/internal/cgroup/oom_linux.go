package cgroup

import (
	"encoding/binary"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// OOMWatch tells when the kernel kills processes of a cgroup for want of memory.
type OOMWatch struct {
	fd     int // becomes readable: inotify, or an epoll set of what follows
	files  int // inotify
	event  int // eventfd of cgroup v1; -1 with v2
	cgroup *Cgroup
	kills  uint64 // told so far
}

// WatchOOM starts to watch for OOM kills in the cgroup and in those below it. It needs the memory controller. In the
// cgroup2 tree the kernel modifies memory.events at each of them, and cgroup.events when the last process is gone;
// inotify(7) reports both. The Cgroup must stay open as long as the watch.
//
// Cgroup v1 tells of memory that ran out in the cgroup or in one above it, just before it kills, by an eventfd: that
// counts as a kill (memory.oom_control, cgroup.event_control; Documentation/admin-guide/cgroup-v1/memory.rst). Where a
// disabled OOM killer leaves processes to wait, none dies.
func (c *Cgroup) WatchOOM() (*OOMWatch, error) {
	w := &OOMWatch{fd: -1, files: -1, event: -1, cgroup: c}
	var err error
	if p := c.placeOf("memory"); p != nil {
		err = w.openV1(p.dir)
	} else {
		err = w.openV2()
	}
	if err == nil {
		return w, nil
	}
	w.Close()
	e := &Error{Op: "watch for OOM kills in cgroup " + c.path, Err: errno(err)}
	if err == unix.ENOENT && (c.v2.dir < 0 || !c.isGone()) {
		e.Hint = "its memory is not counted: set a memory limit"
	}
	return nil, e
}

func (w *OOMWatch) openV2() (err error) {
	if w.cgroup.v2.dir < 0 {
		return unix.ENOENT
	}
	if err = w.watch("memory.events"); err == nil {
		err = w.watch("cgroup.events")
	}
	w.fd = w.files
	w.kills, _ = w.count()
	return err
}

func (w *OOMWatch) openV1(dir int) (err error) {
	if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	control, err := openat2(dir, "memory.oom_control", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(control)
	if err = writeFile(dir, "cgroup.event_control", strconv.Itoa(w.event)+" "+strconv.Itoa(control)); err != nil {
		return err
	}
	if w.cgroup.v2.dir < 0 {
		w.fd = w.event // it is also told when the cgroup is removed
		return nil
	}
	if err = w.watch("cgroup.events"); err != nil {
		return err
	}
	if w.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	for _, fd := range []int{w.event, w.files} {
		if err = unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
			return err
		}
	}
	return nil
}

// watch adds a file of the cgroup to the inotify descriptor, by the descriptor that it was found with.
func (w *OOMWatch) watch(name string) (err error) {
	if w.files < 0 {
		if w.files, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
			return err
		}
	}
	file, err := openat2(w.cgroup.v2.dir, name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	_, err = unix.InotifyAddWatch(w.files, "/proc/self/fd/"+strconv.Itoa(file), unix.IN_MODIFY)
	return err
}

// FD becomes readable (POLLIN) when there may be something to tell: call Check then.
func (w *OOMWatch) FD() int { return w.fd }

// Check returns the number of kills since the last call, without waiting. The error is io.EOF once the cgroup
// has no process any more, and there is nothing left to tell.
func (w *OOMWatch) Check() (kills uint64, err error) {
	drain(w.files) // what the events say is not of interest: the files are read anyway, after them
	empty := w.empty()
	if w.event >= 0 {
		n, err := w.countV1()
		if err == nil && n == 0 && empty {
			err = io.EOF
		}
		return n, err
	}
	n, err := w.count() // after empty, so that no kill comes between
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

// drain reads what there is to read.
func drain(fd int) {
	var buf [4096]byte
	for {
		if n, err := unix.Read(fd, buf[:]); err != unix.EINTR && (n <= 0 || err != nil) {
			return
		}
	}
}

func (w *OOMWatch) empty() bool {
	return w.event >= 0 && w.removed() || w.cgroup.v2.dir >= 0 && !populated(w.cgroup.v2.dir)
}

// removed says whether the cgroup of the v1 memory controller is gone.
func (w *OOMWatch) removed() bool {
	p := w.cgroup.placeOf("memory")
	return p == nil || p.dir < 0 || !isThere(p.dir)
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

// countV1 returns what the eventfd has counted. The last count is that of the removal of the cgroup.
func (w *OOMWatch) countV1() (uint64, error) {
	var n [8]byte
	for {
		switch _, err := unix.Read(w.event, n[:]); err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, nil
		case nil:
			if w.removed() {
				return 0, io.EOF
			}
			return binary.NativeEndian.Uint64(n[:]), nil
		default:
			return 0, &Error{Op: "watch for OOM kills", Err: errno(err)}
		}
	}
}

// Close ends the watch.
func (w *OOMWatch) Close() {
	for _, fd := range []*int{&w.files, &w.event} {
		if *fd >= 0 && *fd != w.fd {
			unix.Close(*fd)
		}
		*fd = -1
	}
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.fd = -1
}
