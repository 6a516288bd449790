package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/internal/shim"
)

// examine looks at this machine. A container is tried last, when all that could explain a failure is known.
func (a *app) examine() []finding {
	state := a.helperState()
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	grant, name := accounts(uid, gid)
	grant.Setuid = state.helper.Setuid
	conf, err := policy.ParseConf(readText(shimConf))
	findings := []finding{
		kernelFinding(release()),
		helperFinding(state),
		namespaceFinding(namespaceState{
			maximum:   readText("/proc/sys/user/max_user_namespaces"),
			forbidden: forbidden(),
			root:      state.root,
			setuid:    state.helper.Setuid,
			mayUse:    conf.MayUse(name, uid),
			mayBypass: conf.MayBypass(name, uid),
			confErr:   err,
		}),
		cgroupFinding(cgroups(state.root, state.helper.Setuid, conf)),
		subordinateFinding(grant, name),
		ownerFinding(grant, err != nil || conf.IDMap),
		dataFinding(lookAtData()),
		logoutFinding(logoutState{root: state.root, systemd: hasSystemd(), lingers: lingers(name), name: name}),
		coresFinding(coresState{readText("/proc/sys/kernel/core_pattern"), readText("/proc/sys/fs/suid_dumpable")}),
		dnsFinding(readText("/etc/resolv.conf")),
	}
	if f, is := wslFinding(wslState{readText("/proc/sys/kernel/osrelease"), hasSystemd()}); is {
		findings = append(findings, f)
	}
	if state.findErr != nil {
		return findings
	}
	f := a.smoke()
	findings = append(findings, f)
	if f, is := selinuxFinding(readText("/sys/fs/selinux/enforce"), f.Status == statusOK); is {
		findings = append(findings, f)
	}
	return findings
}

func (a *app) helperState() helperState {
	s := helperState{root: os.Getuid() == 0, dumpable: readText("/proc/sys/fs/suid_dumpable") == "1"}
	if s.helper, s.findErr = a.helper(); s.findErr != nil {
		return s
	}
	s.version, s.versionErr = s.helper.Version()
	installation, err := shim.Inspect(s.helper.Path)
	if err != nil {
		s.findErr = err
		return s
	}
	s.bit = installation.Mode&os.ModeSetuid != 0
	s.noSUID, s.unsafe, s.links = installation.NoSUID, installation.Unsafe, installation.Links
	return s
}

func release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

func cgroups(root, setuid bool, conf policy.Conf) cgroupState {
	s := cgroupState{root: root, setuid: setuid, conf: conf.Cgroup}
	const mount = "/sys/fs/cgroup"
	switch {
	case isCgroup2(mount):
		s.version = "v2"
		s.controllers = strings.Fields(readText(mount + "/cgroup.controllers"))
		return s
	case isCgroup2(mount + "/unified"):
		s.version = "hybrid"
	case len(enabledV1(readText("/proc/cgroups"))) > 0:
		s.version = "v1"
	}
	for _, name := range enabledV1(readText("/proc/cgroups")) {
		if _, err := os.Stat(filepath.Join(mount, name)); err == nil {
			s.controllers = append(s.controllers, name)
		}
	}
	if s.version == "v1" && len(s.controllers) == 0 {
		s.version = ""
	}
	return s
}

func isCgroup2(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// enabledV1 are the controllers of /proc/cgroups that are switched on (cgroups(7)).
func enabledV1(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		field := strings.Fields(line)
		if len(field) == 4 && field[3] == "1" && !strings.HasPrefix(line, "#") {
			names = append(names, field[0])
		}
	}
	return names
}

// smoke runs a container as anybody would, and gives it a few seconds.
func (a *app) smoke() finding {
	f := finding{Check: "container", Status: statusFail}
	self, err := os.Executable()
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	args := []string{"run", "--quiet", "--network", "none", helloImage}
	if a.shim != "" {
		args = append([]string{"--shim", a.shim}, args...)
	}
	cmd := exec.Command(self, args...)
	cmd.WaitDelay = time.Second
	started := time.Now()
	timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	_, err = cmd.Output()
	took := strconv.FormatInt(time.Since(started).Milliseconds(), 10) + " ms"
	if err == nil {
		f.Status, f.Detail = statusOK, "builtin:hello ran in "+took
		return f
	}
	f.Detail = "builtin:hello did not run: " + err.Error()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		f.Detail = strings.ReplaceAll(strings.TrimSpace(string(exit.Stderr)), "\n", "\n"+pad("", 18))
	}
	f.Fix = "mend what is said above, or: locald run " + helloImage
	return f
}
