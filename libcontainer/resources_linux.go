package libcontainer

import (
	"errors"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Cgroup is the cgroup of a container that runs, for whoever has its path: another process may have made it.
// It holds descriptors until Close. Its methods are not for use from several goroutines at once.
type Cgroup struct {
	path   string
	layout cgroup.Layout
	cgroup *cgroup.Cgroup

	unit, bus string // the scope, when systemd made it, and where it is reached
}

// OpenCgroup opens a cgroup by its path, such as "/locald/web", on this machine.
func OpenCgroup(path string) (*Cgroup, error) {
	return openCgroup(lookCgroups(), path)
}

func openCgroup(l cgroup.Layout, path string) (*Cgroup, error) {
	c, err := cgroup.Open(l, path)
	if err != nil {
		return nil, liveError(err, path)
	}
	return &Cgroup{path: path, layout: l, cgroup: c}, nil
}

// Close lets go of the cgroup and leaves it as it is.
func (c *Cgroup) Close() { c.cgroup.Close() }

// Pause stops every process of the container, and returns when all have stopped. Paused processes can be
// killed.
func (c *Cgroup) Pause() error { return liveError(c.cgroup.Freeze(), c.path) }

// Resume lets them run again.
func (c *Cgroup) Resume() error { return liveError(c.cgroup.Thaw(), c.path) }

// Paused reports whether they are stopped.
func (c *Cgroup) Paused() bool { return c.cgroup.Frozen() }

// Processes are the ids of the container's processes, sorted, as the caller's pid namespace has them.
func (c *Cgroup) Processes() ([]int, error) {
	pids, err := c.cgroup.Processes()
	return pids, liveError(err, c.path)
}

// Signal sends a signal to every process of the container, and to no other.
func (c *Cgroup) Signal(sig int) error { return liveError(c.cgroup.Signal(sig), c.path) }

// Stats reads what the container uses.
func (c *Cgroup) Stats() Stats { return readStats(c.cgroup.Read, c.cgroup.PageSizes()) }

// Update puts other limits into force; what res leaves out stays as it is. All of it happens, or as far as the
// kernel allows nothing. devices says whether the caller may have a device filter, as Host.Mknod does. Errors:
// *ProblemError for what cannot be, *OpError for what the kernel refused, with the JSON pointer as in
// config.json; or one of systemd's, where it made the cgroup, when the limits are in force and systemd was not told.
func (c *Cgroup) Update(res *specs.LinuxResources, devices bool) error {
	if res == nil {
		return nil
	}
	var problems []Problem
	report := func(pointer, reason, hint string) { problems = append(problems, Problem{pointer, reason, hint}) }
	change := cgroup.Change{Writes: cgroup.CompileUpdate(res, c.layout, c.cgroup.Live(), report)}
	switch {
	case res.Devices == nil:
	case devices:
		change.SetDevices, change.Devices = true, cgroup.CompileDevices(res.Devices, report)
	case len(res.Devices) > 1 || len(res.Devices) == 1 && !denyAll(res.Devices[0]):
		report("/linux/resources/devices", "device rules need root outside of any user namespace", "leave them out: no device can be made in a user namespace")
	}
	if len(problems) > 0 {
		return &ProblemError{problems}
	}
	if err := c.cgroup.CheckMemory(res.Memory); err != nil {
		return liveError(err, c.path)
	}
	if err := c.cgroup.Update(c.layout, change); err != nil {
		return liveError(err, c.path)
	}
	return c.limitScope(change.Writes)
}

// OOMWatch tells when the kernel kills a process of a container for want of memory.
type OOMWatch struct {
	path  string
	watch *cgroup.OOMWatch
}

// WatchOOM starts to watch. The Cgroup stays open as long as the watch.
func (c *Cgroup) WatchOOM() (*OOMWatch, error) {
	w, err := c.cgroup.WatchOOM()
	if err != nil {
		return nil, liveError(err, c.path)
	}
	return &OOMWatch{c.path, w}, nil
}

// FD is a descriptor that becomes readable (POLLIN) when there may be something to tell: call Check then.
func (w *OOMWatch) FD() int { return w.watch.FD() }

// Check returns the number of kills since the last call, without waiting. The error is io.EOF once the
// container has no process any more.
func (w *OOMWatch) Check() (kills uint64, err error) { return w.watch.Check() }

// Next waits for the next kills. The error is io.EOF once the container has no process any more.
func (w *OOMWatch) Next() (kills uint64, err error) {
	kills, err = w.watch.Next()
	return kills, liveError(err, w.path)
}

// Close ends the watch.
func (w *OOMWatch) Close() { w.watch.Close() }

// liveError makes an *OpError of what went wrong in the cgroup of a container that runs.
func liveError(err error, path string) error {
	var e *cgroup.Error
	if !errors.As(err, &e) {
		return err
	}
	op := cgroupError(err, path).(*OpError)
	op.Phase = PhaseRunning
	return op
}
