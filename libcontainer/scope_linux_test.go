package libcontainer

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHeldScope: the process around which systemd makes a scope has nothing that is this thread's alone, such as the
// capabilities of a set-user-ID program, here a name (PR_SET_NAME(2const)); and whoever stops it does not keep this program
// from ending it.
func TestHeldScope(t *testing.T) {
	const mark = "the-one-thread"
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	file := "/proc/self/task/" + strconv.Itoa(unix.Gettid()) + "/comm"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(mark), 0); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(file, before, 0)

	r := newRunning()
	r.state = &stateDir{lock: -1, root: -1}
	pid, err := r.holdScope()
	if err != nil {
		t.Fatal(err)
	}
	if name := readText("/proc/" + strconv.Itoa(pid) + "/comm"); name == "" || strings.HasPrefix(name, mark) {
		t.Errorf("it is the child of the thread that asks for it: %q", name)
	}
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Error(err)
	}
	hangs := time.AfterFunc(time.Minute, func() { unix.Kill(pid, unix.SIGKILL) })
	r.releaseScope()
	if !hangs.Stop() {
		t.Error("it is waited for while it is stopped")
	}
}
