package systemd

import "time"

// begin starts a request.
func (c *Conn) begin(op string) { c.op, c.deadline = op, time.Now().Add(c.patience) }

// manager calls a method of the manager.
func (c *Conn) manager(member, signature string, body *encoder) (*message, error) {
	if body == nil {
		body = &encoder{}
	}
	return c.call(systemd, managerPath, managerInterface, member, signature, body.b)
}

// StartScope makes the unit, around one process of the caller's, and returns when it is there: with the path of its
// cgroup in the cgroup2 tree, "/system.slice/locald-web.scope". The cgroup is delegated: systemd moves nothing
// in and below it, and leaves the files alone that it has no property for. systemd forgets the unit when its last
// process has ended, also after a failure. One of this name that runs is EEXIST.
func (c *Conn) StartScope(u Unit, description string, pid int, properties []Property) (cgroup string, err error) {
	c.begin("start " + u.Name)
	all := []Property{
		{"Description", description},
		{"Slice", u.Slice},
		{"Delegate", true},
		{"DefaultDependencies", false}, // it would be stopped before the services that use it
		{"CollectMode", "inactive-or-failed"},
		{"CPUAccounting", true},
		{"MemoryAccounting", true},
		{"IOAccounting", true},
		{"TasksAccounting", true},
	}
	for _, p := range properties {
		all = set(all, p)
	}
	all = set(all, Property{"PIDs", []uint32{uint32(pid)}})
	if err := c.watch(); err != nil {
		return "", err
	}
	body := &encoder{}
	body.string(u.Name)
	body.string("fail") // not in the place of a job that is under way
	body.properties(all)
	body.array(8, func() {}) // no other units with it
	job, err := c.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", body)
	if err != nil {
		return "", err
	}
	if err := c.finish(job); err != nil {
		return "", err
	}
	return c.controlGroup(u)
}

// Attach moves a process of the caller's into the cgroup below that of a scope, "" or "/sub". A user may not move it
// there from a cgroup outside of the manager's, and the manager neither; but systemd as a whole may, when process and unit
// are the same user's.
func (c *Conn) Attach(u Unit, below string, pid int) error {
	c.begin("move a process into " + u.Name)
	body := &encoder{}
	body.string(u.Name)
	body.string(below)
	body.array(4, func() { body.uint32(uint32(pid)) })
	_, err := c.manager("AttachProcessesToUnit", "ssau", body)
	return err
}

// StopScope ends the unit, and returns when it has ended: systemd sends its processes SIGTERM, and SIGKILL to those
// that are left after TimeoutStopUSec. It removes the cgroup. A unit that is gone is no error.
func (c *Conn) StopScope(u Unit) error {
	c.begin("stop " + u.Name)
	if err := c.watch(); err != nil {
		return err
	}
	body := &encoder{}
	body.string(u.Name)
	body.string("replace")
	job, err := c.manager("StopUnit", "ss", body)
	if err == nil {
		err = c.finish(job)
	}
	if e, ok := err.(*Error); ok && e.Name == noSuchUnit {
		err = nil
	}
	c.resetFailed(u)
	return err
}

// SetProperties changes properties of the unit, until it ends, and returns when they are in force.
func (c *Conn) SetProperties(u Unit, properties []Property) error {
	if len(properties) == 0 {
		return nil
	}
	c.begin("change " + u.Name)
	body := &encoder{}
	body.string(u.Name)
	body.uint32(1) // runtime: not in a file that outlives the next boot
	body.properties(properties)
	if _, err := c.manager("SetUnitProperties", "sba(sv)", body); err != nil {
		return err
	}
	// The answer comes before the files of the cgroup are written, which happens before the next request is looked at.
	_, err := c.controlGroup(u)
	return err
}

// Root is the cgroup that the manager's slices are in: "/" of the machine's, and
// "/user.slice/user-1000.slice/user@1000.service" of a user's.
func (c *Conn) Root() (string, error) {
	c.begin("find the cgroup of the manager")
	root, err := c.property(managerPath, managerInterface, "ControlGroup")
	if root == "" {
		root = "/" // this is how systemd writes it
	}
	return root, err
}

// controlGroup is the path of the unit's cgroup in the cgroup2 tree.
func (c *Conn) controlGroup(u Unit) (string, error) {
	body := &encoder{}
	body.string(u.Name)
	unit, err := c.manager("GetUnit", "s", body)
	if err != nil {
		return "", err
	}
	path := unit.strings()
	if len(path) != 1 {
		return "", c.malformed()
	}
	cgroup, err := c.property(path[0], "org.freedesktop.systemd1.Scope", "ControlGroup")
	if err == nil && cgroup == "" {
		err = c.malformed()
	}
	return cgroup, err
}

// property reads one that is a text.
func (c *Conn) property(path, iface, name string) (string, error) {
	body := &encoder{}
	body.string(iface)
	body.string(name)
	value, err := c.call(systemd, path, "org.freedesktop.DBus.Properties", "Get", "ss", body.b)
	if err != nil {
		return "", err
	}
	d := &decoder{b: value.body}
	sig, text := d.variant()
	if sig != "s" || d.bad {
		return "", c.malformed()
	}
	return text, nil
}

// watch asks to be told when a job is over.
func (c *Conn) watch() error {
	if c.watching {
		return nil
	}
	body := &encoder{}
	body.string("type='signal',sender='" + systemd + "',path='" + managerPath + "',interface='" + managerInterface + "',member='JobRemoved'")
	if _, err := c.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", body.b); err != nil {
		return err
	}
	if _, err := c.manager("Subscribe", "", nil); err != nil {
		return err
	}
	c.watching = true
	return nil
}

// finish waits until a job is over. Signals about the jobs of others are dropped.
func (c *Conn) finish(started *message) error {
	job := started.strings()
	if len(job) != 1 {
		return c.malformed()
	}
	for {
		for _, end := range c.removed {
			if end.job != job[0] || end.sender != started.sender { // others may send signals, too
				continue
			}
			c.removed = nil
			if end.result != "done" {
				return &Error{Op: c.op, Message: "the job ended as " + end.result}
			}
			return nil
		}
		c.removed = nil
		if _, err := c.next(); err != nil {
			return err
		}
	}
}

// resetFailed lets systemd forget a unit that has failed. One that has not is an error.
func (c *Conn) resetFailed(u Unit) error {
	body := &encoder{}
	body.string(u.Name)
	_, err := c.manager("ResetFailedUnit", "s", body)
	return err
}
