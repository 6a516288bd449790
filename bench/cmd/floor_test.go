package main

import (
	"strings"
	"testing"
)

func TestFloorOps(t *testing.T) {
	for _, test := range []struct{ listing, want string }{
		{`   0 setsid()`, `OP(0, (void)0, r >= 0, __NR_setsid, 0, 0, 0, 0, 0, 0)`},
		{
			`  13 unshare(mount|network)                    # /linux/namespaces`,
			`OP(13, (void)0, r >= 0, __NR_unshare, CLONE_NEWNS | CLONE_NEWNET, 0, 0, 0, 0, 0)`,
		},
		{
			`  15 openat(cwd, "rootfs", cloexec|path) = s0`,
			`OP(15, s[0] = r < 0 ? -1 : r, r >= 0, __NR_openat, AT_FDCWD, P("rootfs"), O_CLOEXEC | O_PATH, 0, 0, 0)`,
		},
		{
			` 108 openat2(s1, "proc/acpi", {cloexec|path no_magiclinks|in_root}, 24) = s38 or ENOENT, ENOTDIR # /linux/maskedPaths/0`,
			`OP(108, s[38] = r < 0 ? -1 : r, r >= 0 || r == -ENOENT || r == -ENOTDIR, __NR_openat2, s[1], P("proc/acpi"), P((&(struct open_how){O_CLOEXEC | O_PATH, 0, RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT})), 24, 0, 0)`,
		},
		{
			`1 mount_setattr(s1, "", empty|recursive, {set ro clear atime private}, 32)`,
			`OP(1, (void)0, r >= 0, __NR_mount_setattr, s[1], P(""), AT_EMPTY_PATH | AT_RECURSIVE, P((&(struct mount_attr){MOUNT_ATTR_RDONLY, MOUNT_ATTR__ATIME, MS_PRIVATE, 0})), 32, 0)`,
		},
		{`2 mknodat(s19, "null", 020666, 1:3)`, `OP(2, (void)0, r >= 0, __NR_mknodat, s[19], P("null"), 020666, makedev(1, 3), 0, 0)`},
		{`3 ppoll({parent in}, 1, zeros, 0, 0) must be 0`, `OP(3, (void)0, r == 0, __NR_ppoll, P((&(struct pollfd){parent, POLLIN, 0})), 1, P(zeros), 0, 0, 0)`},
		{`4 execve("/a b", ["a" ", \"?"], [])`, `OP(4, (void)0, r >= 0, __NR_execve, P("/a b"), P(((char *[]){"a", ", \042\077", NULL})), P(((char *[]){NULL})), 0, 0, 0)`},
		{`5 prctl(cap_ambient, 2, CAP_KILL, 0, 0)`, `OP(5, (void)0, r >= 0, __NR_prctl, PR_CAP_AMBIENT, 2, CAP_KILL, 0, 0, 0)`},
		{
			`6 capset({version 3}, {effective 0x1 permitted 0x2 inheritable 0x3})`,
			`OP(6, (void)0, r >= 0, __NR_capset, P((&(struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0})), P(((struct __user_cap_data_struct[]){{(__u32)0x1, (__u32)0x2, (__u32)0x3}, {(__u64)0x1 >> 32, (__u64)0x2 >> 32, (__u64)0x3 >> 32}})), 0, 0, 0, 0)`,
		},
	} {
		var b strings.Builder
		if err := writeFloor(&b, "   . clone3 pid|vm|vfork\n"+test.listing+"\n"); err != nil {
			t.Errorf("%s: %v", test.listing, err)
			continue
		}
		if got := b.String(); !strings.Contains(got, "CLONE_FLAGS (CLONE_NEWPID | CLONE_VM | CLONE_VFORK)") || !strings.HasSuffix(got, "\t"+test.want+"\n") {
			t.Errorf("%s:\n got %s\nwant %s", test.listing, got, test.want)
		}
	}
}

func TestFloorRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, listing := range []string{
		"",
		"0 setsid()\n",
		". clone3 pid\n",
		". clone3 pid|new\n0 setsid()\n",
		". gid_map 0 1000 1\n. clone3 user\n0 setsid()\n",
		". cgroup memory.max = 1\n. clone3 pid\n0 setsid()\n",
		". clone3 pid\n0 setsid(\n",
		". clone3 pid\n0 setsid() maybe\n",
		". clone3 pid\n0 fsconfig(s1, binary, 0)\n",
		". clone3 pid\n0 read(gate, byte, 1) must be 1\n",
		". clone3 pid\n0 ioctl(s1, 0x1, {eth0 up|running})\n",
	} {
		var b strings.Builder
		if err := writeFloor(&b, listing); err == nil {
			t.Errorf("%q was turned into\n%s", listing, b.String())
		}
	}
}
