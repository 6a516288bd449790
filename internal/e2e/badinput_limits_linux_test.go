package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func limits(f func(r *specs.LinuxResources)) func(*testing.T, *attempt) {
	return badSpec(func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{}
		f(s.Linux.Resources)
	})
}

// needsHybridUser: limits are cgroup v1's there, and root's.
func needsHybridUser(t *testing.T) {
	t.Helper()
	needs(t, !here.guest && !here.root, "is about users of a host whose controllers are cgroup v1's")
}

// needsControllerIn skips where a controller is in the other version of cgroups, or nowhere.
func needsControllerIn(tree, name string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		have := false
		switch tree {
		case "v2":
			text, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
			if err != nil {
				text, _ = os.ReadFile("/sys/fs/cgroup/unified/cgroup.controllers")
			}
			for _, c := range strings.Fields(string(text)) {
				have = have || c == name
			}
		case "v1":
			_, err := os.Stat("/sys/fs/cgroup/" + name + "/cgroup.procs")
			have = err == nil
		}
		needs(t, have, "needs the "+name+" controller in cgroup "+tree)
	}
}

// TestLimitsNotApplied: a limit that cannot be put into force is an error, never dropped.
func TestLimitsNotApplied(t *testing.T) {
	const root = "/linux/resources/"
	all := func(r *specs.LinuxResources) {
		r.Memory = &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Reservation: ptr(int64(32 << 20)), Swap: ptr(int64(64 << 20))}
		r.CPU = &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Cpus: "0", Mems: "0"}
		r.Pids = &specs.LinuxPids{Limit: ptr(int64(32))}
		r.BlockIO = &specs.LinuxBlockIO{Weight: ptr(uint16(100))}
	}
	const v1 = "controller is in cgroup v1 on this host, where only root may set limits"
	refuse(t, []badInput{
		{name: "user on a hybrid host", who: needsHybridUser, make: limits(all), want: []wantError{
			{root + "memory/limit", "", "memory " + v1}, {root + "memory/reservation", "", v1}, {root + "memory/swap", "", v1},
			{root + "cpu/shares", "", v1}, {root + "cpu/quota", "", v1}, {root + "cpu/cpus", "", "cpuset " + v1}, {root + "cpu/mems", "", "cpuset " + v1},
			{root + "pids/limit", "", v1}, {root + "blockIO/weight", "", v1},
		}},
		{name: "without a cgroup", more: true, make: badSpec(func(s *specs.Spec) {
			s.Linux.CgroupsPath, s.Linux.Resources = "", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(32))}}
		}), want: []wantError{{"/linux/resources", "", "resources need"}}},
		{name: "memory of 0", more: true, make: limits(func(r *specs.LinuxResources) {
			r.Memory = &specs.LinuxMemory{Limit: ptr(int64(0))}
		}), want: []wantError{{root + "memory/limit", "", "0 bytes"}}},
		{name: "negative", more: true, make: limits(func(r *specs.LinuxResources) {
			r.Memory, r.Pids = &specs.LinuxMemory{Limit: ptr(int64(-5))}, &specs.LinuxPids{Limit: ptr(int64(-5))}
		}), want: []wantError{{root + "memory/limit", "", "-5 is not a limit"}, {root + "pids/limit", "", "-5 is not a limit"}}},
		{name: "swap without memory", more: true, make: limits(func(r *specs.LinuxResources) {
			r.Memory = &specs.LinuxMemory{Swap: ptr(int64(1 << 20))}
		}), want: []wantError{{root + "memory/swap", "", "but memory is not"}}},
		{name: "quota of nothing", more: true, make: limits(func(r *specs.LinuxResources) {
			r.CPU = &specs.LinuxCPU{Quota: ptr(int64(1)), Period: ptr(uint64(5))}
		}), want: []wantError{{root + "cpu/quota", "", "less than the kernel's minimum"}, {root + "cpu/period", "", "not between"}}},
		{name: "unified on a hybrid host", who: needsControllerIn("v1", "memory"), more: true, make: limits(func(r *specs.LinuxResources) {
			r.Unified = map[string]string{"memory.high": "64M", "pids.max": "5"}
		}), want: []wantError{{root + "unified/memory.high", "", "unified is for cgroup v2"}, {root + "unified/pids.max", "", "unified is for cgroup v2"}}},
		{name: "unified and not a limit", more: true, make: limits(func(r *specs.LinuxResources) {
			r.Unified = map[string]string{"cgroup.procs": "1", "../memory.max": "1", "nothing.max": "1", "memory.max": "1\x00"}
		}), want: []wantError{{root + "unified/cgroup.procs", "", ""}, {root + "unified/..~1memory.max", "", ""}, {root + "unified/nothing.max", "", ""}, {root + "unified/memory.max", "", ""}}},
		{name: "swappiness where there is none", who: needsControllerIn("v2", "memory"), more: true, make: limits(func(r *specs.LinuxResources) {
			r.Memory = &specs.LinuxMemory{Swappiness: ptr(uint64(10))}
		}), want: []wantError{{root + "memory/swappiness", "", ""}}},
		{name: "network class", more: true, make: limits(func(r *specs.LinuxResources) {
			r.Network = &specs.LinuxNetwork{ClassID: ptr(uint32(1))}
		}), want: []wantError{{root + "network/classID", "", "net_cls"}}, who: needsNoNetClass},
		{name: "device of rdma that is not there", more: true, make: limits(func(r *specs.LinuxResources) {
			r.Rdma = map[string]specs.LinuxRdma{"mlx5_99": {HcaHandles: ptr(uint32(1))}}
		}), want: []wantError{{root + "rdma/mlx5_99", "", ""}}},
		{name: "huge pages that are none", more: true, make: limits(func(r *specs.LinuxResources) {
			r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}, {Pagesize: "2 MB", Limit: 1}}
		}), want: []wantError{{root + "hugepageLimits/1/pageSize", "", "not a page size"}}},
		{name: "huge pages that the host has not", who: hugePagesOfRoot, make: limits(func(r *specs.LinuxResources) {
			r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}}
		}), want: []wantError{{root + "hugepageLimits/0", "ENOENT", "hugetlb.3MB"}}},
		{name: "processors that the host has not", who: cpusetOfRoot, make: limits(func(r *specs.LinuxResources) {
			r.CPU = &specs.LinuxCPU{Cpus: "4000-4095"}
		}), want: []wantError{{root + "cpu/cpus", "", "cpuset.cpus"}}},
		{name: "processors that are no list", more: true, make: limits(func(r *specs.LinuxResources) {
			r.CPU = &specs.LinuxCPU{Cpus: "all"}
		}), want: []wantError{{root + "cpu/cpus", "", "not a list"}}},
	})
}

