package config

import "github.com/opencontainers/runtime-spec/specs-go"

func hooks(d *decoder, h *specs.Hooks) {
	d.object()
	for d.member() {
		switch d.name {
		case "prestart":
			//lint:ignore SA1019 deprecated, but still part of the specification
			list(d, &h.Prestart, 2, hook)
		case "createRuntime":
			list(d, &h.CreateRuntime, 2, hook)
		case "createContainer":
			list(d, &h.CreateContainer, 2, hook)
		case "startContainer":
			list(d, &h.StartContainer, 2, hook)
		case "poststart":
			list(d, &h.Poststart, 2, hook)
		case "poststop":
			list(d, &h.Poststop, 2, hook)
		default:
			d.unknown("prestart createRuntime createContainer startContainer poststart poststop")
		}
	}
}

func hook(d *decoder, h *specs.Hook) {
	d.object()
	for d.member() {
		switch d.name {
		case "path":
			text(d, &h.Path)
		case "args":
			texts(d, &h.Args)
		case "env":
			texts(d, &h.Env)
		case "timeout":
			optional(d, &h.Timeout, number)
		default:
			d.unknown("path args env timeout")
		}
	}
}
