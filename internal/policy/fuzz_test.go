package policy

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// FuzzAccounts: every entry that a strict reader of passwd(5) finds counts, a name is that of one uid alone, and with an
// error there is none.
func FuzzAccounts(f *testing.F) {
	f.Add("root:x:0:0::/root:/bin/sh\nu:x:1000:1000:,,,:/home/u:/bin/sh\n", uint32(1000))
	f.Add("u:x:1000:1:::\nu:x:1001:1:::\n", uint32(1000))
	f.Add("1000:x:5:5:::\nu:x:01000:1:::\n+u::1000::::\n#u:x:7:7:::\n", uint32(1000))
	f.Add("u:x:4294967296:1:::\nv:x:-1:1:::\n\x00:x:1:1:::\r\n", uint32(1))
	f.Fuzz(func(t *testing.T, text string, uid uint32) {
		name, uids, err := ParsePasswd(text, uid)
		if err != nil && (name != "" || err.Error() == "") {
			t.Fatalf("%q and %v", name, err)
		}
		gids := ParseGroup(text)
		for line := range strings.SplitSeq(text, "\n") {
			field := strings.Split(line, ":")
			if len(field) != 7 || field[0] == "" || strings.Trim(field[0], "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				continue
			}
			id, e := strconv.ParseUint(field[2], 10, 32)
			if e != nil || id == 4294967295 {
				continue
			}
			if !slices.Contains(uids, uint32(id)) || !slices.Contains(gids, uint32(id)) {
				t.Errorf("the id of %q is left out", line)
			}
			if name != "" && field[0] == name && uint32(id) != uid {
				t.Errorf("%q is taken for uid %d, and is %d", name, uid, id)
			}
		}
		if name != "" && !strings.Contains(text, name+":") {
			t.Errorf("the name %q is made up", name)
		}
	})
}

// FuzzSysctl: a key that is let through names, whichever way it is spelled, a file of the list in sysctls, and nothing but
// a file below it.
func FuzzSysctl(f *testing.F) {
	for _, key := range []string{"net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/mtu", "net.ipv4.conf.eth0/1.mtu", "kernel.shmmax", "net/../kernel/core_pattern", "net.ipv4/../../kernel/x", "fs/mqueue/msg_max", "kernel.hostname\n", "/net/x", "net."} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		spec := testSpec()
		spec.Linux.Sysctl = map[string]string{key: "1"}
		problems := Check(spec, testGrant())
		for _, p := range problems {
			if p.Pointer != member("/linux/sysctl", key) {
				t.Errorf("%q: a problem at %q", key, p.Pointer)
			}
		}
		if len(problems) > 0 {
			return
		}
		file := sysctlFile(key)
		below := strings.HasPrefix(file, "net/") || strings.HasPrefix(file, "fs/mqueue/")
		listed := slices.Contains([]string{"kernel/domainname", "kernel/hostname"}, file) || slices.Contains(ipcSysctls[:], file)
		if path.Clean("/"+file) != "/"+file || strings.ContainsAny(file, "\x00\n\\") || !below && !listed {
			t.Errorf("%q is let through, as %q", key, file)
		}
		spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
			return n.Type == specs.NetworkNamespace || n.Type == specs.IPCNamespace || n.Type == specs.UTSNamespace
		})
		if len(Check(spec, testGrant())) == 0 {
			t.Errorf("%q is let through without a namespace for it", key)
		}
	})
}

// FuzzMount: what a destination is called makes no difference to where it may be, and no file system that needs root is
// let through.
func FuzzMount(f *testing.F) {
	for _, m := range [][3]string{{"/x", "tmpfs", "mode=755"}, {"/proc/x", "tmpfs", ""}, {"/x/..//proc/", "proc", "bind"}, {"x", "ext4", "bind,ro"}, {"/", "bind", "rbind"}, {"/sys", "sysfs", ""}, {"/x", "none", "gid=5"}, {"/x", "none", "rbind,idmap"}} {
		f.Add(m[0], m[1], m[2])
	}
	f.Fuzz(func(t *testing.T, destination, typ, options string) {
		spec := testSpec()
		m := specs.Mount{Destination: destination, Type: typ, Source: "/x", Options: strings.Split(options, ",")}
		spec.Mounts = []specs.Mount{m}
		if len(Check(spec, testGrant())) > 0 {
			return
		}
		bind := slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
		if known := []string{"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay", "bind", "none", ""}; !bind && !slices.Contains(known, typ) {
			t.Errorf("%+v is let through", m)
		}
		if path.Clean("/"+destination) == "/proc" && (typ != "proc" || bind) {
			t.Errorf("%+v is let through", m)
		}
		for _, o := range m.Options {
			if name, _, _ := strings.Cut(o, "="); name == "idmap" || name == "ridmap" {
				t.Errorf("%+v is let through", m)
			}
		}
	})
}
