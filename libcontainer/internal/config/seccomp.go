package config

import "github.com/opencontainers/runtime-spec/specs-go"

func seccomp(d *decoder, s *specs.LinuxSeccomp) {
	d.object()
	for d.member() {
		switch d.name {
		case "defaultAction":
			text(d, &s.DefaultAction)
		case "defaultErrnoRet":
			optional(d, &s.DefaultErrnoRet, number)
		case "architectures":
			list(d, &s.Architectures, 4, text)
		case "flags":
			list(d, &s.Flags, 2, text)
		case "listenerPath":
			text(d, &s.ListenerPath)
		case "listenerMetadata":
			text(d, &s.ListenerMetadata)
		case "syscalls":
			list(d, &s.Syscalls, 32, syscallRule)
		default:
			d.unknown("defaultAction defaultErrnoRet architectures flags listenerPath listenerMetadata syscalls")
		}
	}
}

func syscallRule(d *decoder, s *specs.LinuxSyscall) {
	d.object()
	for d.member() {
		switch d.name {
		case "names":
			texts(d, &s.Names)
		case "action":
			text(d, &s.Action)
		case "errnoRet":
			optional(d, &s.ErrnoRet, number)
		case "args":
			list(d, &s.Args, 1, seccompArg)
		default:
			d.unknown("names action errnoRet args")
		}
	}
}

func seccompArg(d *decoder, a *specs.LinuxSeccompArg) {
	d.object()
	for d.member() {
		switch d.name {
		case "index":
			number(d, &a.Index)
		case "value":
			number(d, &a.Value)
		case "valueTwo":
			number(d, &a.ValueTwo)
		case "op":
			text(d, &a.Op)
		default:
			d.unknown("index value valueTwo op")
		}
	}
}
