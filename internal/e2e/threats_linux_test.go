package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Rows of docs/security-tests.md that no other test is about.

// TestT30_ReusedPid: a pid is the container's only as long as the process that had it first. Another one, which started
// at another time, is neither signalled nor killed.
func TestT30_ReusedPid(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	b := newBundle(t).do("exit 0")
	r := b.create(t)
	shim(t, "start", b.id).ok(t)
	r.closed()
	b.awaitStopped(t)
	victim := exec.Command(probeExe, "forever")
	victim.Args[0] = "probe"
	must(t, victim.Start())
	defer victim.Wait()
	defer victim.Process.Kill()
	file := filepath.Join(stateRoot(), b.id, "state.json")
	text := textOf(t, file)
	was := fmt.Sprintf(`"pid":%d,`, pidIn(t, text))
	if strings.Count(text, was) != 1 {
		t.Fatalf("the record has no %s: %s", was, text)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(text, was, fmt.Sprintf(`"pid":%d,`, victim.Process.Pid), 1)), 0o600))
	b.wantStatus(t, "stopped")
	fails(t, 1, "container not running", "kill", b.id, "KILL")
	shim(t, "delete", "--force", b.id).ok(t)
	if awaitEnd(victim.Process.Pid, 0) {
		t.Error("the process that has the pid now was killed")
	}
}

// pidIn is the pid in a record.
func pidIn(t *testing.T, record string) (pid int) {
	t.Helper()
	_, rest, _ := strings.Cut(record, `"pid":`)
	_, err := fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &pid)
	must(t, err)
	return pid
}

// TestCVE_2018_6556_2022_47952: what the shim says of a path that is out of the caller's reach does not tell whether there is
// something (CVE-2022-47952).
func TestCVE_2018_6556_2022_47952(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	u, _ := accounts(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	must(t, os.Mkdir(dir+"/here", 0o755))
	must(t, os.WriteFile(dir+"/here/config.json", []byte("{}"), 0o644))
	for name, flags := range map[string]func(b *bundle, path string) []string{
		"bundle":      func(_ *bundle, path string) []string { return []string{"--bundle", path} },
		"config.json": func(b *bundle, path string) []string { return []string{"--config", path, "--bundle", b.dir} },
		"pid file":    func(b *bundle, path string) []string { return []string{"--pid-file", path + "/pid", "--bundle", b.dir} },
		"console": func(b *bundle, path string) []string {
			b.spec.Process.Terminal = true
			return []string{"--console-socket", path, "--bundle", b.dir}
		},
		"rootfs": func(b *bundle, path string) []string { b.spec.Root.Path = path; return []string{"--bundle", b.dir} },
		"source": func(b *bundle, path string) []string {
			addMount(b.spec, "/x", "bind", path, "bind")
			return []string{"--bundle", b.dir}
		},
		"layer": func(b *bundle, path string) []string {
			addMount(b.spec, "/x", "overlay", "overlay", "lowerdir="+path+":/usr", "userxattr")
			return []string{"--bundle", b.dir}
		},
		"namespace": func(b *bundle, path string) []string {
			replaceNamespace(b.spec, specs.NetworkNamespace, path)
			return []string{"--bundle", b.dir}
		},
		"seccomp listener": func(b *bundle, path string) []string {
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: path, Syscalls: []specs.LinuxSyscall{{Names: []string{"chroot"}, Action: specs.ActNotify}}}
			return []string{"--bundle", b.dir}
		},
		"device": func(b *bundle, path string) []string {
			b.spec.Linux.Devices = []specs.LinuxDevice{{Path: path, Type: "c", Major: 1, Minor: 3}}
			return []string{"--bundle", b.dir}
		},
		"hook": func(b *bundle, path string) []string {
			b.spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: path}}}
			return []string{"--bundle", b.dir}
		},
	} {
		t.Run(name, func(t *testing.T) {
			said := map[string]string{}
			for _, file := range []string{"here", "gone"} {
				b := u.bundle(t)
				args := append([]string{"run"}, flags(b, dir+"/"+file)...)
				b.write(t)
				res := u.launch(t, b, append(args, b.id)...).wait()
				if res.code == 0 || res.stderr == "" {
					t.Fatalf("not refused: %s", res)
				}
				said[file] = strings.NewReplacer("/"+file, "/FILE", b.dir, "DIR", b.id, "ID").Replace(fmt.Sprint(res.code, res.stderr))
			}
			if said["here"] != said["gone"] {
				t.Errorf("what is there: %s\nwhat is not: %s", said["here"], said["gone"])
			}
		})
	}
}

// TestCVE_2020_15257: an abstract socket of the host's is in reach of a container with the host's network, which
// SECURITY.md says, and of no other (CVE-2020-15257).
func TestCVE_2020_15257(t *testing.T) {
	needs(t, !here.guest, "is seen on the host")
	name := "@locald-" + newID()
	l, err := net.Listen("unix", name)
	must(t, err)
	defer l.Close()
	for _, own := range []bool{true, false} {
		b := newBundle(t).do("read /proc/net/unix")
		if !own {
			dropNamespace(b.spec, specs.NetworkNamespace)
		}
		if has := strings.Contains(b.run(t).ok(t).value(t, "read /proc/net/unix"), name); has == own {
			t.Errorf("own network namespace %v: in reach %v", own, has)
		}
	}
}

func setSuidDumpable(t *testing.T, value string) {
	t.Helper()
	const name = "/proc/sys/fs/suid_dumpable"
	was := textOf(t, name)
	must(t, os.WriteFile(name, []byte(value), 0))
	t.Cleanup(func() { os.WriteFile(name, []byte(was), 0) })
}

// TestT20_SuidDumpable: with fs.suid_dumpable 1 every change of ids made the shim dumpable, and the caller could take it
// over. It refuses such a host before it does anything.
func TestT20_SuidDumpable(t *testing.T) {
	needs(t, here.guest && here.root, "changes a sysctl, as root of a machine of its own")
	u, _ := accounts(t)
	setSuidDumpable(t, "1")
	for _, args := range [][]string{{"list"}, {"bundle", "run"}} {
		res := u.launch(t, nil, args...).wait()
		if res.code != 125 || !strings.Contains(res.stderr, "fs.suid_dumpable is 1") {
			t.Errorf("not refused: %s", res)
		}
	}
}
