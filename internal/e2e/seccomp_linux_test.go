package e2e

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Most of these tests are about getsid(2): the probe's Go runtime does without.
var getsid = fmt.Sprintf("syscall %d", unix.SYS_GETSID)

// filtered allows all calls but those of some rules.
func filtered(rules ...specs.LinuxSyscall) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: rules}
	}
}

func rule(action specs.LinuxSeccompAction, errno *uint, names ...string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: action, ErrnoRet: errno}
}

// everyPrivilege runs a test with and without process.noNewPrivileges: the filter is loaded by other rights.
func everyPrivilege(t *testing.T, test func(t *testing.T, privileges func(*specs.Spec))) {
	for _, none := range []bool{true, false} {
		t.Run(map[bool]string{true: "no new privileges", false: "privileges"}[none], func(t *testing.T) {
			test(t, func(s *specs.Spec) { s.Process.NoNewPrivileges = none })
		})
	}
}

// TestSeccompActions: what a process sees of each action.
func TestSeccompActions(t *testing.T) {
	everyPrivilege(t, func(t *testing.T, privileges func(*specs.Spec)) {
		for _, tt := range []struct {
			name  string
			rule  specs.LinuxSyscall
			errno string
			value string
			code  int
		}{
			{"errno", rule(specs.ActErrno, nil, "getsid"), "EPERM", "", 0},
			{"another errno", rule(specs.ActErrno, ptr(uint(unix.EXDEV)), "getsid"), "EXDEV", "", 0},
			{"no errno", rule(specs.ActErrno, ptr(uint(0)), "getsid"), "", "0", 0},
			{"trace without a tracer", rule(specs.ActTrace, nil, "getsid"), "ENOSYS", "", 0},
			{"log", rule(specs.ActLog, nil, "getsid"), "", "1", 0},
			{"allow", rule(specs.ActAllow, nil, "getsid"), "", "1", 0},
			{"unknown name", rule(specs.ActErrno, nil, "no_such_call", "getsid"), "EPERM", "", 0},
			{"kill the process", rule(specs.ActKillProcess, nil, "getsid"), "", "", 128 + int(unix.SIGSYS)},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := newBundle(t, privileges, filtered(tt.rule)).do(getsid, "look").run(t)
				if r.code != tt.code {
					t.Fatalf("exit status %d, want %d: %s", r.code, tt.code, r)
				}
				if tt.code != 0 {
					return
				}
				a := r.answer(t, getsid)
				if a.Errno != tt.errno || a.Value != tt.value {
					t.Errorf("getsid: %q, errno %q; want %q, errno %q", a.Value, a.Errno, tt.value, tt.errno)
				}
				if got := r.look(t).Status["Seccomp"]; got != "2" {
					t.Errorf("Seccomp in /proc/self/status is %q", got)
				}
			})
		}
		for _, action := range []specs.LinuxSeccompAction{specs.ActKill, specs.ActKillThread, specs.ActKillProcess, specs.ActTrap} {
			// A process of one thread, which no handler of the Go runtime's helps.
			t.Run("execve "+string(action), func(t *testing.T) {
				r := newBundle(t, privileges, filtered(rule(action, nil, "execve"))).run(t)
				if r.code != 128+int(unix.SIGSYS) {
					t.Errorf("exit status %d: %s", r.code, r)
				}
			})
		}
	})
}

// TestSeccompArguments: each operator, with an argument that meets the condition and one that does not.
func TestSeccompArguments(t *testing.T) {
	const high = 1 << 40
	for _, tt := range []struct {
		op         specs.LinuxSeccompOperator
		value, two uint64
		meets, not uint64
	}{
		{specs.OpEqualTo, high | 5, 0, high | 5, 5},
		{specs.OpNotEqual, 0, 0, high, 0},
		{specs.OpLessThan, 1, 0, 0, high},
		{specs.OpLessEqual, high, 0, high, high + 1},
		{specs.OpGreaterThan, high, 0, high + 1, high},
		{specs.OpGreaterEqual, high, 0, high, high - 1},
		{specs.OpMaskedEqual, high | 0xf, high | 2, high | 0x12, high | 3},
	} {
		t.Run(string(tt.op), func(t *testing.T) {
			deny := rule(specs.ActErrno, ptr(uint(unix.EXDEV)), "getsid")
			deny.Args = []specs.LinuxSeccompArg{{Index: 0, Op: tt.op, Value: tt.value, ValueTwo: tt.two}, {Index: 1, Op: specs.OpEqualTo, Value: 7}}
			call := func(a, b uint64) string {
				return getsid + " " + strconv.FormatUint(a, 10) + " " + strconv.FormatUint(b, 10)
			}
			r := newBundle(t, filtered(deny)).do(call(tt.meets, 7), call(tt.meets, 6), call(tt.not, 7)).run(t).ok(t)
			r.wantErrno(t, call(tt.meets, 7), "EXDEV")
			for _, did := range []string{call(tt.meets, 6), call(tt.not, 7)} {
				if a := r.answer(t, did); a.Errno == "EXDEV" {
					t.Errorf("%s is refused", did)
				}
			}
		})
	}
}

