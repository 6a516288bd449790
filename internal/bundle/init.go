package bundle

import (
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/first"
)

// InitPath is where a container with Process.Init has its first process: on the tmpfs of its own /dev, so that nothing
// is made in its root file system.
const InitPath = "/dev/" + first.Name

// Command is what runs in a container, without the first process that Process.Init puts before it.
func Command(spec *specs.Spec) []string {
	args := spec.Process.Args
	if len(args) > 1 && args[0] == InitPath {
		return args[1:]
	}
	return args
}

// addInit mounts the first process, when there is to be one.
func (o *Options) addInit(list []specs.Mount) ([]specs.Mount, error) {
	if o.Process.Init == "" {
		return list, nil
	}
	for _, m := range o.Mounts {
		if m.Destination == path.Dir(InitPath) || m.Destination == InitPath {
			return nil, &Error{Flag: mountFlag(m), Value: m.Destination, Reason: "with --init the container needs a " + path.Dir(InitPath) + " of its own"}
		}
	}
	return append(list, specs.Mount{Destination: InitPath, Type: "bind", Source: o.Process.Init, Options: []string{"bind", "ro", "nosuid", "nodev"}}), nil
}
