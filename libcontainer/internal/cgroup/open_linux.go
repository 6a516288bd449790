package cgroup

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Open finds an existing cgroup, so that a process that did not create it can do the rest: freeze, count, change, kill, remove. It
// looks in every hierarchy: a creation or removal that was cut short may have left the cgroup in some
// only. Where it is in none, the error is ENOENT.
func Open(l Layout, path string) (*Cgroup, error) {
	names, reason := pathNames(path)
	if reason != "" {
		return nil, &Error{Op: "open cgroup " + path, Err: unix.EINVAL, Hint: reason}
	}
	root, err := openRoot(l)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	return open(root, l, path, names)
}

// OpenAt is Open below base, as CreateAt is Create.
func OpenAt(base int, rel string) (*Cgroup, error) {
	names, reason := split(rel)
	if reason != "" {
		return nil, &Error{Op: "open cgroup " + rel, Err: unix.EINVAL, Hint: reason}
	}
	if err := checkMagic(base, unix.CGROUP2_SUPER_MAGIC); err != nil {
		return nil, &Error{Op: "open cgroup " + rel, Err: errno(err), Hint: "the base directory is not in the cgroup2 tree"}
	}
	return open(base, Layout{}, rel, names)
}

func open(root int, l Layout, path string, names []string) (*Cgroup, error) {
	c := &Cgroup{path: path, name: names[len(names)-1]}
	var err error
	if c.v2, err = find(root, names); err != nil {
		return nil, &Error{Op: "open cgroup " + path, Err: errno(err)}
	}
	found := c.v2.dir >= 0
	var seen []uint64
	for _, controller := range l.V1 {
		if controller.Dir == "" {
			continue
		}
		root, dev, err := openV1(controller.Dir)
		if err == unix.ENOENT || err == unix.ENOTDIR || err == unix.EINVAL {
			continue // no hierarchy, so nothing is in it: Look takes what it could not look at for one
		}
		if err != nil {
			c.Close()
			return nil, &Error{Op: "open the cgroup v1 hierarchy at " + controller.Dir, Err: errno(err)}
		}
		if slices.Contains(seen, dev) {
			if i := slices.IndexFunc(c.v1, func(p place) bool { return p.dev == dev }); i >= 0 {
				c.v1[i].controllers = append(c.v1[i].controllers, controller.Name)
			}
			unix.Close(root)
			continue
		}
		seen = append(seen, dev)
		p, err := find(root, names)
		unix.Close(root)
		if err != nil {
			c.Close()
			return nil, &Error{Op: "open cgroup " + path + " in " + controller.Dir, Err: errno(err)}
		}
		if p.dir >= 0 {
			p.controllers, p.dev = []string{controller.Name}, dev
			c.v1 = append(c.v1, p)
			found = true
		} else {
			p.close()
		}
	}
	if !found {
		c.Close()
		return nil, &Error{Op: "open cgroup " + path, Err: unix.ENOENT}
	}
	return c, nil
}

// Complete adds the other cgroup in the v1 hierarchies that this one is not in, for TasksFD, and closes the rest of it.
func (c *Cgroup) Complete(other *Cgroup) {
	for i := range other.v1 {
		p := &other.v1[i]
		if p.dir < 0 || slices.ContainsFunc(c.v1, func(q place) bool { return q.dev == p.dev }) {
			continue
		}
		c.v1 = append(c.v1, place{controllers: p.controllers, dev: p.dev, parent: -1, dir: p.dir, tasks: -1}) // without a parent it is never removed
		p.dir = -1
	}
	other.Close()
}

// find opens a cgroup and its parent. Where they are not there, dir is -1 and that is no error.
func find(root int, names []string) (place, error) {
	p := nothing()
	var err error
	at, opened := root, -1
	for i, name := range names {
		var fd int
		if fd, err = openDir(at, name); err != nil {
			break
		}
		if i == len(names)-1 {
			p.dir = fd
			if p.parent = opened; opened < 0 {
				p.parent, err = openDir(root, ".")
			}
			opened = -1
			break
		}
		if opened >= 0 {
			unix.Close(opened)
		}
		at, opened = fd, fd
	}
	if opened >= 0 {
		unix.Close(opened)
	}
	if err != nil {
		p.close()
		if gone(err) {
			err = nil
		}
	}
	return p, err
}
