package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// limited runs the bundle up to "line", calls look with the container's cgroup directory, and lets it end.
func limited(t *testing.T, b *bundle, look func(dir string)) *result {
	t.Helper()
	b.spec.Process.Args = append(b.spec.Process.Args, "line")
	run := b.start(t, nil)
	run.await("running")
	look(cgroupTree(t) + b.spec.Linux.CgroupsPath)
	run.say("")
	return run.wait().ok(t)
}

// TestLimitFiles: what resources say stands in the files of the cgroup.
func TestLimitFiles(t *testing.T) {
	needsControllers(t)
	for _, tt := range []struct {
		name string
		res  specs.LinuxResources
		want map[string]string
	}{
		{"memory", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20), Reservation: ptr[int64](32 << 20), Swap: ptr[int64](96 << 20)}},
			map[string]string{"memory.max": "67108864", "memory.low": "33554432", "memory.swap.max": "33554432"}},
		{"no memory limit", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1)}}, map[string]string{"memory.max": "max"}},
		{"cpu", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](50000), Period: ptr[uint64](200000)}}, map[string]string{"cpu.max": "50000 200000"}},
		{"cpu burst", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](50000), Period: ptr[uint64](100000), Burst: ptr[uint64](20000)}},
			map[string]string{"cpu.max": "50000 100000", "cpu.max.burst": "20000"}},
		{"cpu idle", specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: ptr[int64](1)}}, map[string]string{"cpu.idle": "1"}},
		{"pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](33)}}, map[string]string{"pids.max": "33"}},
		{"no pids limit", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](-1)}}, map[string]string{"pids.max": "max"}},
		{"cpuset", specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}}, map[string]string{"cpuset.cpus": "0", "cpuset.mems": "0"}},
		{"unified", specs.LinuxResources{Unified: map[string]string{"memory.high": "50331648", "pids.max": "44"}}, map[string]string{"memory.high": "50331648", "pids.max": "44"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.Resources = &tt.res })
			limited(t, b, func(dir string) {
				for file, want := range tt.want {
					if text, err := os.ReadFile(dir + "/" + file); err != nil || strings.TrimSpace(string(text)) != want {
						t.Errorf("%s is %q, %v; want %s", file, text, err, want)
					}
				}
			})
		})
	}
}

// TestCPUShares: the weight is that of cgroup v1's shares, in whichever of the two conversions.
func TestCPUShares(t *testing.T) {
	needsControllers(t)
	weights := make([]int, 2)
	for i, shares := range []uint64{512, 2048} {
		b := newBundle(t, func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}}
		})
		limited(t, b, func(dir string) {
			text, err := os.ReadFile(dir + "/cpu.weight")
			must(t, err)
			weights[i], err = strconv.Atoi(strings.TrimSpace(string(text)))
			must(t, err)
		})
	}
	if weights[0] < 1 || weights[0] >= weights[1] {
		t.Errorf("512 and 2048 shares are the weights %v", weights)
	}
}

// TestIOLimits are read back for the disk of this machine.
func TestIOLimits(t *testing.T) {
	needsControllers(t)
	major, minor := disk(t)
	device := specs.LinuxThrottleDevice{Rate: 1 << 20}
	device.Major, device.Minor = major, minor
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
			ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{device}, ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{device},
		}}
	})
	limited(t, b, func(dir string) {
		text, err := os.ReadFile(dir + "/io.max")
		must(t, err)
		want := strconv.FormatInt(major, 10) + ":" + strconv.FormatInt(minor, 10) + " rbps=1048576 wbps=max riops=max wiops=1048576\n"
		if string(text) != want {
			t.Errorf("io.max is %q, want %q", text, want)
		}
	})
}

// disk is the number of a disk that is a whole one.
func disk(t *testing.T) (major, minor int64) {
	t.Helper()
	all, err := filepath.Glob("/sys/block/*/dev")
	must(t, err)
	for _, path := range all {
		if strings.Contains(path, "/loop") || strings.Contains(path, "/ram") {
			continue
		}
		text, err := os.ReadFile(path)
		must(t, err)
		ma, mi, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
		major, err = strconv.ParseInt(ma, 10, 64)
		must(t, err)
		minor, err = strconv.ParseInt(mi, 10, 64)
		must(t, err)
		return major, minor
	}
	t.Fatal("this machine has no disk")
	return 0, 0
}

// TestPidsLimit: one process more is refused, and the container goes on.
func TestPidsLimit(t *testing.T) {
	needsControllers(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](24)}}
	})
	r := b.do("fork 40", "exit 3").run(t)
	a := r.answer(t, "fork 40")
	if n, _ := strconv.Atoi(a.Value); a.Errno != "EAGAIN" || n < 1 || n > 23 || r.code != 3 {
		t.Errorf("%s children, then errno %q: %s", a.Value, a.Errno, r)
	}
}

// TestMemoryLimit: the kernel kills what wants more, and the status says why.
func TestMemoryLimit(t *testing.T) {
	needsControllers(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](32 << 20), Swap: ptr[int64](32 << 20)}}
	})
	checkOOM(t, b, 96)
}

// checkOOM allocates first little and then, in MiB, too much.
func checkOOM(t *testing.T, b *bundle, much int) {
	t.Helper()
	r := b.do("alloc 4", "alloc "+strconv.Itoa(much), "exit 0").run(t)
	if a := r.answer(t, "alloc 4"); a.Errno != "" {
		t.Errorf("4 MiB: %s", a.Errno)
	}
	last := r.status[len(r.status)-1]
	if r.code != 137 || last.Phase != "exited" || !last.OOM || last.Signal != 9 {
		t.Errorf("%d MiB: %+v %s", much, last, r)
	}
}

