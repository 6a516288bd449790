package cgroup

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const blockRoot = pointerRoot + "blockIO/"

func (c *compiler) blockIO(r *specs.LinuxBlockIO) {
	// 0 is unset, as for runc and crun: some tools write the field always.
	if w := r.Weight; w != nil && *w != 0 {
		c.weight("", *w, blockRoot+"weight")
	}
	if w := r.LeafWeight; w != nil && *w != 0 {
		c.leafWeight(blockRoot + "leafWeight")
	}
	for i := range r.WeightDevice {
		d := &r.WeightDevice[i]
		pointer := blockRoot + "weightDevice/" + strconv.Itoa(i)
		dev, ok := c.device(d.Major, d.Minor, pointer)
		if !ok {
			continue
		}
		if d.Weight == nil && d.LeafWeight == nil {
			c.report(pointer, "it has neither weight nor leafWeight", "")
		}
		if d.Weight != nil && *d.Weight != 0 {
			c.weight(dev, *d.Weight, pointer+"/weight")
		}
		if d.LeafWeight != nil && *d.LeafWeight != 0 {
			c.leafWeight(pointer + "/leafWeight")
		}
	}
	c.throttle(r.ThrottleReadBpsDevice, "blkio.throttle.read_bps_device", "rbps", "throttleReadBpsDevice")
	c.throttle(r.ThrottleWriteBpsDevice, "blkio.throttle.write_bps_device", "wbps", "throttleWriteBpsDevice")
	c.throttle(r.ThrottleReadIOPSDevice, "blkio.throttle.read_iops_device", "riops", "throttleReadIOPSDevice")
	c.throttle(r.ThrottleWriteIOPSDevice, "blkio.throttle.write_iops_device", "wiops", "throttleWriteIOPSDevice")
}

// weight writes the weight of the cgroup on one device, or on all when dev is "". There are two
// files, and which of them is there depends on the kernel: BFQ's, on the scale of v1, and the cost
// model's. runc and crun prefer the first as well.
func (c *compiler) weight(dev string, w uint16, pointer string) {
	if w < 10 || w > 1000 {
		c.report(pointer, strconv.Itoa(int(w))+" is not between 10 and 1000", "")
		return
	}
	if dev != "" {
		dev += " "
	}
	old := dev + strconv.Itoa(int(w))
	out := Write{Value: old, Pointer: pointer}
	switch c.at("blkio", "io", pointer) {
	case nowhere:
		return
	case v1:
		out.Controller, out.File, out.AltFile, out.AltValue = "blkio", "blkio.bfq.weight", "blkio.weight", old
		if dev != "" {
			out.File, out.AltFile = "blkio.bfq.weight_device", "blkio.weight_device"
		}
	case v2:
		out.Controller, out.File, out.AltFile, out.AltValue = "io", "io.bfq.weight", "io.weight", dev+utoa(ioWeight(w))
	}
	c.writes = append(c.writes, out)
}

func (c *compiler) leafWeight(pointer string) {
	c.report(pointer, "leaf weights belonged to the CFQ scheduler, which Linux 5.0 removed", "weight is what is left")
}

func (c *compiler) throttle(devices []specs.LinuxThrottleDevice, file1, key2, field string) {
	for i := range devices {
		d := &devices[i]
		pointer := blockRoot + field + "/" + strconv.Itoa(i)
		dev, ok := c.device(d.Major, d.Minor, pointer)
		if !ok {
			continue
		}
		rate := utoa(d.Rate)
		switch c.at("blkio", "io", pointer) {
		case v1:
			c.add("blkio", file1, dev+" "+rate, pointer)
		case v2:
			if d.Rate == 0 { // v1's way to say that there is no limit; v2 answers it with ERANGE
				rate = "max"
			}
			c.add("io", "io.max", dev+" "+key2+"="+rate, pointer)
		}
	}
}

// device is "MAJOR:MINOR". A dev_t has 12 bits for the one and 20 for the other.
func (c *compiler) device(major, minor int64, pointer string) (string, bool) {
	dev := itoa(major) + ":" + itoa(minor)
	if major < 0 || major >= 1<<12 || minor < 0 || minor >= 1<<20 {
		c.report(pointer, dev+" is not a device number", "")
		return "", false
	}
	return dev, true
}

// hugepages writes each limit twice, for pages that are reserved and for pages that are used, as runc
// does: the spec asks for the first, and the second holds for what was mapped without a reservation.
func (c *compiler) hugepages(limits []specs.LinuxHugepageLimit) {
	for i := range limits {
		pointer := pointerRoot + "hugepageLimits/" + strconv.Itoa(i)
		size := limits[i].Pagesize
		if !pageSize(size) {
			c.report(pointer+"/pageSize", strconv.Quote(size)+" is not a page size", "write it like 64KB, 2MB or 1GB")
			continue
		}
		n := utoa(limits[i].Limit)
		switch c.at("hugetlb", "hugetlb", pointer) {
		case v1:
			c.add("hugetlb", "hugetlb."+size+".limit_in_bytes", n, pointer)
			c.add("hugetlb", "hugetlb."+size+".rsvd.limit_in_bytes", n, pointer)
		case v2:
			c.add("hugetlb", "hugetlb."+size+".max", n, pointer)
			c.add("hugetlb", "hugetlb."+size+".rsvd.max", n, pointer)
		}
	}
}

// pageSize reports whether s is digits and then KB, MB or GB.
func pageSize(s string) bool {
	n := len(s) - 2
	if n < 1 || n > 8 || s[n+1] != 'B' || !strings.Contains("KMG", s[n:n+1]) {
		return false
	}
	for i := range n {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s[0] != '0'
}

func (c *compiler) network(n *specs.LinuxNetwork) {
	const root = pointerRoot + "network/"
	if n.ClassID != nil && c.at("net_cls", "", root+"classID") == v1 {
		c.add("net_cls", "net_cls.classid", utoa(uint64(*n.ClassID)), root+"classID")
	}
	for i, p := range n.Priorities {
		pointer := root + "priorities/" + strconv.Itoa(i)
		if !word(p.Name) {
			c.report(pointer+"/name", "it is not the name of an interface", "")
		} else if c.at("net_prio", "", pointer) == v1 {
			c.add("net_prio", "net_prio.ifpriomap", p.Name+" "+utoa(uint64(p.Priority)), pointer)
		}
	}
}

func (c *compiler) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		d := devices[name]
		pointer := pointerRoot + "rdma/" + escape(name)
		if !word(name) {
			c.report(pointer, "it is not the name of a device", "")
			continue
		}
		value := name
		if d.HcaHandles != nil {
			value += " hca_handle=" + utoa(uint64(*d.HcaHandles))
		}
		if d.HcaObjects != nil {
			value += " hca_object=" + utoa(uint64(*d.HcaObjects))
		}
		if value == name {
			c.report(pointer, "it has neither hcaHandles nor hcaObjects", "")
			continue
		}
		c.either("rdma", "rdma.max", "rdma.max", value, pointer)
	}
}

// word reports whether s is one word of printable ASCII, so that it cannot add a field or a line to
// what it is written into.
func word(s string) bool {
	return s != "" && !strings.Contains(s, " ") && printable(s)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
