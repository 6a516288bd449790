// Package systemd_test runs containers whose cgroups systemd makes (--systemd-cgroup), on a machine whose PID 1 is systemd:
// the guest. It is no part of make test: `make systemd` runs it there (test/run-systemd), and .ci/run.
package systemd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// shim is the program under test, without the set-user-ID bit.
var shim string

func TestMain(m *testing.M) {
	shim = os.Getenv("LOCALD_SYSTEMD_SHIM")
	if shim == "" {
		fmt.Println("skipped: needs a guest with systemd: make systemd")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience bounds every wait: the guest's machine is emulated.
const patience = time.Minute

// result is a command that has ended.
type result struct {
	args        []string
	out, errors string
	code        int
}

func (r result) String() string {
	return fmt.Sprintf("%s: exit status %d\n%s%s", strings.Join(r.args, " "), r.code, r.out, r.errors)
}

func call(t *testing.T, args ...string) result {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	// A container that goes on must not keep the output open: it gets files.
	out, errors := file(t), file(t)
	cmd.Stdout, cmd.Stderr = out, errors
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{args, text(t, out.Name()), text(t, errors.Name()), cmd.ProcessState.ExitCode()}
}

// ok fails the test unless the command succeeded.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := call(t, args...)
	if r.code != 0 {
		t.Fatal(r)
	}
	return strings.TrimSuffix(r.out, "\n")
}

// refused fails the test unless the command fails and says want.
func refused(t *testing.T, want string, args ...string) {
	t.Helper()
	if r := call(t, args...); r.code == 0 || !strings.Contains(r.errors, want) {
		t.Errorf("not refused with %q: %s", want, r)
	}
}

func file(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// show are properties of a unit, as systemctl prints them.
func show(t *testing.T, unit string, names ...string) map[string]string {
	t.Helper()
	return parse(ok(t, "systemctl", "show", unit, "-p", strings.Join(names, ",")))
}

func parse(properties string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(properties) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		m[name] = value
	}
	return m
}

// wants compares properties, or files of a cgroup.
func wants(t *testing.T, when string, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %s is %q, want %q", when, name, got[name], value)
		}
	}
}

// files reads files of a cgroup.
func files(t *testing.T, cgroup string, want map[string]string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = strings.TrimSpace(text(t, "/sys/fs/cgroup"+cgroup+"/"+name))
	}
	return got
}

// gone fails the test unless the unit and its cgroup are.
func gone(t *testing.T, unit, cgroup string) {
	t.Helper()
	if state := show(t, unit, "LoadState")["LoadState"]; state != "not-found" {
		t.Errorf("%s is %s: %s", unit, state, ok(t, "systemctl", "show", unit, "-p", "ActiveState,SubState,Result"))
	}
	if _, err := os.Stat("/sys/fs/cgroup" + cgroup); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", cgroup, err)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happened: " + what)
		}
	}
}

// state is what the runtime says of a container.
func state(t *testing.T, id string) (st specs.State) {
	t.Helper()
	if err := json.Unmarshal([]byte(ok(t, shim, "state", id)), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// bundle makes a bundle that runs a line of shell, with a busybox for its programs.
func bundle(t *testing.T, line string, change func(*specs.Spec)) string {
	t.Helper()
	dir := t.TempDir()
	for at := dir; at != "/tmp"; at = filepath.Dir(at) {
		must(t, os.Chmod(at, 0o755)) // for users
	}
	must(t, os.MkdirAll(dir+"/rootfs/bin", 0o755))
	busybox, err := os.ReadFile("/usr/bin/busybox")
	must(t, err)
	must(t, os.WriteFile(dir+"/rootfs/bin/busybox", busybox, 0o755))
	for _, name := range []string{"sh", "sleep", "cat", "true"} {
		must(t, os.Symlink("busybox", dir+"/rootfs/bin/"+name))
	}
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"/bin/sh", "-c", line}, Cwd: "/", Env: []string{"PATH=/bin"}},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}, {Destination: "/dev", Type: "tmpfs", Source: "tmpfs"}},
		Linux:   &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "ipc"}, {Type: "uts"}, {Type: "network"}, {Type: "cgroup"}}},
	}
	if change != nil {
		change(s)
	}
	config, err := json.Marshal(s)
	must(t, err)
	must(t, os.WriteFile(dir+"/config.json", bytes.TrimSpace(config), 0o644))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
