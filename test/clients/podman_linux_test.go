package clients_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// podman calls podman with everything of its own below dir.
func podman(args ...string) []string {
	return append([]string{"podman", "--root", dir + "/storage", "--runroot", dir + "/runroot", "--tmpdir", dir + "/tmp", "--storage-driver", "vfs",
		"--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", oci}, args...)
}

// run is podman run without a network, which would need a bridge and a packet filter.
func run(args ...string) []string {
	return podman(append([]string{"run", "--network", "none"}, args...)...)
}

// TestPodman is podman as root, on an image that the test makes.
func TestPodman(t *testing.T) {
	needs(t, "podman", "conmon", "busybox")
	call(t, podman("import", dir+"/layer.tar", "box")...).want(t, 0)
	t.Run("configured", testPodmanConfigured)
	t.Run("run", testPodmanRun)
	t.Run("files", testPodmanFiles)
	t.Run("process", testPodmanProcess)
	t.Run("detached", testPodmanDetached)
	t.Run("terminal", testPodmanTerminal)
	t.Run("namespaces", testPodmanNamespaces)
	t.Run("user namespace", testPodmanUserNamespace)
	t.Run("pod", testPodmanPod)
	t.Run("health", testPodmanHealth)
	t.Run("limits", testPodmanLimits)
	t.Run("defaults", testPodmanDefaults)
	call(t, podman("ps", "-aq")...).want(t, 0)
	kept(t, 0)
}

func testPodmanRun(t *testing.T) {
	call(t, run("--rm", "box", "/bin/echo", "hello")...).want(t, 0, "hello")
	call(t, run("--rm", "box", "/bin/sh", "-c", "exit 7")...).want(t, 7)
	call(t, run("--rm", "box", "/nowhere")...).want(t, 127, "no such file or directory")
	call(t, run("--rm", "box", "nowhere")...).want(t, 127, "executable file not found in $PATH")
	call(t, run("--rm", "box", "/etc/passwd")...).want(t, 126, "permission denied")
	call(t, run("--rm", "-v", dir+"/nowhere:/v", "box", "/bin/true")...).want(t, 125, "no such file or directory")
	call(t, run("--rm", "--name", "-", "box", "/bin/true")...).want(t, 125)
	call(t, run("--rm", "--user", "nobody", "box", "/bin/true")...).want(t, 126, "nobody")
	call(t, run("--rm", "--workdir", "/nowhere", "box", "/bin/true")...).want(t, 126, "/nowhere")
	call(t, run("--rm", "--privileged", "box", "/bin/ls", "/dev/null")...).want(t, 0, "/dev/null")
	in := exec.Command("podman", run("--rm", "-i", "box", "/bin/cat")[1:]...)
	in.Stdin = strings.NewReader("through the pipe")
	finish(t, in).want(t, 0, "through the pipe")
}

