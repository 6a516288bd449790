package privilege

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A container below the base is no longer in the cgroup that its caller came from. What limits the caller there, and
// in each cgroup above, has to limit it below the base as well. What can be copied is copied; where there is
// anything else, the caller has no base.

// limit is a file in which a cgroup is limited, and which of two of its values is the tighter.
type limit struct {
	file    string
	value   string
	tighter func(a, b string) string
}

// inherit copies the tightest limits on the way from the caller's cgroup to the root onto the base. While
// containers run below the base a limit is only made tighter, since they may come from another, tighter cgroup of the
// same caller's; the lock keeps that question and its answer together.
func (c *Caller) inherit(root, base int) error {
	own, err := ownCgroup()
	if err != nil {
		return err
	}
	limits, err := ownLimitsOf(root, own)
	if err != nil {
		return err
	}
	if err := sameFilters(root, base, own); err != nil {
		return err
	}
	if err := unix.Flock(base, unix.LOCK_EX); err != nil {
		return fail("lock the base cgroup", err)
	}
	defer unix.Flock(base, unix.LOCK_UN)
	events, err := readAt(base, "cgroup.events")
	if err != nil {
		return fail("read cgroup.events of the base cgroup", err)
	}
	busy := strings.Contains(events, "populated 1")
	for _, l := range limits {
		if err := setLimit(base, l, busy); err != nil {
			return err
		}
	}
	c.limits = limits
	return nil
}

// stillLimited looks, when the child is in its cgroup, whether the base is as tight as it has to be: another call of
// the same caller's, from a looser cgroup, may have come between.
func (c *Caller) stillLimited() error {
	if !c.intoBase || len(c.limits) == 0 {
		return nil
	}
	root, err := cgroupRoot()
	if err != nil || root < 0 {
		return errors.New("the cgroup2 tree is gone")
	}
	defer unix.Close(root)
	base, err := openBelow(root, c.Grant.CgroupBase[1:])
	if err != nil {
		return fail("open the base cgroup", err)
	}
	defer unix.Close(base)
	if err := unix.Flock(base, unix.LOCK_EX); err != nil {
		return fail("lock the base cgroup", err)
	}
	for _, l := range c.limits {
		now, err := readAt(base, l.file)
		if err == unix.ENOENT {
			continue
		}
		if now = strings.TrimSpace(now); err != nil || l.tighter(now, l.value) != now {
			return errors.New("the limits of the base cgroup were changed by another call meanwhile; run it again")
		}
	}
	return nil
}

// setLimit writes one limit; a file that is not there has no controller, neither here nor for the caller's cgroup.
func setLimit(base int, l limit, busy bool) error {
	now, err := readAt(base, l.file)
	if err == unix.ENOENT {
		if l.value != "" && !strings.HasPrefix(l.value, "max") {
			return errors.New("your cgroup has a limit in " + l.file + ", which the base cgroup cannot have")
		}
		return nil
	}
	if err != nil {
		return fail("read "+l.file+" of the base cgroup", err)
	}
	now = strings.TrimSpace(now)
	want := l.value
	if busy {
		want = l.tighter(now, want)
	}
	if want == now {
		return nil
	}
	if want == "" {
		want = "\n" // cpuset: whatever the parent has
	}
	if err := writeAt(base, l.file, want); err != nil {
		return fail("set "+l.file+" of the base cgroup", err)
	}
	return nil
}

// ownLimitsOf are the tightest limits from the cgroup at path up to the root, which has none.
func ownLimitsOf(root int, path string) ([]limit, error) {
	limits := []limit{{"memory.max", "max", tighter}, {"memory.high", "max", tighter}, {"memory.swap.max", "max", tighter}, {"memory.zswap.max", "max", tighter},
		{"pids.max", "max", tighter}, {"cpu.max", "max 100000", tighterCPU}, {"cpuset.cpus", "", tighterSet}, {"cpuset.mems", "", tighterSet}}
	for path != "" {
		dir, err := openBelow(root, path)
		if err == nil {
			err = addLimits(dir, limits)
			unix.Close(dir)
		}
		if err != nil {
			return nil, fail("read the limits of your cgroup /"+path, err)
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	return limits, nil
}

// addLimits makes limits as tight as those in one cgroup. It looks at every file with a limit there is: one that is
// in no list must not limit anything.
func addLimits(dir int, limits []limit) error {
	names, err := namesIn(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "cgroup.") || !strings.HasSuffix(name, ".max") && !strings.HasSuffix(name, ".high") && !strings.HasPrefix(name, "cpuset.") {
			continue
		}
		i := slices.IndexFunc(limits, func(l limit) bool { return l.file == name || l.file+".effective" == name })
		if strings.HasPrefix(name, "cpuset.") && (i < 0 || limits[i].file == name) {
			continue // the effective sets count
		}
		text, err := readAt(dir, name)
		if err != nil {
			return err
		}
		if text = strings.TrimSpace(text); i >= 0 {
			limits[i].value = limits[i].tighter(limits[i].value, text)
		} else if !unlimited(text) {
			return errors.New("it has a limit in " + name + ", which cannot be passed on")
		}
	}
	return nil
}

// namesIn lists a directory.
func namesIn(dir int) ([]string, error) {
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := unix.Getdents(dir, buf)
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// unlimited says whether a file of limits says "max" throughout. hugetlb writes it as the largest number there is.
func unlimited(text string) bool {
	for _, word := range strings.Fields(text) {
		if _, value, pair := strings.Cut(word, "="); pair && value != "max" {
			return false
		} else if n, err := strconv.ParseUint(word, 10, 64); err == nil && n < 1<<62 {
			return false
		}
	}
	return true
}

// tighter is the smaller of two limits; "" is none.
func tighter(a, b string) string {
	if b == "" || b == "max" {
		return a
	}
	if a == "max" {
		return b
	}
	x, _ := strconv.ParseUint(a, 10, 64)
	if y, err := strconv.ParseUint(b, 10, 64); err == nil && y < x {
		return b
	}
	return a
}

// tighterSet keeps the first set there is: that of the caller's own cgroup is a part of those above it.
func tighterSet(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// tighterCPU is the smaller share of two cpu.max values, "QUOTA PERIOD".
func tighterCPU(a, b string) string {
	share := func(s string) (quota, period uint64) {
		q, p, _ := strings.Cut(s, " ")
		quota, err := strconv.ParseUint(q, 10, 64)
		if err != nil {
			return 0, 0
		}
		period, _ = strconv.ParseUint(p, 10, 64)
		return quota, period
	}
	qb, pb := share(b)
	if pb == 0 {
		return a
	}
	qa, pa := share(a)
	if pa == 0 || qb*pa < qa*pb {
		return b
	}
	return a
}
