package cgroup

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Layouts of three kinds of host.
var (
	unifiedHost = Layout{
		V2: "/sys/fs/cgroup", Unified: true,
		V2Controllers: []string{"cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma"},
	}
	v1Host = Layout{
		V2: "/sys/fs/cgroup/unified",
		V1: []Controller{
			{"blkio", "/b"}, {"cpu", "/c"}, {"cpuacct", "/c"}, {"cpuset", "/s"}, {"hugetlb", "/h"}, {"memory", "/m"},
			{"net_cls", "/n"}, {"net_prio", "/n"}, {"pids", "/p"}, {"rdma", "/r"},
		},
	}
	hybridHost = Layout{
		V2: "/sys/fs/cgroup/unified", V2Controllers: []string{"hugetlb"},
		V1: []Controller{{"memory", "/m"}, {"pids", "/p"}},
	}
)

// resources decodes linux.resources.
func resources(t *testing.T, text string) *specs.LinuxResources {
	t.Helper()
	var r specs.LinuxResources
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return &r
}

// compile returns the listing and what was reported, a line each.
func compile(r *specs.LinuxResources, l Layout) (listing, reports string) {
	writes := Compile(r, l, func(pointer, reason, hint string) {
		if pointer == "" || reason == "" {
			reports += "EMPTY "
		}
		reports += strings.TrimPrefix(pointer, "/linux/resources/") + ": " + reason + "\n"
	})
	return Listing(writes), reports
}

// short is a listing without the columns: "memory.max=1 memory/limit", a line each.
func short(listing string) string {
	var b strings.Builder
	for line := range strings.Lines(listing) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "cgroup ")
		i := strings.LastIndex(line, " ")
		b.WriteString(strings.ReplaceAll(strings.TrimRight(line[:i], " "), " = ", "=") + " " + strings.TrimPrefix(line[i+1:], "/linux/resources/") + "\n")
	}
	return b.String()
}

const everything = `{
	"memory": {"limit": 67108864, "reservation": 33554432, "swap": 100663296, "kernel": -1, "kernelTCP": 4096, "swappiness": 10,
		"disableOOMKiller": true, "useHierarchy": true, "checkBeforeUpdate": true},
	"cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 10000, "realtimeRuntime": 950000, "realtimePeriod": 1000000,
		"cpus": "0-1", "mems": "0", "idle": 1},
	"pids": {"limit": 32},
	"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}, {"major": 8, "minor": 16, "weight": 1000}],
		"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}], "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 0}],
		"throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}], "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 300}]},
	"hugepageLimits": [{"pageSize": "2MB", "limit": 209715200}],
	"network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
	"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx4_0": {"hcaObjects": 1000}},
	"unified": {"memory.high": "60000000", "io.max": "259:0 rbps=2097152 wiops=120\n253:0 rbps=2097152 wiops=120\n"}}`

func TestCompileEverythingV2(t *testing.T) {
	listing, reports := compile(resources(t, everything), unifiedHost)
	const want = `memory.max=67108864 memory/limit
memory.low=33554432 memory/reservation
memory.swap.max=33554432 memory/swap
cpu.weight=59 cpu/shares
cpu.max=50000 100000 cpu/quota
cpu.max.burst=10000 cpu/burst
cpu.idle=1 cpu/idle
cpuset.cpus=0-1 cpu/cpus
cpuset.mems=0 cpu/mems
pids.max=32 pids/limit
io.bfq.weight=500, or io.weight=4950 blockIO/weight
io.bfq.weight=8:0 10, or io.weight=8:0 1 blockIO/weightDevice/0/weight
io.bfq.weight=8:16 1000, or io.weight=8:16 10000 blockIO/weightDevice/1/weight
io.max=8:0 rbps=600 blockIO/throttleReadBpsDevice/0
io.max=8:0 wbps=max blockIO/throttleWriteBpsDevice/0
io.max=8:0 riops=7 blockIO/throttleReadIOPSDevice/0
io.max=8:16 wiops=300 blockIO/throttleWriteIOPSDevice/0
hugetlb.2MB.max=209715200 hugepageLimits/0
hugetlb.2MB.rsvd.max=209715200 hugepageLimits/0
rdma.max=mlx4_0 hca_object=1000 rdma/mlx4_0
rdma.max=mlx5_1 hca_handle=3 hca_object=10000 rdma/mlx5_1
io.max=259:0 rbps=2097152 wiops=120 unified/io.max
io.max=253:0 rbps=2097152 wiops=120 unified/io.max
memory.high=60000000 unified/memory.high
`
	if got := short(listing); got != want {
		t.Errorf("listing:\n%swant\n%s", got, want)
	}
	const wantReports = `memory/kernelTCP: cgroup v2 has no such setting
memory/swappiness: cgroup v2 has no such setting
memory/disableOOMKiller: cgroup v2 has no such setting
cpu/realtimePeriod: cgroup v2 has no such setting
cpu/realtimeRuntime: cgroup v2 has no such setting
network/classID: cgroup v2 has nothing like the net_cls controller
network/priorities/0: cgroup v2 has nothing like the net_prio controller
`
	if reports != wantReports {
		t.Errorf("reports:\n%swant\n%s", reports, wantReports)
	}
}

