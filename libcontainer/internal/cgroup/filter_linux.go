package cgroup

import "golang.org/x/sys/unix"

const devicesPointer = pointerRoot + "devices"

// FilterDevices puts the device filter that CompileDevices made into force, in the cgroup2 tree, on a
// hybrid host too. It ends with the cgroup. It needs root: CAP_BPF and CAP_NET_ADMIN or CAP_SYS_ADMIN
// in the host's user namespace. No instructions are no filter.
func (c *Cgroup) FilterDevices(insns []Insn) error {
	if len(insns) == 0 {
		return nil
	}
	prog, err := c.loadDevices(insns)
	if err != nil {
		return err
	}
	defer unix.Close(prog)
	return c.attached(attachDevices(c.v2.dir, prog))
}

// ReplaceDevices puts a filter in the place of the one that FilterDevices or an earlier ReplaceDevices
// has put on the cgroup, in one step: at no time is there none. No instructions take it off. Filters
// that others put there, as systemd does for DeviceAllow=, stay: a device must pass all of them.
//
// What a process has open it keeps: the kernel asks a filter at open and mknod only.
func (c *Cgroup) ReplaceDevices(insns []Insn) error {
	old, err := c.ownFilters()
	defer func() {
		for _, fd := range old {
			unix.Close(fd)
		}
	}()
	if err != nil {
		return &Error{Pointer: devicesPointer, Op: "find the device filter of cgroup " + c.path, Err: errno(err), Hint: rootHint(err)}
	}
	if len(insns) > 0 {
		prog, err := c.loadDevices(insns)
		if err != nil {
			return err
		}
		defer unix.Close(prog)
		if len(old) == 0 {
			return c.attached(attachDevices(c.v2.dir, prog))
		}
		if err := c.attached(replaceDevices(c.v2.dir, prog, old[0])); err != nil {
			return err
		}
		unix.Close(old[0])
		old = old[1:]
	}
	for _, fd := range old {
		if err := detachDevices(c.v2.dir, fd); err != nil && err != unix.ENOENT {
			return &Error{Pointer: devicesPointer, Op: "take a device filter off cgroup " + c.path, Err: errno(err)}
		}
	}
	return nil
}

func (c *Cgroup) loadDevices(insns []Insn) (int, error) {
	prog, err := loadDevices(insns)
	if err != nil {
		return -1, &Error{Pointer: devicesPointer, Op: "load the device filter", Err: errno(err), Hint: rootHint(err)}
	}
	return prog, nil
}

func (c *Cgroup) attached(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Pointer: devicesPointer, Op: "attach the device filter to cgroup " + c.path, Err: errno(err)}
	if err == unix.EPERM {
		e.Hint = "a filter on a parent cgroup allows none below it"
	}
	return e
}

func rootHint(err error) string {
	if err == unix.EPERM {
		return "device rules need root outside of any user namespace"
	}
	return ""
}

// ownFilters opens the filters of the cgroup that have the name of ours.
func (c *Cgroup) ownFilters() (fds []int, err error) {
	ids, err := queryDevices(c.v2.dir)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		fd, err := openProgram(id)
		if err == unix.ENOENT { // detached meanwhile
			continue
		}
		if err != nil {
			return fds, err
		}
		name, err := programName(fd)
		if err == nil && name == filterName {
			fds = append(fds, fd)
			continue
		}
		unix.Close(fd)
		if err != nil {
			return fds, err
		}
	}
	return fds, nil
}
