package cgroup

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Create makes the cgroup path, such as "/locald/web", with its missing parents, and does the writes.
// In the cgroup2 tree it enables the controllers that the writes need in each ancestor that does not
// have them enabled yet.
//
// The cgroup is the caller's alone from here on, and new: an old one of this path without a process in
// it is removed first, with its limits, counters and device filters. One with processes is EEXIST.
// Two callers at once must not use the same path.
//
// When Create fails, it has removed again what it had made, and the error is an *Error. What it
// enabled in an ancestor stays: others may have come to use it.
func Create(l Layout, path string, writes []Write) (*Cgroup, error) {
	names, reason := pathNames(path)
	if reason != "" {
		return nil, &Error{Op: "create cgroup " + path, Err: unix.EINVAL, Hint: reason}
	}
	root, err := openRoot(l)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	return create(root, l, path, names, writes)
}

// CreateAt is Create below base, an open directory of the cgroup2 tree, for a caller who owns that
// directory and nothing above it; rel is relative, such as "web". Nothing outside of base is written,
// and v1 hierarchies are not used. The writes are those that Compile made for LookAt(base).
func CreateAt(base int, rel string, writes []Write) (*Cgroup, error) {
	names, reason := split(rel)
	if reason != "" {
		return nil, &Error{Op: "create cgroup " + rel, Err: unix.EINVAL, Hint: reason}
	}
	if err := checkMagic(base, unix.CGROUP2_SUPER_MAGIC); err != nil {
		return nil, &Error{Op: "create cgroup " + rel, Err: errno(err), Hint: "the base directory is not in the cgroup2 tree"}
	}
	return create(base, Layout{}, rel, names, writes)
}

func pathNames(path string) (names []string, reason string) {
	if reason := CheckPath(path); reason != "" {
		return nil, reason
	}
	return split(path[1:])
}

// openRoot opens the root of the cgroup2 tree. The kernel has the tree also on a legacy host where it
// is mounted nowhere; a mount that is attached to nothing gives access to it and is gone with the
// last descriptor.
func openRoot(l Layout) (int, error) {
	if l.V2 != "" {
		fd, err := openMount(l.V2, unix.CGROUP2_SUPER_MAGIC)
		if err != nil {
			return -1, &Error{Op: "open the cgroup2 tree at " + l.V2, Err: errno(err)}
		}
		return fd, nil
	}
	fail := func(err error) (int, error) {
		return -1, &Error{Op: "mount the cgroup2 tree", Err: errno(err), Hint: "it is mounted nowhere on this host, and this needs root"}
	}
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return fail(err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fail(err)
	}
	return fd, nil
}

// openMount opens the root of a hierarchy. It follows a link, as v1 controllers that share a hierarchy
// have them: "cpu" to "cpu,cpuacct".
func openMount(dir string, magic int64) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	if err := checkMagic(fd, magic); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// creation is a Create under way.
type creation struct {
	path    string
	names   []string
	made    []madeDir // in order
	account bool      // Layout.Account
}

// madeDir is a directory that was made, and the open directory that it was made in.
type madeDir struct {
	in   int
	name string
	ours bool // in is closed by settle
}

func create(root int, l Layout, path string, names []string, writes []Write) (c *Cgroup, err error) {
	b := &creation{path: path, names: names, account: l.Account}
	c = &Cgroup{path: path, name: names[len(names)-1], v2: nothing()}
	defer func() {
		b.settle(err != nil)
		if err != nil {
			c.Close()
			c = nil
		}
	}()
	var in2 []Write
	for _, w := range writes {
		if l.dir(w.Controller) == "" {
			in2 = append(in2, w)
		}
	}
	if c.v2, err = b.place(root, in2, false); err != nil {
		return
	}
	b.account = false // v1 has no such thing
	if c.Frozen() {
		err = &Error{Op: "create cgroup " + path, Err: unix.EBUSY, Hint: "a cgroup above it is frozen, and its first process would be too"}
		return
	}
	if c.v1, err = b.placesV1(l, writes, l.Counted()); err != nil {
		return
	}
	for i := range writes {
		if err = c.write(&writes[i]); err != nil {
			return
		}
	}
	return
}

// settle ends the creation: what was made stays, or is removed in the opposite order. A parent
// that someone else uses by now does not go (EBUSY).
func (b *creation) settle(undo bool) {
	for i := len(b.made) - 1; i >= 0; i-- {
		if undo {
			rmdir(b.made[i].in, b.made[i].name)
		}
		if b.made[i].ours {
			unix.Close(b.made[i].in)
		}
	}
}

