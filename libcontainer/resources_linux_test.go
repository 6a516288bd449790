package libcontainer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func resourcesOf(t *testing.T, text string) *specs.LinuxResources {
	t.Helper()
	var r specs.LinuxResources
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// A cgroup with a process in it, seen through its path alone.
func TestLiveCgroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	l := cgroup.Look("/sys/fs/cgroup")
	if l.V2 == "" {
		t.Skip("needs a mounted cgroup2 tree")
	}
	path := "/locald-test-" + strconv.Itoa(os.Getpid()) + "-live"
	writes := cgroup.Compile(resourcesOf(t, `{"memory": {"limit": 67108864}, "pids": {"limit": 8}}`), l, func(pointer, reason, _ string) {
		t.Skip(pointer + ": " + reason)
	})
	made, err := cgroup.Create(l, path, writes)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		made.Kill()
		if err := made.Remove(); err != nil {
			t.Error(err)
		}
	}()
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: made.FD(), Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go cmd.Wait()
	for _, controller := range l.V1 {
		fd, err := made.TasksFD(controller.Name)
		if err == syscall.ENOENT { // it is not in that hierarchy
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := syscall.Write(fd, []byte(strconv.Itoa(cmd.Process.Pid))); err != nil {
			t.Fatal(err)
		}
	}

	c, err := OpenCgroup(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if pids, err := c.Processes(); err != nil || len(pids) != 1 || pids[0] != cmd.Process.Pid {
		t.Errorf("%v, %v", pids, err)
	}
	if err := c.Pause(); err != nil || !c.Paused() {
		t.Errorf("not paused: %v", err)
	}
	s := c.Stats()
	if s.CPU == nil || s.CPU.Usage == 0 || s.Pids == nil || s.Pids.Current != 1 || s.Pids.Limit != 8 || s.Memory == nil || s.Memory.Limit != 67108864 {
		t.Errorf("CPU %+v, pids %+v, memory %+v", s.CPU, s.Pids, s.Memory)
	}
	if s.Memory != nil && len(s.Memory.Stat) < 10 {
		t.Errorf("memory.stat has %v", s.Memory.Stat)
	}
	if err := c.Update(resourcesOf(t, `{"memory": {"limit": 33554432}, "pids": {"limit": -1}}`), true); err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.Pids.Limit != Unlimited || s.Memory.Limit != 33554432 {
		t.Errorf("pids %+v, memory %+v", s.Pids, s.Memory)
	}
	var wrong *ProblemError
	if err := c.Update(resourcesOf(t, `{"pids": {"limit": 3}, "memory": {"limit": -7}}`), true); !errors.As(err, &wrong) || wrong.Problems[0].Pointer != "/linux/resources/memory/limit" {
		t.Errorf("%v", err)
	}
	var refused *OpError
	if err := c.Update(resourcesOf(t, `{"pids": {"limit": 3}, "cpu": {"cpus": "4000"}}`), true); !errors.As(err, &refused) || refused.Origin != "/linux/resources/cpu/cpus" {
		t.Errorf("%v", err)
	}
	if s := c.Stats(); s.Pids.Limit != Unlimited {
		t.Errorf("an update that was refused left pids %+v", s.Pids)
	}
	if err := c.Update(resourcesOf(t, `{"devices": [{"allow": true, "access": "rwm"}, {"allow": false, "access": "w"}]}`), false); !errors.As(err, &wrong) {
		t.Errorf("device rules for who may not have them: %v", err)
	}
	if err := c.Resume(); err != nil || c.Paused() {
		t.Errorf("still paused: %v", err)
	}
	if _, err := OpenCgroup(path + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