func needsNoNetClass(t *testing.T) {
	t.Helper()
	_, err := os.Stat("/sys/fs/cgroup/net_cls")
	needs(t, err != nil, "needs a host without the net_cls hierarchy")
	needsRoot(t, "a user is told that it needs root")
}

func hugePagesOfRoot(t *testing.T) {
	t.Helper()
	needsControllerIn("v2", "hugetlb")(t)
	needsRoot(t, "needs a limit that the caller may set")
}

func cpusetOfRoot(t *testing.T) { t.Helper(); needsRoot(t, "needs a limit that the caller may set") }

// TestBadCgroupsPath: a path leads down, and to what is the caller's.
func TestBadCgroupsPath(t *testing.T) {
	path := func(p string) func(*testing.T, *attempt) {
		return badSpec(func(s *specs.Spec) { s.Linux.CgroupsPath = p })
	}
	own := "/locald/u" + strconv.Itoa(os.Getuid())
	const at = "/linux/cgroupsPath"
	rows := thin([]badInput{
		{name: "systemd", make: path("user.slice:locald:x"), more: true, want: []wantError{{at, "", "systemd"}}},
		{name: "root", make: path("/"), more: true, want: []wantError{{at, "", "empty component"}}},
		{name: "dots", make: path("/locald/../x"), more: true, want: []wantError{{at, "", "the component .."}}},
		{name: "dots first", make: path("/../x"), more: true, want: []wantError{{at, "", "the component .."}}},
		{name: "dot", make: path("/locald/./x"), more: true, want: []wantError{{at, "", "the component ."}}},
		{name: "empty component", make: path("/locald//x"), more: true, want: []wantError{{at, "", "empty component"}}},
		{name: "slash behind it", make: path("/locald/x/"), more: true, want: []wantError{{at, "", "empty component"}}},
		{name: "newline", make: path("/locald/x\ny"), more: true, want: []wantError{{at, "", "newline"}}},
		{name: "NUL", make: path("/locald/x\x00y"), more: true, want: []wantError{{at, "", "NUL"}}},
		{name: "file of the kernel's", make: path("/locald/cgroup.procs"), more: true, want: []wantError{{at, "", "cgroup.procs"}}},
		{name: "long component", make: path("/locald/" + strings.Repeat("x", 256)), more: true, want: []wantError{{at, "", "255"}}},
		{name: "long path", make: path(strings.Repeat("/x", 2100)), more: true, want: []wantError{{at, "", "too long"}}},
	})
	for name, p := range map[string]string{
		"root's": "/locald/x", "somebody else's": "/locald/u0/x", "one that begins like the own": own + "1/x", "own base": own,
		"the machine's": "/system.slice/x", "relative": "locald/x",
	} {
		rows = append(rows, badInput{name: name, who: needsUser, make: path(p), want: []wantError{{at, "", ""}}})
	}
	refuse(t, rows)
}

// TestNotSupportedYet: a later version will do these. This one says so, wherever it is asked.
func TestNotSupportedYet(t *testing.T) {
	asks := []struct {
		name, pointer string
		ask           func(s *specs.Spec)
	}{
		{"intelRdt", "/linux/intelRdt", func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x"} }},
	}
	var rows []badInput
	for _, a := range asks {
		rows = append(rows, badInput{name: a.name, make: badSpec(a.ask), more: !here.root, want: []wantError{{a.pointer, "", "is not supported yet"}}})
	}
	// All of it at once is answered at once.
	everything := badInput{name: "all at once", more: true, make: badSpec(func(s *specs.Spec) {
		for _, a := range asks {
			a.ask(s)
		}
	})}
	for _, a := range asks {
		everything.want = append(everything.want, wantError{a.pointer, "", "is not supported yet"})
	}
	refuse(t, append(thin(rows), everything))
}
