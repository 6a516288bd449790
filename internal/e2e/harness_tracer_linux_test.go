package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tracer runs a command and does one thing to it at one of its system calls. strace(1) counts the calls of each
// thread, and its when= means the thread that is first to make so many; the calls of a short thread behind a long one
// are out of its reach. This counts all calls of all threads and of the children, up to their programs, as one row.
//
// As a program it is the test binary with these arguments; its exit status is the command's.
//
//	locald-tracer REPORT UID ACTION NTH COMMAND ARG...
//
// UID is whom the command belongs to. ACTION is "none", "kill", "stop" or the number of an error. The file REPORT tells
// when the action is taken, "HIT WHOSE CALL", and at the end "CALLS COUNT". The pid of a process that was stopped is
// written to descriptor 3; whoever reads it lets it go on.
const tracerName = "locald-tracer"

// What ptrace(2) knows and x/sys does not.
const (
	ptraceListen         = 0x4208
	ptraceGetSyscallInfo = 0x420e
)

type tracer struct {
	main    int    // pid of the command
	program bool   // the command's own execve is over
	action  string //
	nth     int    // the call at which it is taken
	calls   int    // so far
	hit     string
	told    bool        // of the stop
	forged  map[int]int // thread in a call that the kernel does not do → error that it returns
	status  int         // exit status of the command
}

func tracerMain() {
	runtime.LockOSThread() // the one that ptrace knows
	uid, err1 := strconv.Atoi(os.Args[2])
	nth, err2 := strconv.Atoi(os.Args[4])
	tr := &tracer{action: os.Args[3], nth: nth, forged: map[int]int{}}
	err := err1
	if err == nil {
		err = err2
	}
	if err == nil {
		err = tr.begin(uid, os.Args[5:])
	}
	if err == nil {
		err = tr.follow()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tracer:", err)
		os.Exit(99)
	}
	tr.report("CALLS", itoa(tr.calls))
	os.Exit(tr.status)
}

func (tr *tracer) report(what, text string) {
	f, err := os.OpenFile(os.Args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, what, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tracer:", err)
		os.Exit(99)
	}
}

// begin starts the command as a shell that waits. The tracer is root and has no part in the execve before it: this is
// why the set-user-ID bit has its effect (ptrace(2), "Set-user-ID").
func (tr *tracer) begin(uid int, command []string) error {
	pid, err := syscall.ForkExec("/bin/sh", append([]string{"sh", "-c", `kill -STOP $$; exec "$@"`, "sh"}, command...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}},
	})
	if err != nil {
		return err
	}
	tr.main = pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WUNTRACED, nil); err != nil || !ws.Stopped() {
		return fmt.Errorf("the shell does not wait: %v, status %#x", err, ws)
	}
	options := uintptr(unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC)
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, options, 0, 0); e != 0 {
		return e
	}
	return unix.Kill(pid, unix.SIGCONT)
}

// follow ends when the command does. Whatever else it has started goes on by itself then.
func (tr *tracer) follow() error {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case pid == tr.main && ws.Exited():
			tr.status = ws.ExitStatus()
			return nil
		case pid == tr.main && ws.Signaled():
			tr.status = 128 + int(ws.Signal())
			return nil
		case ws.Stopped():
			tr.stopped(pid, ws)
		}
	}
}

// stopped deals with a thread that waits for the tracer. One that has been killed meanwhile is not there any more,
// which is no error.
func (tr *tracer) stopped(pid int, ws unix.WaitStatus) {
	sig, event := ws.StopSignal(), int(ws)>>16
	request, deliver := unix.PTRACE_SYSCALL, 0
	switch {
	case sig == unix.SIGTRAP|0x80:
		tr.call(pid)
	case event == unix.PTRACE_EVENT_EXEC:
		if tr.program && pid != tr.main {
			unix.PtraceDetach(pid) // the container's program
			return
		}
		tr.program = true
	case event == unix.PTRACE_EVENT_STOP:
		if sig != unix.SIGTRAP { // the whole process is stopped
			request = ptraceListen
			if tr.action == "stop" && tr.hit != "" && !tr.told {
				tr.told = true
				defer fmt.Fprintln(os.NewFile(3, "stopped"), tr.group(pid))
			}
		}
	case event == 0:
		deliver = int(sig)
	}
	unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(pid), 0, uintptr(deliver), 0, 0)
}

// call counts a system call when it begins, and forges its result when it ends.
func (tr *tracer) call(pid int) {
	var info [88]byte // struct ptrace_syscall_info
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(pid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0); e != 0 {
		return
	}
	const entry, exit = 1, 2
	switch {
	case info[0] == exit && tr.forged[pid] != 0:
		forge(pid, -tr.forged[pid])
		delete(tr.forged, pid)
	case info[0] == entry && tr.program:
		tr.calls++
		nr := int(binary.NativeEndian.Uint64(info[24:]))
		if tr.calls != tr.nth {
			return
		}
		if _, err := strconv.Atoi(tr.action); err == nil && runtimes[nr] {
			return
		}
		tr.hit = fmt.Sprintf("%s %d", tr.whose(pid), nr)
		tr.report("HIT", tr.hit)
		switch tr.action {
		case "kill":
			unix.RawSyscall(unix.SYS_TKILL, uintptr(pid), uintptr(unix.SIGKILL), 0)
		case "stop":
			unix.RawSyscall(unix.SYS_TKILL, uintptr(pid), uintptr(unix.SIGSTOP), 0)
		default:
			tr.forged[pid], _ = strconv.Atoi(tr.action)
			forge(pid, 0)
		}
	}
}

// group is the process of a thread.
func (tr *tracer) group(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "\nTgid:\t")
	tgid, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(tgid)
	return n
}

// whose says which thread it is.
func (tr *tracer) whose(pid int) string {
	switch {
	case pid == tr.main:
		return "first thread"
	case tr.group(pid) == tr.main:
		return "other thread"
	}
	return "child"
}

// runtimes are the calls that the Go runtime makes for itself and that it does not survive, and those that have no error;
// close(2) lets the descriptor go whatever it returns.
var runtimes = map[int]bool{
	unix.SYS_CLOSE: true, unix.SYS_FUTEX: true, unix.SYS_MMAP: true, unix.SYS_MUNMAP: true, unix.SYS_MADVISE: true, unix.SYS_MPROTECT: true,
	unix.SYS_RT_SIGACTION: true, unix.SYS_RT_SIGPROCMASK: true, unix.SYS_RT_SIGRETURN: true, unix.SYS_SIGALTSTACK: true,
	unix.SYS_CLONE: true, unix.SYS_EXIT: true, unix.SYS_EXIT_GROUP: true, unix.SYS_GETTID: true, unix.SYS_GETPID: true,
	unix.SYS_TGKILL: true, unix.SYS_SCHED_YIELD: true, unix.SYS_NANOSLEEP: true, unix.SYS_EXECVE: true,
	unix.SYS_EPOLL_CREATE1: true, unix.SYS_EPOLL_CTL: true, unix.SYS_EPOLL_PWAIT: true, unix.SYS_EVENTFD2: true,
	unix.SYS_BRK: true, unix.SYS_SCHED_GETAFFINITY: true, unix.SYS_RESTART_SYSCALL: true,
	unix.SYS_GETUID: true, unix.SYS_GETEUID: true, unix.SYS_GETGID: true, unix.SYS_GETEGID: true,
}
