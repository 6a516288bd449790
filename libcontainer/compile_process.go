package libcontainer

import (
	"path"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// compileProcess turns the child into the process of config.json. Order matters:
//   - scheduling before capabilities and ids: a realtime class needs CAP_SYS_NICE;
//   - limits before capabilities: raising a hard limit needs CAP_SYS_RESOURCE (setrlimit(2));
//   - the bounding set before the ids: dropping from it needs CAP_SETPCAP;
//   - ids before the other capability sets: leaving uid 0 clears them (capabilities(7));
//   - the working directory after the ids: it is entered with the process's own rights;
//   - the parent-death signal after the ids and capabilities: a change of credentials clears it (prctl(2));
//   - the look for a living parent after that signal is armed, so that no moment is uncovered;
//   - the seccomp filter last: it applies to what follows.
func (c *compiler) compileProcess() {
	p := c.process()
	c.compileScheduling(p)
	c.hold(p)
	c.compileRlimits(p)
	c.compileCredentials(p)
	if p.NoNewPrivileges {
		c.from("/process/noNewPrivileges")
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_NO_NEW_PRIVS), num(1), num(0), num(0), num(0))
	}
	c.compileCwd(p)
	c.from("/process/user/umask")
	umask := uint64(0o022)
	if p.User.Umask != nil {
		umask = uint64(*p.User.Umask)
	}
	c.do(sys.Umask, bits(flagsOctal, umask))
	c.compileRelease(p)
	if c.spec.Process == nil {
		c.compileNoProcess()
		return
	}
	c.compileSeccomp()
	c.compileExecve(p)
}

const enterCwd = "enter the working directory"

// compileMissingCwd makes the working directory when it is not there, as an image's may not be: root's, in the root that
// can still be written to, by steps that no link leads out of it.
func (c *compiler) compileMissingCwd() {
	p := c.process()
	base, rel := c.where(p.Cwd)
	if c.spec.Root == nil || rel == "" {
		return
	}
	c.from("/process/cwd")
	parent := c.parents(base, rel, enterCwd, p.Cwd)
	c.do(sys.Mkdirat, at(parent), str(path.Base(rel)), bits(flagsOctal, 0o755)).ok(sys.EEXIST).about(enterCwd, p.Cwd)
	c.from("")
}

// compileCwd enters the working directory.
func (c *compiler) compileCwd(p *specs.Process) {
	c.from("/process/cwd")
	// No magic link: /proc/self/fd/N would be a directory of the host (CVE-2024-21626).
	dir := c.fd(c.do(sys.Openat2, neg(sys.AT_FDCWD), str(p.Cwd), openHow(sys.O_PATH|sys.O_DIRECTORY|sys.O_CLOEXEC, 0, sys.RESOLVE_NO_MAGICLINK), num(24)).about(enterCwd, p.Cwd))
	c.do(sys.Fchdir, at(dir)).about(enterCwd, p.Cwd)
}

// compileNoProcess is the end of a container that was created without a process: it cannot be started. A file without
// a name is never there.
func (c *compiler) compileNoProcess() {
	c.from("/process")
	c.do(sys.Execve, str(""), c.list(nil), c.list(nil)).about("start", "a container whose config.json has no process")
}

func (c *compiler) compileRlimits(p *specs.Process) {
	nofile := false
	for i, l := range p.Rlimits {
		c.fromIndex("/process/rlimits", i)
		n := rlimit(l.Type)
		nofile = nofile || n == sys.RLIMIT_NOFILE
		c.do(sys.Prlimit64, num(0), bits(flagsRlimit, uint64(n)), rlimit64(l.Soft, l.Hard), num(0)).about("set", l.Type)
	}
	c.from("")
	if !nofile && c.host.Nofile[1] != 0 {
		// The Go runtime has raised the soft limit for itself: the container gets the caller's.
		c.do(sys.Prlimit64, num(0), bits(flagsRlimit, sys.RLIMIT_NOFILE), rlimit64(c.host.Nofile[0], c.host.Nofile[1]), num(0)).about("restore", "RLIMIT_NOFILE")
	}
}

