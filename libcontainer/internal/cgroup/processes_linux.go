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
	err := walk(dir, func(dir int) error {
		text, err := readFile(dir, "cgroup.procs")
		if err == unix.EOPNOTSUPP { // a threaded cgroup: the processes are listed above it
			return nil
		}
		for line := range strings.Lines(text) {
			if pid, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return err
	})
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

// walk calls visit with dir and with every directory below it. Like removeBelow it holds one descriptor at a
// time, however deep the cgroups are nested. One that is removed meanwhile is passed over.
func walk(dir int, visit func(dir int) error) error {
	cur, err := openDir(dir, ".")
	if err != nil {
		return err
	}
	defer func() { unix.Close(cur) }()
	if err := visit(cur); err != nil {
		return err
	}
	names, err := children(cur)
	if err != nil {
		return err
	}
	levels := [][]string{names}
	for {
		depth := len(levels) - 1
		names := levels[depth]
		if len(names) == 0 {
			if depth == 0 {
				return nil
			}
			up, err := openFile(cur, "..", unix.O_PATH|unix.O_DIRECTORY)
			if err != nil {
				return err
			}
			unix.Close(cur)
			cur, levels = up, levels[:depth]
			continue
		}
		levels[depth] = names[1:]
		next, err := openDir(cur, names[0])
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		unix.Close(cur)
		cur = next
		err = visit(cur)
		if err == nil {
			names, err = children(cur)
		}
		if err != nil && !gone(err) {
			return err
		}
		if err != nil {
			names = nil
		}
		levels = append(levels, names)
	}
}

// children are the names of the directories in dir.
func children(dir int) (names []string, err error) {
	fd, err := openat2(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	// kernfs counts directories by their links, so the names are read only where there is one.
	if unix.Fstat(fd, &st) == nil && st.Nlink == 2 {
		return nil, nil
	}
	all, err := list(fd)
	for _, name := range all {
		if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			names = append(names, name)
		}
	}
	return names, err
}

// entries are the names of files and directories in dir.
func entries(dir int) ([]string, error) {
	fd, err := openat2(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return list(fd)
}

func list(fd int) (names []string, err error) {
	buf := make([]byte, 8192)
	for {
		n := 0
		err := retry(func() (err error) {
			n, err = unix.Getdents(fd, buf)
			return err
		})
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
