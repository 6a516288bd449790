// Package hello is the program of builtin:hello, the one container that needs no image: a rootfs that holds
// only locald's own static binary, which looks around and says what it sees.
package hello

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"github.com/locald/locald/internal/hello/clock"
)

// StartedEnv is the variable in which locald says when it started, by the clock of the package clock.
const StartedEnv = "LOCALD_STARTED_NS"

// Main runs the program and returns its exit code. args are those after the program's name.
func Main(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == "serve" {
		return serve(stdout, stderr)
	}
	if len(args) > 0 {
		io.WriteString(stderr, "hello: unknown argument "+strconv.Quote(args[0])+"; hello takes none, or serve\n")
		return 2
	}
	var b bytes.Buffer
	observe().write(&b)
	if _, err := stdout.Write(b.Bytes()); err != nil {
		io.WriteString(stderr, "hello: "+err.Error()+"\n")
		return 1
	}
	return 0
}

// observe reads what the program can see of itself. A file that cannot be read leaves its value empty, and
// the report then says "unknown".
func observe() *view {
	v := &view{
		pid: os.Getpid(), uid: os.Getuid(), gid: os.Getgid(),
		uidMap: read("/proc/self/uid_map"), gidMap: read("/proc/self/gid_map"),
		status: read("/proc/self/status"), cgroup: read("/proc/self/cgroup"),
		mounts: mountsOf(read("/proc/self/mountinfo")),
		limits: map[string]string{},
	}
	v.hostname, _ = os.Hostname()
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		link, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			link = kind + ":unknown"
		}
		v.namespaces = append(v.namespaces, link)
	}
	for _, file := range []string{"memory.max", "cpu.max", "pids.max"} {
		v.limits[file] = read("/sys/fs/cgroup/" + file)
	}
	if started, err := strconv.ParseInt(os.Getenv(StartedEnv), 10, 64); err == nil && started > 0 {
		v.startup = clock.Started - started
	}
	return v
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
