package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// capBits are the numbers of <linux/capability.h>.
func capBits(t *testing.T, names []string) uint64 {
	t.Helper()
	known := map[string]uint64{
		"CAP_CHOWN": 1 << unix.CAP_CHOWN, "CAP_DAC_OVERRIDE": 1 << unix.CAP_DAC_OVERRIDE, "CAP_KILL": 1 << unix.CAP_KILL,
		"CAP_SETUID": 1 << unix.CAP_SETUID, "CAP_NET_BIND_SERVICE": 1 << unix.CAP_NET_BIND_SERVICE, "CAP_SYS_CHROOT": 1 << unix.CAP_SYS_CHROOT,
		"CAP_SYS_ADMIN": 1 << unix.CAP_SYS_ADMIN, "CAP_AUDIT_WRITE": 1 << unix.CAP_AUDIT_WRITE, "CAP_CHECKPOINT_RESTORE": 1 << unix.CAP_CHECKPOINT_RESTORE,
	}
	var bits uint64
	for _, name := range names {
		if known[name] == 0 {
			t.Fatal("the test does not know", name)
		}
		bits |= known[name]
	}
	return bits
}

// TestCapabilities compares the five sets with capabilities(7), "Transformation of capabilities during
// execve()": the program has no file capabilities, and root's are those of the old permitted set because no_new_privs
// is on.
func TestCapabilities(t *testing.T) {
	low := []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"}
	all := append(low[:3:3], "CAP_SYS_CHROOT", "CAP_CHECKPOINT_RESTORE")
	tests := []struct {
		name string
		uid  uint32
		caps specs.LinuxCapabilities
		want specs.LinuxCapabilities
	}{
		{"none", 0, specs.LinuxCapabilities{}, specs.LinuxCapabilities{}},
		{"all five", 0, specs.LinuxCapabilities{Bounding: low, Effective: low, Inheritable: low, Permitted: low, Ambient: low},
			specs.LinuxCapabilities{Bounding: low, Effective: low, Inheritable: low, Permitted: low, Ambient: low}},
		{"each another", 0, specs.LinuxCapabilities{Bounding: all, Effective: low[:2], Inheritable: low[1:], Permitted: low[:2]},
			specs.LinuxCapabilities{Bounding: all, Effective: low[:2], Inheritable: low[1:], Permitted: low[:2]}},
		{"user without ambient", 5, specs.LinuxCapabilities{Bounding: all, Effective: low, Inheritable: low, Permitted: all},
			specs.LinuxCapabilities{Bounding: all, Inheritable: low}},
		{"user with ambient", 5, specs.LinuxCapabilities{Bounding: all, Effective: low, Inheritable: low, Permitted: all, Ambient: low[:2]},
			specs.LinuxCapabilities{Bounding: all, Effective: low[:2], Inheritable: low, Permitted: low[:2], Ambient: low[:2]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t)
			if tt.uid != 0 {
				needsSubIDs(t)
				withRange(b.spec)
				b.spec.Process.User = specs.User{UID: tt.uid, GID: tt.uid}
			}
			b.spec.Process.Capabilities = &tt.caps
			got := b.run(t).ok(t).look(t).Caps
			want := probe.Caps{Inheritable: capBits(t, tt.want.Inheritable), Permitted: capBits(t, tt.want.Permitted), Effective: capBits(t, tt.want.Effective),
				Bounding: capBits(t, tt.want.Bounding), Ambient: capBits(t, tt.want.Ambient)}
			if got != want {
				t.Errorf("capabilities are %+x, want %+x", got, want)
			}
		})
	}
}

// TestCapabilitiesLeftOut: what cannot be given is warned about, and the container runs with the rest.
func TestCapabilitiesLeftOut(t *testing.T) {
	some := []string{"CAP_KILL", "CAP_TIME_TRAVEL"}
	b := newBundle(t, func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: some, Effective: some, Permitted: some, Ambient: []string{"CAP_KILL"}}
	})
	r := b.run(t).ok(t)
	kill := capBits(t, []string{"CAP_KILL"})
	if got, want := r.look(t).Caps, (probe.Caps{Permitted: kill, Effective: kill, Bounding: kill}); got != want {
		t.Errorf("capabilities are %+x, want %+x", got, want)
	}
	var pointers []string
	for _, s := range r.status {
		if s.Warning != "" {
			pointers = append(pointers, s.Pointer)
		}
	}
	const p = "/process/capabilities/"
	if want := []string{p + "bounding/1", p + "effective/1", p + "permitted/1", p + "ambient/0"}; !slices.Equal(pointers, want) {
		t.Errorf("warnings about %q, want %q: %s", pointers, want, r)
	}
	if !here.root || hasCap(t, unix.CAP_SYS_RESOURCE) {
		return
	}
	b = newBundle(t, func(s *specs.Spec) {
		some := []string{"CAP_KILL", "CAP_SYS_RESOURCE"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: some, Permitted: some, Effective: some}
	})
	if got := b.run(t).ok(t).look(t).Caps.Permitted; got != kill {
		t.Errorf("permitted are %x, want %x", got, kill)
	}
}

// TestCapabilitiesWork uses some, with and without having them.
func TestCapabilitiesWork(t *testing.T) {
	actions := []string{"sethostname other", "mount tmpfs tmpfs /tmp", "chroot /tmp", "unshare 0x04000000", "kill 1 0"}
	for _, tt := range []struct {
		name  string
		caps  []string
		errno string
	}{{"without", nil, "EPERM"}, {"with", []string{"CAP_SYS_ADMIN", "CAP_SYS_CHROOT"}, ""}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t).do(actions...)
			withCaps(b.spec, tt.caps...)
			r := b.run(t).ok(t)
			for _, action := range actions[:4] {
				r.wantErrno(t, action, tt.errno)
			}
		})
	}
}

