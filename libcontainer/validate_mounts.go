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
		if !path.IsAbs(m.Destination) || hasNUL(m.Destination) {
			v.problem(p+"/destination", "a destination must be an absolute path", "")
		} else if path.Clean(m.Destination) == "/" && i > 0 {
			v.problem(p+"/destination", "only the first mount may be the root", "put it first")
		}
		v.notYet(len(m.UIDMappings)+len(m.GIDMappings) > 0, p+"/uidMappings", "an idmapped mount")
		o := parseMountOptions(m.Type, m.Options)
		v.mountOptions(p, m)
		if o.bind {
			v.bindMount(p, m, o)
		} else {
			v.filesystem(p, m, o)
		}
	}
}

func (v *validator) mountOptions(p string, m specs.Mount) {
	for k, opt := range m.Options {
		at := p + "/options/" + strconv.Itoa(k)
		switch name, _, _ := strings.Cut(opt, "="); {
		case name == "idmap" || name == "ridmap":
			v.notYet(true, at, "an idmapped mount")
		case opt == "remount":
			v.problem(at, "there is nothing to remount in a container that is being made", "put the options on the mount itself")
		case opt == "tmpcopyup":
			v.notYet(true, at, "tmpcopyup")
		case hasNUL(opt):
			v.problem(at, "an option has no NUL byte", "")
		case len(opt) > 255 && !(m.Type == "overlay" && name == "lowerdir"):
			v.problem(at, "an option longer than 255 bytes", "the kernel takes no more (fsconfig(2))")
		}
	}
}

func (v *validator) bindMount(p string, m specs.Mount, o mountOptions) {
	if m.Source == "" || hasNUL(m.Source) {
		v.problem(p+"/source", "a bind mount needs a source", "")
	}
	if m.Type != "" && m.Type != "bind" && m.Type != "rbind" && m.Type != "none" {
		v.problem(p+"/type", "a "+m.Type+" file system is not bound", `drop the bind option, or use the type "bind"`)
	}
	for _, d := range o.data {
		if d == "tmpcopyup" || d == "idmap" || d == "ridmap" || strings.HasPrefix(d, "idmap=") || strings.HasPrefix(d, "ridmap=") {
			continue // refused by name
		}
		v.problem(p+"/options", "unknown option "+strconv.Quote(d)+" of a bind mount", "options of file systems are for new mounts only")
	}
}

// filesystem allows those that the kernel makes for a container; anything on a disk needs a driver that
// parses the caller's bytes with the kernel's power.
func (v *validator) filesystem(p string, m specs.Mount, o mountOptions) {
	need := specs.LinuxNamespaceType("")
	switch m.Type {
	case "tmpfs":
	case "overlay":
		v.overlay(p, o)
	case "devpts":
	case "proc":
		need = specs.PIDNamespace
	case "sysfs":
		need = specs.NetworkNamespace
	case "mqueue":
		need = specs.IPCNamespace
	case "cgroup", "cgroup2":
		need = specs.CgroupNamespace
	case "":
		v.problem(p+"/type", "the type is missing", `"bind" needs the option bind or rbind; others are tmpfs, proc, …`)
		return
	default:
		v.problem(p+"/type", "file system "+strconv.Quote(m.Type)+" is not supported", "known are bind, tmpfs, overlay, proc, sysfs, devpts, mqueue and cgroup2")
		return
	}
	if o.setRec|o.clearRec != 0 {
		v.problem(p+"/options", "recursive options are for bind mounts", "a new file system has nothing below it")
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
