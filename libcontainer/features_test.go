package libcontainer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go/features"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestFeatures: the document is that of the specification, and what it lists is taken.
func TestFeatures(t *testing.T) {
	var f features.Features
	dec := json.NewDecoder(strings.NewReader(Features()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		t.Fatal(err)
	}
	if f.OCIVersionMax != specs.Version || len(f.Hooks) != 6 || len(f.Linux.Capabilities) != len(capabilityNames) {
		t.Errorf("the document is %+v", f)
	}
	for _, l := range [][]string{f.MountOptions, f.Linux.Namespaces, f.Linux.Seccomp.Actions, f.Linux.Seccomp.Operators, f.Linux.Seccomp.Archs} {
		if !slices.IsSorted(l) || len(slices.Compact(slices.Clone(l))) != len(l) {
			t.Errorf("not in order, or twice: %v", l)
		}
	}
	taken := func(what string, change func(*specs.Spec)) {
		t.Helper()
		s := baseSpec()
		change(s)
		if p := Validate(s); len(p) > 0 {
			t.Errorf("%s is listed and refused: %v", what, p)
		}
	}
	for _, o := range f.MountOptions {
		switch o {
		case "tmpcopyup", "sync", "dirsync", "lazytime", "mand", "async", "nolazytime", "nomand", "iversion", "noiversion", "silent", "loud": // of new file systems
			taken(o, func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/new", "tmpfs", "tmpfs", o)) })
		case "idmap", "ridmap":
			taken(o, func(s *specs.Spec) {
				m := mount("/bound", "bind", "/srv", "rbind", o)
				m.UIDMappings = []specs.LinuxIDMapping{{HostID: 1000, Size: 10}}
				m.GIDMappings = m.UIDMappings
				s.Mounts = append(s.Mounts, m)
			})
		case "remount":
			taken(o, func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/dev", "tmpfs", "tmpfs", o, "ro")) })
		default:
			taken(o, func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/bound", "bind", "/srv", "rbind", o)) })
		}
	}
	for _, a := range f.Linux.Seccomp.Actions {
		taken(a, func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/agent", Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.LinuxSeccompAction(a)}}}
		})
	}
	for _, o := range f.Linux.Seccomp.Operators {
		taken(o, func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActErrno,
				Args: []specs.LinuxSeccompArg{{Op: specs.LinuxSeccompOperator(o)}}}}}
		})
	}
	for _, a := range f.Linux.Seccomp.Archs {
		taken(a, func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.Arch(a)}}
		})
	}
	for _, flag := range f.Linux.Seccomp.SupportedFlags {
		taken(flag, func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlag(flag)}}
		})
	}
}
