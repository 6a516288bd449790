package cgroup

import "github.com/opencontainers/runtime-spec/specs-go"

func (c *compiler) memory(m *specs.LinuxMemory) {
	const root = pointerRoot + "memory/"
	if c.live != nil {
		m = withoutZeros(m)
	}
	if m.Limit != nil {
		if *m.Limit == 0 {
			c.report(root+"limit", "no program runs in 0 bytes", "-1 means no limit")
		} else {
			c.bytes("memory.limit_in_bytes", "memory.max", *m.Limit, root+"limit")
		}
	}
	if m.Reservation != nil {
		c.bytes("memory.soft_limit_in_bytes", "memory.low", *m.Reservation, root+"reservation")
	}
	// After the limit: v1 refuses a memory+swap limit below the memory limit in force.
	c.swap(m)
	c.kernelMemory(m)
	if s := m.Swappiness; s != nil {
		if *s > 100 {
			c.report(root+"swappiness", utoa(*s)+" is more than 100", "")
		} else {
			c.only("memory", "memory.swappiness", utoa(*s), root+"swappiness", "memory.swap limits how much is swapped out")
		}
	}
	if d := m.DisableOOMKiller; d != nil && *d {
		c.only("memory", "memory.oom_control", "1", root+"disableOOMKiller", "process.oomScoreAdj -1000 spares a single process")
	} else if d != nil && c.live != nil && c.layout.find("memory", "memory") == v1 {
		c.add("memory", "memory.oom_control", "0", root+"disableOOMKiller")
	}
	if h := m.UseHierarchy; h != nil && !*h {
		c.report(root+"useHierarchy", "a memory cgroup always counts its children since Linux 5.11", "")
	}
	// checkBeforeUpdate needs no write. A new cgroup uses no memory, so no limit is below its usage; for one
	// in use see CheckMemory.
}

// withoutZeros is what an update means: the tools that make one fill in every field, and 0 stays as it is, as for
// runc (runc-update(8)).
func withoutZeros(m *specs.LinuxMemory) *specs.LinuxMemory {
	out := *m
	//lint:ignore SA1019 a field that is no longer recommended is refused, not ignored
	for _, field := range []**int64{&out.Limit, &out.Reservation, &out.Swap, &out.Kernel, &out.KernelTCP} {
		if *field != nil && **field == 0 {
			*field = nil
		}
	}
	return &out
}

// bytes writes an amount of memory; -1 is no limit.
func (c *compiler) bytes(file1, file2 string, n int64, pointer string) {
	if n < -1 {
		c.notALimit(pointer, n)
		return
	}
	switch c.at("memory", "memory", pointer) {
	case v1:
		c.add("memory", file1, itoa(n), pointer)
	case v2:
		c.add("memory", file2, orMax(n), pointer)
	}
}

// swap writes the limit of memory and swap together, which is what v1 has. v2 limits swap alone, so
// there the memory limit is taken off.
func (c *compiler) swap(m *specs.LinuxMemory) {
	if m.Swap == nil {
		return
	}
	const pointer = pointerRoot + "memory/swap"
	swap, limit := *m.Swap, int64(-1)
	if m.Limit != nil {
		limit = *m.Limit
	} else if c.live != nil {
		limit = c.live.MemoryLimit
	}
	alone := swap
	switch {
	case swap < -1:
		c.notALimit(pointer, swap)
		return
	case swap == -1:
	case limit < 0:
		// Without the first limit v1 refuses the second, and v2 has none for the sum.
		c.report(pointer, "memory and swap together are limited, but memory is not", "set memory.limit too")
		return
	case swap < limit:
		c.report(pointer, itoa(swap)+" is less than memory.limit "+itoa(limit)+", and it counts memory and swap together",
			"the same value as memory.limit means no swap")
		return
	default:
		alone = swap - limit
	}
	switch c.at("memory", "memory", pointer) {
	case v1:
		c.add("memory", "memory.memsw.limit_in_bytes", itoa(swap), pointer)
	case v2:
		c.add("memory", "memory.swap.max", orMax(alone), pointer)
	}
}

// kernelMemory has the two limits that the spec no longer recommends. -1, no limit, is what a new
// cgroup has.
func (c *compiler) kernelMemory(m *specs.LinuxMemory) {
	const root = pointerRoot + "memory/"
	const hint = "memory.limit counts the kernel's memory too"
	//lint:ignore SA1019 a field that is no longer recommended is refused, not ignored
	if k := m.Kernel; k != nil && *k != -1 {
		// Linux 5.16 made the write to memory.kmem.limit_in_bytes fail, 6.3 made it succeed and do nothing.
		c.report(root+"kernel", "the kernel no longer limits its own memory apart from the container's", hint)
	}
	if t := m.KernelTCP; t != nil && *t != -1 {
		if *t < 0 {
			c.notALimit(root+"kernelTCP", *t)
		} else {
			c.only("memory", "memory.kmem.tcp.limit_in_bytes", itoa(*t), root+"kernelTCP", hint)
		}
	}
}

// orMax is how v2 writes a number where -1 means no limit.
func orMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return itoa(n)
}
