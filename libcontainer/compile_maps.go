package libcontainer

import (
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// compareMaps: a user namespace that is joined has its maps. Engines that put several containers into one (podman,
// containerd) write them down for each all the same. They must be the namespace's then.
func (c *compiler) compareMaps() {
	if c.joined&sys.CLONE_NEWUSER == 0 {
		return
	}
	for i, m := range [...]struct {
		pointer string
		maps    []specs.LinuxIDMapping
	}{{"/linux/uidMappings", c.linux.UIDMappings}, {"/linux/gidMappings", c.linux.GIDMappings}} {
		switch text := c.host.JoinedMaps[i]; {
		case len(m.maps) == 0:
		case text == "":
			c.warn(m.pointer, "the user namespace that is joined has a map already, with which this one cannot be compared", "the namespace's is in force")
		case !sameMap(m.maps, text):
			c.problem(m.pointer, "the user namespace that is joined has another map: "+strings.Join(strings.Fields(text), " "), "leave it out")
		}
	}
}

// sameMap compares a map with the text of a uid_map file (user_namespaces(7)), in which the order can be another.
func sameMap(maps []specs.LinuxIDMapping, text string) bool {
	lines := 0
	for line := range strings.Lines(text) {
		lines++
		words := strings.Fields(line)
		found := false
		for _, m := range maps {
			found = found || len(words) == 3 && words[0] == utoa(m.ContainerID) && words[1] == utoa(m.HostID) && words[2] == utoa(m.Size)
		}
		if !found {
			return false
		}
	}
	return lines == len(maps)
}
