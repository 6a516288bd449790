package cgroup

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Processes are the ids of the processes in the cgroup and in those below it, sorted, as the caller's pid
// namespace has them; others are left out. On a hybrid host the cgroup2 tree has them all, and a v1
// hierarchy is asked only where the cgroup is in nothing else. A cgroup that is gone has none.
func (c *Cgroup) Processes() ([]int, error) {
	dir := c.v2.dir
	if dir < 0 && len(c.v1) > 0 {
		dir = c.v1[0].dir
	}
	if dir < 0 {
		return nil, nil
	}
	var pids []int
	err := descend(dir, func(dir int) ([]string, error) {
		text, err := readFile(dir, "cgroup.procs")
		if err != nil && err != unix.EOPNOTSUPP { // a threaded cgroup: the processes are listed above it
			return nil, err
		}
		for line := range strings.Lines(text) {
			if pid, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return children(dir)
	}, nil)
	if err != nil && !gone(err) {
		return nil, &Error{Op: "list the processes in cgroup " + c.path, Err: errno(err)}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Signal sends a signal to every process in the cgroup and in those below it. For SIGKILL that is Kill. For
// others the cgroup is frozen meanwhile, unless something in it cannot be, so that none is missed that is
// just being forked; a cgroup that was frozen before stays so.
//
// No other process is hit: a pidfd keeps a process's id from being used again as long as the process
// can still be signalled, so an id that is listed after the pidfd was opened belongs to that process.
func (c *Cgroup) Signal(sig int) error {
	if sig == int(unix.SIGKILL) {
		return c.Kill()
	}
	if sig != 0 && !c.Frozen() && c.Freeze() == nil {
		defer c.Thaw()
	}
	pids, err := c.Processes()
	if err != nil {
		return err
	}
	fds := make([]int, len(pids))
	for i, pid := range pids {
		if fds[i], err = unix.PidfdOpen(pid, 0); err != nil {
			fds[i] = -1
		}
	}
	listed, err := c.Processes()
	var first error
	for i, fd := range fds {
		if fd < 0 {
			continue
		}
		if _, found := slices.BinarySearch(listed, pids[i]); found && err == nil {
			e := unix.PidfdSendSignal(fd, unix.Signal(sig), nil, 0)
			if e != nil && e != unix.ESRCH && first == nil {
				first = &Error{Op: "signal process " + strconv.Itoa(pids[i]) + " in cgroup " + c.path, Err: errno(e)}
			}
		}
		unix.Close(fd)
	}
	if err != nil {
		return err
	}
	return first
}
