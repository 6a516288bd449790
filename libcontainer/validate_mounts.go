package libcontainer

import (
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (v *validator) mounts() {
	for i, m := range v.spec.Mounts {
		p := "/mounts/" + strconv.Itoa(i)
		o := parseMountOptions(m.Type, m.Options)
		v.destination(p, i, m, o)
		v.idMaps(p, m, o)
		v.mountOptions(p, m, o)
		switch {
		case o.remount:
			v.remount(p, o)
		case o.bind:
			v.bindMount(p, m)
		default:
			v.filesystem(p, m, o)
		}
	}
}

// destination also keeps /proc the kernel's: whoever reads or writes there, in the container or from outside, means
// the kernel (CVE-2019-16884, CVE-2019-19921).
func (v *validator) destination(p string, i int, m specs.Mount, o mountOptions) {
	dest := destination(m.Destination)
	switch {
	case m.Destination == "" || hasNUL(m.Destination):
		v.problem(p+"/destination", "a mount needs a destination, without a NUL byte", "")
	case o.remount:
	case dest == "/" && i > 0:
		v.problem(p+"/destination", "only the first mount may be the root", "put it first")
	case dest == "/proc" && (o.bind || m.Type != "proc") && !(o.bind && path.Clean(m.Source) == "/proc"):
		v.problem(p+"/destination", "only a proc file system can be mounted on /proc", "choose another destination")
	case strings.HasPrefix(dest, "/proc/") && !(o.bind && coverable(dest)):
		v.problem(p+"/destination", dest+" lies in /proc, which is the kernel's", "linux.maskedPaths hides what is not to be seen; bound can be /proc/cpuinfo, meminfo, stat, …")
	}
}

// coverable says whether a file of /proc may be replaced by another: those with which programs such as lxcfs show a
// container its limits in place of the machine's. Nothing is decided by them.
func coverable(dest string) bool {
	switch dest {
	case "/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
		"/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled":
		return true
	}
	return false
}

func (v *validator) mountOptions(p string, m specs.Mount, o mountOptions) {
	for k, opt := range m.Options {
		at := p + "/options/" + strconv.Itoa(k)
		one := parseMountOptions("", m.Options[k:k+1])
		switch name, _, _ := strings.Cut(opt, "="); {
		case one.copyUp && (o.bind || m.Type != "tmpfs"):
			v.problem(at, "tmpcopyup is for a new tmpfs", "leave it out")
		case hasNUL(opt):
			v.problem(at, "an option has no NUL byte", "")
		case v.foreignOption(at, opt, name):
		case len(one.superblock) > 0 && o.bind:
			v.problem(at, opt+" is a flag of the whole file system, which a bind mount does not change", "leave it out")
		case len(one.data) > 0 && o.bind && !strings.Contains(opt, "="): // with a value it is left out, see warnBind
			v.problem(at, "unknown option "+strconv.Quote(opt)+" of a bind mount", "options of file systems are for new mounts only")
		case len(opt) > 255 && !(m.Type == "overlay" && name == "lowerdir"):
			v.problem(at, "an option longer than 255 bytes", "the kernel takes no more (fsconfig(2))")
		}
	}
}

// idMaps: a mount has both maps, or with the option alone those of the container's new user namespace.
func (v *validator) idMaps(p string, m specs.Mount, o mountOptions) {
	if !isIDMapped(&m, &o) {
		return
	}
	switch u, g := len(m.UIDMappings), len(m.GIDMappings); {
	case u == 0 && g == 0 && !v.isNew(specs.UserNamespace):
		v.problem(p+"/options", "an id-mapped mount needs maps, and the container has no new user namespace", "set uidMappings and gidMappings")
	case u > 0 && g == 0:
		v.problem(p+"/gidMappings", "uidMappings and gidMappings belong together", "set both")
	case u == 0 && g > 0:
		v.problem(p+"/uidMappings", "uidMappings and gidMappings belong together", "set both")
	case u > 0:
		v.mapping(p+"/uidMappings", m.UIDMappings, true)
		v.mapping(p+"/gidMappings", m.GIDMappings, true)
	}
	if !o.bind && !o.remount && (m.Type != "tmpfs" && m.Type != "overlay" || v.has(specs.UserNamespace)) {
		v.problem(p+"/type", "a new "+m.Type+" is not id-mapped here", "bind mounts are; without a user namespace tmpfs and overlay too")
	}
}

// foreignOption refuses by name what only other runtimes know, beyond the runtime spec: a file system would take it
// for an option of its own.
func (v *validator) foreignOption(at, opt, name string) bool {
	hint := ""
	switch {
	case name == "idmap" || name == "ridmap":
		if opt == name {
			return false
		}
		hint = "use " + name + ", with mounts[].uidMappings and gidMappings"
	case opt == "copy-symlink" || opt == "src-nofollow" || opt == "dest-nofollow":
		hint = "leave it out"
	case opt == "rsync" || opt == "rasync" || opt == "rdirsync" || opt == "rmand" || opt == "rnomand":
		hint = "these are flags of a whole file system, and mount_setattr(2) does not change them"
	default:
		return false
	}
	v.problem(at, "option "+strconv.Quote(opt)+" is not supported", hint)
	return true
}

// remount takes the place of an earlier mount, so there is nothing to make.
func (v *validator) remount(p string, o mountOptions) {
	if o.copyUp || o.idmap {
		v.problem(p+"/options", "tmpcopyup and idmap are for new mounts", "put them on the mount itself")
	}
}

func (v *validator) bindMount(p string, m specs.Mount) {
	if m.Source == "" || hasNUL(m.Source) {
		v.problem(p+"/source", "a bind mount needs a source", "")
	}
}

// filesystem looks at those that the kernel makes for a container; anybody else's are root's, which the compiler sees to.
func (v *validator) filesystem(p string, m specs.Mount, o mountOptions) {
	need := specs.LinuxNamespaceType("")
	switch m.Type {
	case "tmpfs":
	case "overlay":
		v.overlay(p, o)
	case "devpts":
	case "proc":
		need = specs.PIDNamespace
	case "sysfs", "cgroup", "cgroup2": // without the namespace that they show, the host's are bound: compileShown
	case "mqueue":
		need = specs.IPCNamespace
	case "":
		v.problem(p+"/type", "the type is missing", `"bind" needs the option bind or rbind; others are tmpfs, proc, …`)
		return
	}
	// With a user namespace the kernel refuses to show what belongs to namespaces of others.
	if need != "" && v.has(specs.UserNamespace) && !v.has(need) {
		v.problem(p+"/type", m.Type+" needs a "+string(need)+" namespace", `add {"type": "`+string(need)+`"} to linux.namespaces`)
	}
}

func (v *validator) overlay(p string, o mountOptions) {
	lower, upper, work := false, false, false
	for _, kv := range o.data {
		key, value, _ := strings.Cut(kv, "=")
		lower = lower || (key == "lowerdir" || key == "lowerdir+") && value != ""
		upper = upper || key == "upperdir"
		work = work || key == "workdir"
	}
	if !lower {
		v.problem(p+"/options", "an overlay needs lowerdir", "")
	}
	if upper != work {
		v.problem(p+"/options", "upperdir and workdir belong together", "")
	}
}

func (v *validator) devices() {
	for i, d := range v.linux.Devices {
		p := "/linux/devices/" + strconv.Itoa(i)
		if !path.IsAbs(d.Path) || hasNUL(d.Path) || path.Clean(d.Path) == "/" {
			v.problem(p+"/path", "a device needs an absolute path", "")
		}
		switch d.Type {
		case "c", "u", "b", "p":
		default:
			v.problem(p+"/type", "unknown type "+strconv.Quote(d.Type), "known are c, b, u and p")
		}
		if d.Type != "p" && (d.Major < 0 || d.Minor < 0 || d.Major > 0xfff || d.Minor > 0xfffff) {
			v.problem(p, "the device number is out of range", "major is at most 4095, minor 1048575")
		}
		for _, o := range v.linux.Devices[:i] {
			if path.Clean(o.Path) == path.Clean(d.Path) {
				v.problem(p+"/path", d.Path+" is listed twice", "")
				break
			}
		}
	}
}

func (v *validator) paths() {
	for _, l := range [...]struct {
		pointer string
		paths   []string
	}{{"/linux/maskedPaths", v.linux.MaskedPaths}, {"/linux/readonlyPaths", v.linux.ReadonlyPaths}} {
		for i, p := range l.paths {
			if !path.IsAbs(p) || hasNUL(p) {
				v.problem(l.pointer+"/"+strconv.Itoa(i), "the path must be absolute", "")
			}
		}
	}
	switch v.linux.RootfsPropagation {
	case "", "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable":
	default:
		v.problem("/linux/rootfsPropagation", "unknown propagation "+strconv.Quote(v.linux.RootfsPropagation), "known are private, shared, slave and unbindable, each with or without r")
	}
}
