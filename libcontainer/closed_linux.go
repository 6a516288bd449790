package libcontainer

import (
	"path"

	"golang.org/x/sys/unix"
)

// lookClosed finds what is to be opened before there is a user namespace. It decides nothing that matters to safety: what is
// taken for open is opened in the container, with its rights, or not at all.
func lookClosed(b *Bundle) Closed {
	c := Closed{Bundle: !letsIn(b.fd, "."), Sources: make([]bool, len(b.Spec.Mounts))}
	if b.Spec.Root != nil {
		c.Root = isClosed(b.fd, b.Spec.Root.Path)
	}
	for i, m := range b.Spec.Mounts {
		if o := parseMountOptions(m.Type, m.Options); o.bind && !o.remount {
			c.Sources[i] = isClosed(b.fd, m.Source)
		}
	}
	return c
}

// isClosed looks at the directories on the way to a path, as it is written and as it is without links.
func isClosed(dir int, p string) bool {
	if !path.IsAbs(p) && !letsIn(dir, ".") {
		return true
	}
	real := p
	if fd, err := unix.Openat(dir, p, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
		real = readLink(unix.AT_FDCWD, "/proc/self/fd/"+itoa(fd))
		unix.Close(fd)
	}
	for _, p := range [...]string{p, real} {
		for i := 1; i < len(p); i++ {
			if p[i] == '/' && !letsIn(dir, p[:i]) {
				return true
			}
		}
	}
	return false
}

// letsIn says whether a process with the ids of root and without capabilities may go on from a directory. What is no
// directory that can be looked at is not what is in the way.
func letsIn(dir int, p string) bool {
	var st unix.Stat_t
	if unix.Fstatat(dir, p, &st, 0) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return true
	}
	switch {
	case st.Uid == 0:
		return st.Mode&0o100 != 0
	case st.Gid == 0:
		return st.Mode&0o010 != 0
	}
	return st.Mode&0o001 != 0
}
