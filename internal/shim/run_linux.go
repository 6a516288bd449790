package shim

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// statusFD is where the helper finds its end of the status pipe: the first after the standard three.
const statusFD = 3

// Run hands a bundle to the helper and waits for the end. Signals that ask a program to do something are
// passed on meanwhile.
//
// It starts the helper with the bare fork and exec of the syscall package: os/exec would first fork a
// child of its own to learn whether the kernel has pidfds, which here it must have.
func (h Helper) Run(r Request) (Result, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return Result{}, err
	}
	defer reader.Close()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, r.forwarded()...)
	defer signal.Stop(signals)

	pidfd := -1
	pid, err := syscall.ForkExec(h.Path, r.argv(), &syscall.ProcAttr{
		Env:   h.environment(),
		Files: []uintptr{r.Stdin.Fd(), r.Stdout.Fd(), r.Stderr.Fd(), writer.Fd()},
		// A process group of its own: the terminal sends Ctrl-C to the whole foreground group, and passed on as
		// well it would reach the program twice. One that relays a terminal must be in the foreground to read it
		// (SIGTTIN); that terminal is raw meanwhile, so that Ctrl-C is a byte.
		Sys: &syscall.SysProcAttr{Setpgid: !r.Foreground, PidFD: &pidfd},
	})
	writer.Close()
	if err != nil {
		return Result{}, &os.PathError{Op: "execve", Path: h.Path, Err: err}
	}
	defer unix.Close(pidfd)
	var killed, late atomic.Bool
	done := make(chan struct{})
	defer close(done)
	go forward(signals, done, pidfd, func() {
		killed.Store(true)
		reader.Close()
	})
	if r.Timeout > 0 {
		defer time.AfterFunc(r.Timeout, func() {
			late.Store(true)
			reader.Close()
		}).Stop()
	}
	result := Result{Status: readStatus(reader, r.Running), Reap: func() {}}
	code, ended := 0, 0
	if result.Exited && !r.Foreground {
		// How the program ended is known, and the helper is on its way out. Who waits for it now is woken by its last
		// thread, takes that one's processor, and spins in the kernel for what it has not yet let go of: the names in
		// /proc of threads that were looked at (release_task, proc_flush_pid).
		result.Reap = func() { wait(pid) }
	} else if code, ended, err = wait(pid); err != nil {
		return result, err
	}
	result.HelperSignal = ended
	result.Killed, result.Late = killed.Load(), late.Load()
	result.ExitCode = result.code(code, ended)
	return result, nil
}

func (r *Request) argv() []string {
	argv := []string{Name, "bundle", "run", "--bundle", r.Bundle, "--id", r.ID, "--status-fd", strconv.Itoa(statusFD)}
	if r.DryRun {
		argv = append(argv, "--dry-run")
	}
	return argv
}

// environment is all that the helper may need to know. The rest of the caller's could only disturb it (GODEBUG,
// GOGC).
func (h Helper) environment() []string {
	if h.StateHome == "" {
		return []string{}
	}
	return []string{"XDG_RUNTIME_DIR=" + h.StateHome}
}

// forwarded are the signals to pass on, less what the kernel tells everybody in the foreground of a terminal.
func (r *Request) forwarded() []os.Signal {
	list := forwarded()
	if r.Foreground {
		list = slices.DeleteFunc(list, func(s os.Signal) bool { return s == syscall.SIGWINCH })
	}
	return list
}

// Notify relays to a channel the signals that Run passes on, so that they do not end this process when Run has ended.
func Notify(signals chan<- os.Signal) { signal.Notify(signals, forwarded()...) }

// forwarded are the signals to pass on. One that was ignored when locald started stays ignored: nohup(1)
// asked for it.
func forwarded() []os.Signal {
	all := []os.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
	}
	var list []os.Signal
	for _, s := range all {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// twice is how close together two Ctrl-C must be to mean "now". The first process of a container ignores
// every signal that it has no handler for (pid_namespaces(7)), so one is often not enough.
const twice = time.Second

// forward passes signals on by descriptor, which cannot reach another process that got the same pid. The
// second of two quick interrupts calls kill, which lets go of the status pipe.
func forward(signals <-chan os.Signal, done <-chan struct{}, pidfd int, kill func()) {
	var last time.Time
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			if s == syscall.SIGINT {
				if time.Since(last) < twice {
					kill()
				}
				last = time.Now()
			}
			number, _ := s.(syscall.Signal)
			// ESRCH: it has just ended, and that is what the caller will be told.
			_ = unix.PidfdSendSignal(pidfd, number, nil, 0)
		}
	}
}

func wait(pid int) (code, signal int, err error) {
	var status syscall.WaitStatus
	for {
		_, err = syscall.Wait4(pid, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, 0, os.NewSyscallError("wait4", err)
		case status.Signaled():
			return 0, int(status.Signal()), nil
		}
		return status.ExitStatus(), 0, nil
	}
}

// Version asks the helper which one it is.
func (h Helper) Version() (string, error) {
	cmd := exec.Command(h.Path, "--version")
	cmd.Env = h.environment()
	cmd.WaitDelay = time.Second
	timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	output, err := cmd.Output()
	if err != nil {
		return "", err
	}
	return parseVersion(string(output))
}
