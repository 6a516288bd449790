package cgroup

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Live is what is in force in a cgroup and an update may build on without naming it. v1 limits memory and
// swap together and v2 swap alone, so one limit is computed from two; cpu.max of v2 has quota and period in
// one write.
type Live struct {
	MemoryLimit int64 // bytes; -1 is no limit
	CPUQuota    int64 // microseconds; -1 is no limit
	CPUIdle     bool
}

// CompileUpdate is Compile for a cgroup that is in use. A field that is set back to what a new cgroup has,
// such as cpu.idle 0 or cpu.burst 0, is a write here, and a memory limit of 0 is none.
func CompileUpdate(res *specs.LinuxResources, l Layout, live Live, report func(pointer, reason, hint string)) []Write {
	c := compiler{layout: l, report: report, live: &live}
	return c.resources(res)
}

// before is what to write to take back a write of value to a file that had this text. A file with a line for
// each device takes one line at a time; a device that has no line has no limit. ok is false where the text
// is not one that can be written back.
func before(file, text, value string) (old string, ok bool) {
	text = strings.TrimRight(text, "\n")
	key, _, keyed := strings.Cut(value, " ")
	switch file {
	case "cpu.max": // quota and period
		return text, text != ""
	case "memory.oom_control":
		_, disabled, ok := strings.Cut(strings.SplitN(text, "\n", 2)[0], " ")
		return disabled, ok
	case "io.weight", "io.bfq.weight", "blkio.bfq.weight":
		if !keyed {
			if line, found := lineOf(text, "default"); found {
				return line, true
			}
			return text, !strings.Contains(text, "\n")
		}
	}
	if keyed {
		if line, found := lineOf(text, key); found {
			return line, true
		}
		switch file {
		case "io.max":
			return key + " rbps=max wbps=max riops=max wiops=max", true
		case "io.weight", "io.bfq.weight":
			return key + " default", true
		case "io.latency":
			return key + " target=0", true
		}
		if strings.HasPrefix(file, "blkio.") {
			return key + " 0", true
		}
		return "", false
	}
	if text == "" { // an empty write does not reach the kernel
		text = "\n"
	}
	return text, !strings.Contains(strings.TrimSuffix(text, "\n"), "\n")
}

// lineOf finds the line that starts with a key and a space.
func lineOf(text, key string) (string, bool) {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, key+" ") {
			return line, true
		}
	}
	return "", false
}
