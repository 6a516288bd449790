package cgroup

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxDevices bounds the device list: a program of so many rules stays within what the kernel's
// verifier and a 16-bit jump can take.
const maxDevices = 2048

const anyNumber = -1 // a rule's major or minor that matches every number

// deviceRule is a rule about either the character or the block devices.
type deviceRule struct {
	allow        bool
	major, minor int64
	access       int32 // bits of accessMknod, accessRead, accessWrite
}

// CompileDevices makes the device filter for linux.resources.devices: a program for the kernel to ask
// at each open and mknod of a device in the cgroup. It is pure. An empty list, and one that allows
// everything, needs no filter and gives nil. report is called for each rule that cannot be used.
//
// Everything is denied at first. The rules apply in the order of the list, and for each of the
// accesses that are asked for (read, write, mknod) the last rule about it decides; all must be
// allowed. Last of all come rules for the devices that the spec puts into every container, and for
// mknod of any device, which runc and crun allow too: a node that was made cannot be opened by that.
//
// This differs from the v1 controller in one case. There one rule has to grant all of a request, so
// that read by one rule and write by another refuse an open for both.
func CompileDevices(rules []specs.LinuxDeviceCgroup, report func(pointer, reason, hint string)) []Insn {
	if len(rules) == 0 {
		return nil
	}
	if len(rules) > maxDevices {
		report(pointerRoot+"devices", "there are more than "+strconv.Itoa(maxDevices)+" rules", "")
		return nil
	}
	var char, block []deviceRule
	for i := range rules {
		r, ok := deviceRuleOf(&rules[i], pointerRoot+"devices/"+strconv.Itoa(i), report)
		if !ok {
			continue
		}
		if rules[i].Type != "b" {
			char = append(char, r)
		}
		if rules[i].Type != "c" {
			block = append(block, r)
		}
	}
	char, charBase := simplify(append(char, defaultChar()...))
	block, blockBase := simplify(append(block, defaultBlock()...))
	if len(char) == 0 && charBase && len(block) == 0 && blockBase {
		return nil
	}
	return assemble(char, charBase, block, blockBase)
}

// defaultChar has the spec's default devices (config-linux.md, "Default Devices") and the terminals
// below /dev/pts, in the numbers of Documentation/admin-guide/devices.txt.
func defaultChar() []deviceRule {
	const rwm = accessRead | accessWrite | accessMknod
	return []deviceRule{
		{true, anyNumber, anyNumber, accessMknod},
		{true, 1, 3, rwm},           // /dev/null
		{true, 1, 5, rwm},           // /dev/zero
		{true, 1, 7, rwm},           // /dev/full
		{true, 1, 8, rwm},           // /dev/random
		{true, 1, 9, rwm},           // /dev/urandom
		{true, 5, 0, rwm},           // /dev/tty
		{true, 5, 1, rwm},           // /dev/console
		{true, 5, 2, rwm},           // /dev/ptmx
		{true, 136, anyNumber, rwm}, // /dev/pts/*
	}
}

func defaultBlock() []deviceRule {
	return []deviceRule{{true, anyNumber, anyNumber, accessMknod}}
}

func deviceRuleOf(d *specs.LinuxDeviceCgroup, pointer string, report func(pointer, reason, hint string)) (deviceRule, bool) {
	r, ok := deviceRule{allow: d.Allow, major: anyNumber, minor: anyNumber}, true
	refuse := func(field, reason, hint string) {
		report(pointer+"/"+field, reason, hint)
		ok = false
	}
	switch d.Type {
	case "", "a", "b", "c":
	default:
		refuse("type", strconv.Quote(d.Type)+" is not a type of device", "it is a, b or c")
	}
	for _, b := range []byte(d.Access) {
		switch b {
		case 'r':
			r.access |= accessRead
		case 'w':
			r.access |= accessWrite
		case 'm':
			r.access |= accessMknod
		default:
			refuse("access", strconv.Quote(d.Access)+" has a letter other than r, w and m", "")
			return r, false
		}
	}
	if d.Access == "" {
		if d.Allow {
			refuse("access", "a rule that allows must say what", "it is made of the letters r, w and m")
		}
		r.access = accessRead | accessWrite | accessMknod
	}
	// -1 is how several tools write the wildcard that the spec writes by leaving the field out.
	if d.Major != nil && *d.Major != anyNumber {
		if r.major = *d.Major; r.major < 0 || r.major >= 1<<12 {
			refuse("major", itoa(r.major)+" is not a major number", "leave it out to mean every one")
		}
	}
	if d.Minor != nil && *d.Minor != anyNumber {
		if r.minor = *d.Minor; r.minor < 0 || r.minor >= 1<<20 {
			refuse("minor", itoa(r.minor)+" is not a minor number", "leave it out to mean every one")
		}
	}
	return r, ok
}

// simplify returns an equivalent, shorter list, in the order in which it is to be tried: the last
// rule first, neighbours with the same verdict sorted. base is the verdict when no rule matched.
func simplify(rules []deviceRule) (tried []deviceRule, base bool) {
	for {
		n, sum := len(rules), accesses(rules)
		rules = merge(rules)
		rules = dropCovered(rules)
		for i := len(rules) - 1; i >= 0; i-- {
			if r := rules[i]; r.major == anyNumber && r.minor == anyNumber && r.access == accessMknod|accessRead|accessWrite {
				base, rules = r.allow, rules[i+1:]
				break
			}
		}
		rules = dropBase(rules, base)
		if len(rules) == n && accesses(rules) == sum {
			break
		}
	}
	slices.Reverse(rules)
	for start := 0; start < len(rules); {
		end := start + 1
		for end < len(rules) && rules[end].allow == rules[start].allow {
			end++
		}
		slices.SortFunc(rules[start:end], func(a, b deviceRule) int {
			return cmp.Or(cmp.Compare(a.major, b.major), cmp.Compare(a.minor, b.minor))
		})
		start = end
	}
	return rules, base
}

// accesses counts the bits that are set in all rules together; each step of simplify lowers the
// number of rules or this, or changes nothing.
func accesses(rules []deviceRule) int {
	n := 0
	for _, r := range rules {
		n += int(r.access&1 + r.access>>1&1 + r.access>>2&1)
	}
	return n
}

// merge joins rules for the same devices between which no rule has the other verdict. Such
// neighbours may change places.
func merge(rules []deviceRule) []deviceRule {
	out := rules[:0]
	start := 0 // of the neighbours of the same verdict, in out
	for _, r := range rules {
		if len(out) > 0 && out[len(out)-1].allow != r.allow {
			start = len(out)
		}
		i := slices.IndexFunc(out[start:], func(o deviceRule) bool { return o.major == r.major && o.minor == r.minor })
		if i >= 0 {
			out[start+i].access |= r.access
		} else {
			out = append(out, r)
		}
	}
	return out
}

// dropCovered takes from each rule what a later one, or a wider neighbour of the same verdict,
// decides in any case.
func dropCovered(rules []deviceRule) []deviceRule {
	neighbours := 0 // where the neighbours of rule i start
	for i := range rules {
		if rules[i].allow != rules[neighbours].allow {
			neighbours = i
		}
		for j := neighbours; j < len(rules); j++ {
			if j != i && rules[j].covers(rules[i]) {
				rules[i].access &^= rules[j].access
			}
		}
	}
	return slices.DeleteFunc(rules, func(r deviceRule) bool { return r.access == 0 })
}

// covers reports whether r is about every device that o is about. No two neighbours cover each other
// after merge.
func (r deviceRule) covers(o deviceRule) bool {
	return (r.major == anyNumber || r.major == o.major) && (r.minor == anyNumber || r.minor == o.minor)
}

// dropBase drops rules that say what would be said without them.
func dropBase(rules []deviceRule, base bool) []deviceRule {
	out := rules[:0]
	for _, r := range rules {
		if r.allow != base || slices.ContainsFunc(out, func(o deviceRule) bool { return o.allow != base && o.overlaps(r) }) {
			out = append(out, r)
		}
	}
	return out
}

func (r deviceRule) overlaps(o deviceRule) bool {
	return r.access&o.access != 0 &&
		(r.major == anyNumber || o.major == anyNumber || r.major == o.major) &&
		(r.minor == anyNumber || o.minor == anyNumber || r.minor == o.minor)
}

// ListDevices has one line per instruction of a device filter.
func ListDevices(insns []Insn) string {
	var b strings.Builder
	for i, in := range insns {
		b.WriteString("device filter " + strconv.Itoa(i) + ": " + in.String() + "\n")
	}
	return b.String()
}
