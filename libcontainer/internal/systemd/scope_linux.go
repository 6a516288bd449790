package systemd

import "time"

// begin starts a request.
func (c *Conn) begin(op string) { c.op, c.deadline = op, time.Now().Add(patience) }

// manager calls a method of the manager.
func (c *Conn) manager(member, signature string, body *encoder) (*message, error) {
	if body == nil {
		body = &encoder{}
	}
	return c.call(systemd, managerPath, managerInterface, member, signature, body.b)
}

// StartScope makes the unit, around one process of the caller's, and returns when it is there: with the path of its
// cgroup in the cgroup2 tree, "/system.slice/locald-web.scope". The cgroup is delegated: systemd moves nothing
// in and below it, and leaves the files alone that it has no property for. A unit of this name that has failed
// earlier makes room; one that runs is EEXIST.
func (c *Conn) StartScope(u Unit, description string, pid int, properties []Property) (cgroup string, err error) {
	c.begin("start " + u.Name)
	all := []Property{
		{"Description", description},
		{"Slice", u.Slice},
		{"Delegate", true},
		{"DefaultDependencies", false}, // it would be stopped before the services that use it
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
	start := func() (*message, error) { return c.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", body) }
	job, err := start()
	if e, ok := err.(*Error); ok && e.Name == unitExists && c.resetFailed(u) == nil {
		job, err = start()
	}
	if err != nil {
		return "", err
	}
	if err := c.finish(job); err != nil {
		c.resetFailed(u)
		return "", err
	}
	return c.controlGroup(u)
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

// SetProperties changes properties of the unit, until it ends.
func (c *Conn) SetProperties(u Unit, properties []Property) error {
	if len(properties) == 0 {
		return nil
	}
	c.begin("change " + u.Name)
	body := &encoder{}
	body.string(u.Name)
	body.uint32(1) // runtime: not in a file that outlives the next boot
	body.properties(properties)
	_, err := c.manager("SetUnitProperties", "sba(sv)", body)
	return err
}

// ControlGroup is the path of the unit's cgroup in the cgroup2 tree.
func (c *Conn) ControlGroup(u Unit) (string, error) {
	c.begin("find " + u.Name)
	return c.controlGroup(u)
}

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
	body = &encoder{}
	body.string("org.freedesktop.systemd1.Scope")
	body.string("ControlGroup")
	value, err := c.call(systemd, path[0], "org.freedesktop.DBus.Properties", "Get", "ss", body.b)
	if err != nil {
		return "", err
	}
	d := &decoder{b: value.body}
	sig, cgroup := d.variant()
	if sig != "s" || d.bad || cgroup == "" {
		return "", c.malformed()
	}
	return cgroup, nil
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
		for _, m := range c.removed {
			// u id, o job, s unit, s result
			words := m.strings()
			if len(words) != 3 || words[0] != job[0] {
				continue
			}
			c.removed = nil
			if words[2] != "done" {
				return &Error{Op: c.op, Message: "the job ended as " + words[2]}
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