func TestCompileEverythingV1(t *testing.T) {
	listing, reports := compile(resources(t, everything), v1Host)
	const want = `memory.limit_in_bytes=67108864 memory/limit
memory.soft_limit_in_bytes=33554432 memory/reservation
memory.memsw.limit_in_bytes=100663296 memory/swap
memory.kmem.tcp.limit_in_bytes=4096 memory/kernelTCP
memory.swappiness=10 memory/swappiness
memory.oom_control=1 memory/disableOOMKiller
cpu.shares=512 cpu/shares
cpu.cfs_period_us=100000 cpu/period
cpu.cfs_quota_us=50000 cpu/quota
cpu.cfs_burst_us=10000 cpu/burst
cpu.rt_period_us=1000000 cpu/realtimePeriod
cpu.rt_runtime_us=950000 cpu/realtimeRuntime
cpu.idle=1 cpu/idle
cpuset.cpus=0-1 cpu/cpus
cpuset.mems=0 cpu/mems
pids.max=32 pids/limit
blkio.bfq.weight=500, or blkio.weight=500 blockIO/weight
blkio.bfq.weight_device=8:0 10, or blkio.weight_device=8:0 10 blockIO/weightDevice/0/weight
blkio.bfq.weight_device=8:16 1000, or blkio.weight_device=8:16 1000 blockIO/weightDevice/1/weight
blkio.throttle.read_bps_device=8:0 600 blockIO/throttleReadBpsDevice/0
blkio.throttle.write_bps_device=8:0 0 blockIO/throttleWriteBpsDevice/0
blkio.throttle.read_iops_device=8:0 7 blockIO/throttleReadIOPSDevice/0
blkio.throttle.write_iops_device=8:16 300 blockIO/throttleWriteIOPSDevice/0
hugetlb.2MB.limit_in_bytes=209715200 hugepageLimits/0
hugetlb.2MB.rsvd.limit_in_bytes=209715200 hugepageLimits/0
net_cls.classid=1048577 network/classID
net_prio.ifpriomap=eth0 500 network/priorities/0
rdma.max=mlx4_0 hca_object=1000 rdma/mlx4_0
rdma.max=mlx5_1 hca_handle=3 hca_object=10000 rdma/mlx5_1
`
	if got := short(listing); got != want {
		t.Errorf("listing:\n%swant\n%s", got, want)
	}
	const wantReports = `unified/io.max: the io controller is not available in cgroup v2
unified/memory.high: the memory controller is in cgroup v1 on this host, and unified is for cgroup v2
`
	if reports != wantReports {
		t.Errorf("reports:\n%swant\n%s", reports, wantReports)
	}
}

func TestCompileNone(t *testing.T) {
	for _, r := range []*specs.LinuxResources{nil, {}, resources(t, `{"devices": [{"allow": false, "access": "rwm"}]}`), resources(t,
		`{"memory": {"kernel": -1, "kernelTCP": -1, "useHierarchy": true, "disableOOMKiller": false, "checkBeforeUpdate": true},
		"cpu": {"shares": 0, "quota": 0, "period": 0, "burst": 0, "realtimeRuntime": 0, "realtimePeriod": 0, "idle": 0},
		"pids": {}, "blockIO": {"weight": 0, "leafWeight": 0}, "network": {}}`)} {
		if listing, reports := compile(r, Layout{}); listing != "" || reports != "" {
			t.Errorf("a new cgroup has all of it, but got\n%s%s", listing, reports)
		}
	}
}

