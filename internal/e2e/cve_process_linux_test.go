package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Mistakes of other runtimes with what config.json and the verbs say of the process, each as its own scenario.

// TestCVE_2021_43784: what is longer than sixteen bits can tell arrives whole, and nothing behind it is misread.
func TestCVE_2021_43784(t *testing.T) {
	seenOnHost(t)
	long := strings.Repeat("x", 1<<16+7)
	b := newBundle(t)
	b.spec.Process.Args = append(b.spec.Process.Args, long, "exit 0")
	b.spec.Process.Env = append(b.spec.Process.Env, "LONG="+long, "LAST=1")
	b.spec.Annotations = map[string]string{"long": long}
	r := b.run(t).ok(t).look(t)
	if len(r.Args) != 4 || r.Args[2] != long || r.Args[3] != "exit 0" {
		t.Errorf("%d arguments, the last %.20q", len(r.Args), r.Args[len(r.Args)-1])
	}
	for _, want := range []string{"LONG=" + long, "LAST=1"} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("the environment has no %.20s", want)
		}
	}
	if r.Uid != [3]int{} || r.Caps.Permitted != 0 {
		t.Errorf("uid %d, capabilities %x", r.Uid, r.Caps.Permitted)
	}
}

// TestCVE_2022_29162_2022_27650_2025_27612: inheritable capabilities are those that were asked for, also of what comes
// later.
func TestCVE_2022_29162_2022_27650_2025_27612(t *testing.T) {
	seenOnHost(t)
	some := []string{"CAP_KILL", "CAP_CHOWN"}
	b := newBundle(t, func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: some, Effective: some, Permitted: some}
	})
	r := b.do("look", "line").create(t)
	shim(t, "start", b.id).ok(t)
	if caps := r.answer("look").Look.Caps; caps.Inheritable != 0 || caps.Ambient != 0 || caps.Effective == 0 {
		t.Errorf("the first process: %+x", caps)
	}
	for _, flags := range [][]string{nil, {"--cap", "CAP_KILL"}} {
		args := append(append([]string{"exec"}, flags...), b.id, "/probe", "look")
		if caps := shim(t, args...).ok(t).look(t).Caps; caps.Inheritable != 0 || caps.Ambient != 0 || caps.Effective == 0 {
			t.Errorf("exec %v: %+x", flags, caps)
		}
	}
	b.ends(t, r)
}

// TestCVE_2023_25809: without a cgroup namespace a cgroup mount shows no more than the container's own cgroup, and not
// writable when that is not asked for.
func TestCVE_2023_25809(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t)
	dropNamespace(b.spec, specs.CgroupNamespace)
	addMount(b.spec, "/cgroup", "cgroup", "cgroup", "ro", "nosuid")
	res := b.do("look", "read /cgroup/cgroup.procs", "mkdir /cgroup/sub", "write /cgroup/cgroup.procs 1").run(t)
	if !here.root {
		res.problem(t, "/mounts/3/type")
		return
	}
	if got := res.ok(t).value(t, "read /cgroup/cgroup.procs"); got != "1\n" {
		t.Errorf("in the cgroup there is %q, want only 1", got)
	}
	res.wantErrno(t, "mkdir /cgroup/sub", "EROFS")
	res.wantErrno(t, "write /cgroup/cgroup.procs 1", "EROFS")
	if m := mountAt(t, res.look(t), "/cgroup"); !strings.HasSuffix(m.Root, "/"+b.id) {
		t.Errorf("/cgroup is %+v", m)
	}
}

// TestCVE_2024_21626: the working directory is a descriptor of the runtime's that has not been closed yet, of any number.
func TestCVE_2024_21626(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t)
	r := b.running(t)
	for n := 3; n <= 50; n++ {
		dir := "/proc/self/fd/" + itoa(n)
		if res := shim(t, "exec", "--cwd", dir, b.id, "/probe", "look"); res.code != 255 || !strings.Contains(res.stderr, dir) {
			t.Errorf("exec in %s: %s", dir, res)
		}
	}
	b.ends(t, r)
	for n := 3; n <= 50; n++ {
		b.spec.Process.Cwd = "/proc/self/fd/" + itoa(n)
		b.run(t).problem(t, "/process/cwd")
	}
}

