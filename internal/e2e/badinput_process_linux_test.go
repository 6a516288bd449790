package e2e

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func itoa(n int) string { return strconv.Itoa(n) }

// machineElse is an ELF file of the other architecture that locald knows.
func machineElse() string {
	machine := elf.EM_AARCH64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_X86_64
	}
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Ehsize: 64, Phentsize: 56}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	b, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestBadProgram: 127 is for what is not there, 126 for what is and cannot be executed.
func TestBadProgram(t *testing.T) {
	file := func(name, content string, mode os.FileMode, args ...string) func(*testing.T, *attempt) {
		return func(t *testing.T, a *attempt) {
			a.put(t, name, content, mode)
			a.spec.Process.Env = []string{"PATH=/bin:/usr/bin"}
			a.spec.Process.Args = args
		}
	}
	const at = "/process/args/0"
	refuse(t, []badInput{
		{name: "no args", make: badArgs(), want: []wantError{{"/process/args", "", "args is empty"}}},
		{name: "empty name", make: badArgs(""), want: []wantError{{at, "", "the program's name is empty"}}},
		{name: "NUL", make: badArgs("/probe", "a\x00b"), want: []wantError{{"/process/args/1", "", "NUL"}}},
		{name: "missing", code: 127, make: badArgs("/nowhere"), want: []wantError{{at, "ENOENT", "execute /nowhere"}}},
		{name: "below a file", code: 127, make: badArgs("/probe/x"), want: []wantError{{at, "ENOTDIR", "execute /probe/x"}}},
		{name: "not in PATH", code: 127, make: badArgs("nowhere"), want: []wantError{{at, "ENOENT", `exec: "nowhere": executable file not found in $PATH`}}},
		{name: "no PATH", code: 127, make: badSpec(func(s *specs.Spec) {
			s.Process.Args, s.Process.Env = []string{"probe"}, nil
		}), want: []wantError{{at, "ENOENT", `exec: "probe": executable file not found in $PATH`}}},
		{name: "empty PATH", code: 127, make: badSpec(func(s *specs.Spec) {
			s.Process.Args, s.Process.Env = []string{"probe"}, []string{"PATH="}
		}), want: []wantError{{at, "ENOENT", `exec: "probe": executable file not found in $PATH`}}},
		{name: "not executable", code: 126, make: file("bin/plain", "x", 0o644, "/bin/plain"), want: []wantError{{at, "EACCES", "execute /bin/plain"}}},
		{name: "in PATH and not executable", code: 126, make: file("bin/plain", "x", 0o644, "plain"), want: []wantError{{at, "EACCES", "execute /bin/plain"}}},
		{name: "directory", code: 126, make: file("bin/dir/x", "x", 0o644, "/bin/dir"), want: []wantError{{at, "EACCES", "execute /bin/dir"}}},
		{name: "directory in PATH", code: 126, make: file("bin/dir/x", "x", 0o644, "dir"), want: []wantError{{at, "EACCES", "execute /bin/dir"}}},
		{name: "another architecture", code: 126, make: file("bin/else", machineElse(), 0o755, "else"), want: []wantError{{at, "ENOEXEC", "execute /bin/else"}}},
		{name: "garbage", code: 126, make: file("bin/garbage", "\x00\x01garbage", 0o755, "garbage"), want: []wantError{{at, "ENOEXEC", "execute /bin/garbage"}}},
		{name: "empty file", code: 126, make: file("bin/empty", "", 0o755, "/bin/empty"), want: []wantError{{at, "ENOEXEC", "execute /bin/empty"}}},
		{name: "script without first line", code: 126, make: file("bin/script", "exit 0\n", 0o755, "script"), want: []wantError{{at, "ENOEXEC", "execute /bin/script"}}},
		{name: "script without interpreter", code: 127, make: file("bin/script", "#!/nowhere\n", 0o755, "/bin/script"), want: []wantError{{at, "ENOENT", "execute /bin/script"}}},
		{name: "script in PATH without interpreter", code: 127, make: file("bin/script", "#!/nowhere\n", 0o755, "script"), want: []wantError{{at, "ENOENT", `exec: "script"`}}},
		{name: "link to itself", code: 126, make: func(t *testing.T, a *attempt) {
			must(t, os.Symlink("loop", filepath.Join(a.rootfs, "loop")))
			a.spec.Process.Args = []string{"/loop"}
		}, want: []wantError{{at, "ELOOP", "execute /loop"}}},
		{name: "argument too long", code: 126, make: badArgs("/probe", strings.Repeat("x", 1<<18)), want: []wantError{{at, "E2BIG", "execute /probe"}}},
	})
}

