package libcontainer

import (
	"path"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"github.com/locald/locald/libcontainer/internal/seccomp"
	"github.com/locald/locald/libcontainer/internal/systemd"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (v *validator) process() {
	p := v.spec.Process
	if p == nil {
		v.problem("/process", "process is missing", "say what to run")
		return
	}
	v.terminal(p)
	v.args(p)
	if p.Cwd == "" {
		v.problem("/process/cwd", "cwd is missing", `"/" is always there`)
	} else if !path.IsAbs(p.Cwd) || hasNUL(p.Cwd) {
		v.problem("/process/cwd", "cwd must be an absolute path", "")
	}
	if p.User.Umask != nil && *p.User.Umask > 0o777 {
		v.problem("/process/user/umask", "umask is larger than 0777", "")
	}
	if p.User.UID == 1<<32-1 || p.User.GID == 1<<32-1 {
		v.problem("/process/user", "id 4294967295 means no id", "")
	}
	if len(p.User.AdditionalGids) > 0 && keepsGroups(v.spec) {
		v.problem("/process/user/additionalGids", "the process cannot have these groups and keep the caller's", "leave them out, or the annotation "+annotationKeepGroups)
	}
	if len(p.User.AdditionalGids) > 65536 {
		v.problem("/process/user/additionalGids", "more than 65536 groups", "")
	}
	if p.User.Username != "" || p.CommandLine != "" {
		v.problem("/process", "user.username and commandLine are for Windows", "use user.uid and args")
	}
	if a := p.OOMScoreAdj; a != nil && (*a < -1000 || *a > 1000) {
		v.problem("/process/oomScoreAdj", "out of range", "-1000 to 1000")
	}
	v.label("/process/apparmorProfile", p.ApparmorProfile)
	v.label("/process/selinuxLabel", p.SelinuxLabel)
	v.scheduling(p)
	v.rlimits(p.Rlimits)
	if p.Capabilities != nil {
		v.capabilities(p.Capabilities)
	}
}

// terminal: it is made in a devpts that this Program has mounted, where no name leads to another one. Where there are no
// mounts of the container's own, in a mount namespace that is joined or the host's, it is that of the rootfs.
func (v *validator) terminal(p *specs.Process) {
	if !p.Terminal {
		return // consoleSize means nothing then (config.md)
	}
	if v.spec.Root != nil && v.has(specs.MountNamespace) && devptsOf(v.spec) < 0 {
		v.problem("/process/terminal", "a terminal needs a devpts of the container's own on /dev/pts", `add {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666", "mode=0620"]} to mounts`)
	}
	if s := p.ConsoleSize; s != nil {
		if s.Height > 0xffff {
			v.problem("/process/consoleSize/height", "more than 65535 rows", "")
		}
		if s.Width > 0xffff {
			v.problem("/process/consoleSize/width", "more than 65535 columns", "")
		}
	}
}

func (v *validator) args(p *specs.Process) {
	if len(p.Args) == 0 {
		v.problem("/process/args", "args is empty", "name the program to run")
	} else if p.Args[0] == "" {
		v.problem("/process/args/0", "the program's name is empty", "")
	}
	for i, a := range p.Args {
		if hasNUL(a) {
			v.problem("/process/args/"+strconv.Itoa(i), "an argument has no NUL byte", "")
		}
	}
	for i, e := range p.Env {
		if hasNUL(e) || strings.IndexByte(e, '=') <= 0 {
			v.problem("/process/env/"+strconv.Itoa(i), "an entry of the environment is NAME=VALUE", "")
		}
	}
}

func (v *validator) rlimits(limits []specs.POSIXRlimit) {
	for i, l := range limits {
		p := "/process/rlimits/" + strconv.Itoa(i)
		if rlimit(l.Type) < 0 {
			v.problem(p+"/type", "unknown limit "+strconv.Quote(l.Type), "see getrlimit(2)")
		}
		if l.Soft > l.Hard {
			v.problem(p+"/soft", "the soft limit is above the hard one", "")
		}
		for _, o := range limits[:i] {
			if o.Type == l.Type {
				v.problem(p+"/type", l.Type+" is listed twice", "")
				break
			}
		}
	}
}

// capabilities that do not exist or cannot be given are left out with a warning, as the specification wants: that is
// Compile's. A set that contradicts another is refused.
func (v *validator) capabilities(c *specs.LinuxCapabilities) {
	// The kernel's own rules (capabilities(7)), said here because its EPERM says nothing.
	if extra := capabilityMask(c.Effective) &^ capabilityMask(c.Permitted); extra != 0 {
		v.problem("/process/capabilities/effective", "not all of it is permitted", "add the rest to permitted")
	}
}

// linuxRest is what linux asks for beyond namespaces, mounts and paths.
func (v *validator) linuxRest() {
	l := v.linux
	if s := l.Seccomp; s != nil {
		seccomp.Check(s, v.problem)
	}
	if l.IntelRdt != nil {
		v.problem("/linux/intelRdt", "intelRdt is not supported yet", "leave it out; a createRuntime hook, which is told the pid, can write it to /sys/fs/resctrl/GROUP/tasks")
	}
	v.label("/linux/mountLabel", l.MountLabel)
	v.personality()
	v.memoryPolicy()
	v.netDevices()
	if systemd.IsPath(l.CgroupsPath) { // whether systemd makes the cgroup is not config.json's to say
		if _, reason := systemd.ParsePath(l.CgroupsPath, "", false); reason != "" {
			v.problem("/linux/cgroupsPath", reason, systemdPathHint)
		}
	} else if l.CgroupsPath != "" {
		if _, reason, hint := cgroup.Resolve(l.CgroupsPath); reason != "" {
			v.problem("/linux/cgroupsPath", reason, hint)
		}
	}
}
