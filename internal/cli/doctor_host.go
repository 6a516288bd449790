package cli

import (
	"strconv"
	"strings"
)

// What doctor looks at beside what a container cannot do without: where its data lies, and what becomes of it when its
// caller is gone.

// dataState is the directory of images, volumes and containers, or the nearest above it that there is.
type dataState struct {
	dir       string
	err       error
	fsType    string // of the file system, as mountinfo has it
	noexec    bool   // the mount is
	readonly  bool
	upper     bool   // an overlay can have its upper directory there
	notes     bool   // there are extended attributes of users, in which an overlay keeps what was made anew
	overlay   bool   // the kernel has it, or a module of it
	available uint64 // bytes
}

// lowSpace is what a few images fill.
const lowSpace = 1 << 30

func dataFinding(s dataState) finding {
	f := finding{Check: "data", Status: statusOK, Detail: s.dir + " (" + s.fsType + "), " + strconv.FormatUint(s.available>>20, 10) + " MiB free"}
	const elsewhere = "export LOCALD_HOME=/a/directory/on/a/local/disk"
	warn := func(detail, fix string) finding {
		return finding{Check: f.Check, Status: statusWarn, Detail: s.dir + " " + detail, Fix: fix}
	}
	switch {
	case s.err != nil:
		return finding{Check: f.Check, Status: statusWarn, Detail: "images and volumes have no place: " + s.err.Error(), Fix: elsewhere}
	case s.readonly:
		return warn("cannot be written: images and volumes have no place", elsewhere)
	case !s.overlay:
		return warn("is of no use without overlay, which this kernel does not know: no image can be run", "sudo modprobe overlay")
	case !s.upper:
		return warn("is on "+s.fsType+", which cannot take what a container writes: images are run in memory, and not with -d", elsewhere)
	case !s.notes:
		return warn("is on "+s.fsType+", without extended attributes of users: a container cannot replace a directory of its image", elsewhere)
	case s.noexec:
		return warn("is mounted noexec: programs in volumes cannot be executed", elsewhere)
	case s.fsType == "9p" || s.fsType == "drvfs" || strings.HasPrefix(s.fsType, "fuse"):
		return warn("is on "+s.fsType+", which is slow for many small files", elsewhere)
	case s.available < lowSpace:
		return warn("has "+strconv.FormatUint(s.available>>20, 10)+" MiB left", "locald system prune")
	}
	return f
}

// logoutState is what happens to what a user has started, when the user logs out.
type logoutState struct {
	root, systemd, lingers bool
	name                   string
}

// logoutFinding: systemd ends the user's manager, and removes /run/user/UID, a while after the last session's end
// (loginctl(1), enable-linger).
func logoutFinding(s logoutState) finding {
	f := finding{Check: "logout", Status: statusOK}
	switch {
	case s.root:
		f.Detail = "root's containers stay"
	case !s.systemd:
		f.Detail = "there is no systemd, which would end containers of run -d when you log out"
	case s.lingers:
		f.Detail = "containers of run -d stay when you log out"
	default:
		f.Status, f.Fix = statusWarn, "loginctl enable-linger"
		f.Detail = "containers of run -d may end when you log out, since systemd ends what " + s.name + " has started"
	}
	return f
}

// coresState are the settings of core dumps (core(5), proc_sys_fs(5)).
type coresState struct{ pattern, dumpable string }

func coresFinding(s coresState) finding {
	f := finding{Check: "cores", Status: statusOK, Detail: "kernel.core_pattern is " + strconv.Quote(s.pattern)}
	safe := strings.HasPrefix(s.pattern, "|") || strings.HasPrefix(s.pattern, "/")
	switch {
	case s.pattern == "":
		f.Detail = "none are written"
	case s.dumpable == "2" && !safe:
		f.Status, f.Fix = statusWarn, "sudo sysctl -w fs.suid_dumpable=0"
		f.Detail += " and fs.suid_dumpable 2: the kernel takes no such file for set-user-ID programs, and says so in its log"
	case strings.HasPrefix(s.pattern, "|"):
		f.Detail += ": it is started on this machine, also for programs in containers"
	}
	return f
}

// wslState is of a machine that is a part of Windows.
type wslState struct {
	release string
	systemd bool
}

// wslFinding is ok on other machines, without a word.
func wslFinding(s wslState) (f finding, is bool) {
	if !strings.Contains(strings.ToLower(s.release), "microsoft") {
		return finding{}, false
	}
	f = finding{Check: "wsl", Status: statusOK, Detail: "WSL2, with systemd"}
	if !s.systemd {
		f.Status, f.Fix = statusWarn, `printf '[boot]\nsystemd=true\n' | sudo tee -a /etc/wsl.conf, then in Windows: wsl --shutdown`
		f.Detail = "WSL2 without systemd: there may be no cgroup v2, and so no limits"
	}
	return f, true
}

// dnsFinding: what a container with the host's network asks is what /etc/resolv.conf names.
func dnsFinding(resolvConf string) finding {
	f := finding{Check: "dns", Status: statusOK}
	var servers []string
	for line := range strings.Lines(resolvConf) {
		if field := strings.Fields(line); len(field) > 1 && field[0] == "nameserver" {
			servers = append(servers, field[1])
		}
	}
	f.Detail = "/etc/resolv.conf names " + strings.Join(servers, ", ")
	if len(servers) == 0 {
		f.Status, f.Fix = statusWarn, "sudoedit /etc/resolv.conf"
		f.Detail = "/etc/resolv.conf names no server, so this machine itself is asked"
	}
	return f
}

// selinuxFinding is about a machine that enforces, and on which a container did or did not run.
func selinuxFinding(enforce string, ran bool) (f finding, is bool) {
	f = finding{Check: "selinux", Status: statusOK, Detail: "enforcing, and a container runs"}
	if !ran {
		f.Status, f.Fix, f.Detail = statusWarn, "sudo ausearch -m avc -ts recent", "enforcing: it may be what keeps containers from running"
	}
	return f, enforce == "1"
}
