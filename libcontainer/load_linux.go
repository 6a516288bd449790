package libcontainer

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Load finds a container that was made with the same StateDir, by whatever process. Close lets go of it. Errors:
// ErrNotExist, *OpError.
func Load(stateDir, id string) (*Container, error) {
	if !ValidID(id) {
		return nil, ErrNotExist
	}
	s, err := lookup(stateDir, id)
	if err != nil {
		return nil, err
	}
	defer s.drop()
	return load(stateDir, s)
}

func load(stateDir string, s *stateDir) (*Container, error) {
	c := &Container{ID: s.id, StateDir: stateDir, run: newRunning()}
	var err error
	if c.run.record, err = s.read(); err == unix.ENOENT || err == unix.ENOTDIR {
		return nil, ErrNotExist
	} else if err != nil {
		return nil, stateError("read "+s.id+"/state.json", err)
	}
	fd, err := openProcess(&c.run.record)
	if err != nil && err != unix.ESRCH {
		return nil, stateError("find the process of "+s.id, err)
	}
	if err == nil {
		c.run.pid, c.run.pidfd = c.run.record.Pid, fd
	}
	return c, nil
}

// Close lets go of the container, which goes on.
func (c *Container) Close() {
	closeFD(&c.run.pidfd)
	c.run.pid = 0
}

// Spec is the container's config.json as it was when the container was made.
func (c *Container) Spec() (*specs.Spec, error) {
	if c.Bundle == nil {
		s, err := lookup(c.StateDir, c.ID)
		if err != nil {
			return nil, err
		}
		defer s.drop()
		b := &Bundle{Path: c.run.record.Bundle, fd: -1}
		if b.text, err = s.get("config.json"); err != nil {
			return nil, stateError("read "+c.ID+"/config.json", err)
		}
		if err := b.decode(); err != nil {
			return nil, err
		}
		c.Bundle = b
	}
	return c.Bundle.Spec, nil
}

// openCgroup opens the container's cgroup; nil when it has none, or has none any more.
func (c *Container) openCgroup() *Cgroup {
	if c.run.record.Cgroup == "" {
		return nil
	}
	cg, err := OpenCgroup(c.run.record.Cgroup)
	if err != nil {
		return nil
	}
	cg.unit, cg.bus = c.run.record.Scope, c.run.record.Bus
	return cg
}

// lookCgroups is where this process has the cgroups of its containers.
func lookCgroups() cgroup.Layout {
	l := cgroup.Look("/sys/fs/cgroup")
	if unix.Geteuid() != 0 {
		l = l.WithoutV1()
	}
	return l
}

// LookExec is LookHost for a process that is to join the container: what Compile would look at in a bundle is of no
// concern to it.
func (c *Container) LookExec(p *specs.Process) (Host, error) {
	h := LookHost(nil)
	h.Cgroups = lookCgroups()
	h.AppArmor, h.SELinux = lookLabels(p)
	if p.Terminal && p.ConsoleSize == nil {
		h.Window = lookWindow()
	}
	if !hasHome(p.Env) {
		h.Home = homeAt(unix.AT_FDCWD, []passwdPlace{{"/proc/" + strconv.Itoa(c.run.record.Pid) + "/root", "etc/passwd"}}, p.User.UID)
	}
	text := readText("/proc/" + strconv.Itoa(c.run.record.Pid) + "/cgroup")
	h.DefaultCgroup = c.firstCgroup(h.Cgroups.Unified, text)
	h.Hierarchies = hierarchies(h.Cgroups, c.run.record.Cgroup, text)
	dir := "/proc/" + strconv.Itoa(c.run.record.Pid) + "/ns/"
	for _, n := range [...]struct {
		name string
		kind specs.LinuxNamespaceType
	}{{"user", specs.UserNamespace}, {"pid", specs.PIDNamespace}, {"mnt", specs.MountNamespace}, {"net", specs.NetworkNamespace},
		{"ipc", specs.IPCNamespace}, {"uts", specs.UTSNamespace}, {"cgroup", specs.CgroupNamespace}, {"time", specs.TimeNamespace}} {
		var its, ours unix.Stat_t
		if err := unix.Stat("/proc/self/ns/"+n.name, &ours); err != nil {
			continue // a kernel without them: time namespaces can be configured out
		}
		if err := unix.Stat(dir+n.name, &its); err != nil {
			if !c.alive() {
				return h, ErrStopped
			}
			return h, &OpError{PhaseCompiled, -1, "look at " + filepath.Join(dir, n.name), "", errnoOf(err), ""}
		}
		if its.Ino != ours.Ino || its.Dev != ours.Dev {
			h.Joins |= namespaceFlag(n.kind)
		}
	}
	return h, nil
}

// firstCgroup is the cgroup for a process that joins: the container's, or one below it to which the first process has
// moved, as systemd does, because a cgroup with controllers for its children takes no process (cgroup-v2.rst).
func (c *Container) firstCgroup(unified bool, text string) string {
	path := c.run.record.Cgroup
	if path == "" || !unified {
		return path
	}
	for line := range strings.Lines(text) {
		if now, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok && strings.HasPrefix(now, path+"/") && !strings.Contains(now, "/../") {
			return now
		}
	}
	return path
}
