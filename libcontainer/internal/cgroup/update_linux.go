package cgroup

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Change is what Update does to a cgroup.
type Change struct {
	Writes     []Write // by CompileUpdate
	SetDevices bool    // put Devices in the place of the device filter
	Devices    []Insn  // by CompileDevices; none takes the filter off
}

// Live reads what CompileUpdate wants to know.
func (c *Cgroup) Live() Live {
	live := Live{MemoryLimit: -1, CPUQuota: -1}
	if text := c.text("memory", "memory.limit_in_bytes", "memory.max"); text != "" {
		// v1 has no word for "no limit", but the largest number of whole pages.
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < 1<<62 {
			live.MemoryLimit = n
		}
	}
	quota, _, _ := strings.Cut(c.text("cpu", "cpu.cfs_quota_us", "cpu.max"), " ")
	if n, err := strconv.ParseInt(quota, 10, 64); err == nil {
		live.CPUQuota = n
	}
	live.CPUIdle = c.text("cpu", "cpu.idle", "cpu.idle") == "1"
	return live
}

// text is a file of a controller, in whichever tree the cgroup has it; "" when it is in none.
func (c *Cgroup) text(controller, file1, file2 string) string {
	if text, ok := c.Read(controller, file1); ok {
		return strings.TrimSpace(text)
	}
	text, _ := c.Read("", file2)
	return strings.TrimSpace(text)
}

// Read reads a file of the cgroup in the v1 hierarchy of a controller, or in the cgroup2 tree when the
// controller is "". It reports false where there is no such hierarchy, cgroup or file.
func (c *Cgroup) Read(controller, file string) (string, bool) {
	dir := c.v2.dir
	if controller != "" {
		dir = -1
		if p := c.placeOf(controller); p != nil {
			dir = p.dir
		}
	}
	if dir < 0 {
		return "", false
	}
	text, err := readFile(dir, file)
	return text, err == nil
}

// placeOf is the cgroup in the v1 hierarchy of a controller, or nil.
func (c *Cgroup) placeOf(controller string) *place {
	for i := range c.v1 {
		if slices.Contains(c.v1[i].controllers, controller) {
			return &c.v1[i]
		}
	}
	return nil
}

// CheckMemory refuses new limits below what is in use, where checkBeforeUpdate asks for that. Without it v2
// takes such a limit and kills processes until it fits. The use may grow until the limit is in force;
// nothing the kernel offers prevents that.
func (c *Cgroup) CheckMemory(m *specs.LinuxMemory) error {
	if m == nil || m.CheckBeforeUpdate == nil || !*m.CheckBeforeUpdate {
		return nil
	}
	check := func(limit *int64, used uint64, pointer string) error {
		if limit == nil || *limit <= 0 || used <= uint64(*limit) {
			return nil
		}
		return &Error{Pointer: pointer, Op: "limit cgroup " + c.path + " to " + itoa(*limit) + " bytes", Err: unix.EBUSY,
			Hint: utoa(used) + " bytes are in use, and memory.checkBeforeUpdate forbids to go below that"}
	}
	number := func(file1, file2 string) uint64 {
		n, _ := strconv.ParseUint(c.text("memory", file1, file2), 10, 64)
		return n
	}
	memory := number("memory.usage_in_bytes", "memory.current")
	if err := check(m.Limit, memory, pointerRoot+"memory/limit"); err != nil {
		return err
	}
	both := number("memory.memsw.usage_in_bytes", "memory.swap.current")
	if c.placeOf("memory") == nil { // v2 counts swap alone
		both += memory
	}
	return check(m.Swap, both, pointerRoot+"memory/swap")
}

// Update changes the limits of a cgroup that is in use. What the kernel refuses for the sake of another limit
// that is yet to change, such as a v1 memory limit above the limit of memory and swap together, is tried again
// after it. When something is refused for good, what was changed before is put back, in reverse order,
// as far as the kernel lets it, and the error names the pointer of what was refused.
//
// A controller that no limit needed before is enabled on the way down, as Create does it; in a v1 hierarchy
// the cgroup is made and the container's processes are moved there.
func (c *Cgroup) Update(l Layout, change Change) error {
	var in2, new1 []Write
	for _, w := range change.Writes {
		if l.dir(w.Controller) == "" {
			in2 = append(in2, w)
		} else if c.placeOf(w.Controller) == nil {
			new1 = append(new1, w)
		}
	}
	if c.v2.dir < 0 || c.isGone() {
		return &Error{Op: "change cgroup " + c.path, Err: unix.ENOENT, Hint: "it was removed"}
	}
	if err := c.enableMore(l, in2); err != nil {
		return err
	}
	b, err := c.placeMore(l, new1)
	if err != nil {
		return err
	}
	undo, err := c.apply(change.Writes)
	if err == nil && change.SetDevices {
		err = c.ReplaceDevices(change.Devices)
	}
	if err == nil {
		err = c.joinMore()
	}
	if err != nil {
		for i := len(undo) - 1; i >= 0; i-- {
			c.write(&undo[i])
		}
	}
	b.settle(err != nil)
	if err != nil {
		c.forgetMore()
	}
	return err
}

