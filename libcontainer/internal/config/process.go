package config

import "github.com/opencontainers/runtime-spec/specs-go"

func process(d *decoder, p *specs.Process) {
	d.object()
	for d.member() {
		switch d.name {
		case "terminal":
			boolean(d, &p.Terminal)
		case "consoleSize":
			optional(d, &p.ConsoleSize, box)
		case "user":
			user(d, &p.User)
		case "args":
			texts(d, &p.Args)
		case "commandLine":
			text(d, &p.CommandLine)
		case "env":
			texts(d, &p.Env)
		case "cwd":
			text(d, &p.Cwd)
		case "capabilities":
			optional(d, &p.Capabilities, capabilities)
		case "rlimits":
			list(d, &p.Rlimits, 4, rlimit)
		case "noNewPrivileges":
			boolean(d, &p.NoNewPrivileges)
		case "apparmorProfile":
			text(d, &p.ApparmorProfile)
		case "oomScoreAdj":
			optional(d, &p.OOMScoreAdj, number)
		case "scheduler":
			optional(d, &p.Scheduler, scheduler)
		case "selinuxLabel":
			text(d, &p.SelinuxLabel)
		case "ioPriority":
			optional(d, &p.IOPriority, ioPriority)
		case "execCPUAffinity":
			optional(d, &p.ExecCPUAffinity, cpuAffinity)
		default:
			d.unknown("terminal consoleSize user args commandLine env cwd capabilities rlimits " +
				"noNewPrivileges apparmorProfile oomScoreAdj scheduler selinuxLabel ioPriority execCPUAffinity")
		}
	}
}

func box(d *decoder, b *specs.Box) {
	d.object()
	for d.member() {
		switch d.name {
		case "height":
			number(d, &b.Height)
		case "width":
			number(d, &b.Width)
		default:
			d.unknown("height width")
		}
	}
}

func user(d *decoder, u *specs.User) {
	d.object()
	for d.member() {
		switch d.name {
		case "uid":
			number(d, &u.UID)
		case "gid":
			number(d, &u.GID)
		case "umask":
			optional(d, &u.Umask, number)
		case "additionalGids":
			list(d, &u.AdditionalGids, 8, number)
		case "username":
			text(d, &u.Username)
		default:
			d.unknown("uid gid umask additionalGids username")
		}
	}
}

func capabilities(d *decoder, c *specs.LinuxCapabilities) {
	d.object()
	for d.member() {
		switch d.name {
		case "bounding":
			texts(d, &c.Bounding)
		case "effective":
			texts(d, &c.Effective)
		case "inheritable":
			texts(d, &c.Inheritable)
		case "permitted":
			texts(d, &c.Permitted)
		case "ambient":
			texts(d, &c.Ambient)
		default:
			d.unknown("bounding effective inheritable permitted ambient")
		}
	}
}

func rlimit(d *decoder, r *specs.POSIXRlimit) {
	d.object()
	for d.member() {
		switch d.name {
		case "type":
			text(d, &r.Type)
		case "hard":
			number(d, &r.Hard)
		case "soft":
			number(d, &r.Soft)
		default:
			d.unknown("type hard soft")
		}
	}
}

func scheduler(d *decoder, s *specs.Scheduler) {
	d.object()
	for d.member() {
		switch d.name {
		case "policy":
			text(d, &s.Policy)
		case "nice":
			number(d, &s.Nice)
		case "priority":
			number(d, &s.Priority)
		case "flags":
			list(d, &s.Flags, 2, text)
		case "runtime":
			number(d, &s.Runtime)
		case "deadline":
			number(d, &s.Deadline)
		case "period":
			number(d, &s.Period)
		default:
			d.unknown("policy nice priority flags runtime deadline period")
		}
	}
}

func ioPriority(d *decoder, p *specs.LinuxIOPriority) {
	d.object()
	for d.member() {
		switch d.name {
		case "class":
			text(d, &p.Class)
		case "priority":
			number(d, &p.Priority)
		default:
			d.unknown("class priority")
		}
	}
}

func cpuAffinity(d *decoder, a *specs.CPUAffinity) {
	d.object()
	for d.member() {
		switch d.name {
		case "initial":
			text(d, &a.Initial)
		case "final":
			text(d, &a.Final)
		default:
			d.unknown("initial final")
		}
	}
}
