package probe

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// verb is one thing that the probe can be told to do.
type verb struct {
	name  string
	words int // that it needs
	do    func(w []string) (value string, err error)
}

func find(name string) *verb {
	for _, list := range [][]verb{fileVerbs(), kernelVerbs(), processVerbs(), schedulingVerbs(), networkVerbs(), seccompVerbs(), powersVerbs()} {
		for i := range list {
			if list[i].name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// fileVerbs: "write /etc/x some text".
func fileVerbs() []verb {
	return []verb{
		{"read", 1, func(w []string) (string, error) { b, err := os.ReadFile(w[0]); return string(b), err }},
		{"get", 2, func(w []string) (string, error) { // N bytes of a file that may have no end
			n, err := strconv.Atoi(w[1])
			if err != nil {
				return "", err
			}
			f, err := os.Open(w[0])
			if err != nil {
				return "", err
			}
			defer f.Close()
			b := make([]byte, n)
			n, err = f.Read(b)
			return string(b[:n]), err
		}},
		{"readlink", 1, func(w []string) (string, error) { return os.Readlink(w[0]) }},
		{"list", 1, list},   // names, separated by spaces
		{"stat", 1, stat},   // "char 666 0:0 1:3": type, mode, owner and group, device number; not through a link
		{"write", 1, write}, // to an existing file
		{"create", 1, func(w []string) (string, error) {
			return "", os.WriteFile(w[0], []byte(strings.Join(w[1:], " ")), 0o666)
		}},
		{"touch", 1, func(w []string) (string, error) { // create without writing
			fd, err := unix.Open(w[0], unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
			if err == nil {
				unix.Close(fd)
			}
			return "", err
		}},
		{"append", 2, func(w []string) (string, error) { // writes N bytes of a page each, and says how many got in
			n, err := strconv.Atoi(w[1])
			if err != nil {
				return "", err
			}
			return fill(w[0], n)
		}},
		{"remove", 1, func(w []string) (string, error) { return "", os.Remove(w[0]) }},
		{"mkdir", 1, func(w []string) (string, error) { return "", os.Mkdir(w[0], 0o777) }},
		{"chown", 3, func(w []string) (string, error) {
			n, err := numbers(w[1:])
			if err != nil {
				return "", err
			}
			return "", os.Chown(w[0], n[0], n[1])
		}},
		{"mode", 1, func(w []string) (string, error) { // mode of a file that is made with all bits set
			if err := unix.Mkdir(w[0], 0o777); err != nil {
				return "", err
			}
			return stat(w)
		}},
	}
}

func list(w []string) (string, error) {
	entries, err := os.ReadDir(w[0])
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return strings.Join(names, " "), err
}

func clearOption(w []string, dir int, path string) error {
	n, err := numbers(w[1:])
	if err != nil {
		return err
	}
	attr := unix.MountAttr{Attr_clr: uint64(n[0])}
	if n[0] == unix.MOUNT_ATTR__ATIME {
		attr.Attr_set = unix.MOUNT_ATTR_STRICTATIME
	}
	return unix.MountSetattr(dir, path, unix.AT_EMPTY_PATH, &attr)
}

func stat(w []string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(w[0], &st); err != nil {
		return "", err
	}
	kind, device := "file", ""
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		kind = "dir"
	case unix.S_IFLNK:
		kind = "link"
	case unix.S_IFIFO:
		kind = "fifo"
	case unix.S_IFCHR:
		kind = "char"
	case unix.S_IFBLK:
		kind = "block"
	}
	if kind == "char" || kind == "block" {
		device = " " + strconv.Itoa(int(unix.Major(st.Rdev))) + ":" + strconv.Itoa(int(unix.Minor(st.Rdev)))
	}
	return kind + " " + strconv.FormatUint(uint64(st.Mode&0o7777), 8) + " " + strconv.Itoa(int(st.Uid)) + ":" + strconv.Itoa(int(st.Gid)) + device, nil
}

func write(w []string) (string, error) {
	fd, err := unix.Open(w[0], unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(strings.Join(w[1:], " ")))
	return "", err
}

func fill(path string, n int) (string, error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	written := 0
	for written < n {
		k, err := f.Write(make([]byte, 4096))
		written += k
		if err != nil {
			return strconv.Itoa(written), err
		}
	}
	return strconv.Itoa(written), nil
}

// kernelVerbs ask for what a container may or may not.
func kernelVerbs() []verb {
	return []verb{
		{"mount", 3, func(w []string) (string, error) { // TYPE SOURCE TARGET [DATA]
			return "", unix.Mount(w[1], w[2], w[0], 0, strings.Join(w[3:], ","))
		}},
		{"bind", 2, func(w []string) (string, error) { return "", unix.Mount(w[0], w[1], "", unix.MS_BIND, "") }},
		{"remount", 1, func(w []string) (string, error) { // read-write
			return "", unix.Mount("", w[0], "", unix.MS_REMOUNT|unix.MS_BIND, "")
		}},
		{"clear", 2, func(w []string) (string, error) { return "", clearOption(w, unix.AT_FDCWD, w[0]) }}, // MOUNT_ATTR_* of a mount
		{"clear-copy", 2, func(w []string) (string, error) { // the same of a copy of it
			fd, err := unix.OpenTree(unix.AT_FDCWD, w[0], unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
			if err != nil {
				return "", err
			}
			defer unix.Close(fd)
			return "", clearOption(w, fd, "")
		}},
		{"umount", 1, func(w []string) (string, error) { return "", unix.Unmount(w[0], 0) }},
		{"mknod", 3, func(w []string) (string, error) { // PATH MAJOR MINOR, a character device
			n, err := numbers(w[1:])
			if err != nil {
				return "", err
			}
			return "", unix.Mknod(w[0], unix.S_IFCHR|0o666, int(unix.Mkdev(uint32(n[0]), uint32(n[1]))))
		}},
		{"unshare", 1, func(w []string) (string, error) {
			n, err := strconv.ParseUint(w[0], 0, 32)
			if err != nil {
				return "", err
			}
			return "", unix.Unshare(int(n))
		}},
		{"sethostname", 1, func(w []string) (string, error) { return "", unix.Sethostname([]byte(w[0])) }},
		{"setuid", 1, func(w []string) (string, error) {
			n, err := strconv.Atoi(w[0])
			if err != nil {
				return "", err
			}
			return "", unix.Setuid(n)
		}},
		{"chroot", 1, func(w []string) (string, error) { return "", unix.Chroot(w[0]) }},
		{"tiocsti", 0, func([]string) (string, error) { // push a byte into the terminal at fd 0
			b := byte('x')
			return "", tiocsti(0, &b)
		}},
		{"tiocsctty", 0, func([]string) (string, error) { return "", unix.IoctlSetInt(0, unix.TIOCSCTTY, 0) }},
		{"isatty", 1, func(w []string) (string, error) {
			fd, err := strconv.Atoi(w[0])
			if err == nil {
				_, err = unix.IoctlGetTermios(fd, unix.TCGETS)
			}
			return "", err
		}},
		{"size", 0, func([]string) (string, error) { // "ROWS COLUMNS" of the terminal at fd 0
			s, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
			if err != nil {
				return "", err
			}
			return strconv.Itoa(int(s.Row)) + " " + strconv.Itoa(int(s.Col)), nil
		}},
		{"session", 0, func([]string) (string, error) { // this process's, and that of the terminal at fd 0
			own, err := unix.Getsid(0)
			if err != nil {
				return "", err
			}
			terminals, err := unix.IoctlGetInt(0, unix.TIOCGSID)
			return strconv.Itoa(own) + " " + strconv.Itoa(terminals), err
		}},
		{"pty", 0, func([]string) (string, error) { // number of a new pseudoterminal
			fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
			if err != nil {
				return "", err
			}
			defer unix.Close(fd)
			n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
			return strconv.Itoa(n), err
		}},
		{"keyring", 0, func([]string) (string, error) { // id of the session keyring
			n, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			return strconv.Itoa(n), err
		}},
		{"cpus", 0, func([]string) (string, error) { // that this thread may run on
			var set unix.CPUSet
			err := unix.SchedGetaffinity(0, &set)
			return strconv.Itoa(set.Count()), err
		}},
		{"loopback", 0, func([]string) (string, error) { return loopback() }},
		{"uptime", 0, func([]string) (string, error) { // monotonic and boot-time clock, in seconds
			var m, b unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &m); err != nil {
				return "", err
			}
			err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &b)
			return strconv.FormatInt(m.Sec, 10) + " " + strconv.FormatInt(b.Sec, 10), err
		}},
	}
}

// loopback sends a byte to a listener on 127.0.0.1.
func loopback() (string, error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(l)
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(l, local); err != nil {
		return "", err
	}
	if err := unix.Listen(l, 1); err != nil {
		return "", err
	}
	where, err := unix.Getsockname(l)
	if err != nil {
		return "", err
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(c)
	return "", unix.Connect(c, where)
}

func numbers(words []string) ([]int, error) {
	n := make([]int, len(words))
	for i, w := range words {
		var err error
		if n[i], err = strconv.Atoi(w); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// signalNumber knows "TERM" and "15".
func signalNumber(name string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return syscall.Signal(n), nil
	}
	if s := unix.SignalNum("SIG" + name); s != 0 {
		return s, nil
	}
	return 0, errors.New("unknown signal " + name)
}

// again starts the probe once more, with other actions.
func again(actions ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Args = append([]string{Name}, actions...)
	return c
}
