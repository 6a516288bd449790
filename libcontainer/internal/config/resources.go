package config

import "github.com/opencontainers/runtime-spec/specs-go"

func resources(d *decoder, r *specs.LinuxResources) {
	d.object()
	for d.member() {
		switch d.name {
		case "devices":
			list(d, &r.Devices, 8, deviceRule)
		case "memory":
			optional(d, &r.Memory, memory)
		case "cpu":
			optional(d, &r.CPU, cpu)
		case "pids":
			optional(d, &r.Pids, pids)
		case "blockIO":
			optional(d, &r.BlockIO, blockIO)
		case "hugepageLimits":
			list(d, &r.HugepageLimits, 2, hugepageLimit)
		case "network":
			optional(d, &r.Network, network)
		case "rdma":
			dict(d, &r.Rdma, rdma)
		case "unified":
			dict(d, &r.Unified, text)
		default:
			d.unknown("devices memory cpu pids blockIO hugepageLimits network rdma unified")
		}
	}
}

func deviceRule(d *decoder, r *specs.LinuxDeviceCgroup) {
	d.object()
	for d.member() {
		switch d.name {
		case "allow":
			boolean(d, &r.Allow)
		case "type":
			text(d, &r.Type)
		case "major":
			optional(d, &r.Major, number)
		case "minor":
			optional(d, &r.Minor, number)
		case "access":
			text(d, &r.Access)
		default:
			d.unknown("allow type major minor access")
		}
	}
}

func memory(d *decoder, m *specs.LinuxMemory) {
	d.object()
	for d.member() {
		switch d.name {
		case "limit":
			optional(d, &m.Limit, number)
		case "reservation":
			optional(d, &m.Reservation, number)
		case "swap":
			optional(d, &m.Swap, number)
		case "kernel":
			//lint:ignore SA1019 deprecated, but still part of the specification
			optional(d, &m.Kernel, number)
		case "kernelTCP":
			optional(d, &m.KernelTCP, number)
		case "swappiness":
			optional(d, &m.Swappiness, number)
		case "disableOOMKiller":
			optional(d, &m.DisableOOMKiller, boolean)
		case "useHierarchy":
			optional(d, &m.UseHierarchy, boolean)
		case "checkBeforeUpdate":
			optional(d, &m.CheckBeforeUpdate, boolean)
		default:
			d.unknown("limit reservation swap kernel kernelTCP swappiness disableOOMKiller useHierarchy " +
				"checkBeforeUpdate")
		}
	}
}

func cpu(d *decoder, c *specs.LinuxCPU) {
	d.object()
	for d.member() {
		switch d.name {
		case "shares":
			optional(d, &c.Shares, number)
		case "quota":
			optional(d, &c.Quota, number)
		case "burst":
			optional(d, &c.Burst, number)
		case "period":
			optional(d, &c.Period, number)
		case "realtimeRuntime":
			optional(d, &c.RealtimeRuntime, number)
		case "realtimePeriod":
			optional(d, &c.RealtimePeriod, number)
		case "cpus":
			text(d, &c.Cpus)
		case "mems":
			text(d, &c.Mems)
		case "idle":
			optional(d, &c.Idle, number)
		default:
			d.unknown("shares quota burst period realtimeRuntime realtimePeriod cpus mems idle")
		}
	}
}

func pids(d *decoder, p *specs.LinuxPids) {
	d.object()
	for d.member() {
		switch d.name {
		case "limit":
			optional(d, &p.Limit, number)
		default:
			d.unknown("limit")
		}
	}
}

func blockIO(d *decoder, b *specs.LinuxBlockIO) {
	d.object()
	for d.member() {
		switch d.name {
		case "weight":
			optional(d, &b.Weight, number)
		case "leafWeight":
			optional(d, &b.LeafWeight, number)
		case "weightDevice":
			list(d, &b.WeightDevice, 2, weightDevice)
		case "throttleReadBpsDevice":
			list(d, &b.ThrottleReadBpsDevice, 2, throttleDevice)
		case "throttleWriteBpsDevice":
			list(d, &b.ThrottleWriteBpsDevice, 2, throttleDevice)
		case "throttleReadIOPSDevice":
			list(d, &b.ThrottleReadIOPSDevice, 2, throttleDevice)
		case "throttleWriteIOPSDevice":
			list(d, &b.ThrottleWriteIOPSDevice, 2, throttleDevice)
		default:
			d.unknown("weight leafWeight weightDevice throttleReadBpsDevice throttleWriteBpsDevice " +
				"throttleReadIOPSDevice throttleWriteIOPSDevice")
		}
	}
}

func weightDevice(d *decoder, w *specs.LinuxWeightDevice) {
	d.object()
	for d.member() {
		switch d.name {
		case "major":
			number(d, &w.Major)
		case "minor":
			number(d, &w.Minor)
		case "weight":
			optional(d, &w.Weight, number)
		case "leafWeight":
			optional(d, &w.LeafWeight, number)
		default:
			d.unknown("major minor weight leafWeight")
		}
	}
}

func throttleDevice(d *decoder, t *specs.LinuxThrottleDevice) {
	d.object()
	for d.member() {
		switch d.name {
		case "major":
			number(d, &t.Major)
		case "minor":
			number(d, &t.Minor)
		case "rate":
			number(d, &t.Rate)
		default:
			d.unknown("major minor rate")
		}
	}
}

func hugepageLimit(d *decoder, h *specs.LinuxHugepageLimit) {
	d.object()
	for d.member() {
		switch d.name {
		case "pageSize":
			text(d, &h.Pagesize)
		case "limit":
			number(d, &h.Limit)
		default:
			d.unknown("pageSize limit")
		}
	}
}

func network(d *decoder, n *specs.LinuxNetwork) {
	d.object()
	for d.member() {
		switch d.name {
		case "classID":
			optional(d, &n.ClassID, number)
		case "priorities":
			list(d, &n.Priorities, 2, interfacePriority)
		default:
			d.unknown("classID priorities")
		}
	}
}

func interfacePriority(d *decoder, p *specs.LinuxInterfacePriority) {
	d.object()
	for d.member() {
		switch d.name {
		case "name":
			text(d, &p.Name)
		case "priority":
			number(d, &p.Priority)
		default:
			d.unknown("name priority")
		}
	}
}

func rdma(d *decoder, r *specs.LinuxRdma) {
	d.object()
	for d.member() {
		switch d.name {
		case "hcaHandles":
			optional(d, &r.HcaHandles, number)
		case "hcaObjects":
			optional(d, &r.HcaObjects, number)
		default:
			d.unknown("hcaHandles hcaObjects")
		}
	}
}