func TestNoNewPrivileges(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(strconv.FormatBool(on), func(t *testing.T) {
			want := "0"
			if on {
				want = "1"
			}
			b := newBundle(t, func(s *specs.Spec) { s.Process.NoNewPrivileges = on })
			if got := b.run(t).ok(t).look(t).Status["NoNewPrivs"]; got != want {
				t.Errorf("NoNewPrivs is %s, want %s", got, want)
			}
		})
	}
}

// TestRlimits sets all sixteen, none above what this process has.
func TestRlimits(t *testing.T) {
	ask := map[string][2]uint64{
		"RLIMIT_CPU": {1000, 2000}, "RLIMIT_FSIZE": {1 << 30, 1 << 31}, "RLIMIT_DATA": {1 << 38, 1 << 39}, "RLIMIT_STACK": {4 << 20, 8 << 20},
		"RLIMIT_CORE": {0, 0}, "RLIMIT_RSS": {1 << 38, 1 << 39}, "RLIMIT_NPROC": {300, 400}, "RLIMIT_NOFILE": {77, 88}, "RLIMIT_MEMLOCK": {4096, 8192},
		"RLIMIT_AS": {1 << 40, 1 << 41}, "RLIMIT_LOCKS": {10, 20}, "RLIMIT_SIGPENDING": {64, 65}, "RLIMIT_MSGQUEUE": {1000, 2000}, "RLIMIT_NICE": {0, 0},
		"RLIMIT_RTPRIO": {0, 0}, "RLIMIT_RTTIME": {1000000, 2000000},
	}
	b := newBundle(t)
	for i, name := range probe.Rlimits {
		var own unix.Rlimit
		must(t, unix.Prlimit(0, i, nil, &own))
		l := ask[name]
		l = [2]uint64{min(l[0], own.Max), min(l[1], own.Max)}
		ask[name] = l
		b.spec.Process.Rlimits = append(b.spec.Process.Rlimits, specs.POSIXRlimit{Type: name, Soft: l[0], Hard: l[1]})
	}
	r := b.do("look", "nofile").run(t).ok(t)
	if got := r.value(t, "nofile"); got != "77 88" {
		t.Errorf("RLIMIT_NOFILE is %s, want 77 88", got)
	}
	delete(ask, "RLIMIT_NOFILE")
	got := r.look(t).Rlimits
	for _, name := range slices.Sorted(maps.Keys(ask)) {
		if got[name] != ask[name] {
			t.Errorf("%s is %d, want %d", name, got[name], ask[name])
		}
	}
}

// TestCallersRlimits: what config.json does not say is as the caller has it, also the soft limit of open
// files, which the Go runtime raises for itself.
func TestCallersRlimits(t *testing.T) {
	script := `ulimit -c 0; ulimit -Sn 512; ulimit -Hn 1000; ulimit -Sf 4096; exec "$@"`
	b := newBundle(t).do("look", "nofile")
	r := b.start(t, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", script, "sh", c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	}).wait().ok(t)
	if got := r.value(t, "nofile"); got != "512 1000" {
		t.Errorf("RLIMIT_NOFILE is %s, want 512 1000", got)
	}
	got := r.look(t).Rlimits
	if got["RLIMIT_CORE"] != [2]uint64{} {
		t.Errorf("RLIMIT_CORE is %d, want 0", got["RLIMIT_CORE"])
	}
	if got["RLIMIT_FSIZE"][0] != 4096*512 {
		t.Errorf("RLIMIT_FSIZE is %d, want %d", got["RLIMIT_FSIZE"], 4096*512)
	}
}

// TestRaiseRlimit: a hard limit above the caller's needs root.
func TestRaiseRlimit(t *testing.T) {
	script := `ulimit -n 500; exec "$@"`
	b := newBundle(t, func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 600, Hard: 600}}
	})
	r := b.do("nofile").start(t, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", script, "sh", c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	}).wait()
	if here.root && hasCap(t, unix.CAP_SYS_RESOURCE) {
		if got := r.ok(t).value(t, "nofile"); got != "600 600" {
			t.Errorf("RLIMIT_NOFILE is %s, want 600 600", got)
		}
		return
	}
	if r.code != 125 || len(r.status) == 0 || !strings.HasPrefix(r.status[len(r.status)-1].Pointer, "/process/rlimits/0") {
		t.Errorf("no error about /process/rlimits/0: %s", r)
	}
}

// hasCap: not even every root has all capabilities.
func hasCap(t *testing.T, n int) bool {
	t.Helper()
	bits, err := strconv.ParseUint(statusOf(t, os.Getpid())["CapEff"], 16, 64)
	must(t, err)
	return bits&(1<<n) != 0
}

func TestOOMScoreAdj(t *testing.T) {
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	must(t, err)
	start, err := strconv.Atoi(strings.TrimSpace(string(own)))
	must(t, err)
	tests := []struct {
		name string
		adj  *int
		want int
	}{{"the caller's", nil, start}, {"higher", ptr(min(start+100, 1000)), min(start+100, 1000)}, {"lower", ptr(start - 100), start - 100}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Process.OOMScoreAdj = tt.adj })
			r := b.do("read /proc/self/oom_score_adj").run(t)
			if tt.want < start && !hasCap(t, unix.CAP_SYS_RESOURCE) {
				r.problem(t, "/process/oomScoreAdj")
				return
			}
			if got := r.ok(t).value(t, "read /proc/self/oom_score_adj"); got != fmt.Sprintln(tt.want) {
				t.Errorf("oom_score_adj is %q, want %d", got, tt.want)
			}
		})
	}
}
