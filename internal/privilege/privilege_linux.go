// Package privilege is everything that locald-shim does with root's power for a caller who is not root,
// in the order in which it happens. Nothing else in the program raises a capability or changes an id.
//
// The order is the security argument. With root's ids nothing of the caller's is looked at: no path,
// no file, no environment. With the caller's input in hand the process has the caller's ids and no
// effective capability, except in AroundClone and AtGate, which take no decision. Before the container's
// first instruction of its own, and before anything is undone after an error, all power is gone for good.
//
//	Enter       uid U/0/0       who called; what root's power is needed for beforehand; then become U
//	            uid U/U/U       (the program opens, checks and compiles the bundle as U, and says what it will not need:
//	                            MapsIDs, Joins, IntoCgroup)
//	AroundClone uid U/U/U       make the child, in a cgroup below the caller's base
//	AtGate      uid U/U/U, fs 0 write the id maps
//	            uid U/U/U       map the ids of mounts; then give everything up
//	            uid U/U/U       no capability, no way back
//
// Every change is verified on every thread, because the kernel's word that it was made is not enough: a
// forged success left a process that owned /etc/shadow (strace -e inject=setresuid:retval=0).
package privilege

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/libcontainer"
	"golang.org/x/sys/unix"
)

// Caller is who runs this program, and with what power.
type Caller struct {
	UID, GID int           // real ids
	Root     bool          // real uid 0: the whole runtime, no policy
	Grant    *policy.Grant // what the admin lets a caller do who is not root; nil for root
	StateDir string        // where container state is kept; MakeState sees that it exists

	setuid   bool    // real uid is not 0, effective uid was
	bypass   bool    // shim.conf: may have a user namespace where the host forbids it
	joins    bool    // a process joins a container: no id maps are written
	maps     bool    // mounts of the container want, or may want, their ids mapped
	intoBase bool    // the container is born in a cgroup below the caller's base
	limits   []limit // what limits the caller in its own cgroup
}

// The capabilities that are kept over the change of ids, permitted but not effective: SETUID and SETGID to write
// id maps; DAC_OVERRIDE for the one clone3 that puts a child into a cgroup (it asks for write permission to the common
// ancestor's cgroup.procs, which is root's); SYS_ADMIN where shim.conf has not switched the maps of mounts off until
// config.json is read, then only where a mount wants its ids mapped, and where the admin lets this caller have a user
// namespace that the host forbids.
const (
	capSetgid   = 1 << unix.CAP_SETGID
	capSetuid   = 1 << unix.CAP_SETUID
	capSysAdmin = 1 << unix.CAP_SYS_ADMIN
	capDAC      = 1 << unix.CAP_DAC_OVERRIDE
	capNetAdmin = 1 << unix.CAP_NET_ADMIN
	capChown    = 1 << unix.CAP_CHOWN
)

// IntoCgroup says which cgroup the process is to be born in, "" for the caller's own or one that systemd makes. One below
// the caller's base takes AroundClone's help; any other is reached with the caller's own rights, or not at all.
//
// after: permitted DAC_OVERRIDE only for one below the base
func (c *Caller) IntoCgroup(path string) error {
	c.intoBase = c.intoBase && c.Grant.InBase(path)
	return c.narrow()
}

// Joins says that a process is made which joins a container of the caller's. It takes no id map, and no user namespace
// of its own makes its capabilities mean nothing: so all are given up at once but the one that puts it into the container's
// cgroup, and that is the first thing that it gives up itself (libcontainer.CompileExec). To be called before anything of
// the caller's is looked at.
//
// after: permitted DAC_OVERRIDE where the caller has a base, else none
func (c *Caller) Joins() error {
	c.joins = true
	return c.narrow()
}

// MapsIDs says whether mounts of the container want, or may want, their ids mapped. If not, the power for it goes.
//
// after: permitted SYS_ADMIN only with yes, or for a caller who may have a user namespace where the host forbids it
func (c *Caller) MapsIDs(yes bool) error {
	c.maps = c.maps && yes
	return c.narrow()
}

