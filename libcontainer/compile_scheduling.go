package libcontainer

import (
	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// compileScheduling gives the child what it is scheduled by; execve(2) keeps all of it. It is not earlier, so that
// the setup itself is not run as SCHED_IDLE, and after the cgroup is entered: a memory policy is cut to the nodes
// of the cpuset.
func (c *compiler) compileScheduling(p *specs.Process) {
	if d := c.linux.Personality; d != nil {
		c.from("/linux/personality/domain")
		persona := uint64(sys.PER_LINUX)
		if d.Domain == specs.PerLinux32 {
			persona = sys.PER_LINUX32
		}
		c.do(sys.Personality, bits(flagsPersonality, persona)).about("set the personality", string(d.Domain))
	}
	if m := c.linux.MemoryPolicy; m != nil {
		c.from("/linux/memoryPolicy")
		mask, _ := numberMask(m.Nodes)
		nodes, size := num(0), num(0)
		if mask != "" {
			nodes, size = raw(flagsMask, mask), num(uint64(8*len(mask)+1)) // the kernel takes one bit less than it is told (set_mempolicy(2), BUGS)
		}
		mode := uint64(max(indexOf(mempolicies[:], m.Mode), 0)) | bitsOf(mempolicyBits[:], m.Flags, mempolicyShift)
		c.do(sys.SetMempolicy, bits(flagsMempolicy, mode), nodes, size).about("set the memory policy", string(m.Mode))
	}
	if io := p.IOPriority; io != nil {
		// For the process group: setsid(2) has made one, of which the child is the only process.
		c.from("/process/ioPriority")
		value := uint64(max(indexOf(ioClasses[:], io.Class), 0))<<sys.IOPRIO_CLASS_SHIFT | uint64(io.Priority&7)
		c.do(sys.IoprioSet, num(sys.IOPRIO_WHO_PGRP), num(0), bits(flagsIoprio, value)).about("set the io priority", string(io.Class))
	}
	if s := p.Scheduler; s != nil {
		c.from("/process/scheduler")
		c.do(sys.SchedSetattr, num(0), schedAttr(s), num(0)).about("set the scheduling policy", string(s.Policy))
	}
	c.from("")
}

// compileAffinity binds the process to CPUs, which config.json asks for in process.execCPUAffinity: "initial" before
// the process enters the container's cgroup, "final" after that. It is for processes that join a container:
// the specification leaves the first process of a container out. An empty list changes nothing. A process that is born
// in the cgroup (CLONE_INTO_CGROUP) has no time before it: there "initial" is for the thread that makes it, or else it
// would stay in force where "final" is empty.
func (c *compiler) compileAffinity(which, cpus string) {
	mask, _ := numberMask(cpus)
	if mask == "" {
		return
	}
	c.from("/process/execCPUAffinity/" + which)
	c.do(sys.SchedSetaffinity, num(0), num(uint64(len(mask))), raw(flagsMask, mask)).about("run on CPUs", cpus)
	c.from("")
}

// schedAttr is struct sched_attr (sched_setattr(2)): 56 bytes.
func schedAttr(s *specs.Scheduler) Arg {
	policy := uint32(max(indexOf(schedPolicies[:], s.Policy), 0))
	return raw(flagsSched, le32(sys.SCHED_ATTR_SIZE, policy)+le(bitsOf(schedFlags[:], s.Flags, 0))+le32(uint32(s.Nice), uint32(s.Priority))+
		le(s.Runtime, s.Deadline, s.Period)+le32(0, 0))
}
