package libcontainer

import (
	"strconv"
	"strings"
	"time"
)

// statFiles reads files of a cgroup: in the v1 hierarchy of a controller, or in the cgroup2 tree when
// controller is "". ok is false when there is no such file. What does not parse counts as 0: the
// kernel adds fields and lines over time.
type statFiles func(controller, file string) (text string, ok bool)

// readStats makes Stats of the files. pageSizes are the sizes of huge pages that the kernel counts.
func readStats(files statFiles, pageSizes []string) Stats {
	return Stats{
		CPU: files.cpu(), Memory: files.memory(), Pids: files.pids(), IO: files.io(),
		HugePages: files.hugePages(pageSizes), RDMA: files.rdma(), Misc: files.misc(),
	}
}

func (f statFiles) cpu() *CPUStats {
	text, ok := f("", "cpu.stat") // every cgroup of the cgroup2 tree has it, with the processor time
	if !ok {
		return nil
	}
	n := numbers(text)
	s := &CPUStats{
		Usage: micros(n["usage_usec"]), User: micros(n["user_usec"]), System: micros(n["system_usec"]),
		Periods: n["nr_periods"], ThrottledPeriods: n["nr_throttled"], Throttled: micros(n["throttled_usec"]),
		Bursts: n["nr_bursts"], Burst: micros(n["burst_usec"]),
		Pressure: f.pressure("cpu.pressure"),
	}
	if text, ok := f("cpu", "cpu.stat"); ok {
		n := numbers(text)
		s.Periods, s.ThrottledPeriods, s.Throttled = n["nr_periods"], n["nr_throttled"], time.Duration(n["throttled_time"])
		s.Bursts, s.Burst = n["nr_bursts"], time.Duration(n["burst_time"])
	}
	s.Cpus, s.Mems = f.line("", "cpuset.cpus.effective"), f.line("", "cpuset.mems.effective")
	if s.Cpus == "" {
		s.Cpus, s.Mems = f.line("cpuset", "cpuset.effective_cpus"), f.line("cpuset", "cpuset.effective_mems")
	}
	return s
}

func (f statFiles) memory() *MemoryStats {
	if _, ok := f("memory", "memory.usage_in_bytes"); ok {
		return f.memoryV1()
	}
	if _, ok := f("", "memory.current"); !ok {
		return nil
	}
	stat, _ := f("", "memory.stat")
	events, _ := f("", "memory.events")
	s := &MemoryStats{
		Amount:       f.amount("", "memory.current", "memory.peak", "memory.max"),
		Hierarchical: true,
		Stat:         counters(stat), Events: counters(events),
		Pressure: f.pressure("memory.pressure"),
	}
	s.Failures = Count(s.Events, "max")
	if _, ok := f("", "memory.swap.current"); ok {
		swap := f.amount("", "memory.swap.current", "memory.swap.peak", "memory.swap.max")
		events, _ := f("", "memory.swap.events")
		swap.Failures = numbers(events)["fail"]
		s.Swap = &swap
	}
	return s
}

func (f statFiles) memoryV1() *MemoryStats {
	stat, _ := f("memory", "memory.stat")
	s := &MemoryStats{
		Amount:       f.amountV1("memory", "memory."),
		SwapIsTotal:  true,
		Hierarchical: f.line("memory", "memory.use_hierarchy") == "1",
		Stat:         counters(stat),
		Pressure:     f.pressure("memory.pressure"),
	}
	for _, part := range []struct {
		prefix string
		amount **Amount
	}{{"memory.memsw.", &s.Swap}, {"memory.kmem.", &s.Kernel}, {"memory.kmem.tcp.", &s.KernelTCP}} {
		if _, ok := f("memory", part.prefix+"usage_in_bytes"); ok {
			a := f.amountV1("memory", part.prefix)
			*part.amount = &a
		}
	}
	return s
}

