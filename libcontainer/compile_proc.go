package libcontainer

import (
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
)

// compileProc holds the host's /proc open before a mount namespace is joined: the files that are written below it
// would be those of whoever has mounted something on /proc there (CVE-2019-16884, CVE-2019-19921).
func (c *compiler) compileProc() {
	p := c.process()
	if c.joined&sys.CLONE_NEWNS != 0 && (p.ApparmorProfile != "" || p.SelinuxLabel != "" || p.OOMScoreAdj != nil && !c.userns() || len(c.linux.Sysctl) > 0) {
		c.proc = c.fd(c.do(sys.Openat, neg(sys.AT_FDCWD), str("/proc"), bits(flagsOpen, sys.O_PATH|sys.O_DIRECTORY|sys.O_CLOEXEC)).about("open", "/proc"))
	}
}

// write writes a file of the host's /proc, through no link that leads out of it and in no other file system.
func (c *compiler) write(path, value, verb, object string) {
	resolve := uint64(sys.RESOLVE_NO_MAGICLINK)
	if c.proc != noSlot {
		path, resolve = strings.TrimPrefix(path, "/proc/"), resolve|sys.RESOLVE_NO_XDEV
	}
	f := c.fd(c.do(sys.Openat2, at(c.proc), str(path), openHow(sys.O_WRONLY|sys.O_CLOEXEC, 0, resolve), num(24)).about(verb, object))
	c.do(sys.Write, at(f), str(value), num(uint64(len(value)))).about(verb, object)
}

// compileLabels tells the security modules what the process becomes when it executes the user's program; until
// then nothing changes. Before no_new_privs, with which a module may allow less, and in the host's /proc: that of the
// container may be anything.
func (c *compiler) compileLabels() {
	p := c.process()
	if name := p.ApparmorProfile; name != "" {
		c.from("/process/apparmorProfile")
		if !c.host.AppArmor {
			c.problem(c.origin, "AppArmor is not enabled on this machine", "leave it out")
		}
		c.write("/proc/self/attr/apparmor/exec", "exec "+name, "set the AppArmor profile", name)
	}
	if label := p.SelinuxLabel; label != "" {
		c.from("/process/selinuxLabel")
		if !c.host.SELinux {
			c.problem(c.origin, "SELinux is not enabled on this machine", "leave it out")
		}
		c.write("/proc/self/attr/exec", label, "set the SELinux label", label)
	}
	c.from("")
}

// compileKeyLabel gives the session keyring that is made next the label of the process, which could not use its keys
// otherwise. execve(2) undoes it.
func (c *compiler) compileKeyLabel() {
	if label := c.process().SelinuxLabel; label != "" {
		c.from("/process/selinuxLabel")
		c.write("/proc/self/attr/keycreate", label, "set the SELinux label of keys to", label)
		c.from("")
	}
}
