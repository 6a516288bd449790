package policy

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// rlimitNames is by number (asm-generic/resource.h), as Grant.HardLimits is.
var rlimitNames = [...]string{"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME"}

const (
	rlimitNice   = 13
	rlimitRtprio = 14
)

// rlimits cannot go above the caller's own hard limits. The kernel says the same with EPERM.
func (c *checker) rlimits() {
	for i, l := range c.process.Rlimits {
		p := at("/process/rlimits", i)
		n := 0
		for n < len(rlimitNames) && rlimitNames[n] != l.Type {
			n++
		}
		if n == len(rlimitNames) {
			c.problem(p+"/type", "unknown limit "+strconv.Quote(l.Type), "see getrlimit(2)")
		} else if hard := c.grant.HardLimits[n]; l.Hard > hard {
			c.problem(p+"/hard", l.Type+" hard "+limitText(l.Hard)+" is above your limit "+limitText(hard), "ulimit -H shows it; an admin can raise it")
		}
	}
}

func limitText(n uint64) string {
	if n == 1<<64-1 { // RLIM_INFINITY
		return "unlimited"
	}
	return utoa(n)
}

// oomScoreAdj is written by the helper, with file-system uid 0 but without CAP_SYS_RESOURCE. The kernel then
// allows what the caller's last privileged parent had; this is stricter: never below the caller's own.
func (c *checker) oomScoreAdj() {
	const p = "/process/oomScoreAdj"
	switch a, own := c.process.OOMScoreAdj, c.grant.OOMScoreAdj; {
	case a == nil:
	case *a < own:
		c.problem(p, "lowering oom_score_adj from "+strconv.Itoa(own)+" to "+strconv.Itoa(*a)+" needs root", "give "+strconv.Itoa(own)+" or more, or leave it out")
	case *a > 1000:
		c.problem(p, "out of range", "-1000 to 1000")
	}
}

// scheduler says what sched_setattr(2) would answer with EPERM.
func (c *checker) scheduler() {
	s := c.process.Scheduler
	if s == nil {
		return
	}
	const p = "/process/scheduler"
	switch s.Policy {
	case "", specs.SchedOther, specs.SchedBatch, specs.SchedIdle:
	case specs.SchedFIFO, specs.SchedRR:
		if limit := c.grant.HardLimits[rlimitRtprio]; s.Priority < 0 || uint64(s.Priority) > limit || limit == 0 {
			c.problem(p+"/priority", string(s.Policy)+" with priority "+strconv.Itoa(int(s.Priority))+" is above your RLIMIT_RTPRIO "+limitText(limit), "use SCHED_OTHER, SCHED_BATCH or SCHED_IDLE")
		}
	default:
		c.problem(p+"/policy", strconv.Quote(string(s.Policy))+" needs root", "use SCHED_OTHER, SCHED_BATCH or SCHED_IDLE")
	}
	// RLIMIT_NICE counts from 1 for nice 19 to 40 for nice -20 (getrlimit(2)).
	if limit := c.grant.HardLimits[rlimitNice]; s.Nice < 0 && uint64(20-int64(s.Nice)) > limit {
		c.problem(p+"/nice", "nice "+strconv.Itoa(int(s.Nice))+" needs root", "your RLIMIT_NICE is "+limitText(limit)+": give 0 or more")
	}
	for _, d := range [...]struct {
		name  string
		value uint64
	}{{"runtime", s.Runtime}, {"deadline", s.Deadline}, {"period", s.Period}} {
		if d.value != 0 {
			c.problem(p+"/"+d.name, "SCHED_DEADLINE needs root", "leave "+d.name+" out")
		}
	}
}

// ioPriority says what ioprio_set(2) would answer with EPERM.
func (c *checker) ioPriority() {
	if io := c.process.IOPriority; io != nil && io.Class != specs.IOPRIO_CLASS_BE && io.Class != specs.IOPRIO_CLASS_IDLE {
		c.problem("/process/ioPriority/class", "io priority class "+strconv.Quote(strings.TrimPrefix(string(io.Class), "IOPRIO_CLASS_"))+" needs root", "use IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")
	}
}
