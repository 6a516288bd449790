package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/policy"
	"github.com/locald/locald/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// update changes the limits of a container that runs. With --resources the other flags are ignored, as other
// runtimes do. What was created stays what config.json said: a limit that is changed lasts as long as the cgroup.
func (v *verb) update() error {
	res, err := v.resources()
	if err != nil {
		return err
	}
	return v.with(func(c *libcontainer.Container) error {
		if !v.caller.Root {
			if err := v.mayLimit(c, res); err != nil {
				return err
			}
		}
		return c.Update(res, v.caller.Root)
	})
}

// mayLimit asks for a user what is asked for linux.resources of a config.json.
func (v *verb) mayLimit(c *libcontainer.Container, res *specs.LinuxResources) error {
	spec, err := c.Spec()
	if err != nil {
		return err
	}
	with, linux := *spec, specs.Linux{}
	if spec.Linux != nil {
		linux = *spec.Linux
	}
	linux.Resources, with.Linux = res, &linux
	var problems []libcontainer.Problem
	for _, p := range policy.Check(&with, v.caller.Grant) {
		if strings.HasPrefix(p.Pointer, "/linux/resources") {
			problems = append(problems, p)
		}
	}
	if len(problems) > 0 {
		return &libcontainer.ProblemError{Problems: problems}
	}
	return nil
}

// resources are those of the file, or those of the flags.
func (v *verb) resources() (*specs.LinuxResources, error) {
	if path := v.value("resources"); path != "" {
		res, unknown, err := libcontainer.ReadResources(path)
		v.logUnknown(unknown)
		return res, err
	}
	res := &specs.LinuxResources{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{Cpus: v.value("cpuset-cpus"), Mems: v.value("cpuset-mems")}}
	signed := func(flag string, into **int64, parse func(string) (int64, error)) error {
		text := v.value(flag)
		if text == "" {
			return nil
		}
		n, err := parse(text)
		if err != nil {
			return errors.New("--" + flag + " " + quote(text) + " is not a number that it can be")
		}
		*into = &n
		return nil
	}
	unsigned := func(flag string, into **uint64) error {
		text := v.value(flag)
		if text == "" {
			return nil
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return errors.New("--" + flag + " " + quote(text) + " is not a number that it can be")
		}
		*into = &n
		return nil
	}
	decimal := func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
	m, c := res.Memory, res.CPU
	var pids *int64
	var weight *uint64
	err := errors.Join(signed("memory", &m.Limit, byteCount), signed("memory-swap", &m.Swap, byteCount), signed("memory-reservation", &m.Reservation, byteCount),
		unsigned("cpu-period", &c.Period), signed("cpu-quota", &c.Quota, decimal), unsigned("cpu-share", &c.Shares), unsigned("cpu-shares", &c.Shares),
		unsigned("cpu-burst", &c.Burst), signed("cpu-idle", &c.Idle, decimal), unsigned("cpu-rt-period", &c.RealtimePeriod), signed("cpu-rt-runtime", &c.RealtimeRuntime, decimal),
		signed("kernel-memory-tcp", &m.KernelTCP, byteCount), signed("pids-limit", &pids, decimal), unsigned("blkio-weight", &weight))
	if pids != nil {
		res.Pids = &specs.LinuxPids{Limit: pids}
	}
	if weight != nil {
		w := uint16(min(*weight, 1<<16-1))
		res.BlockIO = &specs.LinuxBlockIO{Weight: &w}
	}
	return res, err
}

// byteCount reads "512M", "1g", "1048576", "-1".
func byteCount(s string) (int64, error) {
	shift := 0
	if i := strings.IndexByte("kmgt", s[len(s)-1]|0x20); i >= 0 {
		shift, s = 10*(i+1), s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && n<<shift>>shift != n {
		err = strconv.ErrRange
	}
	return n << shift, err
}
