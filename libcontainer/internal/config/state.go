package config

// State is the record that libcontainer keeps of a container, state.json. It is no document of the runtime
// specification; what a runtime tells of a container's state is made from it.
type State struct {
	Pid      int    // of the first process, as its maker saw it
	Start    uint64 // when that process started, in clock ticks since boot
	Created  string // when the container was made: RFC 3339, UTC
	Bundle   string // absolute path
	Rootfs   string // absolute path; "" without one of its own
	Cgroup   string // path in the cgroup2 tree; "" without one of its own
	Scope    string // unit of Cgroup, when systemd made it; else ""
	Bus      string // the socket by which that systemd is reached; else ""
	Detached bool   // lives on after its maker's end
}

// DecodeState decodes a record. An error is always a *SyntaxError.
func DecodeState(data []byte) (State, error) { return new(StateDecoder).Decode(data) }

// StateDecoder decodes one record after another in the same memory, of which each takes more than it is long.
type StateDecoder struct{ d decoder }

// Decode is DecodeState.
func (r *StateDecoder) Decode(data []byte) (State, error) {
	var s State
	r.d = decoder{names: r.d.names[:0]}
	if err := document(&r.d, data, &s, record); err != nil {
		return State{}, err
	}
	return s, nil
}

func record(d *decoder, s *State) {
	d.object()
	for d.member() {
		switch d.name {
		case "pid":
			number(d, &s.Pid)
		case "start":
			number(d, &s.Start)
		case "created":
			text(d, &s.Created)
		case "bundle":
			text(d, &s.Bundle)
		case "rootfs":
			text(d, &s.Rootfs)
		case "cgroup":
			text(d, &s.Cgroup)
		case "scope":
			text(d, &s.Scope)
		case "bus":
			text(d, &s.Bus)
		case "detached":
			boolean(d, &s.Detached)
		default:
			d.unknown("pid start created bundle rootfs cgroup scope bus detached")
		}
	}
}
