package systemd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// managerCgroup is what the scopes of the user 1000 are below.
const managerCgroup = "/user.slice/user-1000.slice/user@1000.service"

// as has the user 1000 run a command, with what pam_systemd(8) puts into the environment. It is still in the cgroup of
// this test, which is root's, as that of a log-in is.
func as(args ...string) []string {
	return append([]string{"setpriv", "--reuid", "1000", "--regid", "1000", "--init-groups", "env", "HOME=/home/user",
		"XDG_RUNTIME_DIR=/run/user/1000", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"}, args...)
}

// within has it run in a cgroup of the user's, as a terminal of a desktop is.
func within(args ...string) []string {
	return as(append([]string{"systemd-run", "--user", "--scope", "--quiet", "--"}, args...)...)
}

// userBundle is one for the user 1000, with limits that systemd delegates to everybody.
func userBundle(t *testing.T, line string, change func(*specs.Spec)) string {
	t.Helper()
	dir := bundle(t, line, func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
		s.Linux.Resources = &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: p(int64(64 << 20))},
			CPU:    &specs.LinuxCPU{Quota: p(int64(50000)), Period: p(uint64(100000))},
			Pids:   &specs.LinuxPids{Limit: p(int64(50))},
		}
		if change != nil {
			change(s)
		}
	})
	for _, name := range []string{"proc", "dev"} { // crun makes no mount point where it may not
		must(t, os.Mkdir(dir+"/rootfs/"+name, 0o755))
	}
	return dir
}

// setuid is a copy of the program under test that is set-user-ID root.
func setuid(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(shim)
	must(t, err)
	dir := t.TempDir()
	for at := dir; at != "/tmp"; at = filepath.Dir(at) {
		must(t, os.Chmod(at, 0o755))
	}
	must(t, os.WriteFile(dir+"/locald-shim", program, 0o755))
	must(t, os.Chmod(dir+"/locald-shim", 0o755|os.ModeSetuid))
	return dir + "/locald-shim"
}

// showUser are properties of a unit of the user's.
func showUser(t *testing.T, unit string, names ...string) map[string]string {
	t.Helper()
	return parse(ok(t, as("systemctl", "--user", "show", unit, "-p", strings.Join(names, ","))...))
}

func goneUser(t *testing.T, unit, cgroup string) {
	t.Helper()
	if state := showUser(t, unit, "LoadState")["LoadState"]; state != "not-found" {
		t.Errorf("%s is %s", unit, state)
	}
	if _, err := os.Stat("/sys/fs/cgroup" + cgroup); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", cgroup, err)
	}
}

// TestSystemdUser: the systemd of a user makes scopes for that user's containers, also where the set-user-ID bit is on
// the program, which then has no say in it.
func TestSystemdUser(t *testing.T) {
	for _, tt := range []struct {
		name, program string
	}{{"plain", shim}, {"setuid", setuid(t)}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := userBundle(t, "sleep 1000", func(s *specs.Spec) {
				s.Linux.CgroupsPath = "locald-users.slice:pre:web"
				s.Annotations = map[string]string{"org.systemd.property.TimeoutStopSec": "7"}
			})
			const unit, cgroup = "pre-web.scope", managerCgroup + "/locald.slice/locald-users.slice/pre-web.scope"
			run := func(args ...string) string { t.Helper(); return ok(t, as(append([]string{tt.program}, args...)...)...) }
			t.Cleanup(func() { call(t, as(tt.program, "delete", "--force", "web")...) })
			status := func() (st specs.State) {
				t.Helper()
				must(t, json.Unmarshal([]byte(run("state", "web")), &st))
				return st
			}
			properties := map[string]string{"ActiveState": "active", "Slice": "locald-users.slice", "Delegate": "yes", "ControlGroup": cgroup,
				"MemoryMax": "67108864", "TasksMax": "50", "CPUQuotaPerSecUSec": "500ms", "TimeoutStopUSec": "7s"}
			limits := map[string]string{"memory.max": "67108864", "pids.max": "50", "cpu.max": "50000 100000"}
			sees := func(when string) {
				t.Helper()
				wants(t, when, showUser(t, unit, keys(properties)...), properties)
				wants(t, when, files(t, cgroup, limits), limits)
			}

			run("--systemd-cgroup", "create", "--bundle", dir, "web")
			run("start", "web")
			sees("started")
			// exec is from root's cgroup, too, and in the container's all the same.
			if got := run("exec", "web", "cat", "/proc/self/cgroup"); got != "0::/" {
				t.Errorf("exec is in %s", got)
			}
			if tt.name == "setuid" { // from here on it has no power, and is the same program
				run("delete", "--force", "web")
				goneUser(t, unit, cgroup)
				return
			}
			run("update", "--memory", "32M", "web")
			properties["MemoryMax"], limits["memory.max"] = "33554432", "33554432"
			ok(t, as("systemctl", "--user", "daemon-reload")...)
			sees("updated, after daemon-reload")
			refused(t, "permission denied", as(tt.program, "update", "--cpuset-cpus", "0", "web")...)
			sees("after what was not delegated")
			if got := run("events", "--stats", "web"); !strings.Contains(got, `"limit":33554432`) {
				t.Errorf("stats: %s", got)
			}
			run("pause", "web")
			if st := status().Status; st != "paused" {
				t.Errorf("paused, it is %s", st)
			}
			run("resume", "web")
			run("kill", "web", "KILL")
			eventually(t, "the container stops", func() bool { return status().Status == specs.StateStopped })
			run("delete", "web")
			goneUser(t, unit, cgroup)

			// From a cgroup of the user's, in the foreground, and with the names that there are without any.
			dir = userBundle(t, "cat /proc/self/cgroup; exit 7", nil)
			r := call(t, within(tt.program, "--systemd-cgroup", "run", "--bundle", dir, "once")...)
			if r.code != 7 || r.out != "0::/\n" {
				t.Error(r)
			}
			goneUser(t, "locald-once.scope", managerCgroup+"/user.slice/locald-once.scope")
		})
	}
}