// enableMore enables controllers above the cgroup that are not enabled yet.
func (c *Cgroup) enableMore(l Layout, writes []Write) error {
	if len(missing(c.v2.parent, writes)) == 0 {
		return nil
	}
	names, reason := pathNames(c.path)
	if reason != "" {
		return &Error{Op: "change cgroup " + c.path, Err: unix.EINVAL, Hint: reason}
	}
	root, err := openRoot(l)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	b := &creation{path: c.path, names: names}
	fd, err := b.parent(root, writes, false)
	b.settle(false)
	if err == errGone {
		return &Error{Op: "change cgroup " + c.path, Err: unix.ENOENT, Hint: "it was removed"}
	}
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// placeMore makes the cgroup in the v1 hierarchies of writes, where it is not yet. The processes come with
// joinMore, once the limits are in force.
func (c *Cgroup) placeMore(l Layout, writes []Write) (*creation, error) {
	b := &creation{path: c.path}
	if len(writes) == 0 {
		return b, nil
	}
	var reason string
	if b.names, reason = pathNames(c.path); reason != "" {
		return b, &Error{Op: "change cgroup " + c.path, Err: unix.EINVAL, Hint: reason}
	}
	places, err := b.placesV1(l, writes, nil)
	if err != nil {
		b.settle(true)
		for i := range places {
			places[i].close()
		}
		return b, err
	}
	for i := range places {
		places[i].added = true
	}
	c.v1 = append(c.v1, places...)
	return b, nil
}

// joinMore moves the container's processes into the v1 cgroups that placeMore has made. The cgroup is frozen
// meanwhile, unless something in it cannot be, so that no process is forked that is missed.
func (c *Cgroup) joinMore() error {
	if !slices.ContainsFunc(c.v1, func(p place) bool { return p.added }) {
		return nil
	}
	if !c.Frozen() && c.Freeze() == nil {
		defer c.Thaw()
	}
	for i := range c.v1 {
		if !c.v1[i].added {
			continue
		}
		if err := c.join(&c.v1[i]); err != nil {
			return err
		}
	}
	for i := range c.v1 {
		c.v1[i].added = false
	}
	return nil
}

func (c *Cgroup) join(p *place) error {
	procs, err := openat2(p.dir, "cgroup.procs", unix.O_WRONLY)
	if err != nil {
		return &Error{Op: "open cgroup.procs of cgroup " + c.path, Err: errno(err)}
	}
	defer unix.Close(procs)
	for range 20 {
		pids, err := c.Processes()
		if err != nil {
			return err
		}
		text, err := readFile(p.dir, "cgroup.procs") // opened anew: of v1 an open file may show an old list
		if err != nil {
			return &Error{Op: "list the processes in cgroup " + c.path, Err: errno(err)}
		}
		joined := strings.Fields(text)
		pids = slices.DeleteFunc(pids, func(pid int) bool { return slices.Contains(joined, strconv.Itoa(pid)) })
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			err := retry(func() error {
				_, err := unix.Write(procs, []byte(strconv.Itoa(pid)))
				return err
			})
			if err != nil && err != unix.ESRCH {
				return &Error{Op: "move process " + strconv.Itoa(pid) + " to cgroup " + c.path, Err: errno(err)}
			}
		}
	}
	return &Error{Op: "move the processes of cgroup " + c.path, Err: unix.EAGAIN, Hint: "it forks faster than its processes can be moved"}
}

// forgetMore lets go of what placeMore has made.
func (c *Cgroup) forgetMore() {
	c.v1 = slices.DeleteFunc(c.v1, func(p place) bool {
		if p.added {
			p.close()
		}
		return p.added
	})
}

// apply does writes, and returns those that take them back.
func (c *Cgroup) apply(writes []Write) (undo []Write, err error) {
	for left := writes; len(left) > 0; {
		var later []Write
		err = nil
		for i := range left {
			old, ok := c.before(&left[i])
			e := c.write(&left[i])
			switch {
			case e == nil && ok:
				undo = append(undo, old)
			case e == nil:
			case unwrap(e) == unix.EINVAL || unwrap(e) == unix.EBUSY:
				later = append(later, left[i])
				if err == nil {
					err = e
				}
			default:
				return undo, e
			}
		}
		if len(later) == len(left) {
			return undo, err
		}
		left = later
	}
	return undo, nil
}

func unwrap(err error) error {
	if e, ok := err.(*Error); ok {
		return e.Err
	}
	return err
}

// before is the write that takes w back.
func (c *Cgroup) before(w *Write) (Write, bool) {
	dir := c.v2.dir
	if p := c.placeOf(w.Controller); p != nil {
		dir = p.dir
	}
	file, value := w.File, w.Value
	text, err := readFile(dir, file)
	if err == unix.ENOENT && w.AltFile != "" {
		file, value = w.AltFile, w.AltValue
		text, err = readFile(dir, file)
	}
	if err != nil {
		return Write{}, false
	}
	old, ok := before(file, text, value)
	return Write{Controller: w.Controller, File: file, Value: old, Pointer: w.Pointer}, ok
}

// PageSizes are the sizes of huge pages that the cgroup counts, sorted, such as "2MB".
func (c *Cgroup) PageSizes() []string {
	dir := c.v2.dir
	if p := c.placeOf("hugetlb"); p != nil {
		dir = p.dir
	}
	if dir < 0 {
		return nil
	}
	names, _ := entries(dir)
	var sizes []string
	for _, name := range names {
		size, file, _ := strings.Cut(strings.TrimPrefix(name, "hugetlb."), ".")
		if strings.HasPrefix(name, "hugetlb.") && (file == "max" || file == "limit_in_bytes") {
			sizes = append(sizes, size)
		}
	}
	return sorted(sizes)
}
