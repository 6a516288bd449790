package container

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidfdInfo is struct pidfd_info in its first size (linux/pidfd.h, Linux 6.13), whose last member Linux 6.15 fills.
type pidfdInfo struct {
	mask, cgroup    uint64
	pid, tgid, ppid uint32
	ids             [8]uint32
	exitCode        int32
}

const (
	pidfdGetInfo  = 3<<30 | 64<<16 | 0xFF<<8 | 11 // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)
	pidfdInfoExit = 1 << 3
	reaped        = 2 * time.Second // the time that whoever reaps the process may take
)

// exitStatus is the wait status of a process that is no child of this one and has ended. Linux 6.15 and newer tell,
// once it has been reaped; ok is false where nobody does.
func exitStatus(pidfd int) (status unix.WaitStatus, ok bool) {
	for end := time.Now().Add(reaped); time.Now().Before(end); {
		info := pidfdInfo{mask: pidfdInfoExit}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
		switch {
		case errno == 0 && info.mask&pidfdInfoExit != 0:
			return unix.WaitStatus(info.exitCode), true
		case errno != 0 && errno != unix.ESRCH:
			return 0, false // an older kernel
		}
		// POLLHUP comes when it has been reaped, from Linux 6.11 on.
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(pidfd)}}, 50); n > 0 && errno == unix.ESRCH {
			return 0, false // reaped, and the kernel keeps no status
		}
	}
	return 0, false
}

// openPid is a descriptor of the process that the state names, when it is still that one.
func (s *State) openPid() (int, error) {
	if s.PID <= 0 || s.Boot != bootID() {
		return -1, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(s.PID, 0)
	if err != nil {
		return -1, err
	}
	if since, err := startTime(s.PID); err != nil || since != s.Since {
		unix.Close(fd)
		return -1, unix.ESRCH
	}
	return fd, nil
}

func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// startTime is field 22 of proc_pid_stat(5); the second may hold anything, and ends with the last ')'.
func startTime(pid int) (uint64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, errors.New("/proc/PID/stat is short")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
