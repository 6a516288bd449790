package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// spec prints a config.json to start from. Other runtimes write it into the bundle. This program makes no bundle, for
// anybody: it is set-user-ID, and what it would write it would also read. So the text is fixed, and the caller's shell
// writes it.
func (v *verb) spec() error {
	if dir := v.value("bundle"); dir != "" {
		return errors.New("spec: --bundle is not supported: config.json is printed, for you to write: locald-shim spec > " + visible(dir) + "/config.json")
	}
	text := specText
	if v.has("rootless") || !v.caller.Root {
		text = strings.Replace(text, specNamespaces, specNamespaces+"{\"type\": \"user\"}, ", 1)
		text = strings.Replace(text, specMaps, oneID("uid", os.Getuid())+oneID("gid", os.Getgid()), 1)
	} else {
		text = strings.Replace(text, specMaps, "", 1)
	}
	return output(strings.Replace(text, "VERSION", specVersion(), 1))
}

// oneID maps root inside to an id outside.
func oneID(kind string, id int) string {
	return `    "` + kind + `Mappings": [{"containerID": 0, "hostID": ` + strconv.Itoa(id) + `, "size": 1}],
`
}

// Where specText is another for a user.
const (
	specNamespaces = `"namespaces": [`
	specMaps       = "MAPS\n"
)

const specText = `{
  "ociVersion": "VERSION",
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "locald",
  "process": {
    "terminal": true,
    "args": ["sh"],
    "cwd": "/",
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
    "user": {"uid": 0, "gid": 0},
    "noNewPrivileges": true,
    "capabilities": {
      "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    },
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}]
  },
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=64m"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
  ],
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}, {"type": "cgroup"}],
MAPS
    "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
      "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
}
`
