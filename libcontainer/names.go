package libcontainer

import "strconv"

// capabilityNames is indexed by the number of the capability (linux/capability.h, capabilities(7)).
var capabilityNames = [...]string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
	"CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}

// capability is the number of a capability; -1 for a name that is not one.
func capability(name string) int {
	for i := range capabilityNames {
		if capabilityNames[i] == name {
			return i
		}
	}
	return -1
}

func capabilityName(n int) string {
	if n < len(capabilityNames) {
		return capabilityNames[n]
	}
	return strconv.Itoa(n)
}

// capabilityMask is the set of the named capabilities; names that are not known are left out, of
// which Compile warns.
func capabilityMask(names []string) uint64 {
	var m uint64
	for _, name := range names {
		if n := capability(name); n >= 0 {
			m |= 1 << n
		}
	}
	return m
}

// rlimitNames is indexed by the number of the resource (asm-generic/resource.h, getrlimit(2)).
var rlimitNames = [...]string{"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME"}

// rlimit is the number of a resource; -1 for a name that is not one.
func rlimit(name string) int {
	for i := range rlimitNames {
		if rlimitNames[i] == name {
			return i
		}
	}
	return -1
}

func rlimitName(n int) string {
	if n < len(rlimitNames) {
		return rlimitNames[n]
	}
	return strconv.Itoa(n)
}
