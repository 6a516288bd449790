package container

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// watch waits for changes in a container's directory (inotify(7)).
type watch struct{ fd int }

func (c *Container) watch() (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	const events = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_DELETE
	if _, err := unix.InotifyAddWatch(fd, c.Dir, events); err != nil {
		unix.Close(fd)
		if err == unix.ENOENT {
			return nil, ErrNotExist
		}
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	return &watch{fd}, nil
}

func (w *watch) close() { unix.Close(w.fd) }

// wait returns after a change since the last wait.
func (w *watch) wait() error { return w.until(-1) }

// until is wait for at most so long; a negative time is for ever.
func (w *watch) until(d time.Duration) error {
	limit := -1
	if d >= 0 {
		limit = int(d.Milliseconds()) + 1
	}
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, limit)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll", err)
	}
	var buf [4096]byte
	for {
		if n, err := unix.Read(w.fd, buf[:]); n <= 0 || err != nil {
			return nil
		}
	}
}

// Wait waits until the container has ended, or the time is up; a negative time is for ever. done is false when it is up.
func (c *Container) Wait(limit time.Duration) (done bool, err error) {
	w, err := c.watch()
	if err == ErrNotExist {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer w.close()
	end := time.Now().Add(limit)
	for {
		if err := c.Load(); err != nil || c.State.Status == Exited || c.State.Status == "" {
			return true, nil // one that was removed at its end has ended as well
		}
		step := time.Second // a monitor that is killed says nothing more: look for one from time to time
		if limit >= 0 {
			left := time.Until(end)
			if left <= 0 {
				return false, nil
			}
			step = min(step, left)
		}
		if err := w.until(step); err != nil {
			return false, err
		}
		if err := c.Attend(); err != nil {
			return false, err
		}
	}
}

// monitored says whether a monitor has the container.
func (c *Container) monitored() bool {
	fd, err := c.lock(unix.LOCK_SH)
	if err == nil {
		unix.Close(fd)
	}
	return err == unix.EWOULDBLOCK
}

// lockSoon is lock, for somebody who knows that no monitor has much to do any more: one that ends, or a look at whether
// there is one, holds the lock for a moment.
func (c *Container) lockSoon() (fd int, err error) {
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if fd, err = c.lock(unix.LOCK_EX); err != unix.EWOULDBLOCK || time.Now().After(end) {
			return fd, err
		}
	}
}

// lock is the monitor's for as long as it lives.
func (c *Container) lock(how int) (int, error) {
	fd, err := unix.Open(filepath.Join(c.Dir, "lock"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, err
	}
	if err := unix.Flock(fd, how|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
