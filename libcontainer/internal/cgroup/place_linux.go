package cgroup

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// errGone says that a directory which was there is there no more: someone whose own creation failed has
// removed the parent that he had made.
var errGone = errors.New("removed in the meantime")

// place makes the cgroup in one hierarchy, given its root or base directory. writes are those that need
// a controller enabled on the way; in a v1 hierarchy there are none. inherit is for the cpuset
// hierarchy of v1.
func (b *creation) place(root int, writes []Write, inherit bool) (p place, err error) {
	for range 20 {
		if p, err = b.try(root, writes, inherit); err != errGone {
			return p, err
		}
	}
	return p, &Error{Op: "create cgroup " + b.display(len(b.names)), Err: unix.ENOENT, Hint: "someone removes its parent again and again"}
}

func (b *creation) try(root int, writes []Write, inherit bool) (place, error) {
	p, name := nothing(), b.names[len(b.names)-1]
	parent, err := b.parent(root, writes, inherit)
	if err != nil {
		return p, err
	}
	p.parent = parent
	if err = mkdir(parent, name); err == unix.EEXIST {
		if err = vacate(parent, name); err == nil {
			err = mkdir(parent, name)
		}
	}
	if err == nil {
		if p.dir, err = openDir(parent, name); err == nil && inherit {
			err = inheritCpuset(parent, p.dir)
		}
		if err != nil {
			rmdir(parent, name)
		}
	}
	if err != nil {
		p.close()
		return p, b.cannotMake(len(b.names), err)
	}
	b.made = append(b.made, madeDir{in: parent, name: name})
	return p, nil
}

func (b *creation) cannotMake(n int, err error) error {
	if gone(err) {
		return errGone
	}
	e := &Error{Op: "create cgroup " + b.display(n), Err: errno(err)}
	switch err {
	case unix.EEXIST:
		e.Hint = "processes run in it"
	case unix.EAGAIN:
		e.Hint = "a parent's cgroup.max.descendants or cgroup.max.depth is reached"
	case unix.EACCES, unix.EPERM:
		e.Hint = "the parent cgroup belongs to someone else"
	}
	return e
}

// parent opens the directory that the cgroup goes into. Once the first container is there, all of it
// is there and enabled, and two or three calls find that: what is enabled in a directory is
// enabled in those above it, or it could not be.
func (b *creation) parent(root int, writes []Write, inherit bool) (int, error) {
	dirs := b.names[:len(b.names)-1]
	if !inherit {
		rel := "."
		if len(dirs) > 0 {
			rel = strings.Join(dirs, "/")
		}
		fd, err := openDir(root, rel)
		if err == nil && len(missing(fd, writes)) == 0 && len(b.uncounted(fd)) == 0 {
			return fd, nil
		}
		if err == nil {
			unix.Close(fd)
		} else if err != unix.ENOENT {
			return -1, &Error{Op: "open cgroup " + b.display(len(dirs)), Err: errno(err)}
		}
	}
	cur, err := openDir(root, ".")
	if err != nil {
		return -1, &Error{Op: "open cgroup " + b.display(0), Err: errno(err)}
	}
	for i := range dirs {
		next, err := b.step(cur, i, writes, inherit)
		unix.Close(cur)
		if err != nil {
			return -1, err
		}
		cur = next
	}
	if err := b.enable(cur, len(dirs), writes); err != nil {
		unix.Close(cur)
		return -1, err
	}
	return cur, nil
}

// step goes from the directory above names[i] into it, and makes it if need be.
func (b *creation) step(cur, i int, writes []Write, inherit bool) (int, error) {
	if err := b.enable(cur, i, writes); err != nil {
		return -1, err
	}
	name := b.names[i]
	next, err := openDir(cur, name)
	if err == unix.ENOENT {
		if err = b.makeParent(cur, name); err == nil {
			next, err = openDir(cur, name)
		}
	}
	if err == nil && inherit {
		if err = inheritCpuset(cur, next); err != nil {
			unix.Close(next)
		}
	}
	if err != nil {
		return -1, b.cannotMake(i+1, err)
	}
	return next, nil
}