const notHere = " controller is not available\n"

var compileTests = []struct {
	name      string
	layout    Layout
	resources string
	listing   string
	reports   string
}{
	{"memory unlimited", unifiedHost, `{"memory": {"limit": -1, "reservation": -1, "swap": -1}}`,
		"memory.max=max memory/limit\nmemory.low=max memory/reservation\nmemory.swap.max=max memory/swap\n", ""},
	{"memory unlimited, v1", v1Host, `{"memory": {"limit": -1, "reservation": -1, "swap": -1}}`,
		"memory.limit_in_bytes=-1 memory/limit\nmemory.soft_limit_in_bytes=-1 memory/reservation\nmemory.memsw.limit_in_bytes=-1 memory/swap\n", ""},
	{"no swap", unifiedHost, `{"memory": {"limit": 4096, "swap": 4096}}`, "memory.max=4096 memory/limit\nmemory.swap.max=0 memory/swap\n", ""},
	{"unlimited swap", unifiedHost, `{"memory": {"limit": 4096, "swap": -1}}`, "memory.max=4096 memory/limit\nmemory.swap.max=max memory/swap\n", ""},
	{"unlimited swap alone", unifiedHost, `{"memory": {"swap": -1}}`, "memory.swap.max=max memory/swap\n", ""},
	{"swap below limit", unifiedHost, `{"memory": {"limit": 4096, "swap": 4095}}`, "memory.max=4096 memory/limit\n",
		"memory/swap: 4095 is less than memory.limit 4096, and it counts memory and swap together\n"},
	{"swap 0", v1Host, `{"memory": {"limit": 4096, "swap": 0}}`, "memory.limit_in_bytes=4096 memory/limit\n",
		"memory/swap: 0 is less than memory.limit 4096, and it counts memory and swap together\n"},
	{"swap without limit", unifiedHost, `{"memory": {"swap": 4096}}`, "", "memory/swap: memory and swap together are limited, but memory is not\n"},
	{"swap with unlimited memory", v1Host, `{"memory": {"limit": -1, "swap": 4096}}`, "memory.limit_in_bytes=-1 memory/limit\n",
		"memory/swap: memory and swap together are limited, but memory is not\n"},
	{"memory nonsense", unifiedHost, `{"memory": {"limit": 0, "reservation": -2, "swap": -5, "kernel": 1, "kernelTCP": -3, "swappiness": 101, "useHierarchy": false}}`, "",
		"memory/limit: no program runs in 0 bytes\nmemory/reservation: -2 is not a limit\nmemory/swap: -5 is not a limit\n" +
			"memory/kernel: the kernel no longer limits its own memory apart from the container's\nmemory/kernelTCP: -3 is not a limit\n" +
			"memory/swappiness: 101 is more than 100\nmemory/useHierarchy: a memory cgroup always counts its children since Linux 5.11\n"},
	{"kernel memory, v1", v1Host, `{"memory": {"kernel": 4096}}`, "", "memory/kernel: the kernel no longer limits its own memory apart from the container's\n"},

	{"quota alone", unifiedHost, `{"cpu": {"quota": 50000}}`, "cpu.max=50000 cpu/quota\n", ""},
	{"period alone", unifiedHost, `{"cpu": {"period": 50000}}`, "cpu.max=max 50000 cpu/period\n", ""},
	{"period alone, v1", v1Host, `{"cpu": {"period": 50000}}`, "cpu.cfs_period_us=50000 cpu/period\n", ""},
	{"no quota", unifiedHost, `{"cpu": {"quota": -1, "period": 50000}}`, "cpu.max=max 50000 cpu/quota\n", ""},
	{"no quota, v1", v1Host, `{"cpu": {"quota": -1, "period": 50000}}`, "cpu.cfs_period_us=50000 cpu/period\ncpu.cfs_quota_us=-1 cpu/quota\n", ""},
	{"default shares", unifiedHost, `{"cpu": {"shares": 1024}}`, "cpu.weight=100 cpu/shares\n", ""},
	{"cpu nonsense", unifiedHost, `{"cpu": {"quota": 999, "period": 999, "burst": 1000, "idle": 2, "cpus": "0-1\n", "mems": "all"}}`, "",
		"cpu/quota: 999 microseconds is less than the kernel's minimum of 1000\ncpu/period: 999 microseconds is not between 1000 and 1000000\n" +
			"cpu/burst: 1000 is more than the quota 999\ncpu/idle: 2 is neither 0 nor 1\n" +
			"cpu/cpus: it is not a list of numbers and ranges\ncpu/mems: it is not a list of numbers and ranges\n"},
	{"quota below -1", v1Host, `{"cpu": {"quota": -2, "period": 1000001}}`, "",
		"cpu/quota: -2 is not a limit\ncpu/period: 1000001 microseconds is not between 1000 and 1000000\n"},

	{"pids 0", unifiedHost, `{"pids": {"limit": 0}}`, "pids.max=1 pids/limit\n", ""},
	{"pids unlimited", v1Host, `{"pids": {"limit": -1}}`, "pids.max=max pids/limit\n", ""},
	{"pids below -1", v1Host, `{"pids": {"limit": -2}}`, "", "pids/limit: -2 is not a limit\n"},

	{"io nonsense", unifiedHost, `{"blockIO": {"weight": 9, "leafWeight": 10, "weightDevice": [{"major": 8, "minor": 0}, {"major": -1, "minor": 0, "weight": 10},
		{"major": 8, "minor": 0, "weight": 1001, "leafWeight": 10}], "throttleReadBpsDevice": [{"major": 4096, "minor": 0, "rate": 1}],
		"throttleWriteBpsDevice": [{"major": 8, "minor": 1048576, "rate": 1}]}}`, "",
		"blockIO/weight: 9 is not between 10 and 1000\n" +
			"blockIO/leafWeight: leaf weights belonged to the CFQ scheduler, which Linux 5.0 removed\n" +
			"blockIO/weightDevice/0: it has neither weight nor leafWeight\n" +
			"blockIO/weightDevice/1: -1:0 is not a device number\n" +
			"blockIO/weightDevice/2/weight: 1001 is not between 10 and 1000\n" +
			"blockIO/weightDevice/2/leafWeight: leaf weights belonged to the CFQ scheduler, which Linux 5.0 removed\n" +
			"blockIO/throttleReadBpsDevice/0: 4096:0 is not a device number\n" +
			"blockIO/throttleWriteBpsDevice/0: 8:1048576 is not a device number\n"},
	{"huge pages of no size", unifiedHost, `{"hugepageLimits": [{"pageSize": "2M", "limit": 1}, {"pageSize": "../1MB", "limit": 1}, {"pageSize": "", "limit": 1},
		{"pageSize": "0MB", "limit": 1}, {"pageSize": "1TB", "limit": 1}]}`, "",
		"hugepageLimits/0/pageSize: \"2M\" is not a page size\nhugepageLimits/1/pageSize: \"../1MB\" is not a page size\n" +
			"hugepageLimits/2/pageSize: \"\" is not a page size\nhugepageLimits/3/pageSize: \"0MB\" is not a page size\n" +
			"hugepageLimits/4/pageSize: \"1TB\" is not a page size\n"},
	{"rdma nonsense", unifiedHost, `{"rdma": {"a b": {"hcaHandles": 1}, "a/b": {}, "": {"hcaHandles": 1}}}`, "",
		"rdma/: it is not the name of a device\nrdma/a b: it is not the name of a device\nrdma/a~1b: it has neither hcaHandles nor hcaObjects\n"},
	{"network nonsense", v1Host, `{"network": {"priorities": [{"name": "a\nb", "priority": 1}]}}`, "", "network/priorities/0/name: it is not the name of an interface\n"},

	{"no controllers", Layout{V2: "/sys/fs/cgroup", Unified: true}, `{"memory": {"limit": 4096}, "cpu": {"shares": 2, "cpus": "0"}, "pids": {"limit": 5},
		"blockIO": {"weight": 10}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}], "rdma": {"a": {"hcaHandles": 1}}, "unified": {"memory.high": "1"}}`, "",
		"memory/limit: the memory" + notHere + "cpu/shares: the cpu" + notHere + "cpu/cpus: the cpuset" + notHere + "pids/limit: the pids" + notHere +
			"blockIO/weight: the io" + notHere + "hugepageLimits/0: the hugetlb" + notHere + "rdma/a: the rdma" + notHere +
			"unified/memory.high: the memory controller is not available in cgroup v2\n"},
	{"hybrid: each where it is", hybridHost, `{"memory": {"limit": 4096}, "pids": {"limit": 5}, "hugepageLimits": [{"pageSize": "1GB", "limit": 1}],
		"blockIO": {"weight": 10}, "unified": {"hugetlb.1GB.max": "2"}}`,
		"memory.limit_in_bytes=4096 memory/limit\npids.max=5 pids/limit\nhugetlb.1GB.max=1 hugepageLimits/0\nhugetlb.1GB.rsvd.max=1 hugepageLimits/0\n" +
			"hugetlb.1GB.max=2 unified/hugetlb.1GB.max\n",
		"blockIO/weight: the blkio" + notHere},
	{"hybrid, not root", hybridHost.WithoutV1(), `{"memory": {"limit": 4096, "swappiness": 1}, "hugepageLimits": [{"pageSize": "1GB", "limit": 1}], "unified": {"pids.max": "5"}}`,
		"hugetlb.1GB.max=1 hugepageLimits/0\nhugetlb.1GB.rsvd.max=1 hugepageLimits/0\n",
		"memory/limit: the memory controller is in cgroup v1 on this host, where only root may set limits\n" +
			"memory/swappiness: the memory controller is in cgroup v1 on this host, where only root may set limits\n" +
			"unified/pids.max: the pids controller is in cgroup v1 on this host, and unified is for cgroup v2\n"},
}