// dockers is Docker's default profile, as far as it looks at no arguments.
func dockers(t *testing.T) func(*specs.Spec) {
	list, err := os.ReadFile("../../libcontainer/internal/seccomp/testdata/docker.txt")
	must(t, err)
	return func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, nil, append(strings.Fields(string(list)), "clone", "socket")...),
			rule(specs.ActErrno, ptr(uint(unix.ENOSYS)), "clone3"),
		}}
		if runtime.GOARCH == "amd64" {
			s.Linux.Seccomp.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
		}
	}
}

// TestSeccompDocker runs a program under a profile of some 350 calls.
func TestSeccompDocker(t *testing.T) {
	everyPrivilege(t, func(t *testing.T, privileges func(*specs.Spec)) {
		const newer = "syscall 480"
		clone3 := fmt.Sprintf("syscall %d", unix.SYS_CLONE3)
		b := newBundle(t, privileges, dockers(t)).do("look", "unshare 0x10000000", "mount tmpfs none /tmp", clone3, newer, "create /tmp/file text", "loopback")
		r := b.run(t).ok(t)
		r.look(t)
		r.wantErrno(t, "unshare 0x10000000", "EPERM")
		r.wantErrno(t, "mount tmpfs none /tmp", "EPERM")
		r.wantErrno(t, clone3, "ENOSYS")
		r.wantErrno(t, newer, "ENOSYS")
		r.wantErrno(t, "create /tmp/file text", "")
		r.wantErrno(t, "loopback", "")
	})
}

// TestSeccompArchitectures makes system calls of i386 from a program of 64 bits.
func TestSeccompArchitectures(t *testing.T) {
	const getpid, getsid = 20, 147 // of i386
	needs(t, runtime.GOARCH == "amd64", "is about x86")
	plain := fmt.Sprintf("int80 %d", getpid)
	if r := newBundle(t).do(plain).run(t); r.code != 0 {
		t.Skip("this kernel makes no calls of i386")
	}
	t.Run("not listed", func(t *testing.T) {
		r := newBundle(t, filtered()).do("syscall 39", plain).run(t)
		if r.code != 128+int(unix.SIGSYS) {
			t.Errorf("exit status %d: %s", r.code, r)
		}
		r.wantErrno(t, "syscall 39", "")
	})
	t.Run("x32", func(t *testing.T) {
		if r := newBundle(t, filtered()).do("syscall 0x40000027").run(t); r.code != 128+int(unix.SIGSYS) {
			t.Errorf("exit status %d: %s", r.code, r)
		}
	})
	t.Run("listed", func(t *testing.T) {
		deny := rule(specs.ActErrno, ptr(uint(unix.EXDEV)), "getsid")
		deny.Args = []specs.LinuxSeccompArg{{Index: 0, Op: specs.OpEqualTo, Value: 1}}
		b := newBundle(t, filtered(deny), func(s *specs.Spec) { s.Linux.Seccomp.Architectures = []specs.Arch{specs.ArchX86} })
		// The upper half of a register is not the call's, and must not hide its lower half from the filter.
		one, other, hidden := fmt.Sprintf("int80 %d 1", getsid), fmt.Sprintf("int80 %d 0", getsid), fmt.Sprintf("int80 %d 0x700000001", getsid)
		r := b.do(plain, one, other, hidden).run(t).ok(t)
		if got := r.value(t, plain); got != "1" {
			t.Errorf("getpid of i386 is %q", got)
		}
		r.wantErrno(t, one, "EXDEV")
		r.wantErrno(t, other, "")
		r.wantErrno(t, hidden, "EXDEV")
	})
}

