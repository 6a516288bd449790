package bundle

import (
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// allows reports whether a call is allowed without a condition.
func allows(p *specs.LinuxSeccomp, call string) bool {
	return slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
		return s.Action == specs.ActAllow && len(s.Args) == 0 && slices.Contains(s.Names, call)
	})
}

// TestDefaultSeccomp: what a capability is for comes with it, and nothing else of the kernel's inside does.
func TestDefaultSeccomp(t *testing.T) {
	plain := defaultSeccomp(defaultCapabilities[:], "amd64")
	for _, call := range []string{"read", "execve", "fork", "chroot", "mknod", "ptrace", "futex", "statx", "close_range"} {
		if !allows(plain, call) {
			t.Errorf("%s is not allowed", call)
		}
	}
	privileged := []string{
		"mount", "unshare", "setns", "bpf", "keyctl", "add_key", "request_key", "userfaultfd", "kexec_load", "io_uring_setup",
		"perf_event_open", "open_by_handle_at", "init_module", "reboot", "swapon", "clone", "clone3", "socket", "personality",
		"settimeofday", "pivot_root", "nfsservctl", "acct", "syslog", "iopl", "mbind", "move_pages", "migrate_pages",
	}
	for _, call := range privileged {
		if allows(plain, call) {
			t.Errorf("%s is allowed", call)
		}
	}
	for _, c := range []struct{ capability, call string }{
		{"CAP_SYS_ADMIN", "mount"}, {"CAP_SYS_ADMIN", "clone3"}, {"CAP_SYS_ADMIN", "setns"}, {"CAP_SYS_TIME", "settimeofday"},
		{"CAP_DAC_READ_SEARCH", "open_by_handle_at"}, {"CAP_SYS_NICE", "mbind"}, {"CAP_BPF", "bpf"},
	} {
		if !allows(defaultSeccomp([]string{c.capability}, "amd64"), c.call) {
			t.Errorf("with %s, %s is not allowed", c.capability, c.call)
		}
	}
	if allows(defaultSeccomp(nil, "amd64"), "chroot") {
		t.Error("without capabilities chroot is allowed")
	}
	for _, arch := range []string{"amd64", "arm64", "s390x", "riscv64", "ppc64le"} {
		for _, bound := range [][]string{nil, defaultCapabilities[:], capabilities[:]} {
			p := defaultSeccomp(bound, arch)
			i := slices.IndexFunc(p.Syscalls, func(s specs.LinuxSyscall) bool { return s.Names[0] == "clone" && len(s.Args) == 1 })
			if want := len(bound) < len(capabilities); (i >= 0) != want {
				t.Errorf("%s with %d capabilities: a condition for clone: %v", arch, len(bound), i >= 0)
			} else if want && (p.Syscalls[i].Args[0].Index == 1) != (arch == "s390x") {
				t.Errorf("%s: the flags of clone are argument %d", arch, p.Syscalls[i].Args[0].Index)
			}
		}
	}
}

// TestPlainCalls: the list is the one that the compiler of filters is tested with.
func TestPlainCalls(t *testing.T) {
	list, err := os.ReadFile("../../libcontainer/internal/seccomp/testdata/docker.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Fields(plainCalls), strings.Fields(string(list)); !slices.Equal(got, want) {
		t.Errorf("%d calls, and in docker.txt %d", len(got), len(want))
	}
}

// TestSeccompChoices: a filter of the caller's, and none.
func TestSeccompChoices(t *testing.T) {
	own := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	for _, c := range []struct {
		name   string
		kernel Kernel
		want   func(*specs.LinuxSeccomp) bool
	}{
		{"default", Kernel{}, func(p *specs.LinuxSeccomp) bool { return p != nil && p.DefaultAction == specs.ActErrno }},
		{"own", Kernel{Seccomp: own}, func(p *specs.LinuxSeccomp) bool { return p == own }},
		{"none", Kernel{Unconfined: true}, func(p *specs.LinuxSeccomp) bool { return p == nil }},
	} {
		if got := c.kernel.filter(nil); !c.want(got) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
