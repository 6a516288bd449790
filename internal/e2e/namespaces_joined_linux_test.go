package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// holder is a process that keeps namespaces alive, until its test ends.
type holder struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// hold starts a probe in new namespaces. It does the actions, and then waits.
func hold(t *testing.T, attr *syscall.SysProcAttr, actions ...string) *holder {
	t.Helper()
	h := &holder{cmd: exec.Command(probeExe)}
	h.cmd.Args = append(append([]string{probe.Name}, actions...), "look", "line")
	h.cmd.SysProcAttr = attr
	in, err := h.cmd.StdinPipe()
	must(t, err)
	out, err := h.cmd.StdoutPipe()
	must(t, err)
	must(t, h.cmd.Start())
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		h.cmd.Process.Kill()
		h.cmd.Wait()
	})
	h.out = bufio.NewReader(out)
	for {
		line, err := h.out.ReadBytes('\n')
		must(t, err)
		var a probe.Answer
		must(t, json.Unmarshal(line, &a))
		if a.Errno != "" {
			t.Fatalf("holder: %s: %s", a.Did, a.Errno)
		}
		if a.Look != nil {
			return h
		}
	}
}

func (h *holder) path(file string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", h.cmd.Process.Pid, file)
}

// replaceNamespace puts a joined namespace in the place of the new one.
func replaceNamespace(s *specs.Spec, kind specs.LinuxNamespaceType, path string) {
	dropNamespace(s, kind)
	addNamespace(s, kind, path)
}

// TestJoinedNamespaces joins one of each kind that a root process holds.
func TestJoinedNamespaces(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	for _, tt := range []struct {
		kind  specs.LinuxNamespaceType
		flags uintptr
		does  []string // in the holder
	}{
		{specs.NetworkNamespace, unix.CLONE_NEWNET, nil},
		{specs.IPCNamespace, unix.CLONE_NEWIPC, nil},
		{specs.UTSNamespace, unix.CLONE_NEWUTS, []string{"sethostname held"}},
		{specs.PIDNamespace, unix.CLONE_NEWPID, nil},
		{specs.CgroupNamespace, unix.CLONE_NEWCGROUP, nil},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			b := newBundle(t)
			h := hold(t, &syscall.SysProcAttr{Cloneflags: tt.flags}, tt.does...)
			path := h.path(nsFile(tt.kind))
			want, err := os.Readlink(path)
			must(t, err)
			replaceNamespace(b.spec, tt.kind, path)
			got := b.run(t).ok(t).look(t)
			if got.Namespaces[nsFile(tt.kind)] != want {
				t.Errorf("namespace is %s, want %s", got.Namespaces[nsFile(tt.kind)], want)
			}
			switch tt.kind {
			case specs.UTSNamespace:
				if got.Hostname != "held" {
					t.Errorf("hostname is %s", got.Hostname)
				}
			case specs.PIDNamespace:
				if got.Pid == 1 || got.Ppid != 0 {
					t.Errorf("pid %d, parent %d in a pid namespace that has its first process", got.Pid, got.Ppid)
				}
			}
		})
	}
}

// TestJoinedMountNamespace has its own root and mounts: config.json brings none.
func TestJoinedMountNamespace(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	b := newBundle(t)
	dir := t.TempDir()
	h := hold(t, &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}, "mount tmpfs tmpfs "+dir, "create "+dir+"/only-there")
	want, err := os.Readlink(h.path("mnt"))
	must(t, err)
	replaceNamespace(b.spec, specs.MountNamespace, h.path("mnt"))
	dropNamespace(b.spec, specs.PIDNamespace) // for which there is no /proc
	b.spec.Root, b.spec.Mounts = nil, nil
	b.do("look", "list "+dir)
	b.spec.Process.Args[0] = probeExe
	r := b.run(t).ok(t)
	if got := r.look(t).Namespaces["mnt"]; got != want {
		t.Errorf("mount namespace is %s, want %s", got, want)
	}
	if got := r.value(t, "list "+dir); got != "only-there" {
		t.Errorf("there is %q", got)
	}
}