// amountV1 reads the four files that cgroup v1 has for an amount.
func (f statFiles) amountV1(controller, prefix string) Amount {
	a := f.amount(controller, prefix+"usage_in_bytes", prefix+"max_usage_in_bytes", prefix+"limit_in_bytes")
	a.Failures = number(f.line(controller, prefix+"failcnt"))
	if a.Limit >= 1<<62 { // v1 has no word for "no limit", but the largest number of whole pages
		a.Limit = Unlimited
	}
	return a
}

func (f statFiles) amount(controller, current, peak, limit string) Amount {
	return Amount{
		Current: number(f.line(controller, current)), Peak: number(f.line(controller, peak)), Limit: limitOf(f.line(controller, limit)),
	}
}

func (f statFiles) pids() *Amount {
	controller := "pids"
	if _, ok := f(controller, "pids.current"); !ok {
		controller = ""
	}
	if _, ok := f(controller, "pids.current"); !ok {
		return nil
	}
	a := f.amount(controller, "pids.current", "pids.peak", "pids.max")
	events, _ := f(controller, "pids.events")
	a.Failures = numbers(events)["max"]
	return &a
}

func (f statFiles) io() *IOStats {
	s := &IOStats{Pressure: f.pressure("io.pressure")}
	if text, ok := f("", "io.stat"); ok {
		for line := range strings.Lines(text) {
			if name, fields, _ := strings.Cut(strings.TrimSpace(line), " "); fields != "" {
				n := assignments(fields)
				if d := s.device(name); d != nil {
					d.ReadBytes, d.WriteBytes, d.DiscardBytes = n["rbytes"], n["wbytes"], n["dbytes"]
					d.ReadOps, d.WriteOps, d.DiscardOps = n["rios"], n["wios"], n["dios"]
				}
			}
		}
	} else if bytes, ok := f("blkio", "blkio.throttle.io_service_bytes_recursive"); ok {
		s.fromV1(bytes, func(d *DeviceStats) (r, w, discard *uint64) { return &d.ReadBytes, &d.WriteBytes, &d.DiscardBytes })
		ops, _ := f("blkio", "blkio.throttle.io_serviced_recursive")
		s.fromV1(ops, func(d *DeviceStats) (r, w, discard *uint64) { return &d.ReadOps, &d.WriteOps, &d.DiscardOps })
	} else {
		return nil
	}
	return s
}

// fromV1 reads lines such as "8:0 Read 4096".
func (s *IOStats) fromV1(text string, to func(*DeviceStats) (r, w, discard *uint64)) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue // the total of all devices
		}
		d := s.device(fields[0])
		if d == nil {
			continue
		}
		read, write, discard := to(d)
		switch n := number(fields[2]); fields[1] {
		case "Read":
			*read = n
		case "Write":
			*write = n
		case "Discard":
			*discard = n
		}
	}
}

// device finds or adds the device of a number such as "8:0".
func (s *IOStats) device(name string) *DeviceStats {
	a, b, _ := strings.Cut(name, ":")
	major, err := strconv.ParseUint(a, 10, 32)
	minor, err2 := strconv.ParseUint(b, 10, 32)
	if err != nil || err2 != nil {
		return nil
	}
	for i := range s.Devices {
		if d := &s.Devices[i]; d.Major == uint32(major) && d.Minor == uint32(minor) {
			return d
		}
	}
	s.Devices = append(s.Devices, DeviceStats{Major: uint32(major), Minor: uint32(minor)})
	return &s.Devices[len(s.Devices)-1]
}

func (f statFiles) hugePages(sizes []string) []HugePageStats {
	var all []HugePageStats
	for _, size := range sizes {
		h := HugePageStats{PageSize: size}
		prefix := "hugetlb." + size + "."
		if _, ok := f("hugetlb", prefix+"usage_in_bytes"); ok {
			h.Amount = f.amountV1("hugetlb", prefix)
			if _, ok := f("hugetlb", prefix+"rsvd.usage_in_bytes"); ok {
				a := f.amountV1("hugetlb", prefix+"rsvd.")
				h.Reserved = &a
			}
		} else if _, ok := f("", prefix+"current"); ok {
			h.Amount = f.amount("", prefix+"current", "", prefix+"max")
			events, _ := f("", prefix+"events")
			h.Failures = numbers(events)["max"]
			if _, ok := f("", prefix+"rsvd.current"); ok {
				a := f.amount("", prefix+"rsvd.current", "", prefix+"rsvd.max")
				h.Reserved = &a
			}
		} else {
			continue
		}
		all = append(all, h)
	}
	return all
}

