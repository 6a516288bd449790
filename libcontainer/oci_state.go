package libcontainer

import (
	"strconv"

	"github.com/locald/locald/internal/jsontext"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// StateJSON is the state of a container as JSON, in one line (runtime.md, State): what hooks read on their standard
// input. A pid of 0 is none and left out, and so are annotations when there are none. more are further members,
// pairs of a name and a JSON text.
func StateJSON(s specs.State, more ...string) string {
	text := `{"ociVersion":` + jsontext.String(s.Version) + `,"id":` + jsontext.String(s.ID) + `,"status":` + jsontext.String(string(s.Status))
	if s.Pid != 0 {
		text += `,"pid":` + strconv.Itoa(s.Pid)
	}
	text += `,"bundle":` + jsontext.String(s.Bundle)
	for i := 0; i+1 < len(more); i += 2 {
		text += "," + jsontext.String(more[i]) + ":" + more[i+1]
	}
	if len(s.Annotations) > 0 {
		text += `,"annotations":` + jsontext.Strings(sortedKeys(s.Annotations), func(name string) string { return s.Annotations[name] })
	}
	return text + "}"
}
