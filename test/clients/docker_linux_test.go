package clients_test

import (
	"os"
	"strings"
	"testing"
)

func docker(args ...string) []string {
	return append([]string{"docker", "--host", "unix://" + dir + "/docker.sock"}, args...)
}

// dockerRun is docker run without a network, which would need a bridge and a packet filter.
func dockerRun(args ...string) []string {
	return docker(append([]string{"run", "--network", "none"}, args...)...)
}

// TestDocker is dockerd with the containerd that it starts, in the guest: they take a whole machine for theirs.
func TestDocker(t *testing.T) {
	needs(t, "dockerd", "docker", "containerd", "busybox")
	if err := os.WriteFile(dir+"/daemon.json", []byte(snippet(t, "docker.md", "json")), 0o644); err != nil {
		t.Fatal(err)
	}
	daemon(t, docker("version"), "dockerd", "--config-file", dir+"/daemon.json", "--host", "unix://"+dir+"/docker.sock", "--data-root", dir+"/docker/data",
		"--exec-root", dir+"/docker/exec", "--pidfile", dir+"/docker/pid", "--exec-opt", "native.cgroupdriver=cgroupfs", "--bridge", "none", "--iptables=false", "--ip6tables=false")
	call(t, docker("load", "--input", image(t))...).want(t, 0, "box:latest")
	call(t, docker("info", "--format", "{{.DefaultRuntime}}")...).want(t, 0, "locald")
	t.Run("run", testDockerRun)
	t.Run("detached", testDockerDetached)
	t.Run("terminal", testDockerTerminal)
	kept(t, 0)
}

func testDockerRun(t *testing.T) {
	call(t, dockerRun("--rm", "box", "echo", "hello")...).want(t, 0, "hello")
	call(t, dockerRun("--rm", "box", "nowhere")...).want(t, 127, "OCI runtime create failed", "executable file not found in $PATH")
	call(t, dockerRun("--rm", "box", "/etc/passwd")...).want(t, 126, "OCI runtime create failed", "permission denied")
	call(t, dockerRun("--rm", "--read-only", "--tmpfs", "/tmp", "--volume", rootfs+"/etc:/v:ro", "--user", "33:34", "box",
		"sh", "-c", "id; cat /v/passwd; touch /tmp/new && echo made; touch /new; exit 7")...).want(t, 7, "uid=33 gid=34", "root:x:0", "made", "Read-only file system")
	call(t, dockerRun("--rm", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "box", "cat", "/proc/self/status", "/proc/self/attr/current")...).want(t, 0, "CapBnd:\t0000000000001000", "Seccomp:\t2", "docker-default (enforce)")
	call(t, dockerRun("--rm", "--privileged", "--init", "box", "cat", "/proc/1/comm", "/proc/self/attr/current")...).want(t, 0, "docker-init\n", "unconfined")
}

func testDockerDetached(t *testing.T) {
	call(t, dockerRun("-d", "--name", "web", "--memory", "64m", "--pids-limit", "50", "box", "sleep", "600")...).want(t, 0)
	kept(t, 1)
	pid := strings.TrimSpace(call(t, docker("inspect", "--format", "{{.State.Pid}}", "web")...).want(t, 0).out)
	limit(t, pid, "memory/memory.limit_in_bytes", "memory.max", "67108864")
	limit(t, pid, "pids/pids.max", "pids.max", "50")
	call(t, docker("exec", "web", "sh", "-c", "ps; exit 5")...).want(t, 5, "sleep 600")
	call(t, docker("exec", "web", "nowhere")...).want(t, 126, "OCI runtime exec failed", "executable file not found in $PATH")
	call(t, docker("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "web")...).want(t, 0, "/ 64MiB 1\n")
	call(t, docker("top", "web")...).want(t, 0, "sleep 600")
	call(t, docker("pause", "web")...).want(t, 0)
	call(t, docker("ps", "--filter", "status=paused", "--format", "{{.Names}}")...).want(t, 0, "web")
	call(t, docker("unpause", "web")...).want(t, 0)
	call(t, docker("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.5", "web")...).want(t, 0)
	limit(t, pid, "memory/memory.limit_in_bytes", "memory.max", "100663296")
	limit(t, pid, "cpu/cpu.cfs_quota_us", "cpu.max", "50000")
	call(t, docker("kill", "web")...).want(t, 0)
	call(t, docker("wait", "web")...).want(t, 0, "137")
	call(t, docker("logs", "web")...).want(t, 0)
	call(t, docker("rm", "web")...).want(t, 0)
}

func testDockerTerminal(t *testing.T) {
	onTerminal(t, dockerRun("--rm", "-it", "box", "sh", "-c", "tty; echo bye")...).want(t, 0, "/dev/pts/0", "bye")
	call(t, dockerRun("-d", "--name", "tty", "box", "sleep", "600")...).want(t, 0)
	onTerminal(t, docker("exec", "-it", "tty", "tty")...).want(t, 0, "/dev/pts/0")
	call(t, docker("rm", "--force", "tty")...).want(t, 0)
}
