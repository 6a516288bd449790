package clients_test

import (
	"os"
	"strings"
	"testing"
)

const containerdConfig = `version = 2
root = "` + dir + `/containerd/root"
state = "` + dir + `/containerd/state"
# The first would look for a network, the others for file systems that are not there.
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "` + dir + `/containerd.sock"
`

func ctr(args ...string) []string {
	return append([]string{"ctr", "--address", dir + "/containerd.sock", "--namespace", "clients"}, args...)
}

// ctrRun is ctr run with the runtime under test.
func ctrRun(args ...string) []string {
	return ctr(append([]string{"run", "--runc-binary", oci}, args...)...)
}

// TestContainerd is containerd, driven by ctr, on an image that the test makes and on a plain directory.
func TestContainerd(t *testing.T) {
	needs(t, "containerd", "ctr", "busybox")
	if err := os.WriteFile(dir+"/containerd.toml", []byte(containerdConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	daemon(t, ctr("version"), "containerd", "--config", dir+"/containerd.toml")
	call(t, ctr("images", "import", image(t))...).want(t, 0, "box:latest")
	t.Run("run", testContainerdRun)
	t.Run("task", testContainerdTask)
	t.Run("limits", testContainerdLimits)
	t.Run("terminal", testContainerdTerminal)
	kept(t, 0)
}

func testContainerdRun(t *testing.T) {
	call(t, ctrRun("--rm", "box:latest", "one", "/bin/echo", "hello")...).want(t, 0, "hello")
	call(t, ctrRun("--rm", "--rootfs", rootfs, "one", "/bin/sh", "-c", "exit 7")...).want(t, 7)
	call(t, ctrRun("--rm", "box:latest", "one", "/nowhere")...).want(t, 1, "OCI runtime create failed", "/nowhere", "no such file or directory")
	call(t, ctrRun("--rm", "--read-only", "--env", "A=b", "--cwd", "/data", "box:latest", "one", "/bin/sh", "-c", "echo $A; cat file; touch /new")...).
		want(t, 1, "b\n", "kept", "Read-only file system")
	call(t, ctrRun("--rm", "--seccomp", "--cap-drop", "CAP_CHOWN", "box:latest", "one", "/bin/cat", "/proc/self/status")...).want(t, 0, "Seccomp:\t2", "CapBnd:\t00000000a80425fa")
	call(t, ctrRun("--rm", "--mount", "type=bind,src="+rootfs+"/etc,dst=/mnt,options=rbind:ro", "box:latest", "one", "/bin/cat", "/mnt/passwd")...).want(t, 0, "root:x:0")
}

func testContainerdTask(t *testing.T) {
	call(t, ctrRun("--detach", "box:latest", "two", "/bin/sleep", "600")...).want(t, 0)
	kept(t, 1)
	call(t, ctr("tasks", "ls")...).want(t, 0, "RUNNING")
	call(t, ctr("tasks", "exec", "--exec-id", "a", "two", "/bin/sh", "-c", "ps; exit 5")...).want(t, 5, "sleep 600")
	call(t, ctr("tasks", "exec", "--exec-id", "b", "--user", "7:8", "two", "/bin/id")...).want(t, 0, "uid=7 gid=8")
	call(t, ctr("tasks", "exec", "--exec-id", "c", "two", "/nowhere")...).want(t, 1, "OCI runtime exec failed", "no such file or directory")
	call(t, ctr("tasks", "ps", "two")...).want(t, 0, "PID")
	call(t, ctr("tasks", "pause", "two")...).want(t, 0)
	call(t, ctr("tasks", "ls")...).want(t, 0, "PAUSED")
	call(t, ctr("tasks", "resume", "two")...).want(t, 0)
	call(t, ctr("tasks", "ls")...).want(t, 0, "RUNNING")
	call(t, ctr("tasks", "kill", "--signal", "KILL", "two")...).want(t, 0)
	until(t, "STOPPED", ctr("tasks", "ls")...)
	call(t, ctr("tasks", "rm", "two")...).want(t, 0, "137") // a warning names the exit status
	call(t, ctr("containers", "rm", "two")...).want(t, 0)
	call(t, ctrRun("--detach", "box:latest", "three", "/bin/sleep", "600")...).want(t, 0)
	call(t, ctr("tasks", "rm", "--force", "three")...).want(t, 0)
	call(t, ctr("containers", "rm", "three")...).want(t, 0)
}

// testContainerdLimits reads the limits where containerd reads them: in the container's cgroup, as it finds it in
// /proc/PID/cgroup.
func testContainerdLimits(t *testing.T) {
	call(t, ctrRun("--detach", "--memory-limit", "33554432", "--cpus", "0.5", "box:latest", "four", "/bin/sleep", "600")...).want(t, 0)
	metrics := call(t, ctr("tasks", "metrics", "four")...).want(t, 0, "33554432")
	metrics.out = strings.Join(strings.Fields(metrics.out), " ")
	metrics.want(t, 0, "pids.current 1 ")
	call(t, ctr("tasks", "rm", "--force", "four")...).want(t, 0)
	call(t, ctr("containers", "rm", "four")...).want(t, 0)
}

func testContainerdTerminal(t *testing.T) {
	onTerminal(t, ctrRun("--rm", "--tty", "box:latest", "five", "/bin/sh", "-c", "tty; echo bye")...).want(t, 0, "/dev/pts/0", "bye")
	call(t, ctrRun("--detach", "box:latest", "six", "/bin/sleep", "600")...).want(t, 0)
	onTerminal(t, ctr("tasks", "exec", "--tty", "--exec-id", "t", "six", "/bin/tty")...).want(t, 0, "/dev/pts/0")
	call(t, ctr("tasks", "rm", "--force", "six")...).want(t, 0)
	call(t, ctr("containers", "rm", "six")...).want(t, 0)
}
