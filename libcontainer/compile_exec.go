package libcontainer

import (
	"strconv"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// CompileExec compiles one more process for a running container, for Container.Exec: a shorter Program, with the end
// that every process has. spec is the container's config.json as it was when the container was created, and
// process is what to run; host.Joins says which namespaces to join.
func CompileExec(spec *specs.Spec, process *specs.Process, host Host) (*Program, error) {
	s := *spec
	s.Process = process
	c := newCompiler(&s, host, ModeExec)
	c.joined = host.Joins
	c.prog.Gated = host.UID != 0 // a set-user-ID program gives up its power there
	c.prog.Cgroups, c.prog.CgroupPath = host.Cgroups, host.DefaultCgroup
	if host.UID != 0 {
		// First of all: made with a set-user-ID program's help, it may have a capability that its cgroup took.
		c.do(sys.Capset, capHeader(), capData(0, 0, 0)).about("give up", "the capabilities")
	}
	c.compileSession()
	c.compileGate()
	if adj := process.OOMScoreAdj; adj != nil {
		c.from("/process/oomScoreAdj")
		// The files of a process that is not dumpable are root's (proc(5)). Here, behind the gate and before the container,
		// a user's child has nothing that its other processes do not have.
		user := host.UID != 0
		if user {
			c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_DUMPABLE), num(1), num(0), num(0), num(0))
		}
		c.write("/proc/self/oom_score_adj", strconv.Itoa(*adj), "set oom_score_adj to", strconv.Itoa(*adj))
		if user {
			c.compileUndumpable()
		}
	}
	c.compileLabels()                         // by the host's /proc: that of the container may be anything
	c.compilePlacement(host.Hierarchies, nil) // where the container has limits now, which need not be those of config.json
	if a := process.ExecCPUAffinity; a != nil {
		// The child is born in its cgroup: what is to hold before the cgroup does holds for what this program does for it.
		c.compileAffinity("initial", a.Initial)
	}
	c.compileJoin()
	c.compileConsole()
	if a := process.ExecCPUAffinity; a != nil {
		c.compileAffinity("final", a.Final)
	}
	c.compileProcess()
	return c.done()
}

// compileJoin joins the namespaces of the container's first process, all at once by its pidfd (setns(2), Linux 5.8):
// the kernel takes the user namespace first and judges the others with the rights that it gives.
func (c *compiler) compileJoin() {
	in := c.input(Input{Kind: InputProcess})
	flags := c.joined
	if flags&sys.CLONE_NEWUSER == 0 && flags&sys.CLONE_NEWPID != 0 {
		c.prog.PIDNamespace = int(in.n) // the child is born there
		flags &^= sys.CLONE_NEWPID
	}
	if flags != 0 {
		c.do(sys.Setns, in, bits(flagsClone, flags)).about("join", "the container")
	}
	if flags&sys.CLONE_NEWPID != 0 {
		c.prog.Forks = true
		c.do(sys.Clone, bits(flagsClone, sys.CLONE_PARENT|17), num(0), num(0), num(0), num(0)).must(0).about("be born in", "the container's pid namespace")
		c.do(sys.Setsid) // the one before was the first child's
	}
}
