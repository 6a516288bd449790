package cli

import (
	"reflect"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/files"
)

func TestContainerPath(t *testing.T) {
	for word, want := range map[string][2]string{
		"web:/etc": {"web", "/etc"}, "web:etc": {"web", "/etc"}, "web:": {"web", "/"}, "web:/a:b": {"web", "/a:b"},
		"./web:x": {"", "./web:x"}, "/web:x": {"", "/web:x"}, "a/web:x": {"", "a/web:x"}, ":x": {"", ":x"}, "file": {"", "file"}, "-": {"", "-"},
	} {
		if name, path, is := containerPath(word); name != want[0] || path != want[1] || is != (want[0] != "") {
			t.Errorf("%q: %q %q %v", word, name, path, is)
		}
	}
}

// TestWithoutMounts: mount points are no change, nor is a directory that holds nothing else that is new.
func TestWithoutMounts(t *testing.T) {
	list := []files.Change{
		{Kind: 'C', Path: "/etc"}, {Kind: 'A', Path: "/etc/hosts"}, {Kind: 'A', Path: "/proc"}, {Kind: 'A', Path: "/sys"}, {Kind: 'A', Path: "/sys/fs"},
		{Kind: 'C', Path: "/var"}, {Kind: 'A', Path: "/var/data"}, {Kind: 'A', Path: "/var/new"},
	}
	var mounts []specs.Mount
	for _, at := range []string{"/", "/etc/hosts", "/proc", "/sys/fs", "/var/data"} {
		mounts = append(mounts, specs.Mount{Destination: at})
	}
	want := []files.Change{{Kind: 'C', Path: "/var"}, {Kind: 'A', Path: "/var/new"}}
	if got := withoutMounts(list, mounts); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestLowerOf: what lies below an overlay is an overlay of its layers, or the one that it has.
func TestLowerOf(t *testing.T) {
	if got := lowerOf(&specs.Mount{Options: []string{`lowerdir=/a\:b\\c`, "upperdir=/u", "userxattr"}}); got.Type != "bind" || got.Source != `/a:b\c` {
		t.Errorf("%+v", got)
	}
	for _, options := range [][]string{{"lowerdir=/a:/b"}, {"lowerdir+=/a", "lowerdir+=/b"}} {
		got := lowerOf(&specs.Mount{Options: append([]string{"upperdir=/u", "workdir=/w"}, options...)})
		if want := append([]string{"userxattr", "ro"}, options...); got.Type != "overlay" || !reflect.DeepEqual(got.Options, want) {
			t.Errorf("%+v", got)
		}
	}
}

// TestInside: an owner of this machine has the container's id, or is root there.
func TestInside(t *testing.T) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 10}}
	in := &filesIn{spec: &specs.Spec{Linux: &specs.Linux{UIDMappings: maps, GIDMappings: maps}}}
	for host, want := range map[int]int{1000: 0, 1001: 0, 100000: 1, 100009: 10, 100010: 0, 0: 0, 999: 0} {
		if uid, gid := in.inside()(host, host); uid != want || gid != want {
			t.Errorf("%d: %d %d", host, uid, gid)
		}
	}
	in.spec.Linux.UIDMappings, in.spec.Linux.GIDMappings = nil, nil
	if uid, gid := in.inside()(7, 8); uid != 7 || gid != 8 {
		t.Errorf("%d %d", uid, gid)
	}
}
