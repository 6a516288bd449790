package bundle

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// HostView is what a container sees of the machine that it runs on: everything as the caller does and nothing to write
// to, with other things in the place of some. Paths are absolute, clean, and lead through no symbolic link.
type HostView struct {
	Shown    []string      // shown as they are, with what is mounted below them
	Empty    []string      // a new tmpfs, as for /tmp
	Kept     []string      // the machine's again, below something that is empty
	Covered  []Cover       // what is written there goes elsewhere
	Projects []Project     // the machine's own
	Binds    []specs.Mount // of locald's own: over what is not to be seen
	Own      []specs.Mount // the caller's, which take the place of any other
	Masked   []string      // files and sockets of which nothing is seen
	ID       uint32        // uid and gid of the machine that a container of root's has
}

// Cover is a directory that an overlay lies on.
type Cover struct{ Path, Upper, Work string }

// Project is a directory that can be written to, unless it is closed. UID and GID are whose it is, in the ids of the machine.
type Project struct {
	Path     string
	Closed   bool
	UID, GID uint32
}

// shownOptions keep what is shown from being written to, also what is mounted in it (Linux 5.12).
var shownOptions = []string{"rbind", "rprivate", "rro", "rnosuid", "rnodev"}

var writableOptions = []string{"rbind", "rprivate", "rnosuid", "rnodev"}

// GenerateHost is the config.json of a container whose root file system is the machine. o.Rootfs is a directory for the
// mount points in "/", and the links that are to be there. An unprivileged caller has their own ids in it and no others:
// host root is nobody there, so that what belongs to root has no owner and no setuid file means anything. A container of
// root's has a single id of the machine that owns nothing, and is called 0 in it; files in the project belong to
// whoever owns that.
func GenerateHost(o Options, h HostView) (*specs.Spec, error) {
	who := o.Caller
	o.Caller.SubUIDs.Count, o.Caller.SubGIDs.Count = 0, 0
	if who.Root() {
		o.Caller = Caller{UID: h.ID, GID: h.ID}
	}
	o.ReadOnly, o.CgroupMount = true, true
	o.Capabilities = Capabilities{Drop: []string{"ALL"}}
	o.Mounts = h.mounts(who)
	spec, err := Generate(o)
	if err != nil {
		return nil, err
	}
	l := spec.Linux
	l.MaskedPaths = append(l.MaskedPaths, h.Masked...)
	if who.Root() {
		o.Caller = who
		l.CgroupsPath = o.cgroupsPath()
		return spec, nil
	}
	spec.Process.User = specs.User{UID: who.UID, GID: who.GID}
	l.UIDMappings[0].ContainerID, l.GIDMappings[0].ContainerID = who.UID, who.GID
	if _, asked := o.Kernel.Sysctl["net.ipv4.ping_group_range"]; o.Network == NetworkNone && !asked {
		gid := strconv.FormatUint(uint64(who.GID), 10)
		l.Sysctl["net.ipv4.ping_group_range"] = gid + " " + gid
	}
	return spec, nil
}

// mounts puts one over the other what is to be at the same place: the later wins.
func (h *HostView) mounts(who Caller) []specs.Mount {
	var list []specs.Mount
	bind := func(p string, options []string) specs.Mount {
		return specs.Mount{Destination: p, Type: "bind", Source: p, Options: slices.Clone(options)}
	}
	for _, p := range h.Shown {
		list = append(list, bind(p, shownOptions))
	}
	for _, p := range h.Empty {
		mode := "mode=755"
		if p == "/tmp" || p == "/var/tmp" {
			mode = "mode=1777"
		}
		list = append(list, specs.Mount{Destination: p, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", mode}})
	}
	for _, p := range h.Kept {
		list = append(list, bind(p, shownOptions))
	}
	for _, c := range h.Covered {
		m := (&Overlay{Lower: []string{c.Path}, Upper: c.Upper, Work: c.Work}).Mount()
		m.Destination = c.Path
		m.Options = append(m.Options, "nosuid", "nodev")
		list = append(list, m)
	}
	list = append(list, h.Binds...)
	for _, p := range h.Projects {
		m := bind(p.Path, writableOptions)
		if p.Closed {
			m.Options = slices.Clone(shownOptions)
		}
		if who.Root() {
			m.Options = append(m.Options, "idmap")
			m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: p.UID, HostID: h.ID, Size: 1}}
			m.GIDMappings = []specs.LinuxIDMapping{{ContainerID: p.GID, HostID: h.ID, Size: 1}}
		}
		list = append(list, m)
	}
	list = append(list, h.Own...)
	var out []specs.Mount
	for i, m := range list {
		if !slices.ContainsFunc(list[i+1:], func(l specs.Mount) bool { return l.Destination == m.Destination }) || i >= len(list)-len(h.Own) {
			out = append(out, m)
		}
	}
	return out
}

// Within reports whether path is dir or lies below it; both are clean and absolute.
func Within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