// makeParent makes a directory above the cgroup and remembers it for settle. That another creation was
// faster is no error.
func (b *creation) makeParent(cur int, name string) error {
	in, err := openDir(cur, ".")
	if err != nil {
		return err
	}
	if err := mkdir(cur, name); err != nil {
		unix.Close(in)
		if err == unix.EEXIST {
			return nil
		}
		return err
	}
	b.made = append(b.made, madeDir{in, name, true})
	return nil
}

// missing are the controllers of writes that are not enabled for the children of dir. What cannot be
// read is left to the write that follows.
func missing(dir int, writes []Write) []string {
	need := controllers(writes)
	if len(need) == 0 {
		return nil
	}
	text, _ := readFile(dir, "cgroup.subtree_control")
	have := strings.Fields(text)
	return slices.DeleteFunc(need, func(name string) bool { return slices.Contains(have, name) })
}

// counters are the controllers that count what a cgroup uses, sorted.
var counters = [...]string{"cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma"}

// uncounted are those of counters that dir has for its children and are not enabled.
func (b *creation) uncounted(dir int) (names []string) {
	if !b.account {
		return nil
	}
	text, _ := readFile(dir, "cgroup.subtree_control")
	enabled := strings.Fields(text)
	for _, name := range availableIn(dir, "") {
		if slices.Contains(counters[:], name) && !slices.Contains(enabled, name) {
			names = append(names, name)
		}
	}
	return names
}

// enable enables the controllers of writes for the children of dir, which is the first n names.
func (b *creation) enable(dir, n int, writes []Write) error {
	if more := b.uncounted(dir); len(more) > 0 && !occupied(dir) {
		for _, name := range more { // one by one: what cannot be had is not counted
			writeFile(dir, "cgroup.subtree_control", "+"+name)
		}
	}
	need := missing(dir, writes)
	if len(need) == 0 {
		return nil
	}
	var err error = unix.EBUSY
	if !occupied(dir) {
		err = writeFile(dir, "cgroup.subtree_control", "+"+strings.Join(need, " +"))
	}
	if err == nil {
		return nil
	}
	e := &Error{Pointer: pointerOf(writes, need[0]), Err: errno(err)}
	switch err {
	case unix.EBUSY:
		e.Hint = "processes run in it, and a cgroup has processes or controllers for its children, not both; move them to a child"
	case unix.EACCES, unix.EPERM, unix.EROFS:
		e.Hint = "it belongs to someone else"
	case unix.ENOENT, unix.ENODEV:
		text, err := readFile(dir, "cgroup.controllers")
		have := strings.Fields(text)
		need = slices.DeleteFunc(need, func(name string) bool { return slices.Contains(have, name) })
		if err != nil || len(need) == 0 {
			return errGone
		}
		e.Pointer = pointerOf(writes, need[0])
		e.Hint = "the cgroups above it do not give it this controller"
	}
	e.Op = "enable " + strings.Join(need, ", ") + " in cgroup " + b.display(n)
	return e
}

// occupied reports whether processes are in a cgroup itself, other than the root of the tree. The kernel
// lets cpu, cpuset and pids be enabled there all the same, but makes the cgroup a threaded domain by
// that, and its children take no process any more ("domain invalid", cgroup-v2.rst).
func occupied(dir int) bool {
	if _, err := readFile(dir, "cgroup.type"); err == unix.ENOENT {
		return false // the root has no such file
	}
	text, err := readFile(dir, "cgroup.procs")
	return err == nil && text != ""
}

// inheritCpuset gives a cgroup of the v1 cpuset hierarchy the processors and memory nodes of its parent
// where it has none: it starts without, and then takes no process (ENOSPC).
func inheritCpuset(parent, dir int) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		text, err := readFile(dir, file)
		if err != nil {
			return err
		}
		if strings.TrimSpace(text) != "" {
			continue
		}
		if text, err = readFile(parent, file); err != nil {
			return err
		}
		if err := writeFile(dir, file, strings.TrimSpace(text)); err != nil {
			return err
		}
	}
	return nil
}
