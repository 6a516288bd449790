package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/locald/locald/internal/e2e/probe"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// onTerminal gives the shim a terminal as standard input and as controlling terminal.
func onTerminal(slave *os.File) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		c.Stdin = slave
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	}
}

// TestInheritedDescriptors: only 0, 1 and 2 get in, whatever the caller has open.
func TestInheritedDescriptors(t *testing.T) {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	root := os.NewFile(uintptr(fd), "/")
	defer root.Close()
	etc, err := os.Open("/etc")
	must(t, err)
	defer etc.Close()
	b := newBundle(t)
	r := b.start(t, func(c *exec.Cmd) {
		for range 25 {
			c.ExtraFiles = append(c.ExtraFiles, root, etc)
		}
	}).wait().ok(t).look(t)
	for _, fd := range []string{"0", "1", "2"} {
		if !strings.HasPrefix(r.Fds[fd], "pipe:") {
			t.Errorf("descriptor %s is %q", fd, r.Fds[fd])
		}
		delete(r.Fds, fd)
	}
	for fd, link := range r.Fds {
		t.Errorf("descriptor %s got in: %s", fd, link)
	}
}

// through starts the shim through another program: the probe.
func through(action string) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		c.Args = []string{probe.Name, action + " " + c.Path + " " + strings.Join(c.Args[1:], " ")}
		c.Path = probeExe
	}
}

// TestSignalsOfCaller: a caller that ignores and blocks every signal hands none of that on (nohup(1) and the
// like would make a container deaf), and the shim works as always.
func TestSignalsOfCaller(t *testing.T) {
	uids := []uint32{0}
	if here.root {
		uids = []uint32{0, 5} // they are cloned in two ways
	}
	for _, uid := range uids {
		t.Run(fmt.Sprint("uid ", uid), func(t *testing.T) {
			b := newBundle(t).do("look", "trap 1", "exit 9")
			b.spec.Process.User.UID = uid
			run := b.start(t, through("deaf"))
			got := run.answer("look").Look.Status
			for _, set := range []string{"SigBlk", "SigIgn"} {
				if strings.Trim(got[set], "0") != "" {
					t.Errorf("%s is %s, want 0", set, got[set])
				}
			}
			run.answer("ready")
			must(t, unix.Kill(run.await("cloned").Pid, unix.SIGUSR1))
			run.answer("signal SIGUSR1")
			if r := run.wait(); r.code != 9 {
				t.Error(r)
			}
		})
	}
}

// TestClosedStandardDescriptors: a file that the shim opens must never become its standard error, or the
// container's.
func TestClosedStandardDescriptors(t *testing.T) {
	b := newBundle(t)
	out := t.TempDir()
	addMount(b.spec, "/out", "bind", out)
	b.do("save /out/look look", "save /out/readlink readlink /proc/self/fd/0", "say something", "exit 3")
	r := b.start(t, through("bare")).wait()
	if r.code != 3 {
		t.Fatal(r)
	}
	text, err := os.ReadFile(out + "/look")
	must(t, err)
	var a probe.Answer
	must(t, json.Unmarshal(text, &a))
	for _, fd := range []string{"0", "1", "2"} {
		if a.Look.Fds[fd] != "/dev/null" {
			t.Errorf("descriptor %s is %q, want /dev/null", fd, a.Look.Fds[fd])
		}
	}
}

// TestNamesOfHost: hostname and domainname are the container's own.
func TestNamesOfHost(t *testing.T) {
	long := strings.Repeat("h", 64)
	for _, name := range []string{"box", long} {
		b := newBundle(t, func(s *specs.Spec) { s.Hostname, s.Domainname = name, "example."+name[:3] })
		r := b.run(t).ok(t).look(t)
		if r.Hostname != name || r.Domainname != "example."+name[:3] {
			t.Errorf("names are %q and %q", r.Hostname, r.Domainname)
		}
	}
}

