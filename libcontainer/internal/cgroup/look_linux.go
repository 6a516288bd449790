package cgroup

import (
	"strings"

	"golang.org/x/sys/unix"
)

// v1Names are the controllers of cgroup v1, sorted. A hierarchy of several is mounted once, at
// "cpu,cpuacct" say, with a link for each; statfs follows it.
var v1Names = [...]string{
	"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "net_cls", "net_prio", "perf_event", "pids", "rdma",
}

// Look finds the hierarchies below mount, which is normally "/sys/fs/cgroup", and their controllers. It
// asks each place where one can be for its file system and does not read mountinfo: that is four
// system calls on a host with cgroup v2 only, and fourteen or so elsewhere.
func Look(mount string) Layout {
	l := LookV2(mount)
	if l.V2 != "" {
		l.V2Controllers = availableIn(unix.AT_FDCWD, l.V2+"/")
	}
	if !l.Unified {
		l.V1 = lookV1(mount, v1Names[:])
	}
	return l
}

// LookCounted is the part of Look that a container without limits needs, for Layout.Account.
func LookCounted(mount string) Layout {
	l := LookV2(mount)
	if !l.Unified {
		l.V1 = lookV1(mount, countersV1[:])
	}
	return l
}

// lookV1 finds the hierarchies of controllers. One that cannot be looked at counts as there: who passed it by would
// leave a cgroup in it for ever, and who opens it gets the error.
func lookV1(mount string, names []string) (found []Controller) {
	for _, name := range names {
		var st unix.Statfs_t
		dir := mount + "/" + name
		err := retry(func() error { return unix.Statfs(dir, &st) })
		if err == nil && int64(st.Type) == unix.CGROUP_SUPER_MAGIC || err != nil && err != unix.ENOENT && err != unix.ENOTDIR {
			found = append(found, Controller{name, dir})
		}
	}
	return found
}

// LookV2 is the part of Look that says where the cgroup2 tree is.
func LookV2(mount string) Layout {
	if isMagic(mount, unix.CGROUP2_SUPER_MAGIC) {
		return Layout{V2: mount, Unified: true}
	}
	if dir := mount + "/unified"; isMagic(dir, unix.CGROUP2_SUPER_MAGIC) {
		return Layout{V2: dir}
	}
	return Layout{}
}

// LookAt is the layout for what is made below an open directory of the cgroup2 tree, for which
// only the controllers that reach the directory are there.
func LookAt(base int) Layout {
	return Layout{Unified: true, V2Controllers: availableIn(base, "")}
}

// Delegated are the controllers that a cgroup of the cgroup2 tree has, sorted. A path such as CheckPath takes cannot lead
// out of the tree: there are no links in it.
func Delegated(l Layout, path string) []string {
	if l.V2 == "" {
		return nil
	}
	return availableIn(unix.AT_FDCWD, l.V2+path+"/")
}

func isMagic(path string, magic int64) bool {
	var st unix.Statfs_t
	err := retry(func() error { return unix.Statfs(path, &st) })
	return err == nil && int64(st.Type) == magic
}

// availableIn reads cgroup.controllers; dir is a directory with a slash at its end, or "". What cannot
// be read is not available.
func availableIn(at int, dir string) []string {
	fd, err := openFile(at, dir+"cgroup.controllers", unix.O_RDONLY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	text, err := readFD(fd)
	if err != nil {
		return nil
	}
	return sorted(strings.Fields(text))
}
