package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// read is a file of a cgroup in the tree of a controller.
func read(t *testing.T, l Layout, path, controller, file string) string {
	t.Helper()
	dir := l.dir(controller)
	if dir == "" {
		dir = l.V2
	}
	text, err := os.ReadFile(dir + path + "/" + file)
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(text))
}

// limitFile is a file of a controller and what it says afterwards.
type limitFile struct{ controller, name, want string }

var limitTests = []struct {
	name, name1, name2, resources string
	v1, v2                        []limitFile
}{
	{"memory", "memory", "memory", `{"memory": {"limit": 67108864, "reservation": 33554432}}`,
		[]limitFile{{"memory", "memory.limit_in_bytes", "67108864"}, {"memory", "memory.soft_limit_in_bytes", "33554432"}},
		[]limitFile{{"memory", "memory.max", "67108864"}, {"memory", "memory.low", "33554432"}}},
	{"swap", "memory", "memory", `{"memory": {"limit": 67108864, "swap": 100663296}}`,
		[]limitFile{{"memory", "memory.memsw.limit_in_bytes", "100663296"}},
		[]limitFile{{"memory", "memory.swap.max", "33554432"}}},
	{"memory v1 only", "memory", "", `{"memory": {"limit": 67108864, "swappiness": 7, "disableOOMKiller": true}}`,
		[]limitFile{{"memory", "memory.swappiness", "7"}}, nil},
	{"cpu", "cpu", "cpu", `{"cpu": {"shares": 2048, "quota": 50000, "period": 20000, "burst": 1000}}`,
		[]limitFile{{"cpu", "cpu.shares", "2048"}, {"cpu", "cpu.cfs_quota_us", "50000"}, {"cpu", "cpu.cfs_period_us", "20000"}, {"cpu", "cpu.cfs_burst_us", "1000"}},
		[]limitFile{{"cpu", "cpu.weight", "174"}, {"cpu", "cpu.max", "50000 20000"}, {"cpu", "cpu.max.burst", "1000"}}},
	{"cpu unlimited", "cpu", "cpu", `{"cpu": {"quota": -1, "period": 20000}}`,
		[]limitFile{{"cpu", "cpu.cfs_quota_us", "-1"}, {"cpu", "cpu.cfs_period_us", "20000"}}, []limitFile{{"cpu", "cpu.max", "max 20000"}}},
	{"idle", "cpu", "cpu", `{"cpu": {"shares": 100, "idle": 1}}`, []limitFile{{"cpu", "cpu.idle", "1"}}, []limitFile{{"cpu", "cpu.idle", "1"}}},
	{"cpuset", "cpuset", "cpuset", `{"cpu": {"cpus": "0", "mems": "0"}}`,
		[]limitFile{{"cpuset", "cpuset.cpus", "0"}, {"cpuset", "cpuset.mems", "0"}}, []limitFile{{"cpuset", "cpuset.cpus", "0"}, {"cpuset", "cpuset.mems", "0"}}},
	{"pids", "pids", "pids", `{"pids": {"limit": 17}}`, []limitFile{{"pids", "pids.max", "17"}}, []limitFile{{"pids", "pids.max", "17"}}},
	{"pids unlimited", "pids", "pids", `{"pids": {"limit": -1}}`, []limitFile{{"pids", "pids.max", "max"}}, []limitFile{{"pids", "pids.max", "max"}}},
	{"io", "", "io", `{"blockIO": {"weight": 500}}`, nil, nil},
	{"hugetlb", "hugetlb", "hugetlb", `{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}`,
		[]limitFile{{"hugetlb", "hugetlb.2MB.limit_in_bytes", "4194304"}, {"hugetlb", "hugetlb.2MB.rsvd.limit_in_bytes", "4194304"}},
		[]limitFile{{"hugetlb", "hugetlb.2MB.max", "4194304"}, {"hugetlb", "hugetlb.2MB.rsvd.max", "4194304"}}},
	{"unified", "", "memory", `{"unified": {"memory.high": "33554432"}}`, nil, []limitFile{{"memory", "memory.high", "33554432"}}},
	{"many", "memory", "memory", `{"memory": {"limit": 67108864}, "pids": {"limit": 17}, "cpu": {"shares": 2048, "cpus": "0"}}`,
		[]limitFile{{"memory", "memory.limit_in_bytes", "67108864"}, {"pids", "pids.max", "17"}, {"cpuset", "cpuset.cpus", "0"}},
		[]limitFile{{"memory", "memory.max", "67108864"}, {"pids", "pids.max", "17"}, {"cpuset", "cpuset.cpus", "0"}}},
}