// narrow gives up what no step to come needs. It never takes anything back: what the flags stand for only becomes less.
func (c *Caller) narrow() error {
	if !c.setuid {
		return nil
	}
	return setCaps(0, c.kept())
}

// kept are the capabilities that the steps to come may need.
func (c *Caller) kept() (keep uint64) {
	if c.intoBase {
		keep = capDAC
	}
	if c.joins {
		return keep
	}
	if c.bypass {
		keep |= capSysAdmin
	}
	return keep | c.atGate()
}

// atGate are those of AtGate.
func (c *Caller) atGate() uint64 {
	switch {
	case c.joins:
		return 0
	case c.maps:
		return capSetuid | capSetgid | capSysAdmin
	}
	return capSetuid | capSetgid
}

// The main goroutine is on the first thread while packages are initialised, and may be on another in main. It stays
// there until Enter knows better (runtime.LockOSThread): so what power there is belongs to the thread that
// /proc/PID/status shows.
func init() { runtime.LockOSThread() }

// Enter finds out who called. For a caller who is not root and a program that is set-user-ID it does
// everything that needs root's ids, and becomes the caller. To be called first; the goroutine stays locked to
// its thread then, and makes the container.
//
// before: uid U/0/0, all capabilities, or whatever an ordinary process has
// after:  uid U/U/U on every thread, no effective capability, permitted, on this one alone, at most
// SETUID, SETGID, DAC_OVERRIDE, SYS_ADMIN
func Enter() (*Caller, error) {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	c := &Caller{UID: ruid, GID: rgid, Root: ruid == 0}
	syscall.Umask(0o022) // modes of what is made here are not the caller's to choose
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		becomeNobodySpecial(ruid, rgid)
		return nil, fail("close_range", err)
	}
	if ruid == euid && euid == suid && rgid == egid && egid == sgid {
		runtime.UnlockOSThread()
		c.plain()
		return c, nil
	}
	if ruid == 0 || euid != 0 || rgid != egid || egid != sgid {
		becomeNobodySpecial(ruid, rgid)
		return nil, errors.New("locald-shim is installed wrongly: it must be set-user-ID root and not set-group-ID")
	}
	c.setuid = true
	if err := c.lower(); err != nil {
		becomeNobodySpecial(ruid, rgid)
		return nil, err
	}
	return c, nil
}

// lower is Enter for a program that runs set-user-ID.
func (c *Caller) lower() error {
	// This thread is the only one that ever has an effective capability from here on. It stays locked.
	runtime.LockOSThread()
	// A change on all threads sends each a real-time signal, and waits for ever for one that cannot be queued.
	var pending unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_SIGPENDING, nil, &pending) != nil || pending.Cur < 64 {
		die("RLIMIT_SIGPENDING is too low (ulimit -i): 64 are needed")
	}
	// Where fs.suid_dumpable is 1, each change of ids makes the process dumpable, as execve(2) has done: a thread that has
	// given its power up would be the caller's way into the memory of one that has not, until prctl(2) takes that back.
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || n == 1 {
		die("fs.suid_dumpable is 1, with which a caller can trace set-user-ID programs; sysctl -w fs.suid_dumpable=0")
	}
	// Honoured by the Go runtime before main, in a set-user-ID program too: it prints and switches things.
	if os.Getenv("GODEBUG") != "" {
		return errors.New("refusing GODEBUG in setuid mode")
	}
	os.Clearenv()
	if err := c.shrink(); err != nil {
		return err
	}
	if err := c.grant(); err != nil {
		return err
	}
	return c.become()
}

// plain is Enter for root, and for anybody without the set-user-ID bit: there is no power to give up.
func (c *Caller) plain() {
	c.StateDir = os.Getenv("XDG_RUNTIME_DIR")
	if c.Root && (c.StateDir == "" || libcontainer.InInitUserns()) { // to the root of a rootless engine's user namespace /run is somebody else's
		c.StateDir = rootState
		return
	}
	if c.StateDir == "" {
		c.StateDir = "/run/user/" + strconv.Itoa(c.UID)
	}
	c.StateDir += "/locald-shim"
	if c.Root {
		return
	}
	c.Grant = &policy.Grant{UID: uint32(c.UID), GID: uint32(c.GID)}
	c.ownLimits()
}

