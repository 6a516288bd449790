package cgroup

import "github.com/opencontainers/runtime-spec/specs-go"

const cpuRoot = pointerRoot + "cpu/"

func (c *compiler) cpu(r *specs.LinuxCPU) {
	// 0 shares is the default for every runtime, as for the tools that write the field always.
	if s := r.Shares; s != nil && *s != 0 {
		switch c.at("cpu", "cpu", cpuRoot+"shares") {
		case v1:
			c.add("cpu", "cpu.shares", utoa(*s), cpuRoot+"shares")
		case v2:
			c.add("cpu", "cpu.weight", utoa(cpuWeight(*s)), cpuRoot+"shares")
		}
	}
	c.bandwidth(r)
	c.realtime(r)
	// After the weight: the kernel refuses to weigh a cgroup that is idle.
	if i := r.Idle; i != nil {
		switch *i {
		case 0: // a new cgroup is not idle, and before Linux 5.15 there is no file to say so
			if c.live != nil && c.live.CPUIdle {
				c.either("cpu", "cpu.idle", "cpu.idle", "0", cpuRoot+"idle")
			}
		case 1:
			c.either("cpu", "cpu.idle", "cpu.idle", "1", cpuRoot+"idle")
		default:
			c.report(cpuRoot+"idle", itoa(*i)+" is neither 0 nor 1", "")
		}
	}
}

// bandwidth writes quota, period and burst. A quota or period of 0 is unset, as for runc and crun; the
// kernel takes neither.
func (c *compiler) bandwidth(r *specs.LinuxCPU) {
	var quota int64
	var period, burst uint64
	if r.Quota != nil {
		quota = *r.Quota
	}
	if r.Period != nil {
		period = *r.Period
	}
	if r.Burst != nil {
		burst = *r.Burst
	}
	if !c.bandwidthInRange(quota, period, burst) {
		return
	}
	pointer := cpuRoot + "quota"
	if quota == 0 {
		pointer = cpuRoot + "period"
	}
	if quota != 0 || period != 0 {
		switch c.at("cpu", "cpu", pointer) {
		case v1:
			if period != 0 {
				c.add("cpu", "cpu.cfs_period_us", utoa(period), cpuRoot+"period")
			}
			if quota != 0 {
				c.add("cpu", "cpu.cfs_quota_us", itoa(quota), pointer)
			}
		case v2:
			value := "max"
			if quota == 0 && c.live != nil {
				quota = c.live.CPUQuota // the period goes into the same write, and is all that changes
			}
			if quota > 0 {
				value = itoa(quota)
			}
			if period != 0 {
				value += " " + utoa(period)
			}
			c.add("cpu", "cpu.max", value, pointer)
		}
	}
	if burst != 0 || r.Burst != nil && c.live != nil { // after the quota, which bounds it
		c.either("cpu", "cpu.cfs_burst_us", "cpu.max.burst", utoa(burst), cpuRoot+"burst")
	}
}

// bandwidthInRange checks what the kernel would answer with EINVAL, which says too little
// (kernel/sched/core.c: a period is 1 ms to 1 s, a quota at least 1 ms).
func (c *compiler) bandwidthInRange(quota int64, period, burst uint64) bool {
	ok := true
	refuse := func(pointer, reason, hint string) {
		ok = false
		c.report(pointer, reason, hint)
	}
	if quota < -1 {
		refuse(cpuRoot+"quota", itoa(quota)+" is not a limit", "-1 means no limit")
	}
	if 0 < quota && quota < 1000 {
		refuse(cpuRoot+"quota", itoa(quota)+" microseconds is less than the kernel's minimum of 1000", "give quota and period the same factor")
	}
	if period != 0 && (period < 1000 || period > 1000000) {
		refuse(cpuRoot+"period", utoa(period)+" microseconds is not between 1000 and 1000000", "")
	}
	if quota > 0 && burst > uint64(quota) {
		refuse(cpuRoot+"burst", utoa(burst)+" is more than the quota "+itoa(quota), "")
	}
	return ok
}

func (c *compiler) realtime(r *specs.LinuxCPU) {
	const hint = "process.scheduler gives the container's process a realtime policy"
	if p := r.RealtimePeriod; p != nil && *p != 0 {
		c.only("cpu", "cpu.rt_period_us", utoa(*p), cpuRoot+"realtimePeriod", hint)
	}
	if t := r.RealtimeRuntime; t != nil && *t != 0 {
		c.only("cpu", "cpu.rt_runtime_us", itoa(*t), cpuRoot+"realtimeRuntime", hint)
	}
}

func (c *compiler) cpuset(r *specs.LinuxCPU) {
	if r.Cpus != "" && c.list(r.Cpus, cpuRoot+"cpus") {
		c.either("cpuset", "cpuset.cpus", "cpuset.cpus", r.Cpus, cpuRoot+"cpus")
	}
	if r.Mems != "" && c.list(r.Mems, cpuRoot+"mems") {
		c.either("cpuset", "cpuset.mems", "cpuset.mems", r.Mems, cpuRoot+"mems")
	}
}

// list checks the characters of a list such as "0-3,7"; whether the host has them is for the kernel to say.
func (c *compiler) list(s, pointer string) bool {
	for i := range len(s) {
		if b := s[i]; (b < '0' || b > '9') && b != '-' && b != ',' {
			c.report(pointer, "it is not a list of numbers and ranges", `write it like "0-3,7"`)
			return false
		}
	}
	return true
}