// TestSystemdUserRefused: what a user cannot have is said, and nothing is left.
func TestSystemdUserRefused(t *testing.T) {
	plain := userBundle(t, "true", nil)
	cpuset := userBundle(t, "true", func(s *specs.Spec) { s.Linux.Resources.CPU.Cpus = "0" })
	path := userBundle(t, "true", func(s *specs.Spec) { s.Linux.CgroupsPath = "/locald/web" })
	nowhere := func(args ...string) []string {
		return as(append([]string{"env", "XDG_RUNTIME_DIR=/home/user", "DBUS_SESSION_BUS_ADDRESS=unix:path=/home/user/no-bus"}, args...)...)
	}
	helper := setuid(t)
	refused(t, "/linux/resources/cpu/cpus: the cpuset controller is not delegated to "+managerCgroup+"; leave the limit out, or",
		as(shim, "--systemd-cgroup", "create", "--bundle", cpuset, "bad")...)
	refused(t, "/linux/cgroupsPath: a cgroup that systemd makes", as(helper, "--systemd-cgroup", "create", "--bundle", path, "bad")...)
	refused(t, "/home/user/no-bus with systemd: no such file or directory; the bus of a user comes with a session", nowhere(shim, "--systemd-cgroup", "create", "--bundle", plain, "bad")...)
	// The set-user-ID program looks at no environment.
	ok(t, nowhere(helper, "--systemd-cgroup", "run", "--bundle", plain, "good")...)
	goneUser(t, "locald-bad.scope", managerCgroup+"/user.slice/locald-bad.scope")
	goneUser(t, "locald-good.scope", managerCgroup+"/user.slice/locald-good.scope")
	// Another user has no systemd here.
	refused(t, "/run/user/1001/bus with systemd: ", "setpriv", "--reuid", "1001", "--regid", "1001", "--init-groups", helper, "--systemd-cgroup", "run", "--bundle", userBundle(t, "true", func(s *specs.Spec) {
		s.Linux.UIDMappings[0].HostID = 1001
	}), "bad")
}

// TestSystemdCrun: the unit is the one that crun has systemd make of the same bundle, but for the limits, which Debian
// 12's crun keeps from systemd.
func TestSystemdCrun(t *testing.T) {
	names := []string{"Slice", "Delegate", "ControlGroup", "CPUWeight", "TimeoutStopUSec", "KillSignal", "KillMode", "SendSIGHUP", "OOMPolicy"}
	for _, tt := range []struct {
		name string
		run  func(...string) []string
		show func(*testing.T, string, ...string) map[string]string
	}{{"root", func(args ...string) []string { return args }, show}, {"user", as, showUser}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := userBundle(t, "sleep 1000", func(s *specs.Spec) {
				s.Version = "1.0.2" // that crun knows
				s.Linux.CgroupsPath = "locald-test.slice:pre:same"
			})
			units := map[string]map[string]string{}
			for _, runtime := range []string{shim, "crun"} {
				ok(t, tt.run(runtime, "--systemd-cgroup", "create", "--bundle", dir, "same")...)
				units[runtime] = tt.show(t, "pre-same.scope", names...)
				ok(t, tt.run(runtime, "delete", "--force", "same")...)
				eventually(t, "the unit is gone", func() bool { return tt.show(t, "pre-same.scope", "LoadState")["LoadState"] == "not-found" })
			}
			wants(t, "against crun", units[shim], units["crun"])
		})
	}
}

// TestSystemdUserNamespace: root of a user namespace, as a rootless engine is, asks the user's systemd, too. Its container
// has no user namespace of its own and is born in its cgroup, or not at all.
func TestSystemdUserNamespace(t *testing.T) {
	dir := userBundle(t, "cat /proc/self/cgroup", func(s *specs.Spec) {
		s.Linux.Namespaces = s.Linux.Namespaces[:len(s.Linux.Namespaces)-1]
		s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
	})
	run := []string{"unshare", "--map-root-user", shim, "--systemd-cgroup", "run", "--bundle", dir, "nested"}
	if got := ok(t, within(run...)...); got != "0::/" {
		t.Errorf("it is in %s", got)
	}
	refused(t, "start it from a cgroup that the user's systemd has made: systemd-run --user --scope", as(run...)...)
	goneUser(t, "locald-nested.scope", managerCgroup+"/user.slice/locald-nested.scope")
}
