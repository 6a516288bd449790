package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conditions are what a program inherits from who executes it. The test binary makes them for the shim, as a caller:
//
//	locald-conditions CONDITION... -- COMMAND ARG...
//
// A condition is a word that condition knows, with numbers behind it: "rlimit:7:0".
const conditionsName = "locald-conditions"

func conditionsMain() {
	runtime.LockOSThread() // which has the mask of signals
	debug.SetGCPercent(-1)
	end := 1
	for os.Args[end] != "--" {
		end++
	}
	path, err := unix.BytePtrFromString(os.Args[end+1])
	argv, err2 := syscall.SlicePtrFromStrings(os.Args[end+1:])
	envv, err3 := syscall.SlicePtrFromStrings(os.Environ())
	complain("the command", errors.Join(err, err2, err3))
	type limit struct {
		resource int
		unix.Rlimit
	}
	var limits []limit // come last: this program could not live under them
	for _, c := range os.Args[1:end] {
		w := strings.Split(c, ":")
		numbers := make([]int, 3)
		for i := range w[1:] {
			numbers[i], err = strconv.Atoi(w[i+1])
			complain(c, err)
		}
		if w[0] == "rlimit" { // RESOURCE VALUE
			limits = append(limits, limit{numbers[0], unix.Rlimit{Cur: uint64(numbers[1]), Max: uint64(numbers[1])}})
			continue
		}
		complain(c, condition(w[0], numbers))
	}
	for i := range limits {
		if err := unix.Prlimit(0, limits[i].resource, &limits[i].Rlimit, nil); err != nil {
			os.Stderr.WriteString("conditions: rlimit\n")
			os.Exit(99)
		}
	}
	_, _, e := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])))
	os.Stderr.WriteString("conditions: execve: " + e.Error() + "\n")
	os.Exit(98)
}

// complain ends the program: the caller can make no such thing.
func complain(about string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "conditions:", about, err)
		os.Exit(99)
	}
}

func condition(name string, n []int) error {
	switch name {
	case "close":
		return unix.Close(n[0])
	case "umask":
		unix.Umask(n[0])
	case "nice":
		return unix.Setpriority(unix.PRIO_PROCESS, 0, n[0])
	case "policy": // sched(7)
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: uint32(n[0])}, 0)
	case "oom":
		return os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(n[0])), 0)
	case "processor":
		var set unix.CPUSet
		set.Set(n[0])
		return unix.SchedSetaffinity(0, &set)
	case "ignore":
		signal.Ignore() // all that can be
	case "block":
		all := unix.Sigset_t{}
		for i := range all.Val {
			all.Val[i] = ^all.Val[i]
		}
		return unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil)
	case "timer": // setitimer(2): WHICH MICROSECONDS, again and again
		every := unix.Timeval{Usec: int64(n[1])}
		_, err := unix.Setitimer(unix.ItimerWhich(n[0]), unix.Itimerval{Interval: every, Value: every})
		return err
	case "cwd":
		return directory(n[0])
	default:
		return unix.EINVAL
	}
	return nil
}

// directory goes where getcwd(2) has little to say: to one that is removed, to one too deep, to one that is removed and
// cannot be read.
func directory(kind int) error {
	dir, err := os.MkdirTemp("", "locald-cwd-")
	if err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	if kind == 1 {
		for range 30 {
			name := strings.Repeat("d", 200)
			if err = unix.Mkdir(name, 0o755); err != nil {
				return err
			}
			if err = unix.Chdir(name); err != nil {
				return err
			}
		}
		return nil
	}
	if kind == 2 {
		if err := os.Chmod(dir, 0); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}
