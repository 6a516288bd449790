package main

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/locald/locald/internal/jsontext"
	"github.com/locald/locald/libcontainer"
	"golang.org/x/sys/unix"
)

// events writes a line of JSON each time: what the container uses, each --interval (5 s) or with --stats once, and
// that the kernel killed a process of it for want of memory. It ends with the container. The members have the names
// and units that runc gives them, because engines read them: bytes, nanoseconds, and microseconds of pressure.
func (v *verb) events() error {
	interval := 5 * time.Second
	if text := v.value("interval"); text != "" {
		var err error
		if interval, err = time.ParseDuration(text); err != nil || interval <= 0 {
			return errors.New("--interval " + quote(text) + ` is not like "5s"`)
		}
	}
	return v.with(func(c *libcontainer.Container) error {
		cg, err := c.Cgroup()
		if err != nil {
			return err
		}
		defer cg.Close()
		tell := func() error {
			stats := cg.Stats()
			return output(event("stats", c.ID, `,"data":`+statsJSON(&stats)))
		}
		if v.has("stats") {
			return tell()
		}
		oom, err := cg.WatchOOM()
		if err != nil {
			v.warn(err)
		} else {
			defer oom.Close()
		}
		return watch(c, oom, interval, tell)
	})
}

func event(kind, id, data string) string {
	return `{"type":"` + kind + `","id":` + jsontext.String(id) + data + "}\n"
}

// watch tells what the container uses at each interval, and of each kill, until the container has ended.
// oom may be nil.
func watch(c *libcontainer.Container, oom *libcontainer.OOMWatch, interval time.Duration, tell func() error) error {
	fds := []unix.PollFd{{Fd: int32(c.FD()), Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}}
	if oom != nil {
		fds[1].Fd = int32(oom.FD())
	}
	for next := time.Now(); ; {
		left := time.Until(next)
		if left <= 0 {
			if err := tell(); err != nil {
				return err
			}
			next = time.Now().Add(interval)
			continue
		}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			return err
		}
		if fds[1].Revents != 0 {
			kills, err := oom.Check()
			for range kills {
				if err := output(event("oom", c.ID, "")); err != nil {
					return err
				}
			}
			if err != nil && err != io.EOF {
				return err
			}
			if err == io.EOF {
				fds[1].Fd = -1
			}
		}
		if fds[0].Revents != 0 {
			return nil
		}
	}
}

// object puts members together, of which those without a value are left out.
func object(members ...string) string {
	var list []string
	for i := 0; i+1 < len(members); i += 2 {
		if members[i+1] != "" {
			list = append(list, `"`+members[i]+`":`+members[i+1])
		}
	}
	return "{" + strings.Join(list, ",") + "}"
}

func array[T any](list []T, text func(*T) string) string {
	all := make([]string, len(list))
	for i := range list {
		all[i] = text(&list[i])
	}
	return "[" + strings.Join(all, ",") + "]"
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

func nanoseconds(d time.Duration) string { return strconv.FormatInt(d.Nanoseconds(), 10) }

func statsJSON(s *libcontainer.Stats) string {
	var cpu, memory, pids, blkio string
	if c := s.CPU; c != nil {
		cpu = object("usage", object("total", nanoseconds(c.Usage), "kernel", nanoseconds(c.System), "user", nanoseconds(c.User)),
			"throttling", object("periods", count(c.Periods), "throttledPeriods", count(c.ThrottledPeriods), "throttledTime", nanoseconds(c.Throttled)),
			"psi", pressure(c.Pressure))
	}
	if m := s.Memory; m != nil {
		cache := libcontainer.Count(m.Stat, "file")
		if cache == 0 {
			cache = libcontainer.Count(m.Stat, "cache")
		}
		raw := make([]string, 0, 2*len(m.Stat))
		for _, c := range m.Stat {
			raw = append(raw, c.Name, count(c.Value))
		}
		memory = object("cache", count(cache), "usage", amount(&m.Amount), "swap", amount(m.Swap), "kernel", amount(m.Kernel), "kernelTCP", amount(m.KernelTCP),
			"raw", object(raw...), "psi", pressure(m.Pressure))
	}
	if p := s.Pids; p != nil {
		limit := p.Limit
		if limit == libcontainer.Unlimited {
			limit = 0
		}
		pids = object("current", count(p.Current), "limit", count(limit))
	}
	if s.IO != nil {
		blkio = blkioJSON(s.IO)
	}
	huge := make([]string, 0, 2*len(s.HugePages))
	for i := range s.HugePages {
		huge = append(huge, s.HugePages[i].PageSize, amount(&s.HugePages[i].Amount))
	}
	return object("cpu", cpu, "memory", memory, "pids", pids, "blkio", blkio, "hugetlb", object(huge...), "intel_rdt", "{}", "network_interfaces", "null")
}

func amount(a *libcontainer.Amount) string {
	if a == nil {
		return ""
	}
	return object("limit", count(a.Limit), "usage", count(a.Current), "max", count(a.Peak), "failcnt", count(a.Failures))
}

func pressure(p *libcontainer.Pressure) string {
	if p == nil {
		return ""
	}
	stall := func(s libcontainer.Stall) string {
		share := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
		return object("avg10", share(s.Avg10), "avg60", share(s.Avg60), "avg300", share(s.Avg300), "total", strconv.FormatInt(s.Total.Microseconds(), 10))
	}
	return object("some", stall(p.Some), "full", stall(p.Full))
}

func blkioJSON(s *libcontainer.IOStats) string {
	entries := func(values func(*libcontainer.DeviceStats) [3]uint64) string {
		return array(s.Devices, func(d *libcontainer.DeviceStats) string {
			var ops []string
			for i, n := range values(d) {
				ops = append(ops, object("major", count(uint64(d.Major)), "minor", count(uint64(d.Minor)), "op", `"`+[...]string{"Read", "Write", "Discard"}[i]+`"`, "value", count(n)))
			}
			return strings.Join(ops, ",")
		})
	}
	return object("ioServiceBytesRecursive", entries(func(d *libcontainer.DeviceStats) [3]uint64 {
		return [3]uint64{d.ReadBytes, d.WriteBytes, d.DiscardBytes}
	}),
		"ioServicedRecursive", entries(func(d *libcontainer.DeviceStats) [3]uint64 { return [3]uint64{d.ReadOps, d.WriteOps, d.DiscardOps} }),
		"psi", pressure(s.Pressure))
}
