package cgroup

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func mustOpen(t *testing.T, l Layout, path string) *Cgroup {
	t.Helper()
	c, err := Open(l, path)
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Cleanup(c.Close)
	return c
}

// A frozen cgroup makes no progress, stays so for whoever opens it, and can be killed.
func TestFreeze(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	echo := exec.Command("/bin/cat")
	end := os.NewFile(uintptr(pair[1]), "socket")
	echo.Stdin, echo.Stdout = end, end
	echo.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.FD(), Pdeathsig: syscall.SIGKILL}
	if err := echo.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	other := mustOpen(t, l, path)
	if other.Frozen() {
		t.Error("frozen from the start")
	}
	if err := other.Freeze(); err != nil {
		t.Fatal(explain(err))
	}
	if !c.Frozen() || c.Freeze() != nil {
		t.Error("not frozen, or not twice")
	}
	if pids, err := c.Processes(); err != nil || !slices.Equal(pids, []int{echo.Process.Pid}) {
		t.Errorf("%v, %v", pids, err)
	}
	said := []byte("?")
	unix.Write(pair[0], said)
	if n, _, err := unix.Recvfrom(pair[0], said, unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Errorf("a frozen process said %d bytes: %v", n, err)
	}
	if err := other.Thaw(); err != nil || c.Frozen() {
		t.Errorf("frozen after Thaw: %v", err)
	}
	if n, err := unix.Read(pair[0], said); n != 1 || err != nil {
		t.Errorf("after Thaw it said %d bytes: %v", n, err)
	}
	unix.Shutdown(pair[0], unix.SHUT_WR)
	finish(t, echo)

	if err := c.Freeze(); err != nil { // nothing is in it any more
		t.Error(explain(err))
	}
	cmd2 := make(chan *os.ProcessState)
	sleep := sleeperIn(t, c)
	go func() { s, _ := sleep.Wait(); cmd2 <- s }()
	if err := c.Kill(); err != nil {
		t.Error(explain(err))
	}
	select {
	case s := <-cmd2:
		if s.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Error(s)
		}
	case <-time.After(time.Minute):
		t.Error("a frozen process was not killed")
	}
	mustRemove(t, c)
	if err := other.Freeze(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cgroup that is gone was frozen: %v", err)
	}
	if other.Frozen() {
		t.Error("a cgroup that is gone is frozen")
	}
}

// sleeperIn puts a process into a cgroup that may be frozen, so it does not wait for the process to say something.
func sleeperIn(t *testing.T, c *Cgroup) *os.Process {
	t.Helper()
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(c.v2.dir, "cgroup.procs", strconv.Itoa(p.Pid)); err != nil {
		t.Fatal(err)
	}
	return p
}

// A cgroup below a frozen one cannot be thawed by itself.
func TestThawBelow(t *testing.T) {
	l := needRoot(t)
	parent := parentPath(t, l)
	c := mustCreate(t, l, parent+"/x", nil)
	above := mustOpen(t, l, parent)
	if err := above.Freeze(); err != nil {
		t.Fatal(explain(err))
	}
	if !c.Frozen() {
		t.Error("not frozen")
	}
	if err := c.Thaw(); !errors.Is(err, syscall.EBUSY) || explain(err) != "thaw cgroup "+parent+"/x: device or resource busy; a cgroup above it is frozen" {
		t.Errorf("%v", err)
	}
	if err := above.Thaw(); err != nil {
		t.Error(explain(err))
	}
	mustRemove(t, c)
}

