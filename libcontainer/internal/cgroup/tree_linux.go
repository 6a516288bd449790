package cgroup

import "golang.org/x/sys/unix"

// descend calls enter with dir and with every cgroup below it that enter names, and leave, unless it is nil, with
// the parent and the name of each on the way back up. Whoever has the cgroup delegated may nest them to any depth,
// so it holds one descriptor, not one for each level, and no stack of calls. A cgroup below dir that is removed
// meanwhile is passed over.
func descend(dir int, enter func(dir int) (below []string, err error), leave func(parent int, name string) error) error {
	cur, err := openDir(dir, ".")
	if err != nil {
		return err
	}
	defer func() { unix.Close(cur) }()
	names, err := enter(cur)
	if err != nil {
		return err
	}
	levels := [][]string{names} // what is left to do in each directory from dir to cur, the one that was entered first
	for {
		deepest := len(levels) - 1
		if names = levels[deepest]; len(names) > 0 {
			next, err := openDir(cur, names[0])
			if gone(err) {
				levels[deepest] = names[1:]
				continue
			}
			if err != nil {
				return err
			}
			unix.Close(cur)
			cur = next
			below, err := enter(cur)
			if err != nil && !gone(err) {
				return err
			}
			levels = append(levels, below)
			continue
		}
		if deepest == 0 {
			return nil
		}
		// No rename moves a cgroup to another parent, so ".." is where we came from.
		up, err := openFile(cur, "..", unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		unix.Close(cur)
		cur, levels = up, levels[:deepest]
		names = levels[deepest-1]
		if leave != nil {
			if err := leave(cur, names[0]); err != nil {
				return err
			}
		}
		levels[deepest-1] = names[1:]
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
