package cgroup

import "testing"

func TestBefore(t *testing.T) {
	for _, test := range []struct{ file, text, value, want string }{
		{"pids.max", "max\n", "5", "max"},
		{"cpu.max", "max 100000\n", "5000 20000", "max 100000"},
		{"cpuset.cpus", "\n", "0-3", "\n"},
		{"cpuset.cpus", "0-1\n", "0", "0-1"},
		{"io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=2 wbps=max riops=max wiops=max\n", "8:16 wbps=7", "8:16 rbps=2 wbps=max riops=max wiops=max"},
		{"io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n", "8:16 wbps=7", "8:16 rbps=max wbps=max riops=max wiops=max"},
		{"io.max", "", "8:16 wbps=7", "8:16 rbps=max wbps=max riops=max wiops=max"},
		{"io.weight", "default 100\n8:0 50\n", "300", "default 100"},
		{"io.weight", "default 100\n8:0 50\n", "8:0 300", "8:0 50"},
		{"io.weight", "default 100\n", "8:0 300", "8:0 default"},
		{"io.bfq.weight", "100\n", "300", "100"},
		{"io.latency", "", "8:0 target=5", "8:0 target=0"},
		{"rdma.max", "mlx4_0 hca_handle=2 hca_object=max\nocrdma1 hca_handle=max hca_object=max\n", "mlx4_0 hca_handle=3", "mlx4_0 hca_handle=2 hca_object=max"},
		{"rdma.max", "", "mlx4_0 hca_handle=3", ""},
		{"misc.max", "sev 5\nsev_es max\n", "sev_es 9", "sev_es max"},
		{"blkio.throttle.read_bps_device", "8:0 1000\n", "8:0 5", "8:0 1000"},
		{"blkio.throttle.read_bps_device", "", "8:0 5", "8:0 0"},
		{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "1", "0"},
		{"some.stat", "a 1\nb 2\n", "5", ""},
	} {
		got, ok := before(test.file, test.text, test.value)
		if !ok {
			got = ""
		}
		if got != test.want {
			t.Errorf("%s with %q: before %q is %q, want %q", test.file, test.text, test.value, got, test.want)
		}
	}
}

// What an update means differs from what the same resources mean for a new cgroup.
func TestCompileUpdate(t *testing.T) {
	live := Live{MemoryLimit: 4096, CPUQuota: 5000, CPUIdle: true}
	for _, test := range []struct {
		name      string
		layout    Layout
		resources string
		live      Live
		listing   string
		reports   string
	}{
		{"swap of the limit in force", unifiedHost, `{"memory": {"swap": 8192}}`, live, "memory.swap.max=4096 memory/swap\n", ""},
		{"swap without a limit", unifiedHost, `{"memory": {"swap": 8192}}`, Live{MemoryLimit: -1}, "", "memory/swap: memory and swap together are limited, but memory is not\n"},
		{"swap below the limit in force", unifiedHost, `{"memory": {"swap": 1024}}`, live, "", "memory/swap: 1024 is less than memory.limit 4096, and it counts memory and swap together\n"},
		{"period of the quota in force", unifiedHost, `{"cpu": {"period": 20000}}`, live, "cpu.max=5000 20000 cpu/period\n", ""},
		{"period without a quota", unifiedHost, `{"cpu": {"period": 20000}}`, Live{CPUQuota: -1}, "cpu.max=max 20000 cpu/period\n", ""},
		{"period in v1", v1Host, `{"cpu": {"period": 20000}}`, live, "cpu.cfs_period_us=20000 cpu/period\n", ""},
		{"no burst", unifiedHost, `{"cpu": {"burst": 0}}`, live, "cpu.max.burst=0 cpu/burst\n", ""},
		{"no longer idle", unifiedHost, `{"cpu": {"idle": 0}}`, live, "cpu.idle=0 cpu/idle\n", ""},
		{"not idle before", unifiedHost, `{"cpu": {"idle": 0}}`, Live{}, "", ""},
		{"the OOM killer again", v1Host, `{"memory": {"disableOOMKiller": false}}`, live, "memory.oom_control=0 memory/disableOOMKiller\n", ""},
		{"all that tools fill in", unifiedHost, `{"memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0, "kernelTCP": 0}, "blockIO": {"weight": 0},
			"cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0, "realtimePeriod": 0, "cpus": "", "mems": ""}}`, live, "", ""},
		{"the OOM killer of v2", unifiedHost, `{"memory": {"disableOOMKiller": false}}`, live, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			reports := ""
			writes := CompileUpdate(resources(t, test.resources), test.layout, test.live, func(pointer, reason, _ string) {
				reports += pointer[len(pointerRoot):] + ": " + reason + "\n"
			})
			if got := short(Listing(writes)); got != test.listing || reports != test.reports {
				t.Errorf("got\n%s%swant\n%s%s", got, reports, test.listing, test.reports)
			}
		})
	}
}