// annotationKeepGroups is crun's: with "1" the process keeps the supplementary groups that this process was called with,
// also those that have no name in its user namespace.
const annotationKeepGroups = "run.oci.keep_original_groups"

func keepsGroups(s *specs.Spec) bool { return s.Annotations[annotationKeepGroups] == "1" }

// nested says whether this process is root of a user namespace that was made before: with CAP_SETGID, setgroups(2) is
// refused there alone, and in those that are made in it.
func (c *compiler) nested() bool {
	const capSetgid = 6
	return c.host.UID == 0 && !c.host.Mknod && c.host.Lacks&(1<<capSetgid) == 0
}

func (c *compiler) compileCredentials(p *specs.Process) {
	caps := c.capabilitySets(p)
	c.compileBounding(caps.bounding)
	c.from("/process/user")
	if p.User.UID != 0 {
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_KEEPCAPS), num(1), num(0), num(0), num(0))
	}
	if !c.prog.DenySetgroups && !keepsGroups(c.spec) {
		o := c.do(sys.Setgroups, num(uint64(len(p.User.AdditionalGids))), ids(p.User.AdditionalGids)).about("set", "the supplementary groups")
		if (c.joined&sys.CLONE_NEWUSER != 0 || c.nested()) && len(p.User.AdditionalGids) == 0 {
			o.ok(sys.EPERM) // setgroups may be denied there: what groups the caller had mean nothing in it
		}
	}
	u, g := uint64(p.User.UID), uint64(p.User.GID)
	c.do(sys.Setresgid, num(g), num(g), num(g)).about("become", "gid "+strconv.FormatUint(g, 10))
	c.do(sys.Setresuid, num(u), num(u), num(u)).about("become", "uid "+strconv.FormatUint(u, 10))
	if p.User.UID != 0 {
		c.do(sys.Prctl, bits(flagsPrctl, sys.PR_SET_KEEPCAPS), num(0), num(0), num(0), num(0))
	}
	c.compileCapabilities(caps)
}

// defaultPath is searched when the process has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// compileExecve looks args[0] up as execvp(3) does, without a branch: every directory of PATH is tried
// twice. The first round takes no answer but success; the second stops at a file that is there but may
// not be executed, and its last op reports that nothing was there.
func (c *compiler) compileExecve(p *specs.Process) {
	c.from("/process/args/0")
	env := withHome(lastWins(p.Env), c.host.Home)
	argv, envp := c.list(p.Args), c.list(env)
	name := p.Args[0]
	if strings.Contains(name, "/") {
		c.do(sys.Execve, str(name), argv, envp).about("execute", name)
		return
	}
	files := pathFiles(env, name)
	for _, f := range files {
		c.do(sys.Execve, str(f), argv, envp).ok(sys.ENOENT, sys.ENOTDIR, sys.EACCES).about("execute", f)
	}
	for _, f := range files {
		c.do(sys.Execve, str(f), argv, envp).ok(sys.ENOENT, sys.ENOTDIR).about("execute", f)
	}
	// Nothing was there. A name without a slash is not searched by execve(2): an empty one has no file.
	c.do(sys.Execve, str(""), argv, envp).about("find", strconv.Quote(name)+" in PATH")
}

func searchPath(env []string) string {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			return v
		}
	}
	return defaultPath
}

// lastWins drops the earlier of two entries for the same variable.
func lastWins(env []string) []string {
	name := func(kv string) string {
		k, _, _ := strings.Cut(kv, "=")
		return k
	}
	dup := false
	for i := range env {
		for j := i + 1; j < len(env) && !dup; j++ {
			dup = name(env[i]) == name(env[j])
		}
	}
	if !dup {
		return env
	}
	var out []string
next:
	for i, kv := range env {
		for _, later := range env[i+1:] {
			if name(later) == name(kv) {
				continue next
			}
		}
		out = append(out, kv)
	}
	return out
}
