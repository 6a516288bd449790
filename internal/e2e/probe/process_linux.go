package probe

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// processVerbs are about the life of processes.
func processVerbs() []verb {
	return []verb{
		{"exit", 1, func(w []string) (string, error) {
			n, err := strconv.Atoi(w[0])
			if err == nil {
				os.Exit(n)
			}
			return "", err
		}},
		{"raise", 1, raise},
		{"kill", 2, func(w []string) (string, error) { // PID SIGNAL
			pid, err := strconv.Atoi(w[0])
			if err != nil {
				return "", err
			}
			s, err := signalNumber(w[1])
			if err != nil {
				return "", err
			}
			return "", unix.Kill(pid, s)
		}},
		{"kill-parent", 1, func(w []string) (string, error) {
			s, err := signalNumber(w[0])
			if err != nil {
				return "", err
			}
			return "", unix.Kill(os.Getppid(), s)
		}},
		{"line", 0, func([]string) (string, error) { // wait for a line on standard input
			return bufio.NewReader(os.Stdin).ReadString('\n')
		}},
		{"input", 0, func([]string) (string, error) { // all of standard input
			text, err := io.ReadAll(os.Stdin)
			return string(text), err
		}},
		{"cat", 0, func([]string) (string, error) { // standard input to standard output, and exit
			_, err := io.Copy(os.Stdout, os.Stdin)
			if err == nil {
				os.Exit(0)
			}
			return "", err
		}},
		{"notify", 1, func(w []string) (string, error) { // LINE…: a message to NOTIFY_SOCKET
			c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
			if err != nil {
				return "", err
			}
			defer c.Close()
			_, err = c.Write([]byte(strings.Join(w, "\n")))
			return "", err
		}},
		{"say", 1, func(w []string) (string, error) { // on standard error
			_, err := os.Stderr.WriteString(strings.Join(w, " ") + "\n")
			return "", err
		}},
		{"shout", 1, func(w []string) (string, error) { // N lines of 64 bytes on standard error
			n, err := strconv.Atoi(w[0])
			for i := 0; i < n && err == nil; i++ {
				_, err = os.Stderr.WriteString(strings.Repeat("x", 63) + "\n")
			}
			return "", err
		}},
		{"note", 2, func(w []string) (string, error) { // FILE WORD…: a line at its end
			f, err := os.OpenFile(w[0], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
			if err != nil {
				return "", err
			}
			defer f.Close()
			_, err = f.WriteString(strings.Join(w[1:], " ") + "\n")
			return "", err
		}},
		{"save", 2, func(w []string) (string, error) { // FILE ACTION…: writes the answer there
			line, err := json.Marshal(do(strings.Join(w[1:], " ")))
			if err != nil {
				return "", err
			}
			return "", os.WriteFile(w[0], line, 0o666)
		}},
		{"deaf", 1, func(w []string) (string, error) { // becomes another program, all signals ignored and blocked
			signal.Ignore()
			var all unix.Sigset_t
			for i := range all.Val {
				all.Val[i] = ^uint64(0)
			}
			if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil); err != nil {
				return "", err
			}
			return "", unix.Exec(w[0], w, os.Environ())
		}},
		{"ring", 1, func(w []string) (string, error) { // becomes another program, with a session keyring of its own
			n, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
			if err != nil {
				return "", err
			}
			Say(Answer{Did: "ring", Value: strconv.Itoa(n)})
			return "", unix.Exec(w[0], w, os.Environ())
		}},
		{"bare", 1, func(w []string) (string, error) { // becomes another program, without descriptors 0 to 2
			for fd := range 3 {
				unix.Close(fd)
			}
			return "", unix.Exec(w[0], w, os.Environ())
		}},
		{"call", 1, call},
		{"behead", 0, func([]string) (string, error) { return "", behead() }},
		{"forever", 0, func([]string) (string, error) { return "", forever() }},
		{"trap", 1, trap}, // COUNT: answers "signal NAME" for every signal, COUNT of them
		{"spawn", 1, spawn},
		{"sign", 0, func([]string) (string, error) { // of life, for spawn
			signal.Ignore()
			_, err := unix.Write(3, []byte{1})
			unix.Close(3)
			return "", err
		}},
		{"fork", 1, func(w []string) (string, error) { // N children at most; says how many there were
			n, err := strconv.Atoi(w[0])
			if err != nil {
				return "", err
			}
			made, err := forkMany(n)
			return strconv.Itoa(made), err
		}},
		{"bomb", 0, func([]string) (string, error) { // starts processes that make more of themselves for ever
			for {
				c := again("bomb")
				switch err := c.Start(); {
				case os.Getpid() == 1:
					return "", err
				case err == nil:
					go c.Wait()
				}
			}
		}},
		{"nofile", 0, nofile},
		{"alloc", 1, func(w []string) (string, error) { // N MiB, touched
			n, err := strconv.Atoi(w[0])
			if err != nil {
				return "", err
			}
			return "", allocate(n)
		}},
	}
}