func (f statFiles) rdma() []RDMAStats {
	controller := "rdma"
	if _, ok := f(controller, "rdma.current"); !ok {
		controller = ""
	}
	current, _ := f(controller, "rdma.current")
	limits, _ := f(controller, "rdma.max")
	var all []RDMAStats
	for line := range strings.Lines(current) {
		name, fields, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		n, limit := assignments(fields), limitLine(limits, name)
		all = append(all, RDMAStats{
			Device:  name,
			Handles: Amount{Current: n["hca_handle"], Limit: limit("hca_handle")},
			Objects: Amount{Current: n["hca_object"], Limit: limit("hca_object")},
		})
	}
	return all
}

// limitLine looks up the limits in the line that starts with name.
func limitLine(text, name string) func(key string) uint64 {
	return func(key string) uint64 {
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) == 0 || fields[0] != name {
				continue
			}
			for _, field := range fields[1:] {
				if v, found := strings.CutPrefix(field, key+"="); found {
					return limitOf(v)
				}
			}
		}
		return Unlimited
	}
}

func (f statFiles) misc() []MiscStats {
	current, _ := f("", "misc.current")
	peaks, _ := f("", "misc.peak")
	limits, _ := f("", "misc.max")
	events, _ := f("", "misc.events")
	peak, hit := numbers(peaks), numbers(events)
	var all []MiscStats
	for _, c := range counters(current) {
		m := MiscStats{Resource: c.Name, Amount: Amount{Current: c.Value, Peak: peak[c.Name], Limit: Unlimited, Failures: hit[c.Name+".max"]}}
		for line := range strings.Lines(limits) {
			if v, found := strings.CutPrefix(strings.TrimSpace(line), c.Name+" "); found {
				m.Limit = limitOf(v)
			}
		}
		all = append(all, m)
	}
	return all
}

// pressure reads a file of pressure stall information. A kernel that was told not to measure has the file, and
// answers EOPNOTSUPP.
func (f statFiles) pressure(file string) *Pressure {
	text, ok := f("", file)
	if !ok || text == "" {
		return nil
	}
	p := &Pressure{}
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		stall := &p.Some
		if kind == "full" {
			stall = &p.Full
		}
		for field := range strings.FieldsSeq(rest) {
			key, v, _ := strings.Cut(field, "=")
			switch key {
			case "avg10":
				stall.Avg10, _ = strconv.ParseFloat(v, 64)
			case "avg60":
				stall.Avg60, _ = strconv.ParseFloat(v, 64)
			case "avg300":
				stall.Avg300, _ = strconv.ParseFloat(v, 64)
			case "total":
				stall.Total = micros(number(v))
			}
		}
	}
	return p
}

func (f statFiles) line(controller, file string) string {
	if file == "" {
		return ""
	}
	text, _ := f(controller, file)
	return strings.TrimSpace(text)
}

// counters reads lines of a name and a number.
func counters(text string) []Counter {
	var all []Counter
	for line := range strings.Lines(text) {
		if name, v, found := strings.Cut(strings.TrimSpace(line), " "); found {
			all = append(all, Counter{name, number(v)})
		}
	}
	return all
}

func numbers(text string) map[string]uint64 {
	all := map[string]uint64{}
	for line := range strings.Lines(text) {
		if name, v, found := strings.Cut(strings.TrimSpace(line), " "); found {
			all[name] = number(v)
		}
	}
	return all
}

// assignments reads words such as "rbytes=4096".
func assignments(text string) map[string]uint64 {
	all := map[string]uint64{}
	for field := range strings.FieldsSeq(text) {
		if name, v, found := strings.Cut(field, "="); found {
			all[name] = number(v)
		}
	}
	return all
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// limitOf reads a limit; what is not a number is "max".
func limitOf(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return Unlimited
	}
	return n
}

func micros(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }
