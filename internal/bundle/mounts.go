package bundle

import (
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// sysfs reports whether the container gets a /sys. The kernel shows the network devices of a sysfs's own
// network namespace, so it lets only the owner of that namespace mount one; with the host's network that
// is root. A bind of the host's would show more of the machine than a container should see.
func (o *Options) sysfs() bool { return o.Caller.Root() || o.Network == NetworkNone }

// systemMounts are the file systems that the specification expects in every Linux container
// (config-linux.md, "Default Filesystems"), and two that programs expect as well: shared memory and the
// container's own cgroup.
func (o *Options) systemMounts() []specs.Mount {
	devpts := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if o.Caller.lastGID() >= ttyGID {
		devpts = append(devpts, "gid=5")
	}
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: devpts},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", o.Kernel.shmSize()}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	if o.sysfs() {
		list = append(list, specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}})
	}
	if o.sysfs() || o.CgroupMount {
		list = append(list, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup2", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}})
	}
	return list
}

// lowerdirMax is how many layers fit into one option: fsconfig(2) takes 255 bytes, and the runtime names a layer by the
// number of its descriptor. More of them need the option lowerdir+ (Linux 6.5).
const lowerdirMax = 60

// Mount is the overlay on "/".
func (v *Overlay) Mount() specs.Mount {
	m := specs.Mount{Destination: "/", Type: "overlay", Source: "overlay"}
	if len(v.Lower) > lowerdirMax {
		for _, layer := range v.Lower {
			m.Options = append(m.Options, "lowerdir+="+layer)
		}
	} else {
		escaped := make([]string, len(v.Lower))
		for i, layer := range v.Lower { // overlayfs.rst, "Multiple lower layers"
			escaped[i] = strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(layer)
		}
		m.Options = []string{"lowerdir=" + strings.Join(escaped, ":")}
	}
	if v.Upper != "" {
		m.Options = append(m.Options, "upperdir="+v.Upper, "workdir="+v.Work)
	}
	m.Options = append(m.Options, "userxattr")
	if v.Volatile {
		m.Options = append(m.Options, "volatile")
	}
	return m
}

// ttyGID is the group of terminals on every distribution (Debian base-passwd, Fedora setup).
const ttyGID = 5

// mounts is the whole list: the system's first, then the caller's with the shallow before the deep, so that
// none hides another. One at a place of the system's takes its place.
func (o *Options) mounts() ([]specs.Mount, error) {
	list := o.systemMounts()
	if o.Overlay != nil {
		list = slices.Insert(list, 0, o.Overlay.Mount())
	}
	if o.Names != nil {
		list = append(list, o.Names.mounts()...)
	}
	own := slices.Clone(o.Mounts)
	if !o.Caller.Root() {
		own = append(own, o.Kernel.deviceMounts()...)
	}
	slices.SortStableFunc(own, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	var taken []string
	for _, m := range own {
		if slices.Contains(taken, m.Destination) {
			return nil, &Error{Flag: mountFlag(m), Value: m.Destination, Reason: "something else is mounted there already"}
		}
		taken = append(taken, m.Destination)
		if u, ok := o.Owners[m.Destination]; ok {
			if err := o.Caller.exchangeOwner(&m, u); err != nil {
				return nil, err
			}
		}
		at := slices.IndexFunc(list, func(s specs.Mount) bool { return s.Destination == m.Destination })
		if at >= 0 {
			list[at] = m
		} else {
			list = append(list, m)
		}
	}
	return o.addInit(list)
}

func mountFlag(m specs.Mount) string {
	if m.Type == "tmpfs" {
		return "--tmpfs"
	}
	return "--volume"
}

// ParseVolume reads SRC:DST[:OPTION,…], or DST for NewVolume. The source stays as it was written: making it absolute and
// looking whether it exists is for the one who knows the working directory.
func ParseVolume(s string) (specs.Mount, error) {
	fail := func(reason string) (specs.Mount, error) {
		return specs.Mount{}, &Error{Flag: "--volume", Value: s, Reason: reason}
	}
	part := strings.Split(s, ":")
	switch {
	case len(part) == 1:
		m, reason := NewVolume(s)
		if reason != "" {
			return fail("a volume is written SRC:DST, NAME:DST, or DST for a new one: " + reason)
		}
		return m, nil
	case len(part) > 3:
		return fail("a volume is written SRC:DST or SRC:DST:ro")
	case part[0] == "":
		return fail("the source is missing")
	}
	destination, reason := mountPoint(part[1])
	if reason != "" {
		return fail(reason)
	}
	m := specs.Mount{Destination: destination, Type: "bind", Source: part[0], Options: []string{"rbind", "rprivate"}}
	if len(part) == 2 {
		return m, nil
	}
	for _, option := range strings.Split(part[2], ",") {
		switch option {
		case "rw":
		case "ro", "nosuid", "nodev", "noexec":
			m.Options = append(m.Options, option)
		case "private", "rprivate", "slave", "rslave":
			m.Options[1] = option
		case "z", "Z":
			// Containers have no SELinux label of their own: they reach what their caller does, and nothing is relabelled.
		default:
			if user, ok := strings.CutPrefix(option, ownerOption); ok && user != "" {
				m.Options = append(m.Options, option) // for CutOwner
				continue
			}
			return fail("the options of a volume are ro, rw, nosuid, nodev, noexec, private, slave and owner=USER")
		}
	}
	return m, nil
}

// NewVolume is the mount of a volume that has no name yet, and so no source. reason is why it cannot be there.
func NewVolume(destination string) (m specs.Mount, reason string) {
	destination, reason = mountPoint(destination)
	return specs.Mount{Destination: destination, Type: "bind", Options: []string{"rbind", "rprivate"}}, reason
}

// ParseTmpfs reads DST[:OPTION,…]. A program may be run from it, unlike Docker's: build tools do.
func ParseTmpfs(s string) (specs.Mount, error) {
	destination, options, _ := strings.Cut(s, ":")
	destination, reason := mountPoint(destination)
	if reason != "" {
		return specs.Mount{}, &Error{Flag: "--tmpfs", Value: s, Reason: reason}
	}
	m := specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}}
	for option := range strings.SplitSeq(options, ",") {
		key, _, _ := strings.Cut(option, "=")
		switch key {
		case "":
		case "suid", "dev":
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "no"+key })
			m.Options = append(m.Options, option)
		case "mode":
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "mode=") })
			m.Options = append(m.Options, option)
		case "nosuid", "nodev":
		default:
			m.Options = append(m.Options, option)
		}
	}
	return m, nil
}

// mountPoint is the clean destination, or the reason why nothing can be mounted there.
func mountPoint(s string) (destination, reason string) {
	if !path.IsAbs(s) {
		return "", "the place in the container starts with /"
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "", "contains a NUL byte"
	}
	switch clean := path.Clean(s); clean {
	case "/", "/dev", "/proc", "/sys":
		return "", "nothing of yours can be mounted on " + clean
	default:
		return clean, ""
	}
}
