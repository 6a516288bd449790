package privilege

import (
	"errors"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer"
	"golang.org/x/sys/unix"
)

// The base cgroup /locald/u<uid> lets a caller limit and kill containers without root: its directory and
// the files that move and delegate processes are the caller's, its limits are root's (cgroup-v2.rst,
// "Delegation").

// baseControllers are enabled for containers where the host has them.
var baseControllers = [...]string{"memory", "pids", "cpu", "cpuset", "io"}

// makeBase makes the base cgroup and sees that leaving the caller's cgroup for it escapes nothing. Where that cannot
// be had there is no base, and the Grant says why; that is no error, since most containers ask for none.
func (c *Caller) makeBase() {
	if err := c.tryBase(); err != nil {
		c.Grant.CgroupBase, c.Grant.CgroupNote = "", err.Error()
	}
}

func (c *Caller) tryBase() error {
	root, err := cgroupRoot()
	if err != nil || root < 0 {
		return err
	}
	defer unix.Close(root)
	locald, err := c.openLocald(root)
	if err != nil {
		return err
	}
	defer unix.Close(locald)
	controllers := switchOn(root, readController(root))
	controllers = switchOn(locald, controllers)
	name := "u" + strconv.Itoa(c.UID)
	base, err := c.openBase(locald, name, controllers)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	if err := c.inherit(root, base); err != nil {
		return err
	}
	c.Grant.CgroupBase = "/locald/" + name
	return nil
}

// openLocald opens /locald. The root directory of a cgroup2 tree has mode 0555: to make anything in it takes
// CAP_DAC_OVERRIDE, for that one call.
func (c *Caller) openLocald(root int) (int, error) {
	if fd, err := openDir(root, "locald"); err == nil {
		unix.Close(fd)
		return rootDir(root, "locald", 0o755)
	}
	const usual, permitted = capSetuid | capSetgid | capChown, capSetuid | capSetgid | capChown | capDAC | capSysAdmin | capNetAdmin
	if err := setCaps(usual|capDAC, permitted); err != nil {
		return -1, err
	}
	fd, err := rootDir(root, "locald", 0o755)
	if e := setCaps(usual, permitted); e != nil {
		die(e.Error())
	}
	return fd, err
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

// MakesCgroups says whether root can make cgroups in the root of the tree: not that of a rootless engine's user namespace.
func MakesCgroups() bool {
	if libcontainer.InInitUserns() {
		return true
	}
	root, err := cgroupRoot()
	if err != nil || root < 0 {
		return false
	}
	defer unix.Close(root)
	return unix.Faccessat(root, ".", unix.W_OK, unix.AT_EACCESS) == nil
}

// delegated is the path of the cgroup that this process is in when its directory is the caller's; else "".
func (c *Caller) delegated() string {
	path, err := ownCgroup()
	if path == "" || err != nil {
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

// openBase opens the base. A new one becomes the caller's; one that is root's and has processes is somebody's
// container with an unlucky name.
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
		var events string
		if events, err = readAt(base, "cgroup.events"); err == nil && strings.Contains(events, "populated 1") {
			err = errors.New("cgroup /locald/" + name + " has processes of root's")
		}
		if err == nil {
			err = c.giveBase(base, controllers)
		}
	} else if err == nil && int(st.Uid) != c.UID {
		err = errors.New("cgroup /locald/" + name + " is somebody else's")
	}
	if err != nil {
		unix.Close(base)
		return -1, err
	}
	return base, nil
}

// giveBase makes a base that is still root's the caller's: the directory and three files, never a limit. The
// directory comes last: when it is the caller's, the rest has been done, whenever the program was killed.
func (c *Caller) giveBase(base int, controllers []string) error {
	switchOn(base, controllers)
	for _, f := range [...][2]string{{"cgroup.max.descendants", "1000"}, {"cgroup.max.depth", "16"}} {
		if err := writeAt(base, f[0], f[1]); err != nil {
			return fail("set "+f[0]+" of the base cgroup", err)
		}
	}
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

// readController lists those of baseControllers that the root of the tree has.
func readController(root int) []string {
	text, _ := readAt(root, "cgroup.controllers") // none on a hybrid host
	have := " " + strings.TrimSpace(text) + " "
	var list []string
	for _, c := range baseControllers {
		if strings.Contains(have, " "+c+" ") {
			list = append(list, c)
		}
	}
	return list
}

// switchOn enables controllers for the children of a cgroup, and returns those that are on then. One that cannot
// be, such as cpu while there are realtime processes, is one limit less that can be had.
func switchOn(dir int, controllers []string) []string {
	text, _ := readAt(dir, "cgroup.subtree_control")
	on := " " + strings.TrimSpace(text) + " "
	var list []string
	for _, c := range controllers {
		if strings.Contains(on, " "+c+" ") || writeAt(dir, "cgroup.subtree_control", "+"+c) == nil {
			list = append(list, c)
		}
	}
	return list
}

// ownCgroup is the caller's own cgroup2 path, which this process is still in, without the leading slash.
func ownCgroup() (string, error) {
	text, err := readAt(unix.AT_FDCWD, "/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(text, "\n") {
		if path, ok := strings.CutPrefix(line, "0::/"); ok {
			return path, nil
		}
	}
	return "", errors.New("this process is in no cgroup of the cgroup2 tree")
}

// readAt reads a file whole.
func readAt(dir int, name string) (string, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readAll(fd)
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
