package clients_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// pidOf is the pid of a podman container's first process.
func pidOf(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(call(t, podman("inspect", "--format", "{{.State.Pid}}", name)...).want(t, 0).out)
}

// testPodmanConfigured has the runtime from the configuration that docs/how-to/podman.md shows, not from a flag.
func testPodmanConfigured(t *testing.T) {
	file := t.TempDir() + "/containers.conf"
	if err := os.WriteFile(file, []byte(snippet(t, "podman.md", "toml")), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", file)
	argv := slices.DeleteFunc(run("--rm", "box", "/bin/echo", "configured"), func(arg string) bool { return arg == "--runtime" || arg == oci })
	call(t, argv...).want(t, 0, "configured")
	call(t, append(argv[:slices.Index(argv, "run"):len(argv)], "info", "--format", "{{.Host.OCIRuntime.Path}}")...).want(t, 0, oci)
}

// testPodmanPod is two containers that share what the first one of their pod owns. It is of the image "box", too: podman's
// own has a program that is not installed.
func testPodmanPod(t *testing.T) {
	inPod := func(args ...string) []string { return podman(append([]string{"run", "--pod", "pod"}, args...)...) }
	call(t, podman("pod", "create", "--name", "pod", "--infra-image", "box", "--infra-command", "/bin/sleep 600", "--network", "none", "--share", "ipc,net,uts")...).want(t, 0)
	call(t, podman("pod", "start", "pod")...).want(t, 0)
	call(t, inPod("-d", "--name", "member", "--uts", "private", "--hostname", "own", "box", "/bin/sleep", "601")...).want(t, 0)
	call(t, podman("exec", "member", "/bin/hostname")...).want(t, 0, "own")
	call(t, inPod("--rm", "box", "/bin/hostname")...).want(t, 0, "pod")
	infra := strings.TrimSpace(call(t, podman("pod", "inspect", "--format", "{{.InfraContainerID}}", "pod")...).want(t, 0).out)
	first, member := pidOf(t, infra), pidOf(t, "member")
	for kind, same := range map[string]bool{"net": true, "ipc": true, "uts": false, "mnt": false, "pid": false} {
		if (namespace(t, first, kind) == namespace(t, member, kind)) != same {
			t.Errorf("%s namespace: shared is not %v", kind, same)
		}
	}
	call(t, podman("pod", "pause", "pod")...).want(t, 0)
	call(t, podman("pod", "ps")...).want(t, 0, "Paused")
	call(t, podman("pod", "unpause", "pod")...).want(t, 0)
	call(t, podman("pod", "stop", "-t", "1", "pod")...).want(t, 0)
	call(t, podman("pod", "ps")...).want(t, 0, "Exited")
	call(t, podman("pod", "start", "pod")...).want(t, 0)
	call(t, podman("pod", "rm", "-f", "-t", "0", "pod")...).want(t, 0)
}

// testPodmanHealth has no timer, which podman wants of systemd.
func testPodmanHealth(t *testing.T) {
	call(t, run("-d", "--name", "health", "--health-cmd", "cat /tmp/well", "--health-interval", "disable", "--health-retries", "1", "box", "/bin/sleep", "600")...).want(t, 0)
	call(t, podman("healthcheck", "run", "health")...).want(t, 1, "unhealthy")
	call(t, podman("exec", "health", "/bin/touch", "/tmp/well")...).want(t, 0)
	call(t, podman("healthcheck", "run", "health")...).want(t, 0)
	call(t, podman("inspect", "--format", "{{.State.Health.Status}}", "health")...).want(t, 0, "healthy")
	call(t, podman("rm", "-f", "-t", "0", "health")...).want(t, 0)
}

// testPodmanLimits reads what podman run and podman update have set in the container's cgroup.
func testPodmanLimits(t *testing.T) {
	call(t, run("-d", "--name", "limits", "--memory", "64m", "--pids-limit", "50", "box", "/bin/sleep", "600")...).want(t, 0)
	pid := pidOf(t, "limits")
	limit(t, pid, "memory/memory.limit_in_bytes", "memory.max", "67108864")
	limit(t, pid, "pids/pids.max", "pids.max", "50")
	call(t, podman("update", "--cpus", "0.5", "--memory", "100m", "--cpuset-cpus", "0", "limits")...).want(t, 0)
	limit(t, pid, "memory/memory.limit_in_bytes", "memory.max", "104857600")
	limit(t, pid, "cpu/cpu.cfs_quota_us", "cpu.max", "50000")
	limit(t, pid, "cpuset/cpuset.cpus", "cpuset.cpus", "0")
	limit(t, pid, "pids/pids.max", "pids.max", "50") // stays
	call(t, podman("rm", "-f", "-t", "0", "limits")...).want(t, 0)
}

// testPodmanDefaults gives no limits: podman has some of its own. It writes 0 for --pids-limit -1, and the runtime must not
// take that for "none".
func testPodmanDefaults(t *testing.T) {
	call(t, run("-d", "--name", "defaults", "box", "/bin/sleep", "600")...).want(t, 0)
	limit(t, pidOf(t, "defaults"), "pids/pids.max", "pids.max", "2048")
	stats := call(t, podman("stats", "--no-stream", "--format", "memory {{.MemUsage}}, {{.PIDS}} processes", "defaults")...).want(t, 0, ", 1 processes")
	if strings.Contains(stats.out, "memory 0B") {
		t.Errorf("its memory is not counted: %s", stats.out)
	}
	call(t, podman("rm", "-f", "-t", "0", "defaults")...).want(t, 0)
	call(t, run("-d", "--name", "unlimited", "--pids-limit", "-1", "box", "/bin/sleep", "600")...).want(t, 0)
	limit(t, pidOf(t, "unlimited"), "pids/pids.max", "pids.max", "max")
	call(t, podman("exec", "unlimited", "/bin/sh", "-c", "true | echo forked")...).want(t, 0, "forked")
	call(t, podman("rm", "-f", "-t", "0", "unlimited")...).want(t, 0)
}

// testPodmanUserNamespace has the container's files where podman keeps them from everybody but root and the container's
// root.
func testPodmanUserNamespace(t *testing.T) {
	volume := t.TempDir()
	if err := os.WriteFile(volume+"/file", []byte("reached"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(volume, 0o700); err != nil {
		t.Fatal(err)
	}
	mapped := func(args ...string) []string {
		return run(append([]string{"--uidmap", "0:100000:5000", "--gidmap", "0:100000:5000", "-v", volume + "/file:/file:ro"}, args...)...)
	}
	call(t, mapped("--rm", "box", "/bin/sh", "-c", "id; cat /proc/self/uid_map /file; touch /new /dev/shm/new && echo made; touch /file")...).
		want(t, 1, "uid=0(root)", "100000       5000", "reached", "made", "Read-only file system")
	call(t, mapped("-d", "--name", "mapped", "--tmpfs", "/data", "box", "/bin/sleep", "600")...).want(t, 0)
	call(t, podman("exec", "mapped", "/bin/sh", "-c", "id; touch /data/new && echo made")...).want(t, 0, "uid=0(root)", "made")
	call(t, run("--rm", "--userns", "container:mapped", "box", "/bin/cat", "/proc/self/uid_map")...).want(t, 0, "100000       5000")
	// podman 4.3 says at times, with any runtime, that the directory of /dev/shm is busy: its own clean-up of the container
	// that has just ended is not done with it.
	call(t, podman("rm", "-f", "-t", "0", "mapped")...)
	call(t, podman("container", "exists", "mapped")...).want(t, 1)
}