// TestBadWorkingDirectory: a descriptor that the shim happens to have must not become the way out (CVE-2024-21626).
func TestBadWorkingDirectory(t *testing.T) {
	cwd := func(dir string) func(*testing.T, *attempt) {
		return badSpec(func(s *specs.Spec) { s.Process.Cwd = dir })
	}
	rows := []badInput{
		{name: "none", make: instead(`"cwd":"/",`, ""), want: []wantError{{"/process/cwd", "", "cwd is missing"}}},
		{name: "relative", make: cwd("tmp"), want: []wantError{{"/process/cwd", "", "cwd must be an absolute path"}}},
		{name: "NUL", make: cwd("/tmp\x00"), want: []wantError{{"/process/cwd", "", "absolute path"}}},
		{name: "below a file", make: cwd("/probe/x"), want: []wantError{{"/process/cwd", "ENOTDIR", "enter the working directory /probe/x"}}},
		{name: "missing in proc", make: cwd("/proc/nowhere"), want: []wantError{{"/process/cwd", "", "enter the working directory /proc/nowhere"}}},
		{name: "file", make: cwd("/probe"), want: []wantError{{"/process/cwd", "ENOTDIR", "enter the working directory /probe"}}},
		{name: "the shim's root", make: cwd("/proc/1/root"), want: []wantError{{"/process/cwd", "ELOOP", "enter the working directory"}}},
		{name: "own root", make: cwd("/proc/self/root/tmp"), want: []wantError{{"/process/cwd", "ELOOP", "enter the working directory"}}},
		{name: "own working directory", make: cwd("/proc/self/cwd"), want: []wantError{{"/process/cwd", "ELOOP", "enter the working directory"}}},
	}
	// The other way round there is no descriptor of that number, and that is what is said.
	for _, form := range []string{"/proc/self/fd/N", "/proc/self/fd/N/../../..", "/proc/thread-self/fd/N"} {
		for _, n := range thin([]int{7, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}) {
			dir := strings.ReplaceAll(form, "N", itoa(n))
			rows = append(rows, badInput{name: dir, make: cwd(dir), want: []wantError{{"/process/cwd", "", "enter the working directory " + dir}}})
		}
	}
	rows = append(rows, badInput{name: "link to a descriptor", make: func(t *testing.T, a *attempt) {
		must(t, os.Symlink("/proc/self/fd/7", filepath.Join(a.rootfs, "link")))
		a.spec.Process.Cwd = "/link"
	}, want: []wantError{{"/process/cwd", "", "enter the working directory /link"}}})
	refuse(t, rows)
}

// TestBadIDs: ids that the user namespace does not have.
func TestBadIDs(t *testing.T) {
	mapped := func(f func(s *specs.Spec)) func(*testing.T, *attempt) {
		return badSpec(func(s *specs.Spec) {
			dropNamespace(s, specs.UserNamespace)
			addNamespace(s, specs.UserNamespace, "")
			s.Linux.UIDMappings, s.Linux.GIDMappings = oneID(os.Getuid()), oneID(os.Getgid())
			if here.root {
				s.Linux.UIDMappings, s.Linux.GIDMappings = oneID(500000), oneID(500000)
			}
			f(s)
		})
	}
	overlap := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 500000, Size: 10}, {ContainerID: 5, HostID: 600000, Size: 10}}
	refuse(t, []badInput{
		{name: "uid", more: true, make: mapped(func(s *specs.Spec) { s.Process.User.UID = 1 }), want: []wantError{{"/process/user/uid", "", "uid 1 is not mapped"}}},
		{name: "gid", more: true, make: mapped(func(s *specs.Spec) { s.Process.User.GID = 65534 }), want: []wantError{{"/process/user/gid", "", "gid 65534 is not mapped"}}},
		{name: "uid, gid and groups", more: true, make: mapped(func(s *specs.Spec) {
			s.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{0, 9}}
		}), want: []wantError{{"/process/user/uid", "", "uid 7"}, {"/process/user/gid", "", "gid 8"}, {"/process/user/additionalGids/1", "", "gid 9"}}},
		{name: "no map", more: true, make: mapped(func(s *specs.Spec) { s.Linux.UIDMappings = nil }), want: []wantError{{"/linux/uidMappings", "", "at least one mapping"}}},
		{name: "overlap", more: true, make: mapped(func(s *specs.Spec) { s.Linux.UIDMappings = overlap }), want: []wantError{{"/linux/uidMappings/1", "", "overlaps an earlier range"}}},
		{name: "past the end", more: true, make: mapped(func(s *specs.Spec) {
			s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 4294967290, Size: 10}}
		}), want: []wantError{{"/linux/gidMappings/0", "", "past id 4294967294"}}},
		{name: "no user namespace", more: true, make: badSpec(func(s *specs.Spec) {
			dropNamespace(s, specs.UserNamespace)
			s.Linux.UIDMappings = oneID(0)
		}), want: []wantError{{"/linux/uidMappings", "", "mappings need a new user namespace"}}},
	})
}
