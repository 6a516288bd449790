package libcontainer

import (
	"strconv"

	"github.com/locald/locald/internal/jsontext"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// State is the state of a container, as the runtime specification has it (runtime.md, State), with what other
// runtimes tell as well.
type State struct {
	specs.State
	Rootfs  string // absolute path of the root file system on the host; "" without one of its own
	Created string // when the container was created: RFC 3339, UTC
	Owner   string // who it belongs to, for a list
}

// JSON is the state as one JSON object. Members that say nothing are left out, but for those that the specification
// demands; pid is 0 for a stopped container, as clients expect.
func (s *State) JSON() string {
	t := `{"ociVersion":` + jsontext.String(s.Version) + `,"id":` + jsontext.String(s.ID) + `,"pid":` + strconv.Itoa(s.Pid) +
		`,"status":` + jsontext.String(string(s.Status)) + `,"bundle":` + jsontext.String(s.Bundle)
	for _, m := range [...]struct{ name, value string }{{"rootfs", s.Rootfs}, {"created", s.Created}, {"owner", s.Owner}} {
		if m.value != "" {
			t += `,"` + m.name + `":` + jsontext.String(m.value)
		}
	}
	if len(s.Annotations) > 0 {
		t += `,"annotations":` + jsontext.Strings(sortedKeys(s.Annotations), func(k string) string { return s.Annotations[k] })
	}
	return t + "}"
}
