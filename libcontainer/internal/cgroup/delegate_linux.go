package cgroup

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Delegate gives the cgroup to a user of the host: its directory, and of the files in it those that the kernel
// says may be given away (cgroups(7), "Cgroup delegation containment"). The limits stay root's. v1 hierarchies
// are never given away (CVE-2022-0492).
func (c *Cgroup) Delegate(uid int) error {
	err := chown(c.v2.dir, "", uid, unix.AT_EMPTY_PATH)
	for _, name := range delegatedFiles() {
		if err != nil {
			break
		}
		// A file of a controller that is not enabled is not there.
		if err = chown(c.v2.dir, name, uid, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
			err = nil
		}
	}
	if err == nil {
		return nil
	}
	return &Error{Op: "give cgroup " + c.path + " to uid " + itoa(int64(uid)), Err: errno(err)}
}

func chown(dir int, name string, uid, flags int) error {
	return retry(func() error { return unix.Fchownat(dir, name, uid, -1, flags) })
}

// delegatedFiles are the files that come with a delegated cgroup: what the kernel lists, or what the runtime spec
// names for one that has no list (before Linux 4.15).
func delegatedFiles() []string {
	names := []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}
	fd, err := openFile(unix.AT_FDCWD, "/sys/kernel/cgroup/delegate", unix.O_RDONLY)
	if err != nil {
		return names
	}
	defer unix.Close(fd)
	text, err := readFD(fd)
	if err != nil || text == "" {
		return names
	}
	names = strings.Fields(text)
	for i, name := range names {
		if strings.Contains(name, "/") {
			return names[:i]
		}
	}
	return names
}

// DirOf opens the cgroup that a process is in, for CLONE_INTO_CGROUP, if it is this one or below it. A container that
// has moved its processes to cgroups below its own, to limit them there, takes no more in its own (cgroup-v2.rst, "No
// Internal Process Constraint"), and another process of the container goes where the first one is.
func (c *Cgroup) DirOf(pid int) (int, error) {
	fail := func(err error, hint string) (int, error) {
		return -1, &Error{Op: "find the cgroup of process " + itoa(int64(pid)), Err: errno(err), Hint: hint}
	}
	fd, err := openFile(unix.AT_FDCWD, "/proc/"+itoa(int64(pid))+"/cgroup", unix.O_RDONLY)
	if err != nil {
		return fail(err, "")
	}
	defer unix.Close(fd)
	text, err := readFD(fd)
	if err != nil {
		return fail(err, "")
	}
	rel, ok := below(text, c.path)
	if !ok {
		return fail(unix.EXDEV, "it is not in cgroup "+c.path)
	}
	dir, err := openDir(c.v2.dir, rel)
	if err != nil {
		return fail(err, "")
	}
	return dir, nil
}

// below is the way from base to the cgroup2 directory in /proc/PID/cgroup, which has a line "0::/path". A name
// may have any byte in it but a slash and a newline.
func below(text, base string) (rel string, ok bool) {
	for line := range strings.Lines(text) {
		path, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !found {
			continue
		}
		rest, found := strings.CutPrefix(path, base)
		switch {
		case !found:
			return "", false
		case rest == "":
			return ".", true
		case rest[0] == '/' && len(rest) > 1:
			return rest[1:], true
		}
		return "", false
	}
	return "", false
}