// rootState is where the containers of the machine's root are.
const rootState = "/run/locald/root"

// Setuid says whether the program runs set-user-ID, for a caller who is not root.
func (c *Caller) Setuid() bool { return c.setuid }

// MakeState makes StateDir where Enter has not, with the ids that the process has.
func (c *Caller) MakeState() error {
	switch {
	case c.setuid:
		return nil
	case c.StateDir == rootState:
		if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
			return err
		}
		return os.Chmod("/run/locald", 0o755) // the way to the other users' directories
	}
	if err := os.Mkdir(c.StateDir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return errors.New("no place to keep container state: " + err.Error() + "; set XDG_RUNTIME_DIR to a directory of yours")
	}
	return nil
}

// shrink gives up what is needed at no step.
//
// before: uid U/0/0, all capabilities
// after:  uid U/0/0; permitted SETUID, SETGID, SYS_ADMIN, CHOWN, DAC_OVERRIDE, NET_ADMIN, effective the
// first two and CHOWN; bounding set empty on this
// thread, the only one that clones; not dumpable, so that the caller can neither trace nor read this process
func (c *Caller) shrink() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fail("prctl(PR_SET_DUMPABLE)", err)
	}
	for n := uintptr(0); n < 64; n++ {
		if unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0) != nil {
			break // EINVAL: past the last capability
		}
	}
	const permitted = capSetuid | capSetgid | capSysAdmin | capChown | capDAC | capNetAdmin
	return setCaps(capSetuid|capSetgid|capChown, permitted)
}

// become turns the process into the caller's, on every thread. Only this one keeps capabilities: on the others the
// change of ids takes them all (capabilities(7)). The group ids are the caller's already, all four (Enter has refused
// others, and execve(2) makes the file-system gid the effective one), which verify sees; so are the supplementary
// groups, which must stay: a group can forbid as well as allow (CVE-2014-8989).
//
// before: uid U/0/0, effective SETUID SETGID CHOWN
// after:  uid U/U/U fs U, gid G/G/G, effective none, permitted SETUID SETGID (DAC_OVERRIDE, SYS_ADMIN) on this
// thread and none on the others, not dumpable
func (c *Caller) become() error {
	c.maps, c.intoBase = c.Grant.IDMap, c.Grant.CgroupBase != "" // until MapsIDs and IntoCgroup say more
	keep := c.kept()
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fail("prctl(PR_SET_KEEPCAPS)", err)
	}
	u := uintptr(c.UID)
	if err := everywhere("setresuid", unix.SYS_SETRESUID, u, u, u); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 0, 0, 0, 0); err != nil {
		return fail("prctl(PR_SET_KEEPCAPS)", err)
	}
	// commit_creds sets what fs.suid_dumpable says, which is not 1 (CVE-2026-41163 is what a dumpable helper leads to).
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fail("prctl(PR_SET_DUMPABLE)", err)
	}
	if err := setCaps(0, keep); err != nil {
		return err
	}
	return c.verify(keep)
}

// Caller is what libcontainer asks around the steps that need power.
var _ libcontainer.Privilege = (*Caller)(nil)

// AroundClone is called around clone3. A child that is to be born in a cgroup below the base needs
// CAP_DAC_OVERRIDE for that: moving it there later would cost two waits for an RCU grace period, some ten
// milliseconds. The cgroup is a descriptor that was opened below the base, with the caller's rights and through no
// link. Where the host forbids unprivileged user namespaces and the admin allows this caller one all the same, clone3
// needs CAP_SYS_ADMIN. The child has neither: in its new user namespace its capabilities are about that alone.
//
// before: no effective capability; in between DAC_OVERRIDE, SYS_ADMIN or both, on this thread
// after:  no effective capability, permitted those of AtGate
func (c *Caller) AroundClone(intoCgroup bool, clone func() error) error {
	var raised uint64
	if intoCgroup && c.intoBase {
		raised = capDAC
	}
	if c.bypass && !c.joins {
		raised |= capSysAdmin
	}
	if err := setCaps(raised, raised|c.atGate()); err != nil {
		return err
	}
	err := clone()
	if e := setCaps(0, c.atGate()); e != nil {
		die(e.Error())
	}
	return err
}

