package privilege

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/locald/locald/internal/audit"
	"golang.org/x/sys/unix"
)

// Credentials are each thread's own in Linux, and a Go program has several threads before main. What
// has to hold for the process is done, and looked at, on all of them.

// everywhere makes a system call on every thread. The runtime aborts the process when threads answer
// differently.
func everywhere(what string, trap uintptr, args ...uintptr) error {
	var a [3]uintptr
	copy(a[:], args)
	if _, _, e := syscall.AllThreadsSyscall(trap, a[0], a[1], a[2]); e != 0 {
		return fail(what, e)
	}
	return nil
}

// setFSUID sets the file-system uid of this thread. setfsuid(2) tells no error: a second call with an
// id that is never valid says what is in force.
func setFSUID(uid int) error {
	syscall.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	now, _, _ := syscall.RawSyscall(unix.SYS_SETFSUID, ^uintptr(0), 0, 0)
	if int(now) != uid {
		return errors.New("setfsuid(" + strconv.Itoa(uid) + ") had no effect")
	}
	return nil
}

// verify looks at every thread of the process: all ids are the caller's, and no thread has a capability, but for this
// one those that it keeps permitted, or no_new_privs where it keeps none. It dies when that is not so: there is no safe way
// to go on, also not to an error.
func (c *Caller) verify(keep uint64) error {
	this := strconv.Itoa(unix.Gettid())
	return eachThread(func(thread, status string) {
		permitted := uint64(0)
		if thread == this {
			permitted = keep
			if keep == 0 && !strings.Contains(status, "NoNewPrivs:\t1\n") {
				die("new privileges have not been renounced")
			}
		}
		if line := c.lacks(status, permitted); line != "" {
			die("a thread has not given up privilege: " + line)
		}
	})
}

// hasNothing looks at the child that joins a container, when it waits at its gate: it has been born with what this thread
// had then, and by now has given that up.
func (c *Caller) hasNothing(pid int) error {
	status, err := readAt(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/status")
	if err != nil {
		return fail("read the status of the child", err)
	}
	if line := c.lacks(status, 0); line != "" {
		return errors.New("the child has not given up privilege: " + strings.TrimSpace(line))
	}
	return nil
}

// lacks is a line that the status of a thread must have and has not: all ids are the caller's, and no capability is there
// but those permitted; "" when it has all.
func (c *Caller) lacks(status string, permitted uint64) string {
	uid, gid := strconv.Itoa(c.UID), strconv.Itoa(c.GID)
	for _, line := range [...]string{
		"Uid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid + "\n",
		"Gid:\t" + gid + "\t" + gid + "\t" + gid + "\t" + gid + "\n",
		"CapInh:\t" + hex16(0) + "\n",
		"CapPrm:\t" + hex16(permitted) + "\n",
		"CapEff:\t" + hex16(0) + "\n",
	} {
		if !strings.Contains(status, line) {
			return line
		}
	}
	return ""
}

// eachThread reads the status of every thread. A thread that starts later has its creator's credentials.
func eachThread(check func(thread, status string)) error {
	buf := make([]byte, 4096)
	task, err := unix.Open("/proc/self/task", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open /proc/self/task", err)
	}
	defer unix.Close(task)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(task, &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return errors.New("/proc is not a proc file system")
	}
	var names []string
	for {
		// A signal that is pending, such as the Go runtime's for preemption, ends one reading early: before the first
		// thread, or in the middle (fs/readdir.c, filldir64). Only an empty one is the end.
		n, err := unix.Getdents(task, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fail("read /proc/self/task", err)
		}
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	if len(names) == 0 {
		return errors.New("/proc/self/task is empty")
	}
	for _, name := range names {
		fd, err := unix.Openat(task, name+"/status", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err == unix.ENOENT {
			continue // the thread has ended
		}
		if err != nil {
			return fail("open the status of thread "+name, err)
		}
		status, err := readAll(fd)
		unix.Close(fd)
		if err == unix.ESRCH {
			continue
		}
		if err != nil {
			return fail("read the status of thread "+name, err)
		}
		check(name, status)
	}
	return nil
}

// readAll reads to the end: the line of groups alone can have hundreds of kilobytes.
func readAll(fd int) (string, error) {
	buf := make([]byte, 4096)
	n := 0
	for {
		k, err := unix.Read(fd, buf[n:])
		if err != nil {
			return "", err
		}
		if k == 0 {
			return string(buf[:n]), nil
		}
		if n += k; n == len(buf) {
			buf = append(buf, make([]byte, n)...)
		}
	}
}

func hex16(n uint64) string {
	s := strconv.FormatUint(n, 16)
	return "0000000000000000"[len(s):] + s
}

// die ends the process at once, with no message that anything of the caller's could shape. What ids it has may be in
// doubt, or root's: what is done with them is to write to descriptor 2 and to /dev/log.
func die(why string) {
	use := audit.Use{UID: os.Getuid(), Verb: "-", Verdict: "failed"}
	audit.Send(use.Line(os.Getpid()))
	os.Stderr.WriteString("locald-shim: " + strings.TrimSpace(why) + "\n")
	unix.Exit(125)
}
