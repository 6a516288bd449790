package e2e

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestIDMap: files show the ids of the map, for containers with and without a user namespace, and new files are the
// mapped id's outside. How far down the map goes is what idmap and ridmap say.
func TestIDMap(t *testing.T) {
	needsRoot(t, "only root maps the ids of a file system")
	needs(t, !here.guest, "needs id maps on tmpfs, which Linux has since 6.3")
	dir := volume(t)
	must(t, os.Chown(dir, 0, 0))
	must(t, os.Chown(dir+"/file", 5, 6))
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 500000, Size: rangeSize}}
	for name, userns := range map[string]bool{"user namespace": true, "none": false} {
		t.Run(name, func(t *testing.T) {
			b, want := newBundle(t), "file 644 500005:500006"
			if userns {
				addNamespace(b.spec, specs.UserNamespace, "")
				b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = maps, maps
				must(t, os.Chown(b.rootfs, 500000, 500000))
				want = "file 644 5:6"
			}
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: dir, Options: []string{"nosuid", "idmap"}, UIDMappings: maps, GIDMappings: maps},
				specs.Mount{Destination: "/closed", Type: "bind", Source: dir, Options: []string{"ro"}, UIDMappings: maps, GIDMappings: maps})
			if userns {
				b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/own", Type: "bind", Source: dir, Options: []string{"rbind", "ridmap"}})
			}
			withCaps(b.spec, "CAP_DAC_OVERRIDE", "CAP_CHOWN")
			r := b.do("look", "stat /mnt/file", "stat /own/file", "create /mnt/new x", "create /closed/new x").run(t).ok(t)
			if got := r.value(t, "stat /mnt/file"); got != want {
				t.Errorf("the file is %q, want %q", got, want)
			}
			r.wantErrno(t, "create /closed/new x", "EROFS")
			if m := mountAt(t, r.look(t), "/mnt"); !hasOption(m.Options, "idmapped") || !hasOption(m.Options, "nosuid") {
				t.Errorf("mounted %s", m.Options)
			}
			if !userns {
				return
			}
			if got := r.value(t, "stat /own/file"); got != want {
				t.Errorf("with the container's maps the file is %q, want %q", got, want)
			}
			r.wantErrno(t, "create /mnt/new x", "")
			var st unix.Stat_t
			if err := unix.Stat(dir+"/new", &st); err != nil || st.Uid != 0 || st.Gid != 0 {
				t.Errorf("outside the new file is %d:%d, %v", st.Uid, st.Gid, err)
			}
		})
	}
}

// TestIDMapRefused: a file system that cannot, and maps that belong to nobody who asks.
func TestIDMapRefused(t *testing.T) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 500000, Size: 1}}
	b := newBundle(t)
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: "/proc/sys", Options: []string{"idmap"}, UIDMappings: maps, GIDMappings: maps})
	if !here.root {
		b.run(t).problem(t, "/mounts/3/uidMappings")
		return
	}
	if p := b.run(t).problem(t, "/mounts/3"); p.Errno != "EINVAL" || !strings.Contains(p.Message, "map the ids of /mnt") || !strings.Contains(p.Hint, "5.19") {
		t.Errorf("%+v", p)
	}
}

// TestIDMapOfUser: what a container's uid 999 writes is the caller's on the host.
func TestIDMapOfUser(t *testing.T) {
	needs(t, !here.root, "is about callers who are not root")
	needs(t, !here.guest, "needs id maps on tmpfs, which Linux has since 6.3")
	needsSubIDs(t)
	dir, b := volume(t), newBundle(t)
	withRange(b.spec)
	exchange := func(own int, first uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: uint32(own), HostID: first + 998, Size: 1}, {ContainerID: first + 998, HostID: uint32(own), Size: 1}}
	}
	m := specs.Mount{Destination: "/mnt", Type: "bind", Source: dir, UIDMappings: exchange(os.Getuid(), subordinate("/etc/subuid")), GIDMappings: exchange(os.Getgid(), subordinate("/etc/subgid"))}
	b.spec.Mounts = append(b.spec.Mounts, m)
	b.spec.Process.User = specs.User{UID: 999, GID: 999}
	r := b.do("stat /mnt/file", "create /mnt/new x").run(t).ok(t)
	if got := r.value(t, "stat /mnt/file"); got != "file 644 999:999" {
		t.Errorf("the caller's file is %q", got)
	}
	r.wantErrno(t, "create /mnt/new x", "")
	var st unix.Stat_t
	if err := unix.Stat(dir+"/new", &st); err != nil || int(st.Uid) != os.Getuid() || int(st.Gid) != os.Getgid() {
		t.Errorf("outside the new file is %d:%d, %v", st.Uid, st.Gid, err)
	}
}
