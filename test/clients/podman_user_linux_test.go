package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// userHome is the home of the user who runs podman in TestPodmanUser.
const userHome = dir + "/home"

// userPlace is a mount namespace in which a user exists, with subordinate ids: writes to /etc stay in there. A process
// holds it until the test ends.
func userPlace(t *testing.T) (as func(args ...string) []string) {
	t.Helper()
	const uid = "23456"
	const script = `set -e
mkdir -p /run/clients-etc; mount -t tmpfs etc /run/clients-etc; mkdir /run/clients-etc/upper /run/clients-etc/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/clients-etc/upper,workdir=/run/clients-etc/work overlay /etc
echo "clients:x:$0:$0::$1:/bin/sh" >>/etc/passwd
echo "clients:x:$0:" >>/etc/group
echo "clients:2000000000:65536" | tee -a /etc/subuid >>/etc/subgid
install -d -m 755 /run/user
install -d -m 700 -o "$0" -g "$0" "$1" "/run/user/$0"
echo ready
exec cat`
	holder := exec.Command("unshare", "--mount", "--propagation", "slave", "sh", "-c", script, uid, userHome)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder.Stderr = os.Stderr
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); holder.Wait() })
	ready := make([]byte, 6)
	if n, err := out.Read(ready); err != nil || string(ready[:n]) != "ready\n" {
		t.Fatalf("%q, %v", ready[:n], err)
	}
	return func(args ...string) []string {
		return append([]string{"nsenter", "--mount", "--target", strconv.Itoa(holder.Process.Pid), "setpriv", "--reuid", uid, "--regid", uid, "--init-groups", "--inh-caps=-all",
			"env", "-i", "HOME=" + userHome, "XDG_RUNTIME_DIR=/run/user/" + uid, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, args...)
	}
}

// TestPodmanUser is podman as a user (rootless), where it runs the runtime as root of a user namespace. On a host with
// cgroup v1 a user has no cgroup, and podman asks for none.
func TestPodmanUser(t *testing.T) {
	needs(t, "podman", "conmon", "busybox", "newuidmap")
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		t.Skip("is about hosts with cgroup v1: test/systemd has the other")
	}
	as := userPlace(t)
	podman := func(args ...string) []string {
		return as(append([]string{"podman", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", oci}, args...)...)
	}
	run := func(args ...string) []string {
		return podman(append([]string{"run", "--network", "none", "--cgroupns", "private"}, args...)...)
	}
	call(t, podman("import", dir+"/layer.tar", "box")...).want(t, 0)
	call(t, run("--rm", "box", "/bin/sh", "-c", "id; cat /proc/self/uid_map; exit 7")...).want(t, 7, "uid=0(root)", "2000000000")
	call(t, run("--rm", "box", "/nowhere")...).want(t, 127, "no such file or directory")
	call(t, run("--rm", "--user", "33:34", "box", "/bin/id")...).want(t, 0, "uid=33(33) gid=34(34)")
	call(t, run("--rm", "--read-only", "--tmpfs", "/data", "box", "/bin/sh", "-c", "touch /data/new && echo made; touch /new")...).want(t, 1, "made", "Read-only file system")
	call(t, run("--rm", "--userns", "keep-id", "-v", userHome+":/mine", "box", "/bin/sh", "-c", "id; touch /mine/new; stat -c %u /mine/new")...).want(t, 0, "uid=23456", "23456\n")
	call(t, run("--rm", "--uidmap", "0:1:100", "--gidmap", "0:1:100", "box", "/bin/sh", "-c", "id; touch /new && echo made")...).want(t, 0, "uid=0(root)", "made")
	call(t, run("-d", "--name", "web", "box", "/bin/sleep", "600")...).want(t, 0)
	if oci == dir+"/locald-shim" {
		if found, _ := filepath.Glob("/run/user/23456/locald-shim/*"); len(found) != 1 {
			t.Errorf("the runtime keeps %s, want one", found)
		}
	}
	call(t, podman("exec", "web", "/bin/sh", "-c", "ps; exit 5")...).want(t, 5, "sleep 600")
	call(t, podman("top", "web")...).want(t, 0, "sleep 600")
	call(t, podman("stop", "-t", "1", "web")...).want(t, 0)
	call(t, podman("start", "web")...).want(t, 0)
	call(t, podman("kill", "web")...).want(t, 0)
	call(t, podman("wait", "web")...).want(t, 0, "137")
	call(t, podman("rm", "web")...).want(t, 0)
	if r := call(t, podman("ps", "-aq")...); strings.TrimSpace(r.out) != "" {
		t.Errorf("left: %s", r.out)
	}
	call(t, podman("system", "migrate")...).want(t, 0) // ends the process that holds podman's user namespace
}
