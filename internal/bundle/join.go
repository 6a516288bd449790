package bundle

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Join is one more process for a container that runs: as its own one, but for what is said here.
type Join struct {
	Args     []string
	Env      []string // KEY=VALUE, over the container's
	Cwd      string   // "" is that of the container's process
	User     *User    // nil is that of the container's process
	Terminal bool
	Term     string // TERM, when the caller has a terminal
}

// Process is the process of a container with this config.json. A user other than the container's has the rights that
// this user would have there with locald run: root the whole bounding set, anybody else what --cap-add gave.
func (j *Join) Process(spec *specs.Spec) (*specs.Process, error) {
	p := *spec.Process
	p.Args, p.Terminal, p.ConsoleSize = j.Args, j.Terminal, nil
	if j.Cwd != "" {
		p.Cwd = j.Cwd
	}
	if !path.IsAbs(p.Cwd) {
		return nil, &Error{Flag: "--workdir", Value: p.Cwd, Reason: "a working directory in the container starts with /", Fix: "-w /" + p.Cwd}
	}
	env := p.Env[:len(p.Env):len(p.Env)]
	if j.Term != "" {
		env = setEnv(env, "TERM="+j.Term)
	}
	if j.User != nil {
		if err := j.as(&p, spec); err != nil {
			return nil, err
		}
		home := j.User.Home
		if home == "" {
			home = "/"
		}
		env = setEnv(env, "HOME="+home)
	}
	for _, entry := range j.Env {
		env = setEnv(env, entry)
	}
	p.Env = env
	return &p, nil
}

// setEnv keeps one entry a name.
func setEnv(env []string, entry string) []string {
	name, _, _ := strings.Cut(entry, "=")
	env = slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(env, entry)
}

func (j *Join) as(p *specs.Process, spec *specs.Spec) error {
	u := j.User
	uids, gids := spec.Linux.UIDMappings, spec.Linux.GIDMappings
	for _, id := range []struct {
		id   uint32
		maps []specs.LinuxIDMapping
	}{{u.UID, uids}, {u.GID, gids}} {
		if !hasID(id.id, id.maps) {
			return &Error{Flag: "--user", Value: strconv.FormatUint(uint64(u.UID), 10) + ":" + strconv.FormatUint(uint64(u.GID), 10), Reason: "the id " + strconv.FormatUint(uint64(id.id), 10) + " does not exist in the container"}
		}
	}
	p.User = specs.User{UID: u.UID, GID: u.GID, Umask: p.User.Umask}
	if len(gids) != 1 || gids[0].Size > 1 { // else setgroups(2) is denied
		for _, gid := range u.Groups {
			if gid != u.GID && hasID(gid, gids) && !slices.Contains(p.User.AdditionalGids, gid) {
				p.User.AdditionalGids = append(p.User.AdditionalGids, gid)
			}
		}
	}
	if c := p.Capabilities; c != nil {
		caps := specs.LinuxCapabilities{Bounding: c.Bounding, Effective: c.Bounding, Permitted: c.Bounding}
		if u.UID != 0 {
			caps = specs.LinuxCapabilities{Bounding: c.Bounding, Effective: c.Ambient, Permitted: c.Ambient, Inheritable: c.Ambient, Ambient: c.Ambient}
		}
		p.Capabilities = &caps
	}
	return nil
}

// hasID says whether an id exists; without a map all do.
func hasID(id uint32, maps []specs.LinuxIDMapping) bool {
	return len(maps) == 0 || slices.ContainsFunc(maps, func(m specs.LinuxIDMapping) bool {
		return id >= m.ContainerID && id-m.ContainerID < m.Size
	})
}