// TestSeccompTooLate: a filter that says of all calls which give up power that they are done, without doing them, has
// no effect on the start of the container. And one that forbids what the child does before keeps it from nothing.
func TestSeccompTooLate(t *testing.T) {
	calls := []string{"setgroups", "setresgid", "setresuid", "setgid", "setuid", "capset", "prctl", "prlimit64", "fchdir", "chdir", "umask", "pivot_root",
		"umount2", "move_mount", "mount_setattr", "close_range", "unshare", "setns", "openat2", "sethostname"}
	everyPrivilege(t, func(t *testing.T, privileges func(*specs.Spec)) {
		for _, tt := range []struct {
			name string
			rule specs.LinuxSyscall
		}{
			{"lies", rule(specs.ActErrno, ptr(uint(0)), calls...)},
			{"refusals", rule(specs.ActErrno, nil, calls...)},
		} {
			for _, uid := range []uint32{0, 5} {
				t.Run(fmt.Sprintf("%s for uid %d", tt.name, uid), func(t *testing.T) {
					b := newBundle(t, privileges, filtered(tt.rule))
					b.spec.Process.Cwd = "/tmp"
					b.spec.Process.User = specs.User{UID: uid, GID: uid}
					withCaps(b.spec, "CAP_CHOWN", "CAP_KILL")
					if uid != 0 {
						needsSubIDs(t)
						withRange(b.spec)
					}
					r := b.do("look").run(t).ok(t).look(t)
					want := uint64(1<<unix.CAP_CHOWN | 1<<unix.CAP_KILL)
					if r.Uid != [3]int{int(uid), int(uid), int(uid)} || r.Gid != [3]int{int(uid), int(uid), int(uid)} || r.Cwd != "/tmp" || r.Hostname == "" {
						t.Errorf("uid %v, gid %v, working directory %q", r.Uid, r.Gid, r.Cwd)
					}
					if c := r.Caps; c.Bounding != want || c.Permitted != want || c.Effective != want || c.Inheritable != want || c.Ambient != want {
						t.Errorf("capabilities %x, want %x in each set", c, want)
					}
					if len(r.Fds) > 4 { // the three, and /proc/self/fd itself
						t.Errorf("descriptors %v", r.Fds)
					}
				})
			}
		}
	})
}

// TestSeccompNoPower: the capability by which the filter is loaded is gone when the program runs.
func TestSeccompNoPower(t *testing.T) {
	for _, uid := range []uint32{0, 5} {
		t.Run(fmt.Sprintf("uid %d", uid), func(t *testing.T) {
			b := newBundle(t, filtered(rule(specs.ActErrno, nil, "getsid")))
			b.spec.Process.NoNewPrivileges = false
			b.spec.Process.User = specs.User{UID: uid, GID: uid}
			if uid != 0 {
				needsSubIDs(t)
				withRange(b.spec)
			}
			r := b.do("look", "sethostname other").run(t).ok(t)
			if c := r.look(t).Caps; c.Bounding|c.Permitted|c.Effective|c.Inheritable|c.Ambient != 0 {
				t.Errorf("capabilities %x", c)
			}
			r.wantErrno(t, "sethostname other", "EPERM")
		})
	}
}

// TestSeccompNothingAllowed: a filter under which not even the start is possible ends the container; the child can
// neither say why nor exit.
func TestSeccompNothingAllowed(t *testing.T) {
	refused := 128 + int(unix.SIGTRAP) // the end of a child that can do nothing else
	if here.root {
		refused = 126 // it shares its memory with the shim, which knows what has failed
	}
	for action, code := range map[specs.LinuxSeccompAction]int{
		specs.ActKill: 128 + int(unix.SIGSYS), specs.ActKillProcess: 128 + int(unix.SIGSYS), specs.ActErrno: refused, specs.ActTrace: refused,
	} {
		t.Run(string(action), func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: action} })
			if r := b.run(t); r.code != code {
				t.Errorf("exit status %d, want %d: %s", r.code, code, r)
			}
		})
	}
}