// TestNamesJoined: the names of a uts namespace that is joined are set, as in a pod, when it is not the host's.
func TestNamesJoined(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	h := hold(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS})
	b := newBundle(t, func(s *specs.Spec) { s.Hostname, s.Domainname = "pod", "example.org" })
	replaceNamespace(b.spec, specs.UTSNamespace, h.path("uts"))
	if r := b.run(t).ok(t).look(t); r.Hostname != "pod" || r.Domainname != "example.org" {
		t.Errorf("names are %q and %q", r.Hostname, r.Domainname)
	}
	b = newBundle(t, func(s *specs.Spec) { s.Hostname = "pod" })
	replaceNamespace(b.spec, specs.UTSNamespace, "/proc/self/ns/uts")
	if p := b.run(t).problem(t, "/hostname"); !strings.Contains(p.Message, "would change the host") {
		t.Errorf("%+v", p)
	}
}

// TestSysctl sets what belongs to new namespaces. That the host's stay as they are is looked at after every
// test.
func TestSysctl(t *testing.T) {
	b := newBundle(t)
	set := map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "80", "net/ipv4/ping_group_range": "0 0", "net.ipv4.conf.lo.forwarding": "1",
		"kernel.shmmax": "1048576", "kernel.msgmax": "4096", "kernel.sem": "10 1000 20 30", "fs.mqueue.msg_max": "9",
	}
	if here.root { // files of the machine's root in any uts namespace, and before Linux 6.10 in any network namespace
		set["kernel.domainname"], set["net.core.somaxconn"] = "example.org", "77"
	}
	b.spec.Linux.Sysctl = set
	var actions []string
	for key := range set {
		actions = append(actions, "read /proc/sys/"+strings.ReplaceAll(key, ".", "/"))
	}
	r := b.do(actions...).run(t).ok(t)
	for key, want := range set {
		got := strings.Join(strings.Fields(r.value(t, "read /proc/sys/"+strings.ReplaceAll(key, ".", "/"))), " ")
		if got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

// TestSysctlOfUser: the kernel keeps kernel.domainname for the machine's root, in any uts namespace; that is
// an error, and domainname says the same.
func TestSysctlOfUser(t *testing.T) {
	needsUser(t)
	b := newBundle(t, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.domainname": "example.org"} })
	b.run(t).problem(t, "/linux/sysctl/kernel.domainname")
}

// TestSysctlJoined: of a network namespace that is joined, sysctls are written when it is not the host's.
func TestSysctlJoined(t *testing.T) {
	needsRoot(t, "only who owns a namespace can join it")
	const key, file = "net.ipv4.ip_unprivileged_port_start", "read /proc/sys/net/ipv4/ip_unprivileged_port_start"
	h := hold(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET})
	b := newBundle(t, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{key: "81"} })
	replaceNamespace(b.spec, specs.NetworkNamespace, h.path("net"))
	if got := strings.TrimSpace(b.do(file).run(t).ok(t).value(t, file)); got != "81" {
		t.Errorf("%s is %s, want 81", key, got)
	}
	b = newBundle(t, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{key: "81"} })
	replaceNamespace(b.spec, specs.NetworkNamespace, "/proc/self/ns/net")
	if p := b.run(t).problem(t, "/linux/sysctl/"+key); !strings.Contains(p.Message, "would change the host") {
		t.Errorf("%+v", p)
	}
}

// TestSysctlOfUsers: limits of the namespaces that a user namespace may hold are its own, for root to set.
func TestSysctlOfUsers(t *testing.T) {
	b := newBundle(t, withRange, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"user.max_uts_namespaces": "3"} })
	const file = "read /proc/sys/user/max_uts_namespaces"
	r := b.do(file).run(t)
	if !here.root {
		r.problem(t, "/linux/sysctl/user.max_uts_namespaces")
		return
	}
	if got := strings.TrimSpace(r.ok(t).value(t, file)); got != "3" {
		t.Errorf("the limit is %s, want 3", got)
	}
}

// TestLoopback: lo is up in a new network namespace, and there is nothing else.
func TestLoopback(t *testing.T) {
	b := newBundle(t)
	addMount(b.spec, "/sys", "sysfs", "sysfs", "ro")
	r := b.do("loopback", "list /sys/class/net").run(t).ok(t)
	r.wantErrno(t, "loopback", "")
	if got := r.value(t, "list /sys/class/net"); got != "lo" {
		t.Errorf("network devices are %q", got)
	}
}
