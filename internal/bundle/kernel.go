package bundle

import (
	"runtime"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Kernel is what of the kernel a container reaches, beside its namespaces and capabilities.
type Kernel struct {
	Seccomp       *specs.LinuxSeccomp // nil is the default filter
	Unconfined    bool                // no filter at all
	AppArmor      string              // name of a loaded profile; "" is that of the caller
	NewPrivileges bool                // set-user-ID programs of the image have an effect
	Sysctl        map[string]string   // of the container's own namespaces: "kernel.msgmax"
	Devices       []Device
	Shm           int64 // bytes of /dev/shm; 0 is 64 MiB
}

// Device is a device node of the machine in a container. A container of root's gets a node of its own. Anybody else's
// gets the machine's, mounted, which opens for whom it opens outside: users can make no nodes (mknod(2)).
type Device struct {
	Source       string // on the machine: absolute
	Path         string // in the container: absolute
	Access       string // of "rwm"
	Type         string // "c" or "b"
	Major, Minor int64
}

func (k *Kernel) filter(bound []string) *specs.LinuxSeccomp {
	switch {
	case k.Unconfined:
		return nil
	case k.Seccomp != nil:
		return k.Seccomp
	}
	return defaultSeccomp(bound, runtime.GOARCH)
}

func (k *Kernel) shmSize() string {
	if k.Shm == 0 {
		return "size=65536k"
	}
	return "size=" + strconv.FormatInt(k.Shm, 10)
}

func (k *Kernel) devices(l *specs.Linux) {
	for i := range k.Devices {
		d := &k.Devices[i]
		l.Devices = append(l.Devices, specs.LinuxDevice{Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor})
		if l.Resources == nil {
			l.Resources = &specs.LinuxResources{}
		}
		l.Resources.Devices = append(l.Resources.Devices,
			specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: d.Access})
	}
}

func (k *Kernel) deviceMounts() []specs.Mount {
	var list []specs.Mount
	for _, d := range k.Devices {
		options := []string{"bind", "rprivate", "nosuid", "noexec"}
		if !strings.Contains(d.Access, "w") {
			options = append(options, "ro")
		}
		list = append(list, specs.Mount{Destination: d.Path, Type: "bind", Source: d.Source, Options: options})
	}
	return list
}

// ParseDevice reads SOURCE[:PATH][:ACCESS]. What kind of device that is, is for the one who looks at the machine.
func ParseDevice(s string) (Device, error) {
	fail := func(reason string) (Device, error) {
		return Device{}, &Error{Flag: "--device", Value: s, Reason: reason, Fix: "--device /dev/fuse"}
	}
	part := strings.Split(s, ":")
	d := Device{Source: part[0], Path: part[0], Access: "rwm"}
	switch {
	case len(part) == 2 && !strings.HasPrefix(part[1], "/"):
		d.Access = part[1]
	case len(part) == 2:
		d.Path = part[1]
	case len(part) == 3:
		d.Path, d.Access = part[1], part[2]
	case len(part) > 3:
		return fail("a device is written SOURCE[:PATH][:rwm]")
	}
	path, reason := mountPoint(d.Path)
	switch {
	case !strings.HasPrefix(d.Source, "/"):
		return fail("a device is named by its path on this machine")
	case reason != "":
		return fail(reason)
	case d.Access == "" || strings.Trim(d.Access, "rwm") != "":
		return fail("what may be done with a device is r, w and m")
	}
	d.Path = path
	return d, nil
}

// ParseUlimit reads NAME=SOFT[:HARD]; -1 is no limit (getrlimit(2)).
func ParseUlimit(s string) (specs.POSIXRlimit, error) {
	fail := func(reason string) (specs.POSIXRlimit, error) {
		return specs.POSIXRlimit{}, &Error{Flag: "--ulimit", Value: s, Reason: reason, Fix: "--ulimit nofile=1024:4096"}
	}
	name, text, ok := strings.Cut(s, "=")
	if !ok || !slices.Contains(ulimits[:], name) {
		return fail("a limit is written NAME=SOFT[:HARD], with a name of " + strings.Join(ulimits[:], " "))
	}
	soft, hard, two := strings.Cut(text, ":")
	if !two {
		hard = soft
	}
	l := specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name)}
	for _, of := range []struct {
		text string
		to   *uint64
	}{{soft, &l.Soft}, {hard, &l.Hard}} {
		n, err := strconv.ParseInt(of.text, 10, 64)
		if err != nil || n < -1 {
			return fail("\"" + of.text + "\" is no number; -1 is no limit")
		}
		*of.to = uint64(n) // -1 is RLIM_INFINITY
	}
	if l.Soft > l.Hard {
		return fail("the soft limit is above the hard one")
	}
	return l, nil
}

// ulimits are the names of getrlimit(2), in lower case and without their RLIMIT_.
var ulimits = [...]string{
	"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
	"sigpending", "stack",
}

// ParseCPUSet checks a list of CPUs: "0-2,7" (cpuset(7), "List format").
func ParseCPUSet(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		first, last, two := strings.Cut(part, "-")
		if !two {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || a > b {
			return &Error{Flag: "--cpuset-cpus", Value: s, Reason: "CPUs are written as numbers and ranges", Fix: "--cpuset-cpus 0-2,7"}
		}
	}
	return nil
}

// ParseSwap reads a size of memory and swap together, beside one of memory alone. -1 is no limit, and as much as
// memory is no swap.
func ParseSwap(s string, memory int64) (int64, error) {
	if s == "-1" {
		return -1, nil
	}
	n, err := parseSize("--memory-swap", s)
	switch {
	case err != nil:
		return 0, err
	case memory == 0:
		return 0, &Error{Flag: "--memory-swap", Value: s, Reason: "it counts memory and swap together, so it needs a limit of memory", Fix: "--memory " + s}
	case n < memory:
		return 0, &Error{Flag: "--memory-swap", Value: s, Reason: "it counts memory and swap together, so it is at least --memory"}
	}
	return n, nil
}

// ParseShm reads the size of /dev/shm.
func ParseShm(s string) (int64, error) { return parseSize("--shm-size", s) }

// ParseSysctl reads NAME=VALUE, with dots or slashes.
func ParseSysctl(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return "", "", &Error{Flag: "--sysctl", Value: s, Reason: "a setting is written NAME=VALUE", Fix: "--sysctl net.ipv4.ip_forward=1"}
	}
	return name, value, nil
}
