package systemd

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestScope asks a real manager, which a test run of its own has to bring: LOCALD_TEST_SYSTEMD is the path of its bus.
func TestScope(t *testing.T) {
	bus := os.Getenv("LOCALD_TEST_SYSTEMD")
	if bus == "" {
		t.Skip("needs a systemd to ask")
	}
	c, err := Connect(bus)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u := Unit{"locald-test-" + strconv.Itoa(os.Getpid()) + ".scope", "locald-test.slice"}
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	properties := Properties([]Limit{{"memory.max", "67108864"}, {"pids.max", "8"}, {"cpu.max", "50000 100000"}, {"cpuset.cpus", "0"}, {"io.weight", "300"}, {"cpu.weight", "50"}})
	cgroup, err := c.StartScope(u, "a test of locald", cmd.Process.Pid, properties)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(cgroup, "/locald.slice/locald-test.slice/"+u.Name) {
		t.Errorf("the cgroup is %s", cgroup)
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/cgroup")
	if err != nil || !strings.Contains("\n"+string(text), "\n0::"+cgroup+"\n") {
		t.Errorf("the process is in %q, %v", text, err)
	}
	for _, p := range properties {
		if err := c.SetProperties(u, []Property{p}); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	if again, err := c.ControlGroup(u); err != nil || again != cgroup {
		t.Errorf("%s, %v", again, err)
	}
	if _, err := c.StartScope(u, "again", os.Getpid(), nil); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a unit that runs was made again: %v", err)
	}
	var refused *Error
	if err := c.SetProperties(u, []Property{{"NoSuchThing", true}}); !errors.As(err, &refused) || refused.Name == "" {
		t.Errorf("a property that systemd does not have: %v", err)
	}
	if err := c.StopScope(u); err != nil {
		t.Error(err)
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("the process outlived its scope")
	}
	if err := c.StopScope(u); err != nil {
		t.Errorf("a unit that is gone: %v", err)
	}
	if _, err := c.ControlGroup(u); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a unit that is gone: %v", err)
	}
}

// ControlGroup asks for what StartScope has answered.
func (c *Conn) ControlGroup(u Unit) (string, error) {
	c.begin("find " + u.Name)
	return c.controlGroup(u)
}