// Every value that a host of either kind takes is in force afterwards.
func TestLimits(t *testing.T) {
	l := needRoot(t)
	path := parentPath(t, l) + "/x"
	for _, test := range limitTests {
		t.Run(test.name, func(t *testing.T) {
			at := need(t, l, test.name1, test.name2)
			c := mustCreate(t, l, path, writesFor(t, l, test.resources))
			for _, f := range map[tree][]limitFile{v1: test.v1, v2: test.v2}[at] {
				if got := read(t, l, path, f.controller, f.name); got != f.want {
					t.Errorf("%s is %q, want %q", f.name, got, f.want)
				}
			}
			// The cgroup takes a process: a v1 cpuset without memory nodes would not.
			cmd, out := start(t, c, "cat /proc/self/cgroup")
			finish(t, cmd)
			if n := strings.Count(out.String(), ":"+path+"\n"); n != 1+len(c.Hierarchies()) {
				t.Errorf("the process is in\n%s", out)
			}
			for _, p := range c.v1 {
				for _, fd := range []int{p.parent, p.dir, p.tasks} {
					if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
						t.Errorf("descriptor %d has flags %d: %v", fd, flags, err)
					}
				}
			}
			if c.OOMKilled() {
				t.Error("OOMKilled")
			}
			mustRemove(t, c)
			if left := dirs(l, path); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

func TestPidsEnforced(t *testing.T) {
	l := needRoot(t)
	need(t, l, "pids", "pids")
	path := parentPath(t, l) + "/x"
	for limit, want := range map[string]bool{"0": false, "1": false, "2": true, "-1": true} {
		c := mustCreate(t, l, path, writesFor(t, l, `{"pids": {"limit": `+limit+`}}`))
		cmd, out := start(t, c, "/bin/true; echo forked")
		finish(t, cmd)
		if got := out.String() == "forked\n"; got != want {
			t.Errorf("limit %s: %q, %v", limit, out, cmd.ProcessState)
		}
		mustRemove(t, c)
	}
}

func TestCpusetEnforced(t *testing.T) {
	l := needRoot(t)
	need(t, l, "cpuset", "cpuset")
	c := mustCreate(t, l, parentPath(t, l)+"/a/x", writesFor(t, l, `{"cpu": {"cpus": "0"}}`))
	cmd, out := start(t, c, "grep Cpus_allowed_list /proc/self/status")
	finish(t, cmd)
	if strings.Join(strings.Fields(out.String()), " ") != "Cpus_allowed_list: 0" {
		t.Errorf("%q", out)
	}
	mustRemove(t, c)
	if c, err := Open(l, strings.TrimSuffix(c.path, "/x")); err != nil {
		t.Error(err)
	} else {
		mustRemove(t, c)
	}
}

// An OOM kill is for a host of one's own, which a host with cgroup v2 only is taken to be in tests.
func TestOOMKilled(t *testing.T) {
	l := needRoot(t)
	if !l.Unified {
		t.Skip("needs a host with cgroup v2 only")
	}
	need(t, l, "memory", "memory")
	c := mustCreate(t, l, parentPath(t, l)+"/x", writesFor(t, l, `{"memory": {"limit": 16777216, "swap": 16777216}}`))
	cmd, out := start(t, c, "head -c 100000000 /dev/zero | tail >/dev/null")
	finish(t, cmd)
	if !c.OOMKilled() {
		t.Errorf("100 MB fit into 16: %q, %v", out, cmd.ProcessState)
	}
	mustRemove(t, c)
}

// What fails on the way leaves nothing, in no hierarchy, not even the parents.
func TestCreateUndone(t *testing.T) {
	l := needRoot(t)
	need(t, l, "pids", "pids")
	parent := parentPath(t, l)
	good := writesFor(t, l, `{"pids": {"limit": 17}}`)
	for _, test := range []struct {
		name, name1, name2 string
		bad                Write
		want               Error
	}{
		{"a value", "pids", "pids", Write{Controller: "pids", File: "pids.max", Value: "many", Pointer: "/p"},
			Error{Pointer: "/p", Op: "write many to pids.max", Err: syscall.EINVAL}},
		{"a file", "pids", "pids", Write{Controller: "pids", File: "pids.none", Value: "1", Pointer: "/p"},
			Error{Pointer: "/p", Op: "write 1 to pids.none", Err: syscall.ENOENT, Hint: "this kernel has no such file: it is older than the setting, or built without it"}},
		{"both files", "pids", "pids", Write{Controller: "pids", File: "pids.none", AltFile: "pids.never", AltValue: "2", Pointer: "/p"},
			Error{Pointer: "/p", Op: "write 2 to pids.never", Err: syscall.ENOENT, Hint: "this kernel has no such file: it is older than the setting, or built without it"}},
		{"the way out", "pids", "pids", Write{Controller: "pids", File: "../cgroup.procs", Value: "0", Pointer: "/p"},
			Error{Pointer: "/p", Op: "write 0 to ../cgroup.procs", Err: syscall.EXDEV}},
		{"no such controller", "pids", "pids", Write{Controller: "none", File: "none.max", Value: "1", Pointer: "/p"},
			Error{Pointer: "/p", Op: "enable none", Err: syscall.EINVAL}},
		{"a processor", "cpuset", "cpuset", Compile(resources(t, `{"cpu": {"cpus": "100000"}}`), l, refuseReports(t))[0],
			Error{Pointer: "/linux/resources/cpu/cpus", Op: "write 100000 to cpuset.cpus", Err: syscall.ERANGE, Hint: "the host or the parent cgroup does not have all of these"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			need(t, l, test.name1, test.name2)
			before := fds(t)
			c, err := Create(l, parent+"/a/b", append(slices.Clone(good), test.bad))
			var e *Error
			if c != nil || !errors.As(err, &e) {
				t.Fatalf("%v, %v", c, err)
			}
			if op, _, found := strings.Cut(e.Op, ", pids in cgroup "); found { // pids too, where it is not enabled yet
				e.Op = op
			}
			e.Op = strings.TrimSuffix(e.Op, " in cgroup /")
			if e.Err == syscall.EINVAL && test.want.Err == syscall.ERANGE { // v1 and v2 differ
				e.Err = syscall.ERANGE
			}
			if *e != test.want {
				t.Errorf("%+v\nwant %+v", *e, test.want)
			}
			if left := dirs(l, parent); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
			if after := fds(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// Creations that share a parent which none of them finds there do not get in each other's way, even
// when some of them fail and take back the parent.
func TestCreateTogether(t *testing.T) {
	l := needRoot(t)
	need(t, l, "pids", "pids")
	parent := parentPath(t, l)
	good := writesFor(t, l, `{"pids": {"limit": 17}}`)
	bad := append(slices.Clone(good), Write{Controller: "pids", File: "pids.max", Value: "many"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			path := parent + "/shared/" + string(rune('a'+i))
			for range 25 {
				if _, err := Create(l, path, bad); !errors.Is(err, syscall.EINVAL) {
					t.Errorf("%s: %v", path, err)
				}
				c, err := Create(l, path, good)
				if err != nil {
					t.Error(explain(err))
					continue
				}
				if err := c.Remove(); err != nil {
					t.Error(explain(err))
				}
			}
		})
	}
	wg.Wait()
	if c, err := Open(l, parent+"/shared"); err == nil {
		mustRemove(t, c)
	}
}

// Only in the cgroup2 tree: controllers are enabled all the way down, once, and not where processes
// are in the way.
func TestCreateEnables(t *testing.T) {
	l := needRoot(t)
	if need(t, l, "pids", "pids") != v2 {
		t.Skip("needs a host with cgroup v2 only")
	}
	parent := parentPath(t, l)
	writes := writesFor(t, l, `{"pids": {"limit": 17}, "cpu": {"shares": 100}}`)
	c := mustCreate(t, l, parent+"/a/b", writes)
	for _, dir := range []string{"", parent, parent + "/a"} {
		have := strings.Fields(read(t, l, dir, "", "cgroup.subtree_control"))
		if !slices.Contains(have, "pids") || !slices.Contains(have, "cpu") {
			t.Errorf("%s enables %q", dir, have)
		}
	}
	mustRemove(t, c)

	middle := mustCreate(t, l, parent+"/a/busy", nil)
	cmd := sleeper(t, middle)
	_, err := Create(l, parent+"/a/busy/b", writes)
	var e *Error
	if !errors.As(err, &e) || e.Err != syscall.EBUSY || e.Pointer != "/linux/resources/cpu/shares" || e.Op != "enable cpu, pids in cgroup "+parent+"/a/busy" {
		t.Errorf("%+v", err)
	}
	if err := middle.Kill(); err != nil {
		t.Error(err)
	}
	mustRemove(t, middle)
	finish(t, cmd)
	if c, err := Open(l, parent+"/a"); err != nil {
		t.Error(err)
	} else {
		mustRemove(t, c)
	}
}

// What a creation or removal that was cut short left in a v1 hierarchy is found and removed.
func TestLeftInV1(t *testing.T) {
	l := needRoot(t)
	if need(t, l, "pids", "") != v1 {
		t.Skip("needs the pids controller in cgroup v1")
	}
	parent := parentPath(t, l)
	path := parent + "/x"
	dir := l.dir("pids") + path
	leave := func() {
		t.Helper()
		if err := os.MkdirAll(dir+"/below", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/pids.max", []byte("3"), 0); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	c, err := Open(l, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	mustRemove(t, c)
	if left := dirs(l, path); len(left) > 0 {
		t.Errorf("%q is left", left)
	}

	leave()
	writes := writesFor(t, l, `{"pids": {"limit": 17}}`)
	c = mustCreate(t, l, path, writes)
	if got := read(t, l, path, "pids", "pids.max"); got != "17" {
		t.Errorf("pids.max is %s", got)
	}
	// A process that is there and not in the cgroup2 tree is someone else's.
	lone := sleeper(t, mustCreate(t, l, parent+"/y", nil))
	if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(lone.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	if c, err := Create(l, path, writes); c != nil || !errors.Is(err, fs.ErrExist) || err.(*Error).Pointer != "/linux/resources/pids/limit" {
		t.Errorf("taken although something runs in it: %v", err)
	}
	lone.Process.Kill()
	finish(t, lone)
	mustRemove(t, c)
	if c, err = Open(l, parent+"/y"); err == nil {
		mustRemove(t, c)
	}
}