// Processes and Signal reach every level of what a container makes below its cgroup.
func TestProcesses(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	if pids, err := c.Processes(); err != nil || len(pids) != 0 {
		t.Errorf("%v, %v", pids, err)
	}
	deep := strings.Repeat("/d", 60)
	for _, below := range []string{"/a/b", "/a/c", deep} {
		if err := os.MkdirAll(l.V2+path+below, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var want []int
	var processes []*os.Process
	for _, below := range []string{"", "/a", "/a/b", "/a/c", deep} {
		p := sleeperIn(t, mustOpen(t, l, path+below))
		want, processes = append(want, p.Pid), append(processes, p)
	}
	slices.Sort(want)
	before := fds(t)
	if pids, err := c.Processes(); err != nil || !slices.Equal(pids, want) {
		t.Errorf("%v, %v, want %v", pids, err, want)
	}
	if err := c.Signal(0); err != nil {
		t.Error(explain(err))
	}
	if err := c.Signal(int(syscall.SIGTERM)); err != nil {
		t.Error(explain(err))
	}
	for _, p := range processes {
		if s, err := p.Wait(); err != nil || s.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
			t.Errorf("%v, %v", s, err)
		}
	}
	if after := fds(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if c.Frozen() {
		t.Error("left frozen")
	}
	if err := c.Signal(1000); err != nil { // nobody is left to refuse it
		t.Error(err)
	}
	mustRemove(t, c)
	if pids, err := c.Processes(); err != nil || pids != nil {
		t.Errorf("%v, %v", pids, err)
	}
}

// update applies resources to a cgroup as libcontainer does.
func update(t *testing.T, l Layout, c *Cgroup, text string) error {
	t.Helper()
	res := resources(t, text)
	writes := CompileUpdate(res, l, c.Live(), refuseReports(t))
	if err := c.CheckMemory(res.Memory); err != nil {
		return err
	}
	return c.Update(l, Change{Writes: writes, SetDevices: res.Devices != nil, Devices: CompileDevices(res.Devices, refuseReports(t))})
}

var updateTests = []struct {
	name, controller, from, to string
	v1, v2                     []limitFile
}{
	{"memory grows over swap", "memory", `{"memory": {"limit": 33554432, "swap": 67108864}}`, `{"memory": {"limit": 134217728, "swap": 268435456}}`,
		[]limitFile{{"memory", "memory.limit_in_bytes", "134217728"}, {"memory", "memory.memsw.limit_in_bytes", "268435456"}},
		[]limitFile{{"memory", "memory.max", "134217728"}, {"memory", "memory.swap.max", "134217728"}}},
	{"memory shrinks below", "memory", `{"memory": {"limit": 134217728, "swap": 268435456}}`, `{"memory": {"limit": 33554432, "swap": 67108864, "reservation": 16777216}}`,
		[]limitFile{{"memory", "memory.limit_in_bytes", "33554432"}, {"memory", "memory.memsw.limit_in_bytes", "67108864"}},
		[]limitFile{{"memory", "memory.max", "33554432"}, {"memory", "memory.swap.max", "33554432"}, {"memory", "memory.low", "16777216"}}},
	{"swap alone", "memory", `{"memory": {"limit": 33554432}}`, `{"memory": {"swap": 67108864}}`,
		[]limitFile{{"memory", "memory.memsw.limit_in_bytes", "67108864"}}, []limitFile{{"memory", "memory.swap.max", "33554432"}}},
	{"no limit", "memory", `{"memory": {"limit": 33554432, "swap": 33554432}}`, `{"memory": {"limit": -1, "swap": -1}}`,
		[]limitFile{{"memory", "memory.limit_in_bytes", "9223372036854771712"}}, []limitFile{{"memory", "memory.max", "max"}, {"memory", "memory.swap.max", "max"}}},
	{"quota alone", "cpu", `{"cpu": {"quota": 50000, "period": 20000}}`, `{"cpu": {"quota": 30000}}`,
		[]limitFile{{"cpu", "cpu.cfs_quota_us", "30000"}, {"cpu", "cpu.cfs_period_us", "20000"}}, []limitFile{{"cpu", "cpu.max", "30000 20000"}}},
	{"period alone", "cpu", `{"cpu": {"quota": 50000, "period": 20000}}`, `{"cpu": {"period": 40000}}`,
		[]limitFile{{"cpu", "cpu.cfs_quota_us", "50000"}, {"cpu", "cpu.cfs_period_us", "40000"}}, []limitFile{{"cpu", "cpu.max", "50000 40000"}}},
	{"quota below burst", "cpu", `{"cpu": {"quota": 50000, "period": 100000, "burst": 40000}}`, `{"cpu": {"quota": 10000, "burst": 0}}`,
		[]limitFile{{"cpu", "cpu.cfs_quota_us", "10000"}, {"cpu", "cpu.cfs_burst_us", "0"}}, []limitFile{{"cpu", "cpu.max", "10000 100000"}, {"cpu", "cpu.max.burst", "0"}}},
	{"no longer idle", "cpu", `{"cpu": {"idle": 1}}`, `{"cpu": {"shares": 2048, "idle": 0}}`,
		[]limitFile{{"cpu", "cpu.idle", "0"}, {"cpu", "cpu.shares", "2048"}}, []limitFile{{"cpu", "cpu.idle", "0"}, {"cpu", "cpu.weight", "174"}}},
	{"pids", "pids", `{"pids": {"limit": 5}}`, `{"pids": {"limit": 0}}`, []limitFile{{"pids", "pids.max", "1"}}, []limitFile{{"pids", "pids.max", "1"}}},
	{"cpuset", "cpuset", `{"cpu": {"cpus": "0"}}`, `{"cpu": {"cpus": "0", "mems": "0"}}`,
		[]limitFile{{"cpuset", "cpuset.mems", "0"}}, []limitFile{{"cpuset", "cpuset.mems", "0"}}},
	{"a controller that was off", "pids", `{}`, `{"pids": {"limit": 7}}`, []limitFile{{"pids", "pids.max", "7"}}, []limitFile{{"pids", "pids.max", "7"}}},
	{"nothing", "pids", `{"pids": {"limit": 7}}`, `{}`, []limitFile{{"pids", "pids.max", "7"}}, []limitFile{{"pids", "pids.max", "7"}}},
}

func TestUpdate(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	for _, test := range updateTests {
		t.Run(test.name, func(t *testing.T) {
			at := need(t, l, test.controller, test.controller)
			created := mustCreate(t, l, path, writesFor(t, l, test.from))
			cmd := sleeperEverywhere(t, created)
			created.Close()
			c := mustOpen(t, l, path)
			before := fds(t)
			if err := update(t, l, c, test.to); err != nil {
				t.Error(explain(err))
			}
			for _, f := range map[tree][]limitFile{v1: test.v1, v2: test.v2}[at] {
				if got := read(t, l, path, f.controller, f.name); got != f.want {
					t.Errorf("%s is %q, want %q", f.name, got, f.want)
				}
			}
			// The process is where the limit is.
			if test.v1 != nil && !slices.Contains(strings.Fields(read(t, l, path, test.controller, "cgroup.procs")), strconv.Itoa(cmd.Pid)) {
				t.Error("the process is not in the cgroup")
			}
			if len(c.Hierarchies()) == 0 && fds(t) != before {
				t.Errorf("%d descriptors before, %d after", before, fds(t))
			}
			if c.Frozen() {
				t.Error("left frozen")
			}
			if err := c.Kill(); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			mustRemove(t, c)
			if left := dirs(l, path); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// sleeperEverywhere is a process in the cgroup of every hierarchy.
func sleeperEverywhere(t *testing.T, c *Cgroup) *os.Process {
	t.Helper()
	p := sleeperIn(t, c)
	for _, fd := range tasksFDs(t, c) {
		if _, err := unix.Write(fd, []byte(strconv.Itoa(p.Pid))); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// What is refused leaves everything as it was, and says what it was.
func TestUpdateUndone(t *testing.T) {
	l := needRoot(t)
	at := need(t, l, "pids", "pids")
	need(t, l, "memory", "memory")
	need(t, l, "cpu", "cpu")
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, writesFor(t, l, `{"pids": {"limit": 7}, "memory": {"limit": 67108864}, "cpu": {"quota": 50000, "period": 50000}}`))
	p := sleeperEverywhere(t, c)
	writes := CompileUpdate(resources(t, `{"pids": {"limit": 9}, "memory": {"limit": 33554432}, "cpu": {"quota": 30000, "period": 60000}}`), l, c.Live(), refuseReports(t))
	writes = append(writes, Write{Controller: "pids", File: "pids.max", Value: "many", Pointer: "/p"})
	err := c.Update(l, Change{Writes: writes})
	var e *Error
	if !errors.As(err, &e) || e.Pointer != "/p" || e.Err != syscall.EINVAL || e.Op != "write many to pids.max" {
		t.Errorf("%+v", err)
	}
	want := []limitFile{{"pids", "pids.max", "7"}, {"memory", "memory.max", "67108864"}, {"cpu", "cpu.max", "50000 50000"}}
	if at == v1 {
		want = []limitFile{{"pids", "pids.max", "7"}, {"memory", "memory.limit_in_bytes", "67108864"},
			{"cpu", "cpu.cfs_quota_us", "50000"}, {"cpu", "cpu.cfs_period_us", "50000"}}
	}
	for _, f := range want {
		if got := read(t, l, path, f.controller, f.name); got != f.want {
			t.Errorf("%s is %q, want %q", f.name, got, f.want)
		}
	}
	if at == v1 { // a hierarchy that was to be new is left again
		bad := []Write{{Controller: "cpuset", File: "cpuset.cpus", Value: "x", Pointer: "/c"}}
		if err := c.Update(l, Change{Writes: bad}); !errors.As(err, &e) || e.Pointer != "/c" {
			t.Errorf("%v", err)
		}
		if l.dir("cpuset") != "" {
			if _, err := os.Stat(l.dir("cpuset") + path); err == nil {
				t.Error("the cgroup is left in the cpuset hierarchy")
			}
		}
	}
	err = update(t, l, c, `{"memory": {"limit": 4096, "checkBeforeUpdate": true}}`)
	if n := usage(c); n > 4096 && (!errors.Is(err, syscall.EBUSY) || err.(*Error).Pointer != "/linux/resources/memory/limit") {
		t.Errorf("%d bytes are in use, and a limit of 4096 is %v", n, err)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	p.Wait()
	mustRemove(t, c)
	if err := c.Update(l, Change{Writes: writes}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cgroup that is gone was changed: %v", err)
	}
}

func usage(c *Cgroup) int {
	n, _ := strconv.Atoi(c.text("memory", "memory.usage_in_bytes", "memory.current"))
	return n
}

// The device filter is replaced in a cgroup that is in use, and one of someone else's stays.
func TestReplaceDevices(t *testing.T) {
	l := needRoot(t)
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		t.Skip("needs /dev/kmsg")
	}
	path := parentPath(t, l) + "/x"
	c := mustCreate(t, l, path, nil)
	deny := []specs.LinuxDeviceCgroup{{Access: "rwm"}}
	major, minor := int64(1), int64(11)
	allow := append(slices.Clone(deny), specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "r"})
	can := func() bool {
		t.Helper()
		cmd, out := start(t, c, ": </dev/kmsg && echo yes")
		finish(t, cmd)
		return out.String() == "yes\n"
	}
	filters := func() int {
		t.Helper()
		ids, err := queryDevices(c.v2.dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	for _, step := range []struct {
		name    string
		rules   []specs.LinuxDeviceCgroup
		want    bool
		filters int
	}{
		{"none at first", nil, true, 0},
		{"added", deny, false, 1},
		{"replaced", allow, true, 1},
		{"replaced again", deny, false, 1},
		{"taken off", nil, true, 0},
	} {
		if err := c.ReplaceDevices(CompileDevices(step.rules, refuseReports(t))); err != nil {
			t.Fatalf("%s: %s", step.name, explain(err))
		}
		if got := can(); got != step.want || filters() != step.filters {
			t.Errorf("%s: %v and %d filters", step.name, got, filters())
		}
	}
	// A program of another name, which allows everything.
	prog, err := load([]Insn{{Code: 0xb7, Imm: 1}, {Code: 0x95}}, "other")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(prog)
	if err := attachDevices(c.v2.dir, prog); err != nil {
		t.Fatal(err)
	}
	for _, rules := range [][]specs.LinuxDeviceCgroup{deny, allow, nil} {
		if err := c.ReplaceDevices(CompileDevices(rules, refuseReports(t))); err != nil {
			t.Error(explain(err))
		}
	}
	if n := filters(); n != 1 {
		t.Errorf("%d filters are left", n)
	}
	mustRemove(t, c)
}

// The watch ends with the last process. That it tells of kills is for a host of one's own.
func TestWatchOOM(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	need(t, l, "memory", "memory")
	c := mustCreate(t, l, path, writesFor(t, l, `{"memory": {"limit": 16777216, "swap": 16777216}}`))
	cmd, out := start(t, c, "head -c 100000000 /dev/zero | tail >/dev/null; read x")
	w, err := c.WatchOOM()
	if err != nil {
		t.Fatal(explain(err))
	}
	defer w.Close()
	if kills, err := w.Next(); kills == 0 || err != nil {
		t.Errorf("%d kills, %v: %s", kills, err, out)
	}
	c.Kill()
	finish(t, cmd)
	for {
		kills, err := w.Next()
		if err == io.EOF {
			break
		}
		if err != nil || kills == 0 {
			t.Fatalf("%d kills, %v", kills, err)
		}
	}
	mustRemove(t, c)
	if kills, err := w.Check(); kills != 0 || err != io.EOF {
		t.Errorf("after the end %d kills, %v", kills, err)
	}
}