// TestCVE_2026_30892: --user 1 is 1. What is no number is no user.
func TestCVE_2026_30892(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t)
	r := b.running(t)
	want := map[string]int64{
		"0": 0, "1": 1, "1:2": 1, "00": 0, "01": 1, "+1": -1, " 1": -1, "1 ": -1, "0x1": -1, "1e0": -1, "-1": -1, "1:": -1, ":1": -1, "1:2:3": -1, "1,2": -1,
		"4294967294": 4294967294, "4294967295": -1, "4294967296": -1, "18446744073709551616": -1, "root": -1,
	}
	for user, uid := range want {
		if !here.root && uid > 0 {
			uid = -1 // is not mapped
		}
		res := shim(t, "exec", "--user", user, b.id, "/probe", "look")
		if refused := res.code == 255; refused && uid >= 0 {
			t.Errorf("--user %q: %s", user, res)
		} else if !refused && int64(uint32(res.ok(t).look(t).Uid[1])) != uid {
			t.Errorf("--user %q: uid %d, want %d", user, res.look(t).Uid, uid)
		}
	}
	b.ends(t, r)
}

// TestCVE_2026_46680_2016_3697: the image has a user whose name is a number, and whose uid is 0. A number is a number.
func TestCVE_2026_46680_2016_3697(t *testing.T) {
	seenOnHost(t)
	needsSubIDs(t)
	b := newBundle(t, withRange, func(s *specs.Spec) { s.Process.User = specs.User{UID: 900, GID: 900} })
	b.put(t, "etc/passwd", "900:x:0:0:root:/evil:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n", 0o644)
	b.put(t, "etc/group", "900:x:0:\n", 0o644)
	r := b.do("look", "line").create(t)
	shim(t, "start", b.id).ok(t)
	reports := map[string][3]int{"the first process": r.answer("look").Look.Uid, "exec": shim(t, "exec", b.id, "/probe", "look").ok(t).look(t).Uid}
	reports["exec --user"] = shim(t, "exec", "--user", "900:900", b.id, "/probe", "look").ok(t).look(t).Uid
	for who, uid := range reports {
		if uid != [3]int{900, 900, 900} {
			t.Errorf("%s has uid %d", who, uid)
		}
	}
	b.ends(t, r)
}

// TestGHSA_265r_hfxg_fhmg: ids about the ends of 31 and 32 bits are themselves or refused.
func TestGHSA_265r_hfxg_fhmg(t *testing.T) {
	seenOnHost(t)
	for _, id := range []uint32{1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1} {
		b := newBundle(t, func(s *specs.Spec) { s.Process.User = specs.User{UID: id, GID: id} })
		res := b.run(t)
		if !here.root || id == 1<<32-1 {
			if res.code != 125 || !strings.Contains(res.String(), `"Pointer":"/process/user`) {
				t.Errorf("%d: %s", id, res)
			}
			continue
		}
		for _, ids := range [][3]int{res.ok(t).look(t).Uid, res.look(t).Gid} {
			if uint32(ids[0]) != id || uint32(ids[1]) != id || uint32(ids[2]) != id {
				t.Errorf("%d has become %d", id, ids)
			}
		}
	}
	for _, id := range []string{"4294967296", "4294967297", "18446744073709551616", "-1", "1e1", "0.0"} {
		b := newBundle(t)
		b.write(t)
		text := textOf(t, b.dir+"/config.json")
		if strings.Count(text, `"uid": 0`) != 1 {
			t.Fatal("config.json has no uid to replace")
		}
		must(t, os.WriteFile(b.dir+"/config.json", []byte(strings.Replace(text, `"uid": 0`, `"uid": `+id, 1)), 0o644))
		res := launch(t, b, nil, "bundle", "run", "--bundle", b.dir, "--id", b.id, "--status-fd", "3").wait()
		res.problem(t, "/process/user/uid")
	}
}

// TestCVE_2022_0811: a sysctl of the host's, in the value or the key of another, or without the namespace that it is of.
// The harness sees that the host's stay as they are.
func TestCVE_2022_0811(t *testing.T) {
	seenOnHost(t)
	for _, c := range []struct {
		key, value string
		drop       specs.LinuxNamespaceType
	}{
		{"kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x", ""}, {"kernel.shm_rmid_forced+kernel.core_pattern", "1", ""}, {"kernel.core_pattern", "|/x", ""},
		{"net/../kernel/core_pattern", "|/x", ""}, {"net.ipv4/../../kernel/core_pattern", "|/x", ""}, {"net.ipv4.conf.all.forwarding\n", "1", ""}, {"/proc/sys/net/ipv4/ip_forward", "1", ""},
		{"net.ipv4.ip_forward", "1", specs.NetworkNamespace}, {"kernel.shmmax", "1", specs.IPCNamespace}, {"fs.mqueue.msg_max", "9", specs.IPCNamespace}, {"kernel.domainname", "x", specs.UTSNamespace},
	} {
		b := newBundle(t, func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{c.key: c.value}
			dropNamespace(s, c.drop)
		})
		if res := b.run(t); res.code != 125 || len(failuresOf(res)) != 1 || !strings.HasPrefix(failuresOf(res)[0].Pointer, "/linux/sysctl/") {
			t.Errorf("%q = %q without %q: %s", c.key, c.value, c.drop, res)
		}
	}
}

