package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// reference says what a profile means for a call, by going through its rules one by one. It shares with the
// compiler the tables only.
type reference struct {
	*specs.LinuxSeccomp
	goarch string
	seen   map[*arch]*seenArch
}

// seenArch is what a profile knows of one architecture.
type seenArch struct {
	names  map[uint32]string
	newest uint32 // the highest number of a call that the profile names
	any    bool
}

func refer(p *specs.LinuxSeccomp, goarch string) *reference {
	return &reference{p, goarch, map[*arch]*seenArch{}}
}

func (r *reference) see(a *arch) *seenArch {
	if s := r.seen[a]; s != nil {
		return s
	}
	s := &seenArch{names: map[uint32]string{}}
	for i, name := range names {
		number, ok := a.number(i)
		if !ok {
			continue
		}
		s.names[number] = name
		if number < limit(a) && mentions(r.LinuxSeccomp, name) {
			s.newest, s.any = max(s.newest, number), true
		}
	}
	r.seen[a] = s
	return s
}

func (r *reference) answer(c call) uint32 {
	p := r.LinuxSeccomp
	a := calledArch(p, r.goarch, c)
	if a == nil {
		return retKillProcess
	}
	if a.half {
		for i := range c.args {
			c.args[i] &= 0xffffffff
		}
	}
	known := r.see(a)
	name := known.names[c.nr]
	refuses := p.DefaultAction != specs.ActAllow && p.DefaultAction != specs.ActLog && p.DefaultAction != specs.ActTrace
	if refuses && known.any && c.nr > known.newest && (name == "" || c.nr < limit(a)) {
		return retErrno | enosys
	}
	base := answer(p.DefaultAction, p.DefaultErrnoRet)
	if name == "" {
		return base
	}
	always, matching := judged(p, a, name, c.args)
	if always != nil {
		return *always
	}
	if parts, mask := partsOf(name); parts != nil {
		if n := c.args[0] & mask; n < uint64(len(parts)) && parts[n] != "" {
			matching = append(matching, partly(p, a, parts[n])...)
		}
	}
	return strictest(matching, base)
}

// strictest is the least permissive of some answers, the first of equals; or the default when there are none.
func strictest(answers []uint32, base uint32) uint32 {
	if len(answers) == 0 {
		return base
	}
	return slices.MinFunc(answers, func(a, b uint32) int { return int(int32(a&retAction)>>16) - int(int32(b&retAction)>>16) })
}

// calledArch is the architecture of a call, if the filter knows it.
func calledArch(p *specs.LinuxSeccomp, goarch string, c call) *arch {
	home := native(goarch)
	for i := range archs {
		a := &archs[i]
		if a.audit != c.audit || a.table == noTable || a.family != home.family || a != home && !slices.Contains(p.Architectures, a.name) {
			continue
		}
		if c.audit == 0xc000003e && (c.nr >= 0x40000000 && c.nr != 0xffffffff) != (a.name == specs.ArchX32) {
			continue
		}
		if a.name == specs.ArchX32 && home.name != specs.ArchX86_64 && !slices.Contains(p.Architectures, specs.ArchX86_64) {
			continue // a kernel of 32 bits
		}
		return a
	}
	return nil
}

func limit(a *arch) uint32 {
	if a.name == specs.ArchX32 {
		return 0x40000000 + 512
	}
	return uint32(a.first) + 512
}

func mentions(p *specs.LinuxSeccomp, name string) bool {
	return slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool { return slices.Contains(s.Names, name) })
}

// judged is the answer of the first rule without arguments, or else those of all that match.
func judged(p *specs.LinuxSeccomp, a *arch, name string, args [6]uint64) (always *uint32, matching []uint32) {
	eachRule(p, name, func(ret uint32, conds []specs.LinuxSeccompArg) {
		if len(conds) == 0 && always == nil {
			always = &ret
		}
		for _, c := range conds {
			if !holds(c, a, args) {
				return
			}
		}
		matching = append(matching, ret)
	})
	return always, matching
}

// eachRule are the rules for a name that are not the default action over again.
func eachRule(p *specs.LinuxSeccomp, name string, rule func(ret uint32, conds []specs.LinuxSeccompArg)) {
	for _, s := range p.Syscalls {
		ret := answer(s.Action, s.ErrnoRet)
		if !slices.Contains(s.Names, name) || ret == answer(p.DefaultAction, p.DefaultErrnoRet) {
			continue
		}
		count := map[uint]int{}
		twice := false
		for _, c := range s.Args {
			count[c.Index]++
			twice = twice || count[c.Index] > 1
		}
		if !twice {
			rule(ret, s.Args)
			continue
		}
		for _, c := range s.Args {
			rule(ret, []specs.LinuxSeccompArg{c})
		}
	}
}

// partly is what the rules for a part of a multiplexed call mean, whose arguments nobody sees.
func partly(p *specs.LinuxSeccomp, a *arch, name string) []uint32 {
	base := answer(p.DefaultAction, p.DefaultErrnoRet)
	always, _ := judged(p, a, name, [6]uint64{})
	if always != nil {
		return []uint32{*always}
	}
	var all []uint32
	eachRule(p, name, func(ret uint32, _ []specs.LinuxSeccompArg) { all = append(all, ret) })
	if ret := strictest(all, base); ret != base && int32(ret&retAction) <= int32(base&retAction) {
		return []uint32{ret}
	}
	return nil
}

func partsOf(name string) ([]string, uint64) {
	switch name {
	case "socketcall":
		return socketParts[:], 0xffffffff
	case "ipc":
		return ipcParts[:], 0xffff
	}
	return nil, 0
}

func holds(c specs.LinuxSeccompArg, a *arch, args [6]uint64) bool {
	x, v, two := args[c.Index], c.Value, c.ValueTwo
	if a.half {
		v, two = v&0xffffffff, two&0xffffffff
	}
	switch c.Op {
	case specs.OpNotEqual:
		return x != v
	case specs.OpLessThan:
		return x < v
	case specs.OpLessEqual:
		return x <= v
	case specs.OpEqualTo:
		return x == v
	case specs.OpGreaterEqual:
		return x >= v
	case specs.OpGreaterThan:
		return x > v
	}
	return x&v == two&v
}
