package bundle

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// capabilities in the order of their numbers (linux/capability.h). The last one came with Linux 5.9.
var capabilities = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE",
	"CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT",
	"CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
	"CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// defaultCapabilities is what images are written for, less two that Docker gives: MKNOD, of no use
// where devices are not made, and NET_RAW, which forges packets on a shared network.
var defaultCapabilities = [...]string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// CapabilityName is the name of the capability with that number, "" for one that this version does not know.
func CapabilityName(number int) string {
	if number < 0 || number >= len(capabilities) {
		return ""
	}
	return capabilities[number]
}

// sets are the five sets of a process. Root holds the whole list. Another user holds nothing to begin
// with, and gets what was added by name through the ambient set, the only one that survives an execve
// of a plain file (capabilities(7)); the rest of the list stays as the bound. This is what podman does.
func (c Capabilities) sets(root bool) (*specs.LinuxCapabilities, error) {
	bound, err := c.Bound()
	if err != nil {
		return nil, err
	}
	if root {
		return &specs.LinuxCapabilities{Bounding: bound, Effective: bound, Permitted: bound}, nil
	}
	add, _, err := capabilityNames("--cap-add", c.Add)
	slices.Sort(add)
	add = slices.Compact(add)
	return &specs.LinuxCapabilities{Bounding: bound, Effective: add, Permitted: add, Inheritable: add, Ambient: add}, err
}

// Bound is the list itself: what the container can ever have.
func (c Capabilities) Bound() ([]string, error) {
	add, addAll, err := capabilityNames("--cap-add", c.Add)
	if err != nil {
		return nil, err
	}
	drop, dropAll, err := capabilityNames("--cap-drop", c.Drop)
	if err != nil {
		return nil, err
	}
	for _, name := range add {
		if slices.Contains(drop, name) {
			return nil, &Error{Flag: "--cap-add", Value: name, Reason: "the same capability is dropped by --cap-drop"}
		}
	}
	if addAll && dropAll {
		return nil, &Error{Flag: "--cap-add", Value: "ALL", Reason: "--cap-drop ALL says the opposite"}
	}
	bound := slices.Clone(defaultCapabilities[:])
	switch {
	case addAll:
		bound = slices.Clone(capabilities[:])
	case dropAll:
		bound = nil
	}
	bound = append(bound, add...)
	bound = slices.DeleteFunc(bound, func(name string) bool { return slices.Contains(drop, name) })
	slices.Sort(bound)
	return slices.Compact(bound), nil
}

// capabilityNames spells each name as the specification does, and tells ALL apart.
func capabilityNames(flag string, words []string) (names []string, all bool, err error) {
	for _, word := range words {
		name := strings.ToUpper(word)
		if name == "ALL" {
			all = true
			continue
		}
		if !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		if !slices.Contains(capabilities[:], name) {
			return nil, false, &Error{Flag: flag, Value: word, Reason: "there is no such capability; capabilities(7) lists them"}
		}
		names = append(names, name)
	}
	return names, all, nil
}
