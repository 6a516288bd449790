package policy

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestMounts(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     specs.Mount
		first bool // the first mount, else after one on /a
		want  string
	}{
		{"overlay on the root", specs.Mount{Destination: "/", Type: "overlay"}, true, ""},
		{"overlay on the root, second", specs.Mount{Destination: "/", Type: "overlay"}, false, "/mounts/1/destination: only the first mount may be the root"},
		{"tmpfs on the root", specs.Mount{Destination: "/", Type: "tmpfs"}, true, "/mounts/0/destination: only the first mount may be the root, and only as an overlay"},
		{"bind on the root", specs.Mount{Destination: "/x/..", Type: "bind", Source: "/"}, true, "only as an overlay"},
		{"bound overlay on the root", specs.Mount{Destination: "/", Type: "overlay", Options: []string{"bind"}}, true, "only as an overlay"},
		{"no destination", specs.Mount{Type: "tmpfs"}, true, "only as an overlay"},
		{"proc", specs.Mount{Destination: "/proc/", Type: "proc"}, false, ""},
		{"proc elsewhere", specs.Mount{Destination: "/x/proc", Type: "proc"}, false, ""},
		{"the host's proc", specs.Mount{Destination: "/proc", Type: "bind", Source: "/proc"}, false, "/mounts/1/destination: only a proc file system can be mounted on /proc; choose another destination"},
		{"the host's proc by option", specs.Mount{Destination: "/proc", Type: "none", Source: "/proc", Options: []string{"rbind"}}, false, "only a proc file system"},
		{"the host's proc, called proc", specs.Mount{Destination: "/proc", Type: "proc", Source: "/proc", Options: []string{"ro", "rbind"}}, false, "only a proc file system"},
		{"proc by a relative path", specs.Mount{Destination: "proc", Type: "tmpfs"}, false, "only a proc file system"},
		{"below proc", specs.Mount{Destination: "/proc/acpi", Type: "tmpfs"}, false, ""},
		{"beside proc", specs.Mount{Destination: "/procs", Type: "tmpfs"}, false, ""},
		{"rbind", specs.Mount{Destination: "/x", Type: "rbind", Source: "/"}, false, ""},
		{"no type, bind", specs.Mount{Destination: "/x", Options: []string{"nosuid", "bind"}}, false, ""},
		{"no type, rbind", specs.Mount{Destination: "/x", Options: []string{"rbind"}}, false, ""},
		{"remount of the root", specs.Mount{Destination: "/", Options: []string{"remount", "ro"}}, false, ""},
		{"remount with a uid", specs.Mount{Destination: "/x", Options: []string{"remount", "uid=11"}}, false, "uid=11 is not mapped"},
		{"no type", specs.Mount{Destination: "/x", Options: []string{"ro"}}, false, "/mounts/1/type: the type is missing"},
		{"none", specs.Mount{Destination: "/x", Type: "none"}, false, "the type is missing"},
		{"cgroup", specs.Mount{Destination: "/x", Type: "cgroup"}, false, ""},
		{"fuse", specs.Mount{Destination: "/x", Type: "fuse"}, false, `file system type "fuse" needs root`},
		{"debugfs that is bound", specs.Mount{Destination: "/x", Type: "debugfs", Options: []string{"bind"}}, false, `file system type "debugfs" needs root`},
		{"case", specs.Mount{Destination: "/x", Type: "TMPFS"}, false, `file system type "TMPFS" needs root`},
		{"idmap", specs.Mount{Destination: "/x", Type: "bind", Options: []string{"ro", "idmap"}}, false, "/mounts/1/options/1: idmap means linux.uidMappings, and on the disk host uid 0 cannot be mapped"},
		{"ridmap", specs.Mount{Destination: "/x", Type: "bind", Options: []string{"ridmap"}}, false, "/mounts/1/options/0: ridmap needs root; use idmap"},
		{"uid", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uid=10"}}, false, ""},
		{"uid that has no gid", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uid=11"}}, false, "/mounts/1/options/0: uid=11 is not mapped; add it to linux.uidMappings, or leave the option out"},
		{"gid that has no uid", specs.Mount{Destination: "/x", Type: "devpts", Options: []string{"gid=20"}}, false, ""},
		{"gid", specs.Mount{Destination: "/x", Type: "devpts", Options: []string{"newinstance", "gid=21"}}, false, "/mounts/1/options/1: gid=21 is not mapped; add it to linux.gidMappings"},
		{"gid of proc", specs.Mount{Destination: "/x", Type: "proc", Options: []string{"hidepid=2", "gid=21"}}, false, "gid=21 is not mapped"},
		{"octal", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"gid=011"}}, false, `"gid=011" is not a decimal gid`},
		{"hexadecimal", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uid=0x1"}}, false, `"uid=0x1" is not a decimal uid`},
		{"empty", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uid"}}, false, "is not a decimal uid"},
		{"wraps", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uid=4294967296"}}, false, "is not a decimal uid"},
		{"other options", specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uuid=1", "gids=x", "mode=0700", "size=5%", ""}}, false, ""},
	} {
		spec := testSpec()
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = extents("0 100000 11"), extents("0 200000 21")
		spec.Mounts = []specs.Mount{{Destination: "/a", Type: "tmpfs"}, c.m}
		if c.first {
			spec.Mounts = spec.Mounts[1:]
		}
		if got := render(Check(spec, testGrant())); c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestMountNamespaces: what shows a namespace needs a new one, not the host's and not one that is joined.
func TestMountNamespaces(t *testing.T) {
	for typ, ns := range map[string]specs.LinuxNamespaceType{"proc": "pid", "sysfs": "network", "mqueue": "ipc", "cgroup": "cgroup", "cgroup2": "cgroup"} {
		for _, joined := range []bool{false, true} {
			spec := testSpec()
			spec.Mounts, spec.Linux.Sysctl = []specs.Mount{{Destination: "/x", Type: typ}}, nil
			i := slices.IndexFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == ns })
			if joined {
				spec.Linux.Namespaces[i].Path = "/proc/1/ns/x"
			} else {
				spec.Linux.Namespaces = slices.Delete(spec.Linux.Namespaces, i, i+1)
			}
			if typ == "sysfs" && !joined {
				if got := render(Check(spec, testGrant())); strings.Contains(got, "/mounts") {
					t.Errorf("the host's sysfs is refused: %q", got)
				}
				continue
			}
			want := "/mounts/0/type: " + typ + " needs a new " + string(ns) + ` namespace; add {"type": "` + string(ns) + `"} to linux.namespaces`
			if got := render(Check(spec, testGrant())); !strings.Contains(got, want) {
				t.Errorf("joined %v: %q, want %q", joined, got, want)
			}
		}
	}
}
