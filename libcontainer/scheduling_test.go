package libcontainer

import (
	"strings"
	"testing"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestNumberMask(t *testing.T) {
	for list, want := range map[string]string{"": "", "0": "0", "0-3,7": "0-3,7", "7,0,1": "0-1,7", "63-64": "63-64", " 1, 2": "1-2", "8191": "8191", "5-5": "5"} {
		mask, ok := numberMask(list)
		if got := maskText(mask); !ok || got != want || len(mask)%8 != 0 {
			t.Errorf("%q: %q, %v, %d bytes", list, got, ok, len(mask))
		}
	}
	for _, list := range []string{",", "1,", "-1", "1-", "a", "0x1", "3-1", "8192", "0-8192", "99999999999999999999", "1--2", "0-1:2", strings.Repeat("1,", 1<<15) + "1"} {
		if mask, ok := numberMask(list); ok {
			t.Errorf("%.20q is taken as %s", list, maskText(mask))
		}
	}
}

// TestSchedAttr compares struct sched_attr with sched_setattr(2).
func TestSchedAttr(t *testing.T) {
	b := schedAttr(&specs.Scheduler{Policy: "SCHED_RR", Nice: -3, Priority: 9, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagUtilClampMax, specs.SchedFlagResetOnFork}, Runtime: 1, Deadline: 2, Period: 3}).s
	if len(b) != 56 || half(b, 0) != 56 || half(b, 1) != 2 || word(b, 1) != 0x41 || int32(half(b, 4)) != -3 || half(b, 5) != 9 || word(b, 3) != 1 || word(b, 4) != 2 || word(b, 5) != 3 || word(b, 6) != 0 {
		t.Errorf("% x", b)
	}
	for i, policy := range []specs.LinuxSchedulerPolicy{"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"} {
		if got := half(schedAttr(&specs.Scheduler{Policy: policy}).s, 1); got != uint32(i) {
			t.Errorf("%s is %d, want %d", policy, got, i)
		}
	}
}

// TestCompileAffinity: the mask is that of the list, and an empty list is no call.
func TestCompileAffinity(t *testing.T) {
	c := &compiler{prog: &Program{}}
	c.compileAffinity("initial", "")
	c.compileAffinity("final", "0-1,9")
	if len(c.prog.Ops) != 1 {
		t.Fatalf("%d ops", len(c.prog.Ops))
	}
	o := &c.prog.Ops[0]
	if o.Call != sys.SchedSetaffinity || o.Origin != "/process/execCPUAffinity/final" || c.prog.listOp(o) != "sched_setaffinity(0, 8, {0-1,9})" || o.Args[2].s != "\x03\x02\x00\x00\x00\x00\x00\x00" {
		t.Errorf("%s %s %q", c.prog.listOp(o), o.Origin, o.Args[2].s)
	}
}
