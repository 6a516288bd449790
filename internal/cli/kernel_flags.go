package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/locald/locald/internal/bundle"
)

// kernelFlags are the flags of run about what of the kernel a container reaches.
type kernelFlags struct {
	ulimits, sysctls, devices, security []string
	shm                                 string
}

func (f *kernelFlags) define(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.ulimits, "ulimit", nil, "limit of a process: `NAME=SOFT[:HARD]`, as nofile=1024:4096")
	flags.StringVar(&f.shm, "shm-size", "", "`SIZE` of /dev/shm (default 64m)")
	flags.StringArrayVar(&f.sysctls, "sysctl", nil, "set `NAME=VALUE` of the container's own namespaces")
	flags.StringArrayVar(&f.devices, "device", nil, "give the device `SOURCE[:PATH][:rwm]` of this machine")
	flags.StringArrayVar(&f.security, "security-opt", nil, securityUsage)
}

const securityUsage = "`OPTION`: seccomp=FILE, seccomp=unconfined, apparmor=PROFILE or no-new-privileges=false"

// kernel reads them. bound are the capabilities that the container can have.
func (f *runFlags) kernel() (k bundle.Kernel, err error) {
	if f.shm != "" {
		if k.Shm, err = bundle.ParseShm(f.shm); err != nil {
			return k, err
		}
	}
	for _, word := range f.sysctls {
		name, value, err := bundle.ParseSysctl(word)
		if err != nil {
			return k, err
		}
		if k.Sysctl == nil {
			k.Sysctl = map[string]string{}
		}
		k.Sysctl[name] = value
	}
	for _, word := range f.devices {
		d, err := bundle.ParseDevice(word)
		if err != nil {
			return k, err
		}
		if err := lookDevice(&d); err != nil {
			return k, &failure{id: idVolume, what: "--device " + word + ": " + reason(err)}
		}
		k.Devices = append(k.Devices, d)
	}
	for _, word := range f.security {
		if err := f.securityOption(&k, word); err != nil {
			return k, err
		}
	}
	return k, nil
}

// securityOption reads one --security-opt, with "=" or, as Docker once wrote it, ":".
func (f *runFlags) securityOption(k *bundle.Kernel, word string) error {
	at := strings.IndexAny(word+"=", "=:")
	name, value := word[:at], strings.TrimLeft(word[at:], "=:")
	switch {
	case name == "no-new-privileges" && (value == "" || value == "true"):
	case name == "no-new-privileges" && value == "false":
		k.NewPrivileges = true
	case name == "seccomp" && value == "unconfined":
		k.Unconfined = true
	case name == "seccomp" && value != "":
		profile, err := f.readProfile(value)
		if err != nil {
			return &failure{id: idUsage, what: "--security-opt " + word + ": " + reason(err)}
		}
		k.Seccomp = profile
	case name == "apparmor" && value == "unconfined": // there is no profile that every container has
	case name == "apparmor" && value != "":
		k.AppArmor = value
	default:
		return &failure{id: idUsage, what: "--security-opt " + word + " is not supported: it is seccomp=FILE, seccomp=unconfined, apparmor=PROFILE or no-new-privileges=false"}
	}
	return nil
}

// rlimits reads --ulimit; of two for one resource the last counts.
func (f *runFlags) rlimits(p *bundle.Process) error {
	for _, word := range f.ulimits {
		l, err := bundle.ParseUlimit(word)
		if err != nil {
			return err
		}
		for i := range p.Rlimits {
			if p.Rlimits[i].Type == l.Type {
				p.Rlimits = append(p.Rlimits[:i], p.Rlimits[i+1:]...)
				break
			}
		}
		p.Rlimits = append(p.Rlimits, l)
	}
	return nil
}

// habitFlags are flags that are typed out of habit. What they ask for is so anyway, or cannot be had and says why.
type habitFlags struct {
	sigProxy         bool
	detachKeys       string
	privileged       bool
	pid, userns, ipc string
}

func (f *habitFlags) define(flags *pflag.FlagSet) {
	flags.BoolVar(&f.sigProxy, "sig-proxy", true, "pass signals on to the program, which is always so in the foreground")
	flags.StringVar(&f.detachKeys, "detach-keys", "", "`KEYS` that leave a terminal: for attach only, empty here")
	flags.BoolVar(&f.privileged, "privileged", false, "refused: locald gives no container the machine")
	flags.StringVar(&f.pid, "pid", "", "private: every container has its own processes")
	flags.StringVar(&f.ipc, "ipc", "", "private: every container has its own shared memory")
	flags.StringVar(&f.userns, "userns", "", "auto: every container of a user has its own user namespace")
	for _, name := range []string{"sig-proxy", "detach-keys", "privileged", "pid", "ipc", "userns"} {
		flags.MarkHidden(name)
	}
}

// check refuses what cannot be had.
func (f *habitFlags) check() error {
	no := func(what, why string, try ...string) error {
		return &failure{id: idUsage, what: what + " is refused: " + why, try: try}
	}
	switch {
	case f.privileged:
		return no("--privileged", "locald gives no container the whole machine; name what it needs", "--cap-add CAPABILITY, --device PATH, --security-opt seccomp=unconfined")
	case !f.sigProxy:
		return no("--sig-proxy=false", "the program in the foreground gets the signals that locald gets", "locald run -d …, then locald attach NAME")
	case f.detachKeys != "":
		return no("--detach-keys", "a container in the foreground ends with its locald", "locald run -d -t …, then locald attach --detach-keys "+f.detachKeys+" NAME")
	case f.pid != "" && f.pid != "private":
		return no("--pid "+f.pid, "a container sees its own processes only", "locald exec NAME COMMAND")
	case f.ipc != "" && f.ipc != "private":
		return no("--ipc "+f.ipc, "a container has shared memory of its own only")
	case f.userns != "" && f.userns != "auto" && f.userns != "private":
		return no("--userns "+f.userns, "root in the container is you outside, and always in a user namespace; -u and owner=USER say whose files are whose", "-v SRC:DST:owner=USER")
	}
	return nil
}
