package main

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestSpecIsTheSameForAllButTheUsersNamespace(t *testing.T) {
	root, err := newSpec(caller{0, 0}, 3)
	if err != nil {
		t.Fatal(err)
	}
	user, err := newSpec(caller{1000, 1001}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := root.Linux.CgroupsPath, "/locald/bench-3"; got != want {
		t.Errorf("root's cgroupsPath is %q, want %q", got, want)
	}
	if got, want := user.Linux.CgroupsPath, "/locald/u1000/bench-3"; got != want {
		t.Errorf("the user's cgroupsPath is %q, want %q", got, want)
	}
	if len(root.Linux.UIDMappings) != 0 || slices.ContainsFunc(root.Linux.Namespaces, isUser) {
		t.Error("root's container has a user namespace")
	}
	if !slices.ContainsFunc(user.Linux.Namespaces, isUser) || user.Linux.UIDMappings[0].HostID != 1000 || user.Linux.GIDMappings[0].HostID != 1001 {
		t.Error("the user's container has no user namespace that maps the user")
	}
	if len(user.Mounts) != len(root.Mounts) || len(user.Linux.Namespaces) != len(root.Linux.Namespaces)+1 {
		t.Error("more than the user namespace differs")
	}
	for _, m := range user.Mounts {
		if slices.Contains(m.Options, "gid=5") {
			t.Errorf("%s asks for a group that the user's map does not have", m.Destination)
		}
	}
}

func isUser(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }
