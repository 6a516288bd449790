package seccomp

import (
	"cmp"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// rule is one rule for a call: an answer if all conditions hold.
type rule struct {
	ret   uint32
	conds []cond
}

// cond compares an argument. For a masked comparison value is the mask and two what is left.
type cond struct {
	index uint8
	op    specs.LinuxSeccompOperator
	value uint64
	two   uint64
}

// decision is what happens to a call: the answer of the first rule that matches, or ret.
type decision struct {
	ret   uint32
	rules []int // of compiler.rules; the least permissive first
}

// byDefault is the decision for what no rule names.
const byDefault = 0

// compiler is the state of one Compile.
type compiler struct {
	rules     []rule
	decisions []decision
	byName    [len(names)]int32 // index in decisions
	named     [len(names)]bool  // the profile knows the call
	owned     [len(names)]bool  // no other name has this decision
	newer     int32             // decision for calls that are newer than those of the profile
	code      builder
}

// Compile makes the filter of a profile that Check has nothing against, for a kernel of the architecture for
// which Go says goarch. A reason and a hint say why there is none.
func Compile(p *specs.LinuxSeccomp, goarch string) (filter []Insn, reason, hint string) {
	home := native(goarch)
	if home == nil {
		return nil, "there is no table of system calls for " + goarch, "leave seccomp out"
	}
	c := &compiler{}
	c.decisions = append(make([]decision, 0, 32), decision{ret: answer(p.DefaultAction, p.DefaultErrnoRet)})
	c.newer = byDefault
	if refuses(p.DefaultAction) {
		c.newer = c.always(retErrno | enosys)
	}
	for i := range p.Syscalls {
		c.rule(&p.Syscalls[i])
	}
	for i := range c.decisions {
		c.sort(i)
	}
	listed := func(a *arch) bool { return slices.Contains(p.Architectures, a.name) }
	c.dispatch(home, listed)
	if filter = c.code.finish(); filter == nil {
		return nil, "the filter takes more than 4096 instructions", "the kernel takes no more: use fewer rules with args"
	}
	return filter, "", ""
}

// refuses says whether a default action keeps calls from being made. A tracer is not taken for a refusal: it
// has an answer to calls that it does not know (as in runc).
func refuses(a specs.LinuxSeccompAction) bool {
	return a != specs.ActAllow && a != specs.ActLog && a != specs.ActTrace
}

// always is the decision that always has this answer.
func (c *compiler) always(ret uint32) int32 {
	for i := range c.decisions {
		if c.decisions[i].ret == ret && c.decisions[i].rules == nil {
			return int32(i)
		}
	}
	c.decisions = append(c.decisions, decision{ret: ret})
	return int32(len(c.decisions) - 1)
}

// rule adds one entry of the profile to the decisions for the calls that it names.
func (c *compiler) rule(s *specs.LinuxSyscall) {
	ret := answer(s.Action, s.ErrnoRet)
	redundant := ret == c.decisions[byDefault].ret
	first := len(c.rules)
	shared := int32(byDefault) // what this entry decides when it is the first for a call
	if !redundant && len(s.Args) == 0 {
		shared = c.always(ret)
	} else if !redundant {
		c.rules = appendRules(c.rules, ret, s.Args)
	}
	index := -1
	for _, name := range s.Names {
		if index = lookup(name, index); index < 0 {
			continue
		}
		c.named[index] = true
		have := c.byName[index]
		switch {
		case redundant || have != byDefault && c.decisions[have].rules == nil:
		case len(s.Args) == 0:
			c.byName[index] = shared
		case have == byDefault:
			if shared == byDefault {
				shared = c.conditional(first, nil)
			}
			c.byName[index] = shared
		case !c.owned[index]:
			c.owned[index] = true
			c.byName[index] = c.conditional(first, c.decisions[have].rules)
		default:
			c.extend(have, first)
		}
	}
}

// conditional is a new decision: what was there, and the rules from first on.
func (c *compiler) conditional(first int, have []int) int32 {
	c.decisions = append(c.decisions, decision{c.decisions[byDefault].ret, slices.Clone(have)})
	d := int32(len(c.decisions) - 1)
	c.extend(d, first)
	return d
}

func (c *compiler) extend(d int32, first int) {
	for i := first; i < len(c.rules); i++ {
		c.decisions[d].rules = append(c.decisions[d].rules, i)
	}
}

// sort puts the least permissive rules of a decision first, and else leaves them in the profile's order.
func (c *compiler) sort(decision int) {
	slices.SortStableFunc(c.decisions[decision].rules, func(a, b int) int {
		return cmp.Compare(permissive(c.rules[a].ret), permissive(c.rules[b].ret))
	})
}

// appendRules appends the rule of one entry, or one for each condition when two look at the same argument.
func appendRules(rules []rule, ret uint32, args []specs.LinuxSeccompArg) []rule {
	conds := make([]cond, len(args))
	var seen [6]bool
	twice := false
	for i, a := range args {
		conds[i] = cond{uint8(a.Index), a.Op, a.Value, a.ValueTwo & a.Value}
		twice = twice || seen[a.Index]
		seen[a.Index] = true
	}
	if !twice {
		return append(rules, rule{ret, conds})
	}
	for i := range conds {
		rules = append(rules, rule{ret, conds[i : i+1]})
	}
	return rules
}

// step says what is decided from a number on.
type step struct {
	from     uint32
	decision int32
}

// steps is the decision for every number there is, as ascending steps.
type steps []step

// then adds what is decided from a number on, which is not below the last one.
func (s steps) then(from uint32, d int32) steps {
	if n := len(s); n > 0 && s[n-1].from == from {
		s = s[:n-1]
	}
	if n := len(s); n > 0 && s[n-1].decision == d {
		return s
	}
	return append(s, step{from, d})
}

// known appends what is decided for the calls of one architecture, and gives the decision for what lies beyond
// the last one.
func (c *compiler) known(s steps, a *arch) (steps, int32) {
	var plain [ranges]int32
	special := make(steps, 0, 40)
	last, first := -1, uint32(a.first)
	if a.table == tableX32 {
		first = bitX32
	}
	socket, ipc := c.shared(a)
	for i := range names {
		nr, ok := a.number(i)
		if !ok {
			continue
		}
		d := c.byName[i]
		switch {
		case i == socket.index:
			d = socket.decision
		case i == ipc.index:
			d = ipc.decision
		}
		if nr >= first+ranges {
			special = append(special, step{nr, d})
			continue
		}
		if plain[nr-first] = d; c.named[i] {
			last = max(last, int(nr-first))
		}
	}
	beyond := int32(byDefault)
	if last >= 0 {
		beyond = c.newer
	}
	for i, d := range plain {
		if i > last {
			d = beyond
		}
		s = s.then(first+uint32(i), d)
	}
	s = s.then(first+ranges, beyond)
	slices.SortFunc(special, func(a, b step) int { return int(a.from) - int(b.from) })
	for _, sp := range special {
		s = s.then(sp.from, sp.decision).then(sp.from+1, beyond)
	}
	return s, beyond
}

// dispatch writes the whole filter: which architecture, then which number.
func (c *compiler) dispatch(home *arch, listed func(*arch) bool) {
	b := &c.code
	next := b.ret(retKillProcess)
	for i := len(archs) - 1; i >= 0; i-- {
		a := &archs[i]
		// A kernel meets calls of its own family only.
		if a.table == noTable || a.family != home.family || a != home && !listed(a) || a.table == tableX32 {
			continue
		}
		s := steps{}
		if a.first > 0 {
			s = s.then(0, byDefault)
		}
		s, beyond := c.known(s, a)
		if a.table == tableX86_64 {
			if x32 := find(specs.ArchX32); listed(x32) {
				s, _ = c.known(s, x32)
			} else {
				s = s.then(bitX32, c.always(retKillProcess))
			}
			// A tracer that has a call skipped makes it number -1 (seccomp(2)), which is not of x32.
			s = s.then(0xffffffff, beyond)
		}
		next = b.branch(jeq, a.audit, c.search(a, s), next)
	}
	b.load(offArch, next)
}

// search writes the search for a number among steps.
func (c *compiler) search(a *arch, s steps) int {
	labels := make([]int, len(c.decisions))
	for i := range labels {
		labels[i] = -1
	}
	// What looks at arguments comes before the search, where every number can reach it.
	for _, st := range s {
		if d := &c.decisions[st.decision]; len(d.rules) > 0 && labels[st.decision] < 0 {
			labels[st.decision] = c.judge(a, d)
		}
	}
	return c.code.load(offNumber, c.tree(s, labels))
}

// tree is a binary search: the number is in the upper half of s, or in the lower one.
func (c *compiler) tree(s steps, labels []int) int {
	b := &c.code
	leaf := func(st step) int {
		if at := labels[st.decision]; at >= 0 {
			return at
		}
		return b.ret(c.decisions[st.decision].ret)
	}
	switch {
	case len(s) == 1:
		return leaf(s[0])
	case len(s) == 3 && s[0].decision == s[2].decision && s[2].from == s[1].from+1:
		return b.branch(jeq, s[1].from, leaf(s[1]), leaf(s[0]))
	}
	mid := len(s) / 2
	upper := c.tree(s[mid:], labels)
	return b.branch(jge, s[mid].from, upper, c.tree(s[:mid], labels))
}

// judge writes a decision that looks at arguments.
func (c *compiler) judge(a *arch, d *decision) int {
	b := &c.code
	next := b.ret(d.ret)
	for i := len(d.rules) - 1; i >= 0; i-- {
		r := &c.rules[d.rules[i]]
		yes := b.ret(r.ret)
		for k := len(r.conds) - 1; k >= 0; k-- {
			yes = b.compare(a, &r.conds[k], yes, next)
		}
		next = yes
	}
	return next
}
