package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/internal/shim"
)

// finding is one line of doctor.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn or fail
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // one command
}

const (
	statusOK   = "ok"
	statusWarn = "warn" // works, but not all of it
	statusFail = "fail" // no container runs
)

func (a *app) doctorCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine can run containers",
		Long: "Look at all that a container needs of this machine, and run one. Each line is ok, warn or fail, with\n" +
			"the command that mends it. The exit code is 1 when anything failed.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.report(a.examine(), format)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

func (a *app) report(findings []finding, format string) error {
	ok := true
	var b strings.Builder
	for _, f := range findings {
		ok = ok && f.Status != statusFail
		b.WriteString(pad(f.Status, 6) + pad(f.Check, 12) + f.Detail + "\n")
		if f.Fix != "" {
			b.WriteString(pad("", 18) + "fix: " + f.Fix + "\n")
		}
	}
	if !ok {
		a.code = codeFailed
	}
	if format == formatJSON {
		return a.printJSON(struct {
			Schema int       `json:"schema"`
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{schema, ok, findings})
	}
	_, err := a.stdout.WriteString(b.String())
	return err
}

func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }

// Linux 5.14 is the first with all that locald needs; cgroup.kill came with it.
const kernelMajor, kernelMinor = 5, 14

func kernelFinding(release string) finding {
	f := finding{Check: "kernel", Status: statusOK, Detail: "Linux " + release}
	part := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	if len(part) < 2 {
		f.Status, f.Detail, f.Fix = statusWarn, "the version of this kernel is not known: "+strconv.Quote(release), "uname -r"
		return f
	}
	major, _ := strconv.Atoi(part[0])
	minor, _ := strconv.Atoi(part[1])
	if major < kernelMajor || major == kernelMajor && minor < kernelMinor {
		f.Status, f.Detail, f.Fix = statusFail, f.Detail+"; locald needs 5.14 or newer", "upgrade the kernel"
	}
	return f
}

// helperState is what doctor knows of the helper.
type helperState struct {
	helper     shim.Helper
	findErr    error
	bit        bool // the mode has the set-user-ID bit, whatever the kernel makes of it
	noSUID     bool
	unsafe     string
	links      uint64
	version    string
	versionErr error
	root       bool // the caller is
	dumpable   bool // fs.suid_dumpable is 1, with which the helper refuses to work set-user-ID
}

// helperFinding also tells a caller who can do without the bit that it is not there.
func helperFinding(s helperState) finding {
	const setup = "sudo locald setup"
	fail := func(detail, fix string) finding {
		return finding{Check: "shim", Status: statusFail, Detail: detail, Fix: fix}
	}
	path := s.helper.Path
	switch {
	case s.findErr != nil:
		return fail(s.findErr.Error(), setup)
	case s.dumpable && s.helper.Setuid && !s.root:
		return fail("fs.suid_dumpable is 1, with which a caller can trace set-user-ID programs, so locald-shim refuses to be one", "sudo sysctl -w fs.suid_dumpable=0")
	case s.versionErr != nil:
		return fail(path+" does not answer: "+s.versionErr.Error(), setup)
	case s.version != shim.Version:
		return fail("["+idVersion+"] "+path+" is "+s.version+" but this locald needs "+shim.Version, setup)
	case s.bit && s.unsafe != "":
		return fail("["+idUnsafe+"] "+s.unsafe+", so others could replace locald-shim", setup+" --shim-dir /usr/libexec/locald")
	case s.bit && s.links > 1:
		return fail("["+idUnsafe+"] "+path+" has a second name somewhere (hard link)", setup)
	case s.root:
		return finding{Check: "shim", Status: statusOK, Detail: path + " " + s.version}
	case s.helper.Setuid:
		return finding{Check: "shim", Status: statusOK, Detail: path + " " + s.version + ", set-user-ID root"}
	case s.bit && s.noSUID:
		return fail("["+idNoSUID+"] "+path+" is on a file system mounted nosuid", setup+" --shim-dir /usr/libexec/locald")
	case s.bit:
		return finding{
			Check: "shim", Status: statusWarn, Fix: "call locald from a shell without it, as of a new login",
			Detail: path + " is set-user-ID root, but this process has no_new_privs, so the bit has no effect",
		}
	}
	return finding{
		Check: "shim", Status: statusWarn, Fix: setup,
		Detail: path + " " + s.version + ", not set-user-ID root: one id in a container, and no limits but in a delegated cgroup",
	}
}

// namespaceState are the switches that a host has against user namespaces; "" is one that it has not.
type namespaceState struct {
	maximum           string // user.max_user_namespaces
	forbidden         string // the switch that keeps users from making one, as forbiddenBy names it
	root, setuid      bool
	mayUse, mayBypass bool  // what shim.conf lets the caller have
	confErr           error // why it cannot be read
}

// forbiddenBy is the switch by which a host keeps users from making user namespaces, "" when it does not.
// It takes the values of two: the first is Debian's and of hardened kernels, the second of Ubuntu 23.10 and
// newer. "" is a switch that the kernel does not have.
func forbiddenBy(clone, apparmor string) string {
	switch {
	case clone == "0":
		return "kernel.unprivileged_userns_clone=0"
	case apparmor == "1":
		return "kernel.apparmor_restrict_unprivileged_userns=1"
	}
	return ""
}

