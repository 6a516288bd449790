package privilege

import (
	"errors"
	"strconv"

	"github.com/locald/locald/internal/policy"
	"golang.org/x/sys/unix"
)

// grant reads what the admin lets the caller do and makes what only root can make: the directory for
// the caller's state, and the caller's base cgroup. Every name in here is fixed or made of the caller's
// uid; nothing that the caller can write is read.
//
// before and after: uid U/0/0, effective SETUID SETGID CHOWN
func (c *Caller) grant() error {
	text, err := readRootFile("/etc/locald/shim.conf")
	if err != nil {
		return err
	}
	conf, err := policy.ParseConf(text)
	if err != nil {
		return errors.New("/etc/locald/shim.conf: " + err.Error())
	}
	var a policy.Accounts
	for _, f := range [...]struct {
		path string
		text *string
	}{{"/etc/passwd", &a.Passwd}, {"/etc/group", &a.Group}, {"/etc/subuid", &a.SubUID}, {"/etc/subgid", &a.SubGID}} {
		if *f.text, err = readRootFile(f.path); err != nil {
			return err
		}
	}
	c.Grant = &policy.Grant{UID: uint32(c.UID), GID: uint32(c.GID), Setuid: true, Helper: policy.Helper{IDMap: conf.IDMap}}
	name := c.Grant.AddAccounts(a)
	if !conf.MayUse(name, uint32(c.UID)) {
		return errors.New("/etc/locald/shim.conf does not let this user run containers")
	}
	c.bypass = conf.MayBypass(name, uint32(c.UID))
	c.ownLimits()
	if err := c.makeState(); err != nil {
		return err
	}
	if conf.Cgroup {
		c.makeBase()
	}
	return nil
}

// ownLimits notes the limits that the caller has, a container gets none beyond them; and the cgroup it is in,
// if that was delegated to it.
func (c *Caller) ownLimits() {
	c.Grant.Delegated = c.delegated()
	for i := range c.Grant.HardLimits {
		var l unix.Rlimit
		if unix.Prlimit(0, i, nil, &l) == nil {
			c.Grant.HardLimits[i] = l.Max
		}
	}
	if fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		var buf [16]byte
		n, _ := unix.Read(fd, buf[:])
		unix.Close(fd)
		for n > 0 && buf[n-1] == '\n' {
			n--
		}
		c.Grant.OOMScoreAdj, _ = strconv.Atoi(string(buf[:max(n, 0)]))
	}
}

// readRootFile reads a file of the admin's: "" when there is none. A file that somebody else could have
// written says nothing.
func readRootFile(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", fail("open "+path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", fail("stat "+path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != 0 || st.Mode&0o022 != 0 || st.Size > 1<<20 {
		return "", errors.New(path + " must be a regular file of root's that nobody else can write, of at most 1 MiB")
	}
	buf := make([]byte, st.Size+1)
	n := 0
	for n < len(buf) {
		k, err := unix.Read(fd, buf[n:])
		if err != nil {
			return "", fail("read "+path, err)
		}
		if k == 0 {
			break
		}
		n += k
	}
	return string(buf[:n]), nil
}

// makeState makes /run/locald/u<uid>, mode 0700, the caller's.
func (c *Caller) makeState() error {
	run, err := openDir(unix.AT_FDCWD, "/run")
	if err != nil {
		return err
	}
	defer unix.Close(run)
	locald, err := rootDir(run, "locald", 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(locald)
	name := "u" + strconv.Itoa(c.UID)
	if err := c.ownDir(locald, name); err != nil {
		return err
	}
	c.StateDir = "/run/locald/" + name
	return nil
}

// openDir opens a directory by one name, through no link.
func openDir(at int, name string) (int, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fail("open "+name, err)
	}
	return fd, nil
}

// rootDir opens a directory that must be root's, and makes it when it is missing.
func rootDir(at int, name string, mode uint32) (int, error) {
	fd, err := openDir(at, name)
	if err != nil {
		if e := unix.Mkdirat(at, name, mode); e != nil && e != unix.EEXIST {
			return -1, fail("make directory "+name, e)
		}
		if fd, err = openDir(at, name); err != nil {
			return -1, err
		}
		unix.Fchown(fd, 0, 0) // the group would be the caller's; checked below where it matters
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid != 0 || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, errors.New("directory " + name + " must be root's and writable by nobody else")
	}
	return fd, nil
}

// ownDir makes /run/locald/NAME the caller's, or sees that it is. It is made root's with mode 0700 and given
// away by descriptor: its parent is root's, so nobody can put another in its place. Once it is the caller's,
// root's ids without CAP_DAC_OVERRIDE could not even open it.
func (c *Caller) ownDir(at int, name string) error {
	if err := unix.Mkdirat(at, name, 0o700); err != nil && err != unix.EEXIST {
		return fail("make directory /run/locald/"+name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fail("stat /run/locald/"+name, err)
	}
	switch dir := st.Mode&unix.S_IFMT == unix.S_IFDIR; {
	case dir && int(st.Uid) == c.UID:
		return nil
	case !dir || st.Uid != 0:
		return errors.New("/run/locald/" + name + " is not its user's directory")
	}
	fd, err := openDir(at, name) // new, or left by a call that was killed here
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fchown(fd, c.UID, c.GID); err != nil {
		return fail("chown /run/locald/"+name, err)
	}
	return nil
}
