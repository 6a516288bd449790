package main

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"github.com/locald/locald/libcontainer"
	"golang.org/x/sys/unix"
)

// Files are opened without package os, which would make an epoll set for them: the Go runtime ends the program when it
// cannot have one (EMFILE), also one that has just started a container.

// readFile reads a file of the kernel's.
func readFile(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var text []byte
	for buf := make([]byte, 4096); ; {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return string(text), err
		}
		text = append(text, buf[:n]...)
	}
}

// writeClose writes a short text to a file and closes it.
func writeClose(fd int, text string) error {
	n, err := unix.Write(fd, []byte(text))
	if err == nil && n < len(text) {
		err = unix.ENOSPC
	}
	if e := unix.Close(fd); err == nil {
		err = e
	}
	return err
}

// writePidFile writes a file beside its final name and renames it there: a reader sees all of it or
// nothing, and no link at the final name is followed.
func writePidFile(path string, pid int) error {
	err := writeBeside(path, pid)
	if err == nil {
		return nil
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	return &libcontainer.OpError{Phase: libcontainer.PhaseRunning, Index: -1, Op: "write the pid file " + path, Err: errno}
}

func writeBeside(path string, pid int) error {
	tmp := path + ".tmp-" + strconv.Itoa(os.Getpid())
	fd, err := unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	if err = writeClose(fd, strconv.Itoa(pid)); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}
