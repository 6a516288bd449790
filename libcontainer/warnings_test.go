package libcontainer

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestWarnings: what engines write and what means nothing is left out, and named.
func TestWarnings(t *testing.T) {
	for pointer, change := range map[string]func(*specs.Spec){
		"/mounts/3/options/1": func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, mount("/data", "bind", "/srv", "bind", "mode=755"))
		},
		"/linux/gidMappings": func(s *specs.Spec) { // of a namespace whose maps cannot be read
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/run/userns/pod"})
			s.Linux.GIDMappings = []specs.LinuxIDMapping{{Size: 65536}}
		},
		"/linux/resources/memory/kernel": func(s *specs.Spec) {
			//lint:ignore SA1019 a deprecated limit that engines may still write
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 30)), Kernel: ptr(int64(1 << 20))}}
		},
	} {
		s := baseSpec()
		change(s)
		if p := Validate(s); len(p) > 0 {
			t.Errorf("%s: refused: %v", pointer, p)
			continue
		}
		p, err := Compile(s, rootHost())
		if err != nil {
			t.Errorf("%s: %v", pointer, err)
			continue
		}
		if len(p.Warnings) != 1 || p.Warnings[0].Pointer != pointer {
			t.Errorf("%s: the warnings are %v", pointer, p.Warnings)
		}
	}
}

// TestExecUnlimited: what was left out of a container is left out for one more process of it, and not said again.
func TestExecUnlimited(t *testing.T) {
	s := baseSpec()
	//lint:ignore SA1019 a deprecated limit that engines may still write
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: ptr(int64(1 << 20))}}
	p, err := CompileExec(s, s.Process, rootHost())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) > 0 {
		t.Errorf("the warnings are %v", p.Warnings)
	}
}

// TestPidsZero: 0 is a limit since version 1.3 of the specification, and none before.
func TestPidsZero(t *testing.T) {
	for version, writes := range map[string]int{"1.0.2-dev": 0, "1.2.1": 0, "1.3.0": 1, "1.10.0": 1} {
		s := baseSpec()
		s.Version = version
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(0))}}
		p, err := Compile(s, rootHost())
		if err != nil {
			t.Fatal(err)
		}
		if len(p.CgroupWrites) != writes {
			t.Errorf("version %s: %v is written, want %d", version, p.CgroupWrites, writes)
		}
	}
}
