package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// config is what `runc spec` writes, with three differences: no terminal, a
// cgroup namespace, and no device rules (a deny-all rule is one more BPF program
// for the peers and means nothing in a user namespace).
//
//go:embed config.json
var config []byte

// caller is who a candidate is started as.
type caller struct{ uid, gid int }

func (c caller) root() bool { return c.uid == 0 }

func (c caller) String() string {
	if c.root() {
		return "root"
	}
	return "user"
}

// cgroupsPath is the container's cgroup: one per slot, because containers that run
// at the same time must not share one. The path of a user's is the one that
// locald-shim grants.
func (c caller) cgroupsPath(slot int) string {
	if c.root() {
		return "/locald/bench-" + strconv.Itoa(slot)
	}
	return "/locald/u" + strconv.Itoa(c.uid) + "/bench-" + strconv.Itoa(slot)
}

// newSpec returns the configuration that the caller may run: the same for all, and
// for a user in a user namespace that maps its root to the caller.
func newSpec(c caller, slot int) (*specs.Spec, error) {
	spec := new(specs.Spec)
	if err := json.Unmarshal(config, spec); err != nil {
		return nil, err
	}
	spec.Linux.CgroupsPath = c.cgroupsPath(slot)
	if c.root() {
		return spec, nil
	}
	spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: uint32(c.uid), Size: 1}}
	spec.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: uint32(c.gid), Size: 1}}
	for i := range spec.Mounts {
		// The tty group has no id in a map of one.
		spec.Mounts[i].Options = slices.DeleteFunc(spec.Mounts[i].Options, func(o string) bool { return strings.HasPrefix(o, "gid=") })
	}
	return spec, nil
}

// writeBundle makes a bundle whose rootfs holds true and the mount points.
func writeBundle(dir string, spec *specs.Spec, trueFile string) error {
	program, err := os.ReadFile(trueFile)
	if err != nil {
		return err
	}
	rootfs := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "dev", "etc", "proc", "sys", "tmp"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(rootfs, d), 0o755))
	}
	return errors.Join(err,
		os.WriteFile(filepath.Join(rootfs, "bin/true"), program, 0o755),
		writeConfig(dir, spec))
}

func writeConfig(dir string, spec *specs.Spec) error {
	data, err := json.MarshalIndent(spec, "", "\t")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "config.json"), append(data, '\n'), 0o644))
}
