package cgroup

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const pointerRoot = "/linux/resources/"

// Compile turns linux.resources into the writes that put it into force on a host with this layout.
// report is called for everything that cannot be expressed there: nothing is dropped in silence.
// A field that asks for what a new cgroup has anyway, such as memory.kernel -1, needs no write.
//
// The device list is not here: it becomes a program, see CompileDevices.
func Compile(res *specs.LinuxResources, l Layout, report func(pointer, reason, hint string)) []Write {
	c := compiler{layout: l, report: report}
	return c.resources(res)
}

type compiler struct {
	layout Layout
	report func(pointer, reason, hint string)
	writes []Write
	live   *Live // of a cgroup that is in use; nil for a new one
}

func (c *compiler) resources(res *specs.LinuxResources) []Write {
	if res == nil {
		return nil
	}
	if res.Memory != nil {
		c.memory(res.Memory)
	}
	if res.CPU != nil {
		c.cpu(res.CPU)
		c.cpuset(res.CPU)
	}
	if res.Pids != nil {
		c.pids(res.Pids)
	}
	if res.BlockIO != nil {
		c.blockIO(res.BlockIO)
	}
	c.hugepages(res.HugepageLimits)
	if res.Network != nil {
		c.network(res.Network)
	}
	c.rdma(res.Rdma)
	// Last, because who writes a file by its name knows better than a conversion.
	c.unified(res.Unified)
	return c.writes
}

func (c *compiler) add(controller, file, value, pointer string) {
	c.writes = append(c.writes, Write{Controller: controller, File: file, Value: value, Pointer: pointer})
}

// at says in which tree the limit at pointer goes, and reports it when there is none.
func (c *compiler) at(name1, name2, pointer string) tree {
	t := c.layout.find(name1, name2)
	if t != nowhere {
		return t
	}
	name := name1
	if c.layout.Unified && name2 != "" {
		name = name2
	}
	switch {
	case c.layout.forbidden(name1):
		c.report(pointer, "the "+name1+" controller is in cgroup v1 on this host, where only root may set limits",
			"leave the limit out, or start the host with cgroup v2 only (systemd.unified_cgroup_hierarchy=1)")
	case name2 == "" && c.layout.Unified:
		c.report(pointer, "cgroup v2 has nothing like the "+name1+" controller", "")
	case c.layout.Below != "":
		c.report(pointer, "the "+name+" controller is not delegated to "+c.layout.Below,
			"leave the limit out, or have the administrator delegate it: Delegate="+strings.Join(append(slices.Clone(c.layout.V2Controllers), name), " ")+" in the section [Service] (systemctl edit user@.service)")
	case c.layout.Unified:
		c.report(pointer, "the "+name+" controller is not available", "cgroup.controllers lists those that are")
	default:
		c.report(pointer, "the "+name+" controller is not available", "it is neither in the cgroup2 tree nor mounted as a cgroup v1 hierarchy")
	}
	return nowhere
}

// either writes the same value to the file of the tree that has the controller; both trees call the
// controller by the same name. Where nobody can limit anything, no limit is what there is.
func (c *compiler) either(controller, file1, file2, value, pointer string) {
	if (value == "max" || value == "-1") && c.layout.find(controller, controller) == nowhere {
		return
	}
	switch c.at(controller, controller, pointer) {
	case v1:
		c.add(controller, file1, value, pointer)
	case v2:
		c.add(controller, file2, value, pointer)
	}
}

// only writes a file of a v1 controller for which v2 has no equal.
func (c *compiler) only(controller, file, value, pointer, hint string) {
	if c.layout.find(controller, controller) == v2 {
		c.report(pointer, "cgroup v2 has no such setting", hint)
	} else if c.at(controller, controller, pointer) == v1 {
		c.add(controller, file, value, pointer)
	}
}

func (c *compiler) pids(p *specs.LinuxPids) {
	if p.Limit == nil {
		return
	}
	const pointer = pointerRoot + "pids/limit"
	value := "max"
	switch n := *p.Limit; {
	case n < -1:
		c.notALimit(pointer, n)
		return
	case n == 0:
		// The spec wants 0 to be a limit, and the kernel refuses every fork into a cgroup with pids.max 0,
		// also the one that would put the container's first process there. That process is in the
		// cgroup and counts, so 1 refuses each of its forks as 0 would have.
		value = "1"
	case n > 0:
		value = itoa(n)
	}
	c.either("pids", "pids.max", "pids.max", value, pointer)
}

func (c *compiler) notALimit(pointer string, n int64) {
	c.report(pointer, itoa(n)+" is not a limit", "-1 means no limit")
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

// escape makes a key into a reference token of a JSON pointer (RFC 6901, section 3).
func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