// TestCVE_2024_3154: annotations that other runtimes obey give a container nothing.
func TestCVE_2024_3154(t *testing.T) {
	seenOnHost(t)
	seen := func(annotations map[string]string) (string, bool) {
		b := newBundle(t)
		b.spec.Annotations = annotations
		res, ran := b.runOrRefused(t)
		if !ran {
			return "", false
		}
		r := res.look(t)
		kinds := []string{}
		for _, m := range r.Mounts {
			kinds = append(kinds, m.Point+" "+m.Type+" "+m.Options)
		}
		return strings.ReplaceAll(fmt.Sprint(r.Uid, r.Gid, r.Groups, r.Caps, r.Cgroup, r.Rlimits, r.Env, kinds, len(r.Fds)), b.id, "ID"), true
	}
	want, _ := seen(nil)
	for key, value := range map[string]string{
		"org.systemd.property.ExecStartPre": `"/bin/true"`, "org.systemd.property.DefaultDependencies": "true", "org.systemd.property.TasksMax": "uint64 7", "io.kubernetes.cri-o.userns-mode": "host",
		"run.oci.delegate-cgroup": "/x", "run.oci.systemd.subgroup": "x", "run.oci.mount_context_type": "context", "run.oci.seccomp_bpf_data": "AAAA", "run.oci.seccomp.plugins": "/x.so",
		"run.oci.pidfd_receiver": "/x", "run.oci.handler": "wasm", "module.wasm.image/variant": "compat", "io.podman.annotations.privileged": "TRUE",
	} {
		if got, ran := seen(map[string]string{key: value}); ran && got != want {
			t.Errorf("with %s=%s:\n%s, without:\n%s", key, value, got, want)
		}
	}
}

// TestCVE_2022_0492: no container has a release agent of cgroup v1 to write to, in what the shim mounts or in what the
// container does itself.
func TestCVE_2022_0492(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t)
	addMount(b.spec, "/cgroup", "cgroup", "cgroup", "rw")
	mount := "mount tmpfs tmpfs /tmp"
	if !here.root { // in a namespace of its own it may do what it likes
		withCaps(b.spec, "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
		mount = "mount cgroup cgroup /tmp"
	}
	res := b.do("look", mount, "write /tmp/release_agent /x", "write /cgroup/release_agent /x").run(t).ok(t)
	if m := mountAt(t, res.look(t), "/cgroup"); m.Type != "cgroup2" {
		t.Errorf("/cgroup is %+v", m)
	}
	for _, file := range []string{"/tmp/release_agent", "/cgroup/release_agent"} {
		if res.answer(t, "write "+file+" /x").Errno == "" {
			t.Errorf("%s was written", file)
		}
	}
}

// TestCVE_2025_65105_2025_64750: a label that this kernel cannot give is an error, and never left out.
func TestCVE_2025_65105_2025_64750(t *testing.T) {
	seenOnHost(t)
	lsm, _ := os.ReadFile("/sys/kernel/security/lsm") // or there is none at all
	for pointer, c := range map[string]struct {
		lsm    string
		change func(s *specs.Spec)
	}{
		"/process/apparmorProfile": {"apparmor", func(s *specs.Spec) { s.Process.ApparmorProfile = "locald" }},
		"/process/selinuxLabel":    {"selinux", func(s *specs.Spec) { s.Process.SelinuxLabel = "system_u:system_r:container_t:s0" }},
		"/linux/mountLabel":        {"selinux", func(s *specs.Spec) { s.Linux.MountLabel = "system_u:object_r:container_file_t:s0" }},
	} {
		if !strings.Contains(string(lsm), c.lsm) {
			newBundle(t, c.change).run(t).problem(t, pointer)
		}
	}
}

// TestCVE_2020_17367_2020_17368: what comes behind the container's id, or "--", is the program's, word for word.
func TestCVE_2020_17367_2020_17368(t *testing.T) {
	seenOnHost(t)
	b := newBundle(t)
	r := b.running(t)
	words := []string{"/probe", "look", "--user=5", "--cwd", "/nowhere", "--", "-d", ";touch /x", "$(touch /x)", "`touch /x`", "--help"}
	for _, before := range [][]string{nil, {"--"}} {
		args := slices.Concat([]string{"exec"}, before, []string{b.id}, words)
		if got := shim(t, args...).ok(t).look(t); !slices.Equal(got.Args, words) || got.Uid != [3]int{} || got.Cwd != "/" {
			t.Errorf("%q: as %d in %s", got.Args, got.Uid, got.Cwd)
		}
	}
	if _, err := os.Lstat(b.rootfs + "/x"); err == nil {
		t.Error("a word was executed by a shell")
	}
	b.ends(t, r)
}
