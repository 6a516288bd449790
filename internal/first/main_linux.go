package first

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit codes of a program that does not run, as of a shell.
const (
	exitCannotRun     = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// Main starts the program in args, which is looked for in PATH, and returns its exit code when it has ended: 128 and the
// number of the signal that ended it.
func Main(args []string) int {
	if len(args) == 0 {
		return exitCannotRun
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, handedOn()...) // those that come before the program is there wait for it
	path, err := find(args[0])
	var pid int
	if err == nil {
		pid, err = start(path, args)
	}
	if err != nil {
		return complain(args[0], err)
	}
	go func() {
		for s := range signals {
			if s, ok := s.(syscall.Signal); ok {
				syscall.Kill(pid, s)
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case ended != pid && (err == nil || err == syscall.EINTR):
		case err != nil:
			return exitCannotRun
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}

// handedOn is every signal but those that cannot be caught, those about this process's own children and writes, those by
// which the Go runtime stops a thread (SIGURG) and the C library of others does (32, 33), and those of job control, which
// the terminal sends to the program itself.
func handedOn() (list []os.Signal) {
	for s := syscall.Signal(1); s <= 64; s++ {
		switch s {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, 32, 33,
			syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
		default:
			list = append(list, s)
		}
	}
	return list
}

// find looks for a program in PATH as execvp(3) does.
func find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	err := error(syscall.ENOENT)
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if dir == "" {
			path = "./" + name
		}
		info, e := os.Stat(path)
		if e == nil && info.Mode().IsRegular() {
			if e = unix.Access(path, unix.X_OK); e == nil {
				return path, nil
			}
			err = syscall.EACCES
		}
	}
	return "", err
}

// start starts the program in a process group of its own, so that no signal to that reaches this process as well. Where
// this process has a terminal the group is the one that it belongs to.
func start(path string, args []string) (pid int, err error) {
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if _, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err == nil {
		attr.Sys.Foreground = true
	}
	return syscall.ForkExec(path, args, attr)
}

// complain says why the program does not run, as locald does, and returns the exit code.
func complain(name string, err error) int {
	code, text := exitNotExecutable, strconv.Quote(name)+" cannot be executed: "+err.Error()+". [LD401]"
	if err == syscall.ENOENT || err == syscall.ENOTDIR {
		code, text = exitNotFound, strconv.Quote(name)+" was not found in the container. [LD402]"
		if !strings.Contains(name, "/") {
			text = strconv.Quote(name) + " was not found in the container's PATH (" + os.Getenv("PATH") + "). [LD402]"
		}
	}
	os.Stderr.WriteString("locald: " + text + "\n")
	return code
}