// raise ends this process with a signal, as if it had no handler.
func raise(w []string) (string, error) {
	s, err := signalNumber(w[0])
	if err != nil {
		return "", err
	}
	if s != syscall.SIGKILL && s != syscall.SIGSTOP {
		if err := defaultAction(s); err != nil {
			return "", err
		}
	}
	return "", unix.Tgkill(os.Getpid(), unix.Gettid(), s)
}

// forever ignores what can be ignored and waits for the end.
func forever() error {
	signal.Ignore()
	for {
		if _, err := unix.Ppoll(nil, nil, nil); err != nil && err != unix.EINTR {
			return err
		}
	}
}

// behead ends this process's first thread; another waits for a line on standard input and then ends the rest.
func behead() error {
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}()
	end := func() { unix.Syscall(unix.SYS_EXIT, 0, 0, 0) } // of a thread: exit_group(2) is of all
	if unix.Gettid() == os.Getpid() {
		end()
	}
	for {
		other := make(chan bool)
		go func() {
			runtime.LockOSThread() // for good, so that the next one gets another thread
			if unix.Gettid() == os.Getpid() {
				close(other)
				end()
			}
			other <- true
			select {}
		}()
		if !<-other {
			select {}
		}
	}
}

func trap(w []string) (string, error) {
	n, err := strconv.Atoi(w[0])
	if err != nil {
		return "", err
	}
	c := make(chan os.Signal, 64)
	signal.Notify(c, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	Say(Answer{Did: "ready"})
	for range n {
		s, _ := (<-c).(syscall.Signal)
		Say(Answer{Did: "signal " + unix.SignalName(s)})
	}
	return "", nil
}

// spawn starts a process that ignores signals and never ends by itself, and returns when it does so:
//
//	child    as it is
//	session  in a session of its own
//	orphan   the child of a process that has ended
//	quiet    with no descriptor of this process's
//
// The first three hold standard output and error open.
func spawn(w []string) (string, error) {
	ready, theirs, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer ready.Close()
	c := again("sign", "forever")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{}
	switch w[0] {
	case "session":
		c.SysProcAttr.Setsid = true
	case "orphan":
		c = again("spawn session")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		theirs.Close()
		return "", c.Run()
	case "quiet":
		c.Stdout, c.Stderr = nil, nil
	}
	c.ExtraFiles = []*os.File{theirs}
	err = c.Start()
	theirs.Close()
	if err != nil {
		return "", err
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		return "", err
	}
	return strconv.Itoa(c.Process.Pid), nil
}

// nofile is the limit of open files that this process was started with, "SOFT HARD". Package syscall raises
// the soft one before any other package runs, and puts it back for what it executes: so this starts a
// child that stops at its first instruction (PTRACE_TRACEME), and looks.
func nofile([]string) (string, error) {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{Name}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return "", err
	}
	var ws syscall.WaitStatus
	if _, err = syscall.Wait4(pid, &ws, 0, nil); err != nil {
		return "", err
	}
	var l unix.Rlimit
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &l)
	syscall.Kill(pid, syscall.SIGKILL)
	syscall.Wait4(pid, &ws, 0, nil)
	return strconv.FormatUint(l.Cur, 10) + " " + strconv.FormatUint(l.Max, 10), err
}

// call starts a program and waits for it, with a status pipe that only this process reads: what locald does.
func call(w []string) (string, error) {
	r, theirs, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	c := exec.Command(w[0], w[1:]...)
	c.Stdout, c.Stderr, c.ExtraFiles = os.Stdout, os.Stderr, []*os.File{theirs}
	err = c.Start()
	theirs.Close()
	if err != nil {
		return "", err
	}
	status, err := io.ReadAll(r)
	if err == nil {
		err = c.Wait()
	}
	return string(status), err
}