func TestCompile(t *testing.T) {
	for _, test := range compileTests {
		t.Run(test.name, func(t *testing.T) {
			listing, reports := compile(resources(t, test.resources), test.layout)
			if got := short(listing); got != test.listing {
				t.Errorf("listing:\n%swant\n%s", got, test.listing)
			}
			if reports != test.reports {
				t.Errorf("reports:\n%swant\n%s", reports, test.reports)
			}
		})
	}
}

func TestListing(t *testing.T) {
	got, _ := compile(resources(t, `{"memory": {"limit": 67108864}, "pids": {"limit": 32}}`), unifiedHost)
	const want = "cgroup memory.max = 67108864   /linux/resources/memory/limit\n" +
		"cgroup pids.max = 32           /linux/resources/pids/limit\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The ends and the default meet by construction; 2000 shares are 170 in runc's issue 4896.
func TestCPUWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{
		0: 1, 1: 1, 2: 1, 3: 2, 10: 4, 102: 17, 1000: 99, 1024: 100, 1025: 101, 2000: 170, 2048: 174, 10000: 627, 65536: 3023,
		262143: 10000, 262144: 10000, 262145: 10000, 1 << 63: 10000,
	} {
		if got := cpuWeight(shares); got != want {
			t.Errorf("%d shares are weight %d, want %d", shares, got, want)
		}
	}
	last := uint64(0)
	for shares := uint64(2); shares <= 1<<18; shares++ {
		w := cpuWeight(shares)
		if w < last || w < 1 || w > 10000 {
			t.Fatalf("%d shares are weight %d after %d", shares, w, last)
		}
		last = w
	}
}

func TestIOWeight(t *testing.T) {
	for weight, want := range map[uint16]uint64{10: 1, 11: 11, 100: 910, 500: 4950, 1000: 10000} {
		if got := ioWeight(weight); got != want {
			t.Errorf("blkio weight %d is io weight %d, want %d", weight, got, want)
		}
	}
}

// TestNoLimitNeedsNoController: engines write "no limit" whether or not there is a controller that could.
func TestNoLimitNeedsNoController(t *testing.T) {
	none := int64(-1)
	var problems []string
	writes := Compile(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &none}}, Layout{V2: "/v2", Unified: true}, func(pointer, reason, _ string) {
		problems = append(problems, pointer+": "+reason)
	})
	if len(writes) != 0 || len(problems) != 0 {
		t.Errorf("writes %v, problems %q", writes, problems)
	}
}
