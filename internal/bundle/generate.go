package bundle

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/policy"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Version is the version of the runtime specification that the bundles follow.
const Version = "1.3.0"

// defaultPath is the PATH of an image that sets none.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Generate is the config.json of a container. It comes in two profiles. Real root gets a container without
// a user namespace. Anyone else gets one inside a user namespace of their own, with themselves as its root
// and, where the machine gave them subordinate ids and the shim can map them, 65535 more.
func Generate(o Options) (*specs.Spec, error) {
	if o.Process.Cwd == "" {
		o.Process.Cwd = "/"
	}
	if o.Hostname == "" {
		o.Hostname = o.ID[:min(len(o.ID), hostnameMax)]
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	process, err := o.process()
	if err != nil {
		return nil, err
	}
	mounts, err := o.mounts()
	if err != nil {
		return nil, err
	}
	return &specs.Spec{
		Version:  Version,
		Process:  process,
		Root:     &specs.Root{Path: o.Rootfs, Readonly: o.ReadOnly},
		Hostname: o.Hostname,
		Mounts:   mounts,
		Linux:    o.linux(process.Capabilities.Bounding),
	}, nil
}

func (o *Options) process() (*specs.Process, error) {
	user := o.Process.User
	capabilities, err := o.Capabilities.sets(user.UID == 0)
	if err != nil {
		return nil, err
	}
	env, err := o.env()
	if err != nil {
		return nil, err
	}
	var size *specs.Box
	if o.Process.Terminal && o.Process.Height > 0 && o.Process.Width > 0 {
		size = &specs.Box{Height: o.Process.Height, Width: o.Process.Width}
	}
	args := o.Process.Args
	if o.Process.Init != "" {
		args = append([]string{InitPath}, args...)
	}
	return &specs.Process{
		Terminal:        o.Process.Terminal,
		ConsoleSize:     size,
		User:            specs.User{UID: user.UID, GID: user.GID, AdditionalGids: o.groups()},
		Args:            args,
		Env:             env,
		Cwd:             o.Process.Cwd,
		Capabilities:    capabilities,
		Rlimits:         o.Process.Rlimits,
		NoNewPrivileges: !o.Kernel.NewPrivileges,
		ApparmorProfile: o.Kernel.AppArmor,
	}, nil
}

// groups are the supplementary groups that exist in the container. With a single gid setgroups(2) stays
// denied (CVE-2014-8989), so there are none.
func (o *Options) groups() []uint32 {
	if !o.Caller.Root() && !o.Caller.Subordinate() {
		return nil
	}
	var gids []uint32
	for _, gid := range o.Process.User.Groups {
		if gid <= o.Caller.lastGID() && gid != o.Process.User.GID && !slices.Contains(gids, gid) {
			gids = append(gids, gid)
		}
	}
	return gids
}

// env is the default environment with the caller's entries over it: one entry a name, the last one wins.
func (o *Options) env() ([]string, error) {
	home := o.Process.User.Home
	if home == "" {
		home = "/"
	}
	env := []string{defaultPath, "HOSTNAME=" + o.Hostname, "HOME=" + home}
	if o.Process.Term != "" {
		env = append(env, "TERM="+o.Process.Term)
	}
	for _, entry := range o.Process.Env {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || name == "" {
			return nil, &Error{Flag: "--env", Value: entry, Reason: "a variable is written NAME=VALUE"}
		}
		at := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		if at >= 0 {
			env[at] = entry
		} else {
			env = append(env, entry)
		}
	}
	return env, nil
}

func (o *Options) linux(bound []string) *specs.Linux {
	uids, gids := o.Caller.maps()
	l := &specs.Linux{
		Seccomp:       o.Kernel.filter(bound),
		UIDMappings:   uids,
		GIDMappings:   gids,
		CgroupsPath:   o.cgroupsPath(),
		Resources:     o.Limits.resources(),
		Namespaces:    o.namespaces(),
		MaskedPaths:   o.maskedPaths(),
		ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
	}
	if o.Network == NetworkNone {
		// What Docker sets in a new network: any user may listen on any port and may ping. The range is in the
		// ids of the container, and the kernel takes only ids that are mapped.
		last := strconv.FormatUint(uint64(min(o.Caller.lastGID(), 1<<31-1)), 10)
		l.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 " + last}
	}
	if l.Sysctl == nil {
		l.Sysctl = o.Kernel.Sysctl
	} else {
		maps.Copy(l.Sysctl, o.Kernel.Sysctl)
	}
	if o.Caller.Root() {
		o.Kernel.devices(l)
	}
	return l
}

func (o *Options) namespaces() []specs.LinuxNamespace {
	list := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.MountNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.CgroupNamespace},
	}
	if !o.Caller.Root() {
		list = append([]specs.LinuxNamespace{{Type: specs.UserNamespace}}, list...)
	}
	if o.Network == NetworkNone {
		list = append(list, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	return list
}

// cgroupsPath is "" where the container stays in the caller's own cgroup: an unprivileged caller without
// the set-user-ID bit can make no other, and then asks for one only because a limit needs it.
func (o *Options) cgroupsPath() string {
	c := o.Caller
	switch {
	case c.Root():
		path := "/locald/" + o.ID
		if policy.UserCgroup(path) {
			path = "/locald/root-" + o.ID // "u1000" is where the containers of user 1000 are
		}
		return path
	case c.Setuid || !o.Limits.none():
		return "/locald/u" + strconv.FormatUint(uint64(c.UID), 10) + "/" + o.ID
	}
	return ""
}

func (l Limits) resources() *specs.LinuxResources {
	if l.none() {
		return nil
	}
	r := &specs.LinuxResources{}
	if l.Memory > 0 {
		r.Memory = &specs.LinuxMemory{Limit: &l.Memory}
		if l.Swap != 0 {
			r.Memory.Swap = &l.Swap
		}
	}
	if l.CPUQuota > 0 || l.CPUs != "" {
		r.CPU = &specs.LinuxCPU{Cpus: l.CPUs}
	}
	if l.CPUQuota > 0 {
		period := uint64(CPUPeriod)
		r.CPU.Quota, r.CPU.Period = &l.CPUQuota, &period
	}
	if l.Pids > 0 {
		r.Pids = &specs.LinuxPids{Limit: &l.Pids}
	}
	return r
}

// maskedPaths hides what the kernel shows of the whole machine, as Docker and podman do. A path that does
// not exist is skipped by the runtime.
func (o *Options) maskedPaths() []string {
	list := []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
	}
	if o.sysfs() {
		list = append(list, "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux")
	}
	return list
}