// TestNoOOM: an exit status alone does not say that memory was short.
func TestNoOOM(t *testing.T) {
	r := newBundle(t).do("exit 137").run(t)
	if last := r.status[len(r.status)-1]; r.code != 137 || last.OOM {
		t.Errorf("exit 137 by itself: %+v", last)
	}
}

// TestCpuset: the container sees one processor.
func TestCpuset(t *testing.T) {
	needsControllers(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}}
	})
	if got := b.do("cpus").run(t).ok(t).value(t, "cpus"); got != "1" {
		t.Errorf("it may run on %s processors", got)
	}
}

// TestLimitsFromInside: a cgroup2 mount shows the container its own limits, and without rights to change them.
func TestLimitsFromInside(t *testing.T) {
	needsControllers(t)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](50)}}
	})
	addMount(b.spec, "/cg", "cgroup2", "cgroup2", "ro")
	r := b.do("read /cg/pids.max", "write /cg/pids.max max").run(t).ok(t)
	if got := r.value(t, "read /cg/pids.max"); got != "50\n" {
		t.Errorf("pids.max is %q from inside", got)
	}
	r.wantErrno(t, "write /cg/pids.max max", "EROFS")
}

// TestLimitErrors: what the kernel refuses is an error with the place in config.json, and nothing is left.
func TestLimitErrors(t *testing.T) {
	needsControllers(t)
	for _, tt := range []struct {
		name    string
		res     specs.LinuxResources
		pointer string
	}{
		{"cpu that is not there", specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "400"}}, "/linux/resources/cpu/cpus"},
		{"quota too small", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](1)}}, "/linux/resources/cpu/quota"},
		{"unified file that is not there", specs.LinuxResources{Unified: map[string]string{"memory.nothing": "1"}}, "/linux/resources/unified/memory.nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.Resources = &tt.res })
			b.run(t).problem(t, tt.pointer)
		})
	}
}

// TestCallersLimits: a container of a user's has no more than the cgroup that its caller came from.
func TestCallersLimits(t *testing.T) {
	needsUser(t)
	needsControllers(t)
	text, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	own := strings.TrimPrefix(strings.TrimSpace(string(text)), "0::")
	tight := filepath.Join("/sys/fs/cgroup", filepath.Dir(own), newID())
	must(t, os.Mkdir(tight, 0o755))
	t.Cleanup(func() {
		if err := os.Remove(tight); err != nil {
			t.Error(err)
		}
	})
	must(t, os.WriteFile(tight+"/memory.max", []byte("67108864"), 0))
	must(t, os.WriteFile(tight+"/pids.max", []byte("77"), 0))
	must(t, os.WriteFile(tight+"/cpu.max", []byte("150000 100000"), 0))
	fd, err := unix.Open(tight, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	b := newBundle(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 30)}}
	})
	run := b.do("alloc 4", "alloc 200", "exit 0").start(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	})
	run.await("running")
	base := cgroupTree(t) + filepath.Dir(b.spec.Linux.CgroupsPath)
	for file, want := range map[string]string{"memory.max": "67108864\n", "pids.max": "77\n", "cpu.max": "150000 100000\n"} {
		if got, err := os.ReadFile(base + "/" + file); err != nil || string(got) != want {
			t.Errorf("%s of the base is %q, %v; want %q", file, got, err, want)
		}
		if err := os.WriteFile(base+"/"+file, []byte("max"), 0); !os.IsPermission(err) {
			t.Errorf("%s of the base can be written: %v", file, err)
		}
	}
	r := run.wait()
	must(t, unix.Close(fd))
	if last := r.status[len(r.status)-1]; r.code != 137 || last.Signal != 9 {
		t.Errorf("200 MiB where the caller may have 64: %s", r)
	}
}

// TestDelegatedCgroup: the user of a container that has a cgroup namespace and a mount to write it by owns the
// cgroup, and none of its limits.
func TestDelegatedCgroup(t *testing.T) {
	needsRoot(t, "only root gives a cgroup away")
	needsControllers(t)
	b := newBundle(t, func(s *specs.Spec) {
		withRange(s)
		s.Process.User = specs.User{UID: 5, GID: 5}
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](24)}}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup"})
	})
	b.put(t, "sys/fs/cgroup/.keep", "", 0o644)
	b.do("mkdir /sys/fs/cgroup/below", "write /sys/fs/cgroup/below/cgroup.procs 0", "write /sys/fs/cgroup/cgroup.subtree_control +pids",
		"write /sys/fs/cgroup/pids.max max", "exit 0")
	r := b.run(t).ok(t)
	for _, did := range []string{"mkdir /sys/fs/cgroup/below", "write /sys/fs/cgroup/below/cgroup.procs 0", "write /sys/fs/cgroup/cgroup.subtree_control +pids"} {
		r.wantErrno(t, did, "")
	}
	r.wantErrno(t, "write /sys/fs/cgroup/pids.max max", "EACCES")
}

// TestCountedWithoutLimits: what a container of root's uses can be read although nothing limits it.
func TestCountedWithoutLimits(t *testing.T) {
	needsRoot(t, "a user's controllers are on where a limit needs them")
	needsControllers(t)
	limited(t, newBundle(t), func(dir string) {
		for _, file := range []string{"memory.current", "pids.current", "io.stat", "cpu.weight"} {
			if _, err := os.Stat(dir + "/" + file); err != nil {
				t.Error(err)
			}
		}
	})
}
