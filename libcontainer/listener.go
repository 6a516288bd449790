package libcontainer

import (
	"strconv"

	"github.com/locald/locald/internal/jsontext"
	"github.com/locald/locald/libcontainer/internal/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Listener is who decides on the system calls for which a seccomp profile says SCMP_ACT_NOTIFY (seccomp_unotify(2)):
// a program that gets a descriptor for it over the socket at Path.
type Listener struct {
	Path     string // of an AF_UNIX stream socket on the host
	Metadata string // handed on as it is
}

const pointerListener = "/linux/seccomp/listenerPath"

// listenerOf is the listener of a container's first process; nil when there is none.
func listenerOf(spec *specs.Spec) *Listener {
	if spec.Process == nil || spec.Linux == nil || spec.Linux.Seccomp == nil || !seccomp.Notifies(spec.Linux.Seccomp) {
		return nil
	}
	return &Listener{spec.Linux.Seccomp.ListenerPath, spec.Linux.Seccomp.ListenerMetadata}
}

// json is the container process state (config-linux.md, "The Container Process State"): what goes along with the
// descriptor. pid is the process that has the filter, state the container's state.
func (l *Listener) json(pid int, state string) string {
	text := `{"ociVersion":` + jsontext.String(specs.Version) + `,"fds":[` + jsontext.String(specs.SeccompFdName) + `],"pid":` + strconv.Itoa(pid)
	if l.Metadata != "" {
		text += `,"metadata":` + jsontext.String(l.Metadata)
	}
	return text + `,"state":` + state + "}"
}
