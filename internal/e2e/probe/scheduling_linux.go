package probe

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// schedulingVerbs ask by what this process is scheduled. They ask about the process's first thread, which the
// Go runtime leaves as it was.
func schedulingVerbs() []verb {
	return []verb{
		{"sched", 0, func([]string) (string, error) { // policy, flags, nice, priority, runtime, deadline and period
			a, err := unix.SchedGetAttr(os.Getpid(), 0)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%d 0x%x %d %d %d %d %d", a.Policy, a.Flags, a.Nice, a.Priority, a.Runtime, a.Deadline, a.Period), nil
		}},
		{"ioprio", 0, func([]string) (string, error) { // class and priority
			n, _, e := syscall.RawSyscall(unix.SYS_IOPRIO_GET, 1, uintptr(os.Getpid()), 0)
			if e != 0 {
				return "", e
			}
			return fmt.Sprintf("%d %d", n>>13, n&7), nil
		}},
		{"personality", 0, func([]string) (string, error) { // number, and the machine that uname(2) says
			n, _, e := syscall.RawSyscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
			var name unix.Utsname
			if e == 0 {
				if err := unix.Uname(&name); err != nil {
					return "", err
				}
				return fmt.Sprintf("0x%x %s", n, unix.ByteSliceToString(name.Machine[:])), nil
			}
			return "", e
		}},
	}
}