// AtGate is called while the child waits: the id maps are written, the ids of mounts are mapped, and the power
// to do such things is given up before the child goes on, or is killed because of an error.
//
// before: uid U/U/U fs U, permitted SETUID SETGID (SYS_ADMIN) on this thread
// after:  uid U/U/U fs U, no capability in any set on any thread
func (c *Caller) AtGate(pid int, prepare, mapIDs func() error) error {
	err := c.stillLimited()
	if err == nil && c.joins {
		err = c.hasNothing(pid)
	} else if err == nil {
		err = c.writesMaps(prepare, mapIDs)
	}
	if e := c.Renounce(); e != nil {
		return e
	}
	return err
}

// writesMaps is AtGate for a new container. The files of a process that is not dumpable are root's, so they
// are opened with file-system uid 0; no capability to override permissions is needed, or there. The mounts come from the
// child, which has opened them with the caller's rights: CAP_SYS_ADMIN is for mount_setattr(2) alone, with no path.
//
// before: uid U/U/U fs U, permitted SETUID SETGID (SYS_ADMIN)
// after:  uid U/U/U fs U, effective at most SYS_ADMIN, or, with an error, what it had
func (c *Caller) writesMaps(prepare, mapIDs func() error) error {
	var admin uint64
	if mapIDs != nil && c.maps {
		admin = capSysAdmin
	}
	if err := setCaps(capSetuid|capSetgid, capSetuid|capSetgid|admin); err != nil {
		return err
	}
	if err := setFSUID(0); err != nil { // after SETUID is raised: without it setfsuid fails silently
		die(err.Error()) // it may be in force all the same
	}
	err := prepare()
	if e := setFSUID(c.UID); e != nil {
		die(e.Error()) // not even to clean up
	}
	if err == nil && mapIDs != nil {
		if err = setCaps(admin, admin); err == nil {
			err = mapIDs()
		}
	}
	return err
}

// Renounce gives up all power for good. AtGate ends with it; a run that ends before its gate calls it before it undoes
// anything.
//
// after: uid U/U/U, no capability on any thread, or, with an error, on this one, which alone had any; no new privileges
// on this one, which makes every process that is made, and setuid(0) refused
func (c *Caller) Renounce() error {
	if !c.setuid {
		return nil
	}
	if err := setCaps(0, 0); err != nil {
		die(err.Error())
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fail("prctl(PR_SET_NO_NEW_PRIVS)", err)
	}
	if err := c.verify(0); err != nil {
		return err
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_SETUID, 0, 0, 0); e != unix.EPERM {
		die("setuid(0) was not refused after privilege was given up")
	}
	return nil
}

// becomeNobodySpecial is for an error before become: the command line must not be looked at, nor the message
// written, with root's ids.
func becomeNobodySpecial(uid, gid int) {
	u, g := uintptr(uid), uintptr(gid)
	err := unix.Prctl(unix.PR_SET_KEEPCAPS, 0, 0, 0, 0)
	if err == nil {
		err = everywhere("setresgid", unix.SYS_SETRESGID, g, g, g)
	}
	if err == nil {
		err = everywhere("setresuid", unix.SYS_SETRESUID, u, u, u)
	}
	if err == nil {
		err = setCaps(0, 0)
	}
	r, e, s := unix.Getresuid()
	if err != nil || r != uid || e != uid || s != uid {
		die("privilege could not be given up")
	}
}

func fail(what string, err error) error { return errors.New(what + ": " + err.Error()) }
