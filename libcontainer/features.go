package libcontainer

import (
	"strings"

	"github.com/locald/locald/internal/jsontext"
	"github.com/locald/locald/libcontainer/internal/systemd"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// What this runtime takes, beside what its own tables say.
const (
	featureMounts = "async atime bind defaults dev diratime dirsync exec idmap iversion lazytime loud mand noatime nodev nodiratime noexec noiversion nolazytime " +
		"nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec ridmap rnoatime rnodev rnodiratime rnoexec rnorelatime " +
		"rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime " +
		"suid symfollow sync tmpcopyup unbindable"
	featureNamespaces = "cgroup ipc mount network pid time user uts"
	featureActions    = "SCMP_ACT_ALLOW SCMP_ACT_ERRNO SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_LOG SCMP_ACT_NOTIFY SCMP_ACT_TRACE SCMP_ACT_TRAP"
	featureOperators  = "SCMP_CMP_EQ SCMP_CMP_GE SCMP_CMP_GT SCMP_CMP_LE SCMP_CMP_LT SCMP_CMP_MASKED_EQ SCMP_CMP_NE"
	featureArchs      = "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM SCMP_ARCH_X32 SCMP_ARCH_X86 SCMP_ARCH_X86_64"
	featureFlags      = "SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
	featurePolicies   = "MPOL_BIND MPOL_DEFAULT MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED MPOL_PREFERRED_MANY MPOL_WEIGHTED_INTERLEAVE"
	featurePolicyBits = "MPOL_F_NUMA_BALANCING MPOL_F_RELATIVE_NODES MPOL_F_STATIC_NODES"
)

// Features is the features document of the runtime specification (features.md, features-linux.md), as one JSON object:
// what this runtime knows, whatever the host has.
func Features() string {
	const yes, no = `{"enabled":true}`, `{"enabled":false}`
	linux := member("namespaces", words(featureNamespaces)) + "," + member("capabilities", list(capabilityNames[:])) + "," +
		member("cgroup", `{"v1":true,"v2":true,"systemd":true,"systemdUser":true,"rdma":true}`) + "," +
		member("seccomp", "{"+member("enabled", "true")+","+member("actions", words(featureActions))+","+member("operators", words(featureOperators))+","+
			member("archs", words(featureArchs))+","+member("knownFlags", words(featureFlags))+","+member("supportedFlags", words(featureFlags))+"}") + "," +
		member("apparmor", yes) + "," + member("selinux", yes) + "," + member("intelRdt", no) + "," +
		member("memoryPolicy", "{"+member("modes", words(featurePolicies))+","+member("flags", words(featurePolicyBits))+"}") + "," +
		member("mountExtensions", `{"idmap":`+yes+`}`) + "," + member("netDevices", yes)
	return "{" + member("ociVersionMin", `"1.0.0"`) + "," + member("ociVersionMax", jsontext.String(specs.Version)) + "," + member("hooks", list(hookNames[:])) + "," +
		member("mountOptions", words(featureMounts)) + "," + member("linux", "{"+linux+"}") + "," +
		member("potentiallyUnsafeConfigAnnotations", list([]string{systemd.AnnotationPrefix, annotationHookStderr, annotationHookStdout})) + "}"
}

func member(name, text string) string { return `"` + name + `":` + text }

func words(text string) string { return list(strings.Fields(text)) }

func list(l []string) string {
	q := make([]string, len(l))
	for i, s := range l {
		q[i] = jsontext.String(s)
	}
	return "[" + strings.Join(q, ",") + "]"
}
