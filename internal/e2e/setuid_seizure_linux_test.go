package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCVE_2016_8659 stops the shim where it still has power, in the write of a status line to a pipe that
// has no room for it, and the child where it waits for the parent: its caller gets hold of neither. Only once
// the user's own program has taken the child's place is it the caller's.
func TestCVE_2016_8659(t *testing.T) {
	needsRoot(t, "watches users from outside, as root")
	if here.guest { // what some distributions choose, and a change of ids then makes of the process (proc_sys_fs(5))
		setSuidDumpable(t, "2")
	}
	phases := []string{"opened", "validated", "compiled", "cloned", "limited"}
	for i, phase := range phases {
		t.Run(phase, func(t *testing.T) {
			u, v := accounts(t)
			b := u.bundle(t).do("exit 7")
			processes := 2
			if !here.guest {
				u.someIDMapped(t)(b.spec)
				processes = 4 // and a child for each map of a mount
			}
			b.write(t)
			cmd, status := u.stalled(t, b, phases[:i])
			awaitWrite(t, cmd.Process.Pid)
			targets := map[string]int{"shim": cmd.Process.Pid}
			for _, pid := range children(cmd.Process.Pid) {
				if phase == "cloned" { // later it may have become the program
					targets[fmt.Sprintf("child %d", len(targets))] = pid
				}
			}
			if phase == "cloned" && len(targets) != processes {
				t.Errorf("the shim and its children are %v", targets)
			}
			for who, pid := range targets {
				for _, a := range seizures() {
					for whose, attacker := range map[string]*account{"the caller": u, "another user": v} {
						attacker.does(t, func() {
							if err := a.do(pid); !refused(err) {
								t.Errorf("%s: %s on the %s: %v", whose, a.name, who, err)
							}
						})
					}
				}
			}
			hangs := time.AfterFunc(limit(), func() { cmd.Process.Kill() })
			io.Copy(io.Discard, status)
			status.Close()
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); !hangs.Stop() || code != 7 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// stalled starts the bundle as the account, with a status pipe that has room for the lines of some phases only.
func (a *account) stalled(t *testing.T, b *bundle, before []string) (*exec.Cmd, *os.File) {
	t.Helper()
	room := 8
	for _, phase := range before {
		room += len(`{"phase":"` + phase + "\"}\n")
		if phase == "cloned" {
			room += len(`,"pid":123`) // and a few digits, which are less than a line as well
		}
	}
	r, w, err := os.Pipe()
	must(t, err)
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	must(t, err)
	_, err = w.Write(make([]byte, size-room))
	must(t, err)
	cmd := exec.Command(a.shim, "bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3")
	cmd.ExtraFiles = []*os.File{w}
	a.become(cmd)
	must(t, cmd.Start())
	w.Close()
	return cmd, r
}

// awaitWrite waits until the process is in a write to its status descriptor (proc_pid_syscall(5)).
func awaitWrite(t *testing.T, pid int) {
	t.Helper()
	in := strconv.Itoa(unix.SYS_WRITE) + " 0x3 "
	for deadline := time.Now().Add(limit()); time.Now().Before(deadline); {
		tasks, _ := filepath.Glob("/proc/" + itoa(pid) + "/task/*/syscall")
		for _, task := range tasks {
			if text, _ := os.ReadFile(task); strings.HasPrefix(string(text), in) {
				return
			}
		}
	}
	t.Fatal("the shim does not wait for its reader")
}

// children are the processes that a process has made.
func children(pid int) []int {
	var list []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if child, err := strconv.Atoi(filepath.Base(dir)); err == nil && parentOf(child) == pid {
			list = append(list, child)
		}
	}
	return list
}
