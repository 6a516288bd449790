package config

import "github.com/opencontainers/runtime-spec/specs-go"

func linux(d *decoder, l *specs.Linux) {
	d.object()
	for d.member() {
		switch d.name {
		case "uidMappings":
			list(d, &l.UIDMappings, 2, idMapping)
		case "gidMappings":
			list(d, &l.GIDMappings, 2, idMapping)
		case "sysctl":
			dict(d, &l.Sysctl, text)
		case "resources":
			optional(d, &l.Resources, resources)
		case "cgroupsPath":
			text(d, &l.CgroupsPath)
		case "namespaces":
			list(d, &l.Namespaces, 8, namespace)
		case "devices":
			list(d, &l.Devices, 4, device)
		case "netDevices":
			dict(d, &l.NetDevices, netDevice)
		case "seccomp":
			optional(d, &l.Seccomp, seccomp)
		case "rootfsPropagation":
			text(d, &l.RootfsPropagation)
		case "maskedPaths":
			texts(d, &l.MaskedPaths)
		case "readonlyPaths":
			texts(d, &l.ReadonlyPaths)
		case "mountLabel":
			text(d, &l.MountLabel)
		case "intelRdt":
			optional(d, &l.IntelRdt, intelRdt)
		case "memoryPolicy":
			optional(d, &l.MemoryPolicy, memoryPolicy)
		case "personality":
			optional(d, &l.Personality, personality)
		case "timeOffsets":
			dict(d, &l.TimeOffsets, timeOffset)
		default:
			d.unknown("uidMappings gidMappings sysctl resources cgroupsPath namespaces devices netDevices " +
				"seccomp rootfsPropagation maskedPaths readonlyPaths mountLabel intelRdt memoryPolicy " +
				"personality timeOffsets")
		}
	}
}

func namespace(d *decoder, n *specs.LinuxNamespace) {
	d.object()
	for d.member() {
		switch d.name {
		case "type":
			text(d, &n.Type)
		case "path":
			text(d, &n.Path)
		default:
			d.unknown("type path")
		}
	}
}

func device(d *decoder, v *specs.LinuxDevice) {
	d.object()
	for d.member() {
		switch d.name {
		case "path":
			text(d, &v.Path)
		case "type":
			text(d, &v.Type)
		case "major":
			number(d, &v.Major)
		case "minor":
			number(d, &v.Minor)
		case "fileMode":
			optional(d, &v.FileMode, number)
		case "uid":
			optional(d, &v.UID, number)
		case "gid":
			optional(d, &v.GID, number)
		default:
			d.unknown("path type major minor fileMode uid gid")
		}
	}
}

func netDevice(d *decoder, n *specs.LinuxNetDevice) {
	d.object()
	for d.member() {
		switch d.name {
		case "name":
			text(d, &n.Name)
		default:
			d.unknown("name")
		}
	}
}

func intelRdt(d *decoder, r *specs.LinuxIntelRdt) {
	d.object()
	for d.member() {
		switch d.name {
		case "closID":
			text(d, &r.ClosID)
		case "schemata":
			texts(d, &r.Schemata)
		case "l3CacheSchema":
			text(d, &r.L3CacheSchema)
		case "memBwSchema":
			text(d, &r.MemBwSchema)
		case "enableMonitoring":
			boolean(d, &r.EnableMonitoring)
		default:
			d.unknown("closID schemata l3CacheSchema memBwSchema enableMonitoring")
		}
	}
}

func memoryPolicy(d *decoder, m *specs.LinuxMemoryPolicy) {
	d.object()
	for d.member() {
		switch d.name {
		case "mode":
			text(d, &m.Mode)
		case "nodes":
			text(d, &m.Nodes)
		case "flags":
			list(d, &m.Flags, 2, text)
		default:
			d.unknown("mode nodes flags")
		}
	}
}

func personality(d *decoder, p *specs.LinuxPersonality) {
	d.object()
	for d.member() {
		switch d.name {
		case "domain":
			text(d, &p.Domain)
		case "flags":
			list(d, &p.Flags, 2, text)
		default:
			d.unknown("domain flags")
		}
	}
}

func timeOffset(d *decoder, t *specs.LinuxTimeOffset) {
	d.object()
	for d.member() {
		switch d.name {
		case "secs":
			number(d, &t.Secs)
		case "nanosecs":
			number(d, &t.Nanosecs)
		default:
			d.unknown("secs nanosecs")
		}
	}
}