func namespaceFinding(s namespaceState) finding {
	f := finding{Check: "namespaces", Status: statusOK}
	fail := func(detail, fix string) finding {
		return finding{Check: f.Check, Status: statusFail, Detail: detail, Fix: fix}
	}
	switch {
	case s.root:
		f.Detail = "root needs no user namespace"
	case s.setuid && s.confErr != nil:
		return fail(s.confErr.Error(), "sudoedit /etc/locald/shim.conf")
	case s.setuid && !s.mayUse:
		return fail("/etc/locald/shim.conf does not let you run containers", "sudoedit /etc/locald/shim.conf")
	case s.maximum == "0":
		return fail("user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=10000")
	case s.forbidden == "":
		f.Detail = "users may make user namespaces"
	case s.setuid && s.mayBypass:
		f.Detail = "forbidden to users (" + s.forbidden + "); locald-shim makes them for you"
	default:
		return fail("forbidden to users ("+s.forbidden+")", "sudo locald setup")
	}
	return f
}

// cgroupState is how the host limits processes.
type cgroupState struct {
	version     string   // "v2", "hybrid", "v1" or ""
	controllers []string // of the cgroup2 hierarchy, or of v1 where that has none
	root        bool
	setuid      bool // the helper is, and so makes cgroups for users
	conf        bool // and shim.conf lets it
}

func cgroupFinding(s cgroupState) finding {
	f := finding{Check: "cgroups", Status: statusOK, Detail: s.version + ": " + strings.Join(s.controllers, " ")}
	var missing []string
	for _, want := range []string{"memory", "cpu", "pids"} {
		found := false
		for _, c := range s.controllers {
			found = found || c == want
		}
		if !found {
			missing = append(missing, want)
		}
	}
	const unified = "boot with systemd.unified_cgroup_hierarchy=1"
	switch {
	case s.version == "":
		f.Status, f.Detail = statusWarn, "no cgroup file system at /sys/fs/cgroup: limits cannot be applied"
		f.Fix = "sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup"
	case s.version != "v2" && !s.root:
		f.Status, f.Detail, f.Fix = statusWarn, f.Detail+"; only root's containers can have limits here", unified
	case s.version == "v1":
		f.Status, f.Detail, f.Fix = statusWarn, f.Detail+"; there is no cgroup2 hierarchy", unified
	case len(missing) > 0:
		f.Status, f.Detail, f.Fix = statusWarn, f.Detail+"; limits need "+strings.Join(missing, ", ")+" as well", "boot without cgroup_disable"
	case !s.root && !s.setuid:
		f.Status, f.Detail, f.Fix = statusWarn, f.Detail+"; limits need the set-user-ID helper, which makes a cgroup for you", "sudo locald setup"
	case !s.root && !s.conf:
		f.Status, f.Detail, f.Fix = statusWarn, f.Detail+"; cgroup = no in /etc/locald/shim.conf, so limits cannot be applied", "sudoedit /etc/locald/shim.conf"
	}
	return f
}

func subordinateFinding(g *policy.Grant, name string) finding {
	f := finding{Check: "ids", Status: statusOK}
	if name == "" {
		name = "uid " + strconv.FormatUint(uint64(g.UID), 10)
	}
	uids, gids := usable(g.SubUIDs, g.TakenUIDs), usable(g.SubGIDs, g.TakenGIDs)
	note := g.UIDNote
	if note == "" {
		note = g.GIDNote
	}
	switch {
	case g.UID == 0:
		f.Detail = "root needs no subordinate ids"
	case (uids.Count == 0 || gids.Count == 0) && note != "":
		f.Status, f.Detail, f.Fix = statusWarn, note+": a container has one id", "sudoedit /etc/subuid /etc/subgid"
	case uids.Count == 0 || gids.Count == 0:
		f.Status, f.Fix = statusWarn, "sudo locald setup"
		f.Detail = "no range for " + name + " in /etc/subuid and /etc/subgid: a container has one id, so apt, postgres and others that change users fail"
	case !g.Setuid:
		f.Status, f.Fix = statusWarn, "sudo locald setup"
		f.Detail = "there are ranges for " + name + ", but only a set-user-ID locald-shim can use them"
	default:
		f.Detail = "uids " + uids.String() + ", gids " + gids.String()
	}
	return f
}

// ownerFinding is about the option owner of volumes, by which files on the disk are the caller's and in the container
// another user's. on is what shim.conf says.
func ownerFinding(g *policy.Grant, on bool) finding {
	f := finding{Check: "owner", Status: statusWarn}
	const works = "-v SRC:DST:owner=USER works on file systems that map ids"
	switch {
	case g.UID == 0:
		f.Status, f.Detail = statusOK, works
	case !g.Setuid:
		f.Detail, f.Fix = "-v SRC:DST:owner=USER takes a set-user-ID locald-shim", "sudo locald setup"
	case !on:
		f.Detail, f.Fix = "-v SRC:DST:owner=USER is switched off by idmap = no in /etc/locald/shim.conf", "sudoedit /etc/locald/shim.conf"
	case usable(g.SubUIDs, g.TakenUIDs).Count == 0 || usable(g.SubGIDs, g.TakenGIDs).Count == 0:
		f.Detail, f.Fix = "-v SRC:DST:owner=USER takes ranges in /etc/subuid and /etc/subgid", "sudo locald setup"
	default:
		f.Status, f.Detail = statusOK, works
	}
	return f
}