// placesV1 makes the cgroup in each v1 hierarchy that a write goes to, and in those that are to count. Two controllers
// may share a hierarchy.
func (b *creation) placesV1(l Layout, writes []Write, counted []string) (places []place, err error) {
	limited := controllers(writes)
	for _, c := range l.V1 {
		limits := slices.Contains(limited, c.Name)
		if c.Dir == "" || !limits && !slices.Contains(counted, c.Name) {
			continue
		}
		if places, err = b.placeV1(places, c); err != nil && limits {
			if e := err.(*Error); e.Pointer == "" {
				e.Pointer = pointerOf(writes, c.Name)
			}
			return places, err
		}
	}
	return places, nil
}

// placeV1 adds the cgroup in the hierarchy of a controller.
func (b *creation) placeV1(places []place, c Controller) ([]place, error) {
	root, dev, err := openV1(c.Dir)
	if err != nil {
		return places, &Error{Op: "open the cgroup v1 hierarchy at " + c.Dir, Err: errno(err)}
	}
	defer unix.Close(root)
	if i := slices.IndexFunc(places, func(p place) bool { return p.dev == dev }); i >= 0 {
		places[i].controllers = append(places[i].controllers, c.Name)
		return places, nil
	}
	p, err := b.place(root, nil, c.Name == "cpuset")
	if err != nil {
		return places, err
	}
	p.controllers, p.dev = []string{c.Name}, dev
	return append(places, p), nil
}

func openV1(dir string) (root int, dev uint64, err error) {
	if root, err = openMount(dir, unix.CGROUP_SUPER_MAGIC); err != nil {
		return -1, 0, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(root, &st); err != nil {
		unix.Close(root)
		return -1, 0, err
	}
	return root, uint64(st.Dev), nil
}

// pointerOf is the pointer of the first write for a controller.
func pointerOf(writes []Write, controller string) string {
	for _, w := range writes {
		if w.Controller == controller {
			return w.Pointer
		}
	}
	return ""
}

// write puts one limit into force.
func (c *Cgroup) write(w *Write) error {
	dir := c.v2.dir
	if p := c.placeOf(w.Controller); p != nil {
		dir = p.dir
	}
	file, value := w.File, w.Value
	err := writeFile(dir, file, value)
	if err == unix.ENOENT && w.AltFile != "" {
		file, value = w.AltFile, w.AltValue
		err = writeFile(dir, file, value)
	}
	if err == nil || err == unix.ENOENT && file == "memory.swap.max" && value == "max" { // a kernel that does not limit swap
		return nil
	}
	if len(value) > 80 {
		value = value[:80] + "..."
	}
	return &Error{Pointer: w.Pointer, Op: "write " + value + " to " + file, Err: errno(err), Hint: writeHint(w, err)}
}

func writeHint(w *Write, err error) string {
	switch {
	case err == unix.ENOENT && w.Controller == "hugetlb":
		return "the host has no huge pages of this size"
	case err == unix.ENOENT:
		return "this kernel has no such file: it is older than the setting, or built without it"
	case err == unix.ENODEV && (w.Controller == "io" || w.Controller == "blkio"):
		return "the host has no block device of this number"
	case err == unix.EACCES && w.Controller == "cpuset":
		return "the parent cgroup does not have all of these"
	case (err == unix.EINVAL || err == unix.ERANGE) && w.Controller == "cpuset":
		return "the host or the parent cgroup does not have all of these"
	case err == unix.EINVAL && (w.File == "cpu.weight" || w.File == "cpu.shares"):
		return "the cgroup is idle, and has no weight as long as it is"
	case err == unix.EINVAL && (strings.HasSuffix(w.File, "burst") || strings.HasSuffix(w.File, "burst_us")):
		return "a burst is at most the quota"
	case err == unix.EINVAL && (w.File == "cpu.max" || w.File == "cpu.cfs_quota_us"):
		return "the quota is below the burst in force, or above what the parent cgroup has"
	case err == unix.EINVAL && strings.HasPrefix(w.File, "memory.") && strings.HasSuffix(w.File, "limit_in_bytes"):
		return "memory and swap together are limited to less than memory is: set memory.limit and memory.swap in one step"
	case err == unix.EBUSY && strings.HasPrefix(w.File, "memory."):
		return "more than that is in use"
	case err == unix.EACCES || err == unix.EPERM:
		return "the cgroup belongs to someone else"
	}
	return ""
}

// display is the path of the first n directories.
func (b *creation) display(n int) string {
	if n == 0 && strings.HasPrefix(b.path, "/") {
		return "/"
	} else if n == 0 {
		return "the base directory"
	}
	s := strings.Join(b.names[:n], "/")
	if strings.HasPrefix(b.path, "/") {
		s = "/" + s
	}
	return s
}