func testPodmanFiles(t *testing.T) {
	volume := t.TempDir()
	if err := os.WriteFile(volume+"/there", []byte("on the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	call(t, run("--rm", "-v", volume+":/v:ro", "box", "/bin/sh", "-c", "cat /v/there; touch /v/new")...).want(t, 1, "on the host", "Read-only file system")
	call(t, run("--rm", "-v", volume+":/v", "box", "/bin/touch", "/v/new")...).want(t, 0)
	if _, err := os.Stat(volume + "/new"); err != nil {
		t.Error(err)
	}
	call(t, run("--rm", "--device", "/dev/null:/dev/other", "box", "/bin/ls", "-l", "/dev/other")...).want(t, 0, "1,   3")
	call(t, run("--rm", "--shm-size", "1m", "box", "/bin/mount")...).want(t, 0, "/dev/shm", "size=1024k")
}

func testPodmanProcess(t *testing.T) {
	call(t, run("--rm", "--user", "33:34", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "box", "/bin/sh", "-c", "id; cat /proc/self/status")...).
		want(t, 0, "uid=33(33) gid=34(34)", "CapBnd:\t0000000000001000")
	call(t, run("--rm", "-e", "A=b", "-w", "/tmp", "--hostname", "inside", "box", "/bin/sh", "-c", "env; hostname")...).want(t, 0, "A=b", "PWD=/tmp", "inside", "HOME=/root")
	// With one limit podman sets the other as well, to what only CAP_SYS_RESOURCE may.
	call(t, run("--rm", "--ulimit", "nofile=512:1024", "--ulimit", "nproc=4096:4096", "box", "/bin/sh", "-c", "ulimit -n; ulimit -Hn")...).want(t, 0, "512\n1024\n")
	call(t, run("--rm", "--sysctl", "net.ipv4.ip_forward=1", "box", "/bin/cat", "/proc/sys/net/ipv4/ip_forward")...).want(t, 0, "1")
	call(t, run("--rm", "box", "/bin/cat", "/proc/self/status")...).want(t, 0, "Seccomp:\t2")
	call(t, run("--rm", "--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges", "box", "/bin/cat", "/proc/self/status")...).want(t, 0, "Seccomp:\t0", "NoNewPrivs:\t1")
	call(t, run("--rm", "--read-only", "box", "/bin/sh", "-c", "touch /tmp/new && echo made; touch /new")...).want(t, 1, "made", "Read-only file system")
	call(t, run("--rm", "--tmpfs", "/data:size=1m", "box", "/bin/sh", "-c", "cat /data/file; touch /data/new && echo made")...).want(t, 0, "kept", "made")
}

func testPodmanDetached(t *testing.T) {
	call(t, run("-d", "--name", "web", "box", "/bin/sleep", "600")...).want(t, 0)
	kept(t, 1)
	call(t, podman("exec", "web", "/bin/sh", "-c", "ps; exit 5")...).want(t, 5, "sleep 600")
	call(t, podman("exec", "--user", "7:8", "web", "/bin/id")...).want(t, 0, "uid=7 gid=8")
	call(t, podman("exec", "web", "/nowhere")...).want(t, 127)
	call(t, podman("exec", "web", "nowhere")...).want(t, 127)
	call(t, podman("top", "web")...).want(t, 0, "sleep 600")
	call(t, podman("pause", "web")...).want(t, 0)
	call(t, podman("ps", "--filter", "status=paused", "--format", "{{.Names}}")...).want(t, 0, "web")
	call(t, podman("unpause", "web")...).want(t, 0)
	call(t, podman("stop", "-t", "1", "web")...).want(t, 0)
	call(t, podman("start", "web")...).want(t, 0)
	call(t, podman("kill", "web")...).want(t, 0)
	call(t, podman("wait", "web")...).want(t, 0, "137")
	call(t, podman("rm", "web")...).want(t, 0)
	call(t, run("--name", "says", "box", "/bin/sh", "-c", "echo out; echo err >&2")...).want(t, 0)
	call(t, podman("logs", "says")...).want(t, 0, "out", "err")
	call(t, podman("rm", "says")...).want(t, 0)
	call(t, run("-d", "--name", "stays", "box", "/bin/sleep", "600")...).want(t, 0)
	call(t, podman("rm", "-f", "-t", "0", "stays")...).want(t, 0)
}

func testPodmanTerminal(t *testing.T) {
	onTerminal(t, run("--rm", "-it", "box", "/bin/sh", "-c", "tty; echo bye")...).want(t, 0, "/dev/pts/0", "bye")
	call(t, run("-d", "--name", "tty", "box", "/bin/sleep", "600")...).want(t, 0)
	onTerminal(t, podman("exec", "-it", "tty", "/bin/tty")...).want(t, 0, "/dev/pts/0")
	call(t, podman("rm", "-f", "-t", "0", "tty")...).want(t, 0)
}

func testPodmanNamespaces(t *testing.T) {
	call(t, run("--rm", "--pid", "host", "box", "/bin/ps")...).want(t, 0, "PID")
	call(t, run("--rm", "--uts", "host", "--ipc", "host", "box", "/bin/hostname")...).want(t, 0)
	call(t, run("-d", "--name", "first", "box", "/bin/sleep", "600")...).want(t, 0)
	call(t, podman("run", "--rm", "--network", "container:first", "--pid", "container:first", "--ipc", "container:first", "box", "/bin/ps")...).want(t, 0, "sleep 600")
	call(t, podman("rm", "-f", "-t", "0", "first")...).want(t, 0)
}
