package libcontainer

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// scheduling is what the process is scheduled by. What the kernel would answer with a bare EINVAL is said here,
// as far as it does not depend on the kernel.
func (v *validator) scheduling(p *specs.Process) {
	if p.Scheduler != nil {
		v.scheduler(p.Scheduler)
	}
	if io := p.IOPriority; io != nil {
		v.word("/process/ioPriority/class", "class", indexOf(ioClasses[:], io.Class) >= 0, string(io.Class), "known are IOPRIO_CLASS_RT, IOPRIO_CLASS_BE and IOPRIO_CLASS_IDLE")
		if io.Priority < 0 || io.Priority > 7 {
			v.problem("/process/ioPriority/priority", "priority "+strconv.Itoa(io.Priority)+" is out of range", "0 is the highest, 7 the lowest")
		}
	}
	if a := p.ExecCPUAffinity; a != nil { // for processes that join the container; its first one is not concerned
		v.numbers("/process/execCPUAffinity/initial", a.Initial)
		v.numbers("/process/execCPUAffinity/final", a.Final)
	}
}

func (v *validator) scheduler(s *specs.Scheduler) {
	const p = "/process/scheduler"
	v.word(p+"/policy", "policy", indexOf(schedPolicies[:], s.Policy) >= 0, string(s.Policy), "known are SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR, SCHED_DEADLINE and SCHED_ISO")
	if s.Nice < -20 || s.Nice > 19 {
		v.problem(p+"/nice", "nice "+strconv.Itoa(int(s.Nice))+" is out of range", "-20 is the highest priority, 19 the lowest")
	}
	switch realtime := s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR; {
	case realtime && (s.Priority < 1 || s.Priority > 99):
		v.problem(p+"/priority", string(s.Policy)+" needs a priority of 1 to 99", "")
	case !realtime && s.Priority != 0:
		v.problem(p+"/priority", "a priority is for SCHED_FIFO and SCHED_RR", "leave it out; nice is for the others")
	}
	for i, f := range s.Flags {
		v.word(p+"/flags/"+strconv.Itoa(i), "flag", indexOf(schedFlags[:], f) >= 0, string(f), "see sched_setattr(2)")
	}
	if s.Policy != specs.SchedDeadline {
		for _, d := range [...]struct {
			name  string
			value uint64
		}{{"runtime", s.Runtime}, {"deadline", s.Deadline}, {"period", s.Period}} {
			if d.value != 0 {
				v.problem(p+"/"+d.name, d.name+" is for SCHED_DEADLINE", "leave it out")
			}
		}
	} else if s.Runtime == 0 || s.Runtime > s.Deadline || s.Period != 0 && s.Deadline > s.Period {
		v.problem(p, "SCHED_DEADLINE needs 0 < runtime <= deadline <= period", "see sched(7)")
	}
}

// word refuses a word that is missing or not known.
func (v *validator) word(pointer, what string, known bool, word, hint string) {
	switch {
	case word == "":
		v.problem(pointer, what+" is missing", hint)
	case !known:
		v.problem(pointer, "unknown "+what+" "+strconv.Quote(word), hint)
	}
}

func (v *validator) numbers(pointer, list string) {
	if _, ok := numberMask(list); !ok {
		v.problem(pointer, strconv.Quote(list)+" is not a list of numbers", `it is like "0-3,7"`)
	}
}

func (v *validator) personality() {
	d := v.linux.Personality
	if d == nil {
		return
	}
	v.word("/linux/personality/domain", "domain", d.Domain == specs.PerLinux || d.Domain == specs.PerLinux32, string(d.Domain), "known are LINUX and LINUX32")
	for i, f := range d.Flags {
		v.problem("/linux/personality/flags/"+strconv.Itoa(i), "unknown flag "+strconv.Quote(string(f)), "the specification has none: leave it out")
	}
}

// memoryPolicy holds set_mempolicy(2) about which modes go with nodes.
func (v *validator) memoryPolicy() {
	m := v.linux.MemoryPolicy
	if m == nil {
		return
	}
	const p = "/linux/memoryPolicy"
	v.word(p+"/mode", "mode", indexOf(mempolicies[:], m.Mode) >= 0, string(m.Mode), "see set_mempolicy(2)")
	v.numbers(p+"/nodes", m.Nodes)
	switch m.Mode {
	case specs.MpolDefault, specs.MpolLocal:
		if m.Nodes != "" {
			v.problem(p+"/nodes", string(m.Mode)+" takes no nodes", "leave them out")
		}
	case specs.MpolBind, specs.MpolInterleave, specs.MpolWeightedInterleave, specs.MpolPreferredMany:
		if m.Nodes == "" {
			v.problem(p+"/nodes", string(m.Mode)+" needs at least one node", "")
		}
	}
	static, relative := false, false
	for i, f := range m.Flags {
		v.word(p+"/flags/"+strconv.Itoa(i), "flag", indexOf(mempolicyBits[:], f) >= 0, string(f), "known are MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES")
		static, relative = static || f == specs.MpolFStaticNodes, relative || f == specs.MpolFRelativeNodes
	}
	if static && relative {
		v.problem(p+"/flags", "nodes are static or relative, not both", "")
	}
}

// label refuses what the kernel would cut off: it takes a page, up to a NUL byte or the end of the line.
func (v *validator) label(pointer, label string) {
	if len(label) > maxLabel {
		v.problem(pointer, "longer than "+strconv.Itoa(maxLabel)+" bytes", "")
	} else if strings.ContainsAny(label, "\x00\n") {
		v.problem(pointer, "a name has no NUL byte and no end of line", "")
	}
}

const maxLabel = 4000
