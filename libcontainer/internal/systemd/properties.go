package systemd

import (
	"math"
	"strconv"
	"strings"
)

// Limit is one value for one file of a cgroup2 directory: "memory.max", "67108864".
type Limit struct {
	File, Value string
}

// Properties translates limits into properties of a unit. A limit that systemd has no property for, or not
// exactly, is left out: all of them are written into the cgroup as well. What the properties are for is that systemd
// enables the controllers, shows the limits, and does not take them back when it writes its own values
// anew (systemctl daemon-reload).
//
// Device rules are no property: systemd would attach a filter of its own beside ours, which says the same less
// exactly. It leaves ours alone.
func Properties(limits []Limit) []Property {
	var all []Property
	for _, l := range limits {
		for _, p := range translate(l, all) {
			all = set(all, p)
		}
	}
	return all
}

func translate(l Limit, before []Property) []Property {
	one := func(name string, value any, ok bool) []Property {
		if !ok {
			return nil
		}
		return []Property{{name, value}}
	}
	switch l.File {
	case "memory.max", "memory.low", "memory.high", "memory.min", "memory.swap.max", "memory.zswap.max", "pids.max":
		n, ok := amount(l.Value)
		return one(amountName(l.File), n, ok)
	case "cpu.weight":
		n, err := strconv.ParseUint(l.Value, 10, 64)
		return one("CPUWeight", n, err == nil)
	case "cpu.max":
		return quota(l.Value)
	case "cpuset.cpus", "cpuset.mems":
		name := "AllowedCPUs"
		if l.File == "cpuset.mems" {
			name = "AllowedMemoryNodes"
		}
		mask, ok := bitmask(l.Value)
		return one(name, mask, ok)
	case "io.weight":
		return ioWeight(l.Value, before)
	case "io.max":
		return ioMax(l.Value, before)
	}
	return nil
}

func amountName(file string) string {
	switch file {
	case "memory.max":
		return "MemoryMax"
	case "memory.low":
		return "MemoryLow"
	case "memory.high":
		return "MemoryHigh"
	case "memory.min":
		return "MemoryMin"
	case "memory.swap.max":
		return "MemorySwapMax"
	case "memory.zswap.max":
		return "MemoryZSwapMax"
	}
	return "TasksMax"
}

// amount reads a number, or "max", which is the largest number for systemd.
func amount(s string) (uint64, bool) {
	if s == "max" {
		return math.MaxUint64, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// quota reads "QUOTA PERIOD" of cpu.max. systemd wants the time in each second, in steps of 10 ms, and rounds
// down by itself: a container must not get less than was asked for.
func quota(value string) []Property {
	q, p, found := strings.Cut(value, " ")
	period := uint64(100000) // the kernel's default
	var all []Property
	if found {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil || n == 0 {
			return nil
		}
		period = n
		all = append(all, Property{"CPUQuotaPeriodUSec", period})
	}
	n, ok := amount(q)
	if !ok || n != math.MaxUint64 && n > math.MaxUint64/2000000 {
		return nil
	}
	if n != math.MaxUint64 {
		const step = 10000
		n = (n*1000000/period + step - 1) / step * step
	}
	return append([]Property{{"CPUQuotaPerSecUSec", n}}, all...)
}

// bitmask reads a list such as "0-3,7" into a bit for each number, the lowest first.
func bitmask(list string) ([]byte, bool) {
	const most = 8192 // CONFIG_NR_CPUS at its largest
	mask := []byte{}
	for part := range strings.SplitSeq(list, ",") {
		a, b, found := strings.Cut(part, "-")
		if !found {
			b = a
		}
		first, err := strconv.ParseUint(a, 10, 16)
		last, err2 := strconv.ParseUint(b, 10, 16)
		if err != nil || err2 != nil || first > last || last >= most {
			return nil, false
		}
		for len(mask) <= int(last/8) {
			mask = append(mask, 0)
		}
		for n := first; n <= last; n++ {
			mask[n/8] |= 1 << (n % 8)
		}
	}
	return mask, true
}

// ioWeight reads "WEIGHT", "default WEIGHT" or "MAJOR:MINOR WEIGHT".
func ioWeight(value string, before []Property) []Property {
	key, weight, found := strings.Cut(value, " ")
	if !found {
		key, weight = "default", value
	}
	n, err := strconv.ParseUint(weight, 10, 64)
	if err != nil {
		return nil
	}
	if key == "default" {
		return []Property{{"IOWeight", n}}
	}
	return []Property{appended(before, "IODeviceWeight", PathAmount{"/dev/block/" + key, n})}
}

// ioMax reads "MAJOR:MINOR rbps=N wiops=N".
func ioMax(value string, before []Property) (all []Property) {
	device, fields, _ := strings.Cut(value, " ")
	for field := range strings.FieldsSeq(fields) {
		key, limit, _ := strings.Cut(field, "=")
		n, ok := amount(limit)
		name := ""
		switch key {
		case "rbps":
			name = "IOReadBandwidthMax"
		case "wbps":
			name = "IOWriteBandwidthMax"
		case "riops":
			name = "IOReadIOPSMax"
		case "wiops":
			name = "IOWriteIOPSMax"
		}
		if ok && name != "" {
			all = append(all, appended(before, name, PathAmount{"/dev/block/" + device, n}))
		}
	}
	return all
}

// appended is a list property with one element more.
func appended(before []Property, name string, p PathAmount) Property {
	for _, b := range before {
		if list, ok := b.Value.([]PathAmount); ok && b.Name == name {
			return Property{name, append(list[:len(list):len(list)], p)}
		}
	}
	return Property{name, []PathAmount{p}}
}