// TestJoinedTimeNamespace: a process's children are in the time namespace that it has made.
func TestJoinedTimeNamespace(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	b := newBundle(t)
	h := hold(t, nil, "unshare 0x80", "write /proc/self/timens_offsets boottime 5000 0")
	want, err := os.Readlink(h.path("time_for_children"))
	must(t, err)
	addNamespace(b.spec, specs.TimeNamespace, h.path("time_for_children"))
	before := uptime(t)
	r := b.do("look", "read /proc/uptime").run(t).ok(t)
	if got := r.look(t).Namespaces["time"]; got != want {
		t.Errorf("time namespace is %s, want %s", got, want)
	}
	var up float64
	fmt.Sscan(r.value(t, "read /proc/uptime"), &up)
	if up < before+5000 {
		t.Errorf("/proc/uptime is %f, ours was %f", up, before)
	}
}

// TestJoinedUserNamespace joins a user namespace alone, and with what belongs to it.
func TestJoinedUserNamespace(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 600000, Size: 100}}
	attr := func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
			UidMappings: maps, GidMappings: maps}
	}
	for _, with := range [][]specs.LinuxNamespaceType{nil, {specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace}, {specs.PIDNamespace}} {
		t.Run(fmt.Sprint(with), func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { s.Process.User = specs.User{UID: 7, GID: 8} })
			h := hold(t, attr())
			addNamespace(b.spec, specs.UserNamespace, h.path("user"))
			if with == nil { // engines write the namespace's own maps down as well
				b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 1, HostID: 600000, Size: 100}, {ContainerID: 0, HostID: 0, Size: 1}}
				b.spec.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 600000, Size: 100}}
			}
			for _, kind := range with {
				replaceNamespace(b.spec, kind, h.path(nsFile(kind)))
			}
			r := b.do("look", "read /proc/self/uid_map").run(t).ok(t)
			got := r.look(t)
			for _, kind := range append(with, specs.UserNamespace) {
				want, err := os.Readlink(h.path(nsFile(kind)))
				must(t, err)
				if got.Namespaces[nsFile(kind)] != want {
					t.Errorf("%s namespace is %s, want %s", kind, got.Namespaces[nsFile(kind)], want)
				}
			}
			if got.Uid[0] != 7 || got.Gid[0] != 8 {
				t.Errorf("ids are %v %v", got.Uid, got.Gid)
			}
			if text := words(r.value(t, "read /proc/self/uid_map")); text != "0 0 1 1 600000 100" {
				t.Errorf("uid_map is %s", text)
			}
			if with == nil {
				b.spec.Linux.UIDMappings[0].Size++
				if p := b.run(t).problem(t, "/linux/uidMappings"); !strings.Contains(p.Message, "0 0 1 1 600000 100") {
					t.Errorf("another map: %s", p.Message)
				}
			}
		})
	}
}

// TestJoinRefused: paths that are no namespace, or another one, and for a user those of others, also when
// they belong to a user namespace of the same user's.
func TestJoinRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(dir+"/fifo", 0o666))
	must(t, os.WriteFile(dir+"/file", nil, 0o666))
	h := hold(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}})
	paths := map[string]string{"missing": dir + "/none", "fifo": dir + "/fifo", "file": dir + "/file", "directory": dir, "another kind": "/proc/self/ns/uts", "device": "/dev/null"}
	if !here.root {
		paths["ours"] = fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
		paths["of our own user namespace"] = h.path("net")
		paths["root's"] = "/proc/1/ns/net"
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, func(s *specs.Spec) { replaceNamespace(s, specs.NetworkNamespace, path) })
			r := b.run(t)
			pointer := fmt.Sprint("/linux/namespaces/", len(b.spec.Linux.Namespaces)-1)
			if p := r.problem(t, pointer); !strings.Contains(p.Message, path) {
				t.Errorf("the message does not name %s: %s", path, p.Message)
			}
		})
	}
}
