package config

import "github.com/opencontainers/runtime-spec/specs-go"

func root(d *decoder, r *specs.Root) {
	d.object()
	for d.member() {
		switch d.name {
		case "path":
			text(d, &r.Path)
		case "readonly":
			boolean(d, &r.Readonly)
		default:
			d.unknown("path readonly")
		}
	}
}

func mount(d *decoder, m *specs.Mount) {
	d.object()
	for d.member() {
		switch d.name {
		case "destination":
			text(d, &m.Destination)
		case "type":
			text(d, &m.Type)
		case "source":
			text(d, &m.Source)
		case "options":
			texts(d, &m.Options)
		case "uidMappings":
			list(d, &m.UIDMappings, 2, idMapping)
		case "gidMappings":
			list(d, &m.GIDMappings, 2, idMapping)
		default:
			d.unknown("destination type source options uidMappings gidMappings")
		}
	}
}

func idMapping(d *decoder, m *specs.LinuxIDMapping) {
	d.object()
	for d.member() {
		switch d.name {
		case "containerID":
			number(d, &m.ContainerID)
		case "hostID":
			number(d, &m.HostID)
		case "size":
			number(d, &m.Size)
		default:
			d.unknown("containerID hostID size")
		}
	}
}
