package privilege

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The base cgroup /locald/u<uid> lets a caller limit and kill containers without root: its directory and
// the files that move and delegate processes are the caller's, its limits are root's (cgroup-v2.rst,
// "Delegation"). <base>/in is root's altogether: it is where root puts the waiting child, which the
// caller then moves on into a cgroup below the base.

// baseControllers are enabled for containers where the host has them.
var baseControllers = [...]string{"memory", "pids", "cpu", "cpuset", "io"}

// makeBase makes the base cgroup, sees that its limits are no looser than those of the cgroup that the
// caller comes from, and opens <base>/in/cgroup.procs. On a host without a cgroup2 tree there is none.
func (c *Caller) makeBase() error {
	root, err := cgroupRoot()
	if err != nil {
		return err
	}
	if root < 0 {
		return nil
	}
	defer unix.Close(root)
	locald, err := rootDir(root, "locald", 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(locald)
	controllers, err := enable(root, locald)
	if err != nil {
		return err
	}
	name := "u" + strconv.Itoa(c.UID)
	base, err := c.openBase(locald, name, controllers)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	if len(controllers) > 0 {
		if err := inherit(root, base); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if unix.Fstatat(base, "in", &st, unix.AT_SYMLINK_NOFOLLOW) == unix.ENOENT {
		// Its user may remove it, and what is the user's root can make nothing in without CAP_DAC_OVERRIDE.
		if err := unix.Fchown(base, 0, -1); err != nil {
			return fail("take the base cgroup back", err)
		}
		if err := c.giveBase(base, controllers); err != nil {
			return err
		}
	}
	in, err := rootDir(base, "in", 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	if c.hopping, err = unix.Openat(in, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err != nil {
		return fail("open cgroup.procs of /locald/"+name+"/in", err)
	}
	c.Grant.CgroupBase = "/locald/" + name
	return nil
}

// cgroupRoot opens the root of the cgroup2 tree; -1 when it is mounted nowhere.
func cgroupRoot() (int, error) {
	for _, mount := range [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(mount, &fs) == nil && int64(fs.Type) == unix.CGROUP2_SUPER_MAGIC {
			return openDir(unix.AT_FDCWD, mount)
		}
	}
	return -1, nil
}

// delegated is the path of the cgroup that this process is in when its directory is the caller's; else "".
func (c *Caller) delegated() string {
	path := ownCgroup()
	if path == "" {
		return ""
	}
	root, err := cgroupRoot()
	if err != nil || root < 0 {
		return ""
	}
	defer unix.Close(root)
	dir, err := openBelow(root, path)
	if err != nil {
		return ""
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if unix.Fstat(dir, &st) != nil || int(st.Uid) != c.UID {
		return ""
	}
	return "/" + path
}

// openBelow opens a cgroup by its path from the root of the tree.
func openBelow(root int, path string) (int, error) {
	return unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV})
}

// openBase opens the base. A new one gets what root has to make in it, and then becomes the caller's: the
// directory and three files, never a limit.
func (c *Caller) openBase(locald int, name string, controllers []string) (int, error) {
	if err := unix.Mkdirat(locald, name, 0o755); err != nil && err != unix.EEXIST {
		return -1, fail("make cgroup /locald/"+name, err)
	}
	base, err := openDir(locald, name)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(base, &st); err == nil && st.Uid == 0 {
		err = c.giveBase(base, controllers)
	} else if err == nil && int(st.Uid) != c.UID {
		err = fail("cgroup /locald/"+name+" is somebody else's", unix.EPERM)
	}
	if err != nil {
		unix.Close(base)
		return -1, err
	}
	return base, nil
}

// giveBase makes a base that is still root's the caller's. The directory comes last: when it is the
// caller's, the rest has been done, whenever the program was killed. Nothing can be made in it as root then, which
// has no CAP_DAC_OVERRIDE here.
func (c *Caller) giveBase(base int, controllers []string) error {
	if err := switchOn(base, controllers); err != nil {
		return err
	}
	in, err := rootDir(base, "in", 0o755)
	if err != nil {
		return err
	}
	unix.Close(in)
	for _, f := range [...]string{"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := unix.Fchownat(base, f, c.UID, c.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fail("give "+f+" of the base cgroup to its user", err)
		}
	}
	if err := unix.Fchown(base, c.UID, c.GID); err != nil {
		return fail("give the base cgroup to its user", err)
	}
	return nil
}

// enable switches the controllers on in the root of the tree and in /locald, and says which there are.
func enable(root, locald int) ([]string, error) {
	have := " " + strings.TrimSpace(readAt(root, "cgroup.controllers")) + " "
	var use []string
	for _, c := range baseControllers {
		if strings.Contains(have, " "+c+" ") {
			use = append(use, c)
		}
	}
	if err := switchOn(root, use); err != nil {
		return nil, err
	}
	return use, switchOn(locald, use)
}

// switchOn enables controllers for the children of a cgroup.
func switchOn(dir int, controllers []string) error {
	on := " " + strings.TrimSpace(readAt(dir, "cgroup.subtree_control")) + " "
	for _, c := range controllers {
		if strings.Contains(on, " "+c+" ") {
			continue
		}
		if err := writeAt(dir, "cgroup.subtree_control", "+"+c); err != nil {
			return fail("enable the "+c+" controller", err)
		}
	}
	return nil
}

// limits are the files in which a cgroup is limited by an amount, all "max" or a number. Quotas of cpu
// are handled apart; weights limit nothing.
var limits = [...]string{"memory.max", "memory.high", "memory.swap.max", "pids.max"}

// inherit copies the tightest limits on the way from the caller's cgroup to the root onto the base, so that
// leaving the caller's cgroup escapes none of them. While containers run under the base a limit is
// only made tighter, since they may come from another, tighter cgroup of the same caller's.
func inherit(root, base int) error {
	own := ownCgroup()
	busy := strings.Contains(readAt(base, "cgroup.events"), "populated 1")
	for _, file := range limits {
		limit := "max"
		if err := eachAncestor(root, own, func(dir int) { limit = tighter(limit, strings.TrimSpace(readAt(dir, file))) }); err != nil {
			return err
		}
		if err := setLimit(base, file, limit, busy, tighter); err != nil {
			return err
		}
	}
	limit := "max 100000"
	if err := eachAncestor(root, own, func(dir int) { limit = tighterCPU(limit, strings.TrimSpace(readAt(dir, "cpu.max"))) }); err != nil {
		return err
	}
	return setLimit(base, "cpu.max", limit, busy, tighterCPU)
}

func setLimit(base int, file, limit string, busy bool, tighter func(a, b string) string) error {
	now := strings.TrimSpace(readAt(base, file))
	if now == "" {
		return nil // the controller is not there
	}
	if busy {
		limit = tighter(now, limit)
	}
	if limit == now {
		return nil
	}
	if err := writeAt(base, file, limit); err != nil {
		return fail("set "+file+" of the base cgroup", err)
	}
	return nil
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

// ownCgroup is the caller's own cgroup2 path, which this process is still in: "/user.slice/…".
func ownCgroup() string {
	for _, line := range strings.Split(readAt(unix.AT_FDCWD, "/proc/self/cgroup"), "\n") {
		if path, ok := strings.CutPrefix(line, "0::/"); ok {
			return path
		}
	}
	return ""
}

// eachAncestor calls f for the cgroup at path and each of those above it, the root excepted, which has no
// limits. A limit that cannot be read may be there: that is an error.
func eachAncestor(root int, path string, f func(dir int)) error {
	for path != "" {
		dir, err := openBelow(root, path)
		if err != nil {
			return fail("read the limits of your cgroup /"+path, err)
		}
		f(dir)
		unix.Close(dir)
		i := strings.LastIndexByte(path, '/')
		path = path[:max(i, 0)]
	}
	return nil
}

// readAt reads a file of a page at most; "" when it is not there.
func readAt(dir int, name string) string {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var buf [4096]byte
	n, _ := unix.Read(fd, buf[:])
	return string(buf[:max(n, 0)])
}

func writeAt(dir int, name, text string) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}
