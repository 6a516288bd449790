package libcontainer

import (
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The words of config.json for scheduling and memory policy, by the numbers that the kernel has for them. An
// empty name is a number that the specification has no word for.
var (
	schedPolicies = [...]specs.LinuxSchedulerPolicy{specs.SchedOther, specs.SchedFIFO, specs.SchedRR, specs.SchedBatch, specs.SchedISO, specs.SchedIdle, specs.SchedDeadline}
	schedFlags    = [...]specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork, specs.SchedFlagReclaim, specs.SchedFlagDLOverrun, specs.SchedFlagKeepPolicy,
		specs.SchedFlagKeepParams, specs.SchedFlagUtilClampMin, specs.SchedFlagUtilClampMax} // by bit
	ioClasses     = [...]specs.IOPriorityClass{"", specs.IOPRIO_CLASS_RT, specs.IOPRIO_CLASS_BE, specs.IOPRIO_CLASS_IDLE}
	mempolicies   = [...]specs.MemoryPolicyModeType{specs.MpolDefault, specs.MpolPreferred, specs.MpolBind, specs.MpolInterleave, specs.MpolLocal, specs.MpolPreferredMany, specs.MpolWeightedInterleave}
	mempolicyBits = [...]specs.MemoryPolicyFlagType{specs.MpolFNumaBalancing, specs.MpolFRelativeNodes, specs.MpolFStaticNodes} // from bit 13 on
)

const mempolicyShift = 13

// indexOf is the place of a word in a list; -1 when it is not there, or empty.
func indexOf[T ~string](list []T, word T) int {
	for i := range list {
		if list[i] == word && word != "" {
			return i
		}
	}
	return -1
}

// bitsOf is the set of flags, of which the first of the list is bit first; words that are not known are left out,
// which Validate has refused before.
func bitsOf[T ~string](list, words []T, first int) (n uint64) {
	for _, w := range words {
		if i := indexOf(list, w); i >= 0 {
			n |= 1 << (first + i)
		}
	}
	return n
}

// maxListed bounds the numbers of CPUs and memory nodes in a list: CONFIG_NR_CPUS is 8192 at most.
const maxListed = 8192

// numberMask is a list such as "0-3,7" as a mask of 64-bit words, least first (cpuset(7), "List format"). ok
// is false when it is not such a list. An empty list is an empty mask.
func numberMask(list string) (mask string, ok bool) {
	if list == "" {
		return "", true
	}
	if len(list) > 4*maxListed { // each number alone would be less
		return "", false
	}
	var words []uint64
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.ParseUint(first, 10, 16)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(last, 10, 16)
		}
		if err != nil || b < a || b >= maxListed {
			return "", false
		}
		for ; a <= b; a++ {
			for uint64(len(words)) <= a/64 {
				words = append(words, 0)
			}
			words[a/64] |= 1 << (a % 64)
		}
	}
	return le(words...), true
}

// maskText is a mask as a list.
func maskText(b string) string {
	has := func(i int) bool { return i < 8*len(b) && b[i/8]&(1<<(i%8)) != 0 }
	var parts []string
	for i := 0; i < 8*len(b); i++ {
		if !has(i) {
			continue
		}
		first := i
		for has(i + 1) {
			i++
		}
		part := strconv.Itoa(first)
		if i > first {
			part += "-" + strconv.Itoa(i)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

// schedText prints struct sched_attr.
func schedText(b string) string {
	s := "{" + strconv.Itoa(int(half(b, 1)))
	if n := int(half(b, 1)); n < len(schedPolicies) {
		s = "{" + string(schedPolicies[n])
	}
	for i, f := range schedFlags {
		if word(b, 1)&(1<<i) != 0 {
			s += " " + strings.TrimPrefix(string(f), "SCHED_FLAG_")
		}
	}
	s += " nice " + strconv.Itoa(int(int32(half(b, 4)))) + " priority " + strconv.Itoa(int(half(b, 5)))
	if word(b, 3)|word(b, 4)|word(b, 5) != 0 {
		s += " runtime " + strconv.FormatUint(word(b, 3), 10) + " deadline " + strconv.FormatUint(word(b, 4), 10) + " period " + strconv.FormatUint(word(b, 5), 10)
	}
	return s + "}"
}

// schedulingText prints the numbers of this file.
func schedulingText(f flagSet, n uint64) string {
	switch f {
	case flagsIoprio:
		if class := n >> sys.IOPRIO_CLASS_SHIFT; class < uint64(len(ioClasses)) {
			return string(ioClasses[class]) + "|" + strconv.FormatUint(n&7, 10)
		}
	case flagsPersonality:
		if n == sys.PER_LINUX32 {
			return "LINUX32"
		}
		return "LINUX"
	case flagsMempolicy:
		if mode := n & 0xff; mode < uint64(len(mempolicies)) {
			s := string(mempolicies[mode])
			for i, flag := range mempolicyBits {
				if n&(1<<(mempolicyShift+i)) != 0 {
					s += "|" + strings.TrimPrefix(string(flag), "MPOL_F_")
				}
			}
			return s
		}
	}
	return strconv.FormatUint(n, 10)
}
