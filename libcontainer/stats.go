package libcontainer

import (
	"math"
	"time"
)

// Unlimited is the Limit of an Amount that has none.
const Unlimited = math.MaxUint64

// Stats is what a container uses, by the kernel's count for its cgroup. A part is nil or empty where the
// kernel does not count it: cgroup v2 counts for a cgroup what a controller is enabled for, which a limit
// sees to, and processor time always.
type Stats struct {
	CPU       *CPUStats
	Memory    *MemoryStats
	Pids      *Amount // processes and threads; Failures are forks that were refused
	IO        *IOStats
	HugePages []HugePageStats // by page size, as the kernel names it
	RDMA      []RDMAStats     // by device
	Misc      []MiscStats     // by resource
}

// Amount is how much there is of something countable.
type Amount struct {
	Current  uint64
	Peak     uint64 // highest Current so far; 0 where the kernel does not say (memory.peak is of Linux 5.19)
	Limit    uint64 // or Unlimited
	Failures uint64 // how often the limit was hit
}

// CPUStats is processor time since the container was made.
type CPUStats struct {
	Usage  time.Duration // of all its threads together
	User   time.Duration // the part outside of the kernel
	System time.Duration // the part inside

	// With a quota: periods that began, those in which the quota ran out, and for how long threads then
	// waited, together.
	Periods          uint64
	ThrottledPeriods uint64
	Throttled        time.Duration
	Bursts           uint64        // periods in which more than the quota was used, by cpu.burst (Linux 5.15)
	Burst            time.Duration // how much more

	Cpus     string    // processors it may use, "0-3"; "" without the cpuset controller
	Mems     string    // memory nodes it may use
	Pressure *Pressure // nil where the kernel does not measure
}

// MemoryStats is memory, in bytes.
type MemoryStats struct {
	Amount
	Swap         *Amount   // swap alone on cgroup v2, memory and swap together where SwapIsTotal
	SwapIsTotal  bool      // cgroup v1 counts so
	Kernel       *Amount   // cgroup v1 only
	KernelTCP    *Amount   // cgroup v1 only
	Hierarchical bool      // the cgroups below are counted too
	Stat         []Counter // memory.stat, in bytes or events, in the order of the file
	Events       []Counter // memory.events of cgroup v2: low high max oom oom_kill ...
	Pressure     *Pressure
}

// Counter is a number that the kernel has a name for.
type Counter struct {
	Name  string
	Value uint64
}

// Count finds a counter by its name; 0 when there is none.
func Count(counters []Counter, name string) uint64 {
	for i := range counters {
		if counters[i].Name == name {
			return counters[i].Value
		}
	}
	return 0
}

// IOStats is what was read from and written to block devices.
type IOStats struct {
	Devices  []DeviceStats // by number
	Pressure *Pressure
}

// DeviceStats is for one block device: bytes, and operations.
type DeviceStats struct {
	Major, Minor                        uint32
	ReadBytes, WriteBytes, DiscardBytes uint64
	ReadOps, WriteOps, DiscardOps       uint64
}

// HugePageStats is huge pages of one size, in bytes.
type HugePageStats struct {
	PageSize string // "2MB", "1GB"
	Amount
	Reserved *Amount // nil before Linux 5.7
}

// RDMAStats is what is open at an RDMA device.
type RDMAStats struct {
	Device           string
	Handles, Objects Amount
}

// MiscStats is a resource of the misc controller, such as "sev".
type MiscStats struct {
	Resource string
	Amount
}

// Pressure is how long threads waited for a resource (Documentation/accounting/psi.rst).
type Pressure struct {
	Some Stall // at least one thread waited
	Full Stall // all that were not idle waited
}

// Stall has shares of time over the last 10, 60 and 300 seconds, in percent, and the time since the container was
// made.
type Stall struct {
	Avg10, Avg60, Avg300 float64
	Total                time.Duration
}
