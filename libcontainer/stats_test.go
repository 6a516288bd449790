package libcontainer

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// archive makes files of a text: "== [CONTROLLER:]FILE" and then what is in it.
func archive(text string) statFiles {
	files := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "\n"), "== ") {
		if name, body, found := strings.Cut(part, "\n"); found {
			files[name] = body
		}
	}
	return func(controller, file string) (string, bool) {
		if controller != "" {
			file = controller + ":" + file
		}
		body, ok := files[file]
		return body, ok
	}
}

const unifiedFiles = `
== cpu.stat
usage_usec 3000
user_usec 2000
system_usec 1000
core_sched.force_idle_usec 0
nr_periods 10
nr_throttled 4
throttled_usec 250
nr_bursts 2
burst_usec 30
== cpu.pressure
some avg10=1.50 avg60=0.25 avg300=0.01 total=123
full avg10=0.00 avg60=0.00 avg300=0.00 total=45
== cpuset.cpus.effective
0-1
== cpuset.mems.effective
0
== memory.current
4096
== memory.peak
8192
== memory.max
67108864
== memory.stat
file 10
anon 20
== memory.events
low 0
high 0
max 7
oom 1
oom_kill 1
== memory.swap.current
100
== memory.swap.max
max
== memory.swap.events
high 0
max 0
fail 3
== pids.current
2
== pids.max
max
== pids.events
max 5
== io.stat
259:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6
8:16 rbytes=7 wbytes=8 rios=9 wios=10 dbytes=11 dios=12 cost.usage=9
7:0
== hugetlb.2MB.current
2097152
== hugetlb.2MB.max
max
== hugetlb.2MB.events
max 1
== hugetlb.2MB.rsvd.current
4194304
== hugetlb.2MB.rsvd.max
8388608
== rdma.current
ocrdma1 hca_handle=1 hca_object=23
mlx4_0 hca_handle=2 hca_object=20
== rdma.max
mlx4_0 hca_handle=2 hca_object=max
ocrdma1 hca_handle=3 hca_object=max
== misc.current
sev 2
== misc.max
sev 9
== misc.events
sev.max 4
`

func TestReadStats(t *testing.T) {
	want := Stats{
		CPU: &CPUStats{
			Usage: 3 * time.Millisecond, User: 2 * time.Millisecond, System: time.Millisecond,
			Periods: 10, ThrottledPeriods: 4, Throttled: 250 * time.Microsecond, Bursts: 2, Burst: 30 * time.Microsecond,
			Cpus: "0-1", Mems: "0",
			Pressure: &Pressure{Some: Stall{1.5, 0.25, 0.01, 123 * time.Microsecond}, Full: Stall{Total: 45 * time.Microsecond}},
		},
		Memory: &MemoryStats{
			Amount: Amount{4096, 8192, 67108864, 7}, Swap: &Amount{100, 0, Unlimited, 3}, Hierarchical: true,
			Stat:   []Counter{{"file", 10}, {"anon", 20}},
			Events: []Counter{{"low", 0}, {"high", 0}, {"max", 7}, {"oom", 1}, {"oom_kill", 1}},
		},
		Pids: &Amount{2, 0, Unlimited, 5},
		IO: &IOStats{Devices: []DeviceStats{
			{Major: 259, Minor: 0, ReadBytes: 1, WriteBytes: 2, DiscardBytes: 5, ReadOps: 3, WriteOps: 4, DiscardOps: 6},
			{Major: 8, Minor: 16, ReadBytes: 7, WriteBytes: 8, DiscardBytes: 11, ReadOps: 9, WriteOps: 10, DiscardOps: 12},
		}},
		HugePages: []HugePageStats{{"2MB", Amount{2097152, 0, Unlimited, 1}, &Amount{4194304, 0, 8388608, 0}}},
		RDMA: []RDMAStats{
			{"ocrdma1", Amount{Current: 1, Limit: 3}, Amount{Current: 23, Limit: Unlimited}},
			{"mlx4_0", Amount{Current: 2, Limit: 2}, Amount{Current: 20, Limit: Unlimited}},
		},
		Misc: []MiscStats{{"sev", Amount{2, 0, 9, 4}}},
	}
	checkStats(t, readStats(archive(unifiedFiles), []string{"1GB", "2MB"}), want)
}

// The processor time comes from the cgroup2 tree also where the rest is in v1.
const v1Files = `
== cpu.stat
usage_usec 3000
user_usec 2000
system_usec 1000
== cpu:cpu.stat
nr_periods 10
nr_throttled 4
throttled_time 250
nr_bursts 2
burst_time 30
== cpuset:cpuset.effective_cpus
1
== cpuset:cpuset.effective_mems
0
== memory:memory.usage_in_bytes
4096
== memory:memory.max_usage_in_bytes
8192
== memory:memory.limit_in_bytes
9223372036854771712
== memory:memory.failcnt
6
== memory:memory.use_hierarchy
1
== memory:memory.stat
cache 5
== memory:memory.memsw.usage_in_bytes
5000
== memory:memory.memsw.limit_in_bytes
10000
== memory:memory.kmem.usage_in_bytes
300
== memory:memory.kmem.limit_in_bytes
9223372036854771712
== pids:pids.current
3
== pids:pids.max
9
== blkio:blkio.throttle.io_service_bytes_recursive
8:0 Read 100
8:0 Write 200
8:0 Sync 300
8:0 Async 0
8:0 Discard 7
8:0 Total 307
Total 307
== blkio:blkio.throttle.io_serviced_recursive
8:0 Read 1
8:0 Write 2
Total 3
== hugetlb:hugetlb.1GB.usage_in_bytes
0
== hugetlb:hugetlb.1GB.limit_in_bytes
1073741824
== hugetlb:hugetlb.1GB.failcnt
2
`

func TestReadStatsV1(t *testing.T) {
	want := Stats{
		CPU: &CPUStats{
			Usage: 3 * time.Millisecond, User: 2 * time.Millisecond, System: time.Millisecond,
			Periods: 10, ThrottledPeriods: 4, Throttled: 250, Bursts: 2, Burst: 30, Cpus: "1", Mems: "0",
		},
		Memory: &MemoryStats{
			Amount: Amount{4096, 8192, Unlimited, 6}, Swap: &Amount{5000, 0, 10000, 0}, SwapIsTotal: true,
			Kernel: &Amount{300, 0, Unlimited, 0}, Hierarchical: true, Stat: []Counter{{"cache", 5}},
		},
		Pids:      &Amount{3, 0, 9, 0},
		IO:        &IOStats{Devices: []DeviceStats{{Major: 8, ReadBytes: 100, WriteBytes: 200, DiscardBytes: 7, ReadOps: 1, WriteOps: 2}}},
		HugePages: []HugePageStats{{PageSize: "1GB", Amount: Amount{0, 0, 1 << 30, 2}}},
	}
	checkStats(t, readStats(archive(v1Files), []string{"1GB"}), want)
	checkStats(t, readStats(archive(""), []string{"1GB"}), Stats{})
}

// What the kernel may one day say must not be misread, nor end anything.
func TestReadStatsOfNonsense(t *testing.T) {
	for _, text := range []string{"", "\n", "x", "x x x", "8:", ":", "8:0 rbytes", "some avg10 total=", "4294967296:0 rbytes=1", "99999999999999999999"} {
		files := func(controller, file string) (string, bool) { return text, true }
		readStats(files, []string{"2MB"})
		files = func(controller, file string) (string, bool) { return text, controller == "" }
		readStats(files, []string{"2MB"})
	}
}

func checkStats(t *testing.T, got, want Stats) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s is\n%+v, want\n%+v", g.Type().Field(i).Name, deref(g.Field(i)), deref(w.Field(i)))
		}
	}
}

func deref(v reflect.Value) any {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.Interface()
}
