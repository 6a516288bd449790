package probe

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Baits in the directory of a Trial; what is missing is not tried. The test that makes them says whose they are.
var (
	BaitFiles = []string{"own", "secret", "other", "subordinate", "stranger", "negative", "program", "closed/inner", "root/inner", "sticky/other", "readonly/own", "closed-readonly/inner"}
	BaitDirs  = []string{"own-dir", "closed", "root", "sticky", "readonly", "other-dir"}
	BaitNodes = []string{"node", "node-any", "nodev/node-any"}
)

func (t *trial) bait(name string) string { return t.Prefix + t.Bait + "/" + name }

func (t *trial) open(what, path string, flags int) bool {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return t.try(what, err)
}

// files tries everything on every bait that leaves it as it is, where it belongs to somebody else.
func (t *trial) files() {
	for _, name := range BaitFiles {
		p := t.bait(name)
		var st unix.Stat_t
		if !t.try("see "+name, unix.Lstat(p, &st)) {
			continue
		}
		t.open("read "+name, p, unix.O_RDONLY)
		t.open("write "+name, p, unix.O_WRONLY)
		t.open("read without a trace "+name, p, unix.O_RDONLY|unix.O_NOATIME)
		t.try("chmod "+name, unix.Chmod(p, st.Mode&0o7777))
		t.try("chown "+name, unix.Lchown(p, os.Getuid(), -1))
		t.try("chgrp "+name, unix.Lchown(p, -1, os.Getgid()))
		now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_OMIT}}
		t.try("touch "+name, unix.UtimesNanoAt(unix.AT_FDCWD, p, now, 0))
		for _, attr := range []string{"user.locald", "trusted.locald", "security.locald"} {
			if t.try("set "+attr+" of "+name, unix.Setxattr(p, attr, []byte("x"), 0)) {
				unix.Removexattr(p, attr)
			}
		}
		link := t.bait("own-dir/link")
		if t.try("link "+name, unix.Link(p, link)) {
			unix.Unlink(link)
		}
		if h, id, err := unix.NameToHandleAt(unix.AT_FDCWD, p, 0); err == nil {
			t.handle(name, h, id)
		}
	}
}

// handle opens a file without a path, past every directory (CAP_DAC_READ_SEARCH).
func (t *trial) handle(name string, h unix.FileHandle, _ int) {
	dir, err := unix.Open(t.bait("own-dir"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(dir)
	fd, err := unix.OpenByHandleAt(dir, h, unix.O_RDONLY|unix.O_CLOEXEC)
	if t.try("open by handle "+name, err) {
		unix.Close(fd)
	}
}

func (t *trial) directories() {
	for _, name := range BaitDirs {
		p := t.bait(name)
		t.open("list "+name, p, unix.O_RDONLY|unix.O_DIRECTORY)
		sub := filepath.Join(p, "made")
		if t.try("mkdir in "+name, unix.Mkdir(sub, 0o700)) {
			t.try("rmdir in "+name, unix.Rmdir(sub))
		}
		if t.try("mknod a fifo in "+name, unix.Mknod(sub, unix.S_IFIFO|0o600, 0)) {
			unix.Unlink(sub)
		}
		if t.try("mknod a device in "+name, unix.Mknod(sub, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))) {
			unix.Unlink(sub)
		}
	}
	moved := t.bait("own-dir/moved")
	for _, name := range []string{"root/inner", "sticky/other", "readonly/own"} {
		if t.try("move away "+name, unix.Rename(t.bait(name), moved)) {
			unix.Rename(moved, t.bait(name))
		}
	}
}

// mounts tries what the kernel locks for a mount namespace with less rights (mount_namespaces(7)), and which file
// systems it makes.
func (t *trial) mounts() {
	all := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	for name, flag := range map[string]uintptr{"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC} {
		t.try("take "+name+" from a mount of the machine", unix.Mount("", t.bait("closed-readonly"), "", unix.MS_REMOUNT|unix.MS_BIND|all&^flag, ""))
	}
	t.try("write to a read-only file system of the machine", unix.Mount("", t.bait("readonly"), "", unix.MS_REMOUNT, ""))
	t.try("uncover what a mount of the machine hides", unix.Unmount(t.bait("covered"), unix.MNT_DETACH))
	t.open("read what a mount of the machine hides", t.bait("covered/hidden"), unix.O_RDONLY)
	at := t.bait("own-dir/mount")
	if unix.Mkdir(at, 0o700) != nil {
		return
	}
	defer unix.Rmdir(at)
	known, _ := os.ReadFile("/proc/filesystems") // the kernel looks for a module of what is not there
	for _, typ := range []string{"tmpfs", "ramfs", "proc", "sysfs", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs", "securityfs", "bpf", "devtmpfs", "ext4", "fuse"} {
		if strings.Contains(string(known), "\t"+typ+"\n") && t.try("mount "+typ, unix.Mount(typ, at, typ, 0, "")) {
			unix.Unmount(at, unix.MNT_DETACH)
		}
	}
	for _, name := range []string{"closed", "other-dir", "root", "readonly"} {
		if t.try("bind "+name, unix.Mount(t.bait(name), at, "", unix.MS_BIND, "")) {
			t.open("list through a bind "+name, at, unix.O_RDONLY|unix.O_DIRECTORY)
			unix.Unmount(at, unix.MNT_DETACH)
		}
	}
	if t.try("overlay over what is not its own", unix.Mount("overlay", at, "overlay", 0, "lowerdir="+t.bait("closed")+":"+t.bait("root"))) {
		t.open("read through an overlay", at+"/inner", unix.O_RDONLY)
		unix.Unmount(at, unix.MNT_DETACH)
	}
}

// nodes opens devices.
func (t *trial) nodes() {
	for _, name := range BaitNodes {
		t.open("open "+name, t.bait(name), unix.O_RDWR)
	}
	for _, name := range []string{"null", "zero", "full", "random", "mem", "port", "kmsg", "fuse", "loop-control", "cpu_dma_latency", "hwrng"} {
		t.open("read the machine's /dev/"+name, t.Prefix+"/dev/"+name, unix.O_RDONLY)
		t.open("write to the machine's /dev/"+name, t.Prefix+"/dev/"+name, unix.O_WRONLY)
		t.open("write to /dev/"+name, "/dev/"+name, unix.O_WRONLY)
	}
	made := "/dev/locald-made"
	if t.try("mknod a device in /dev", unix.Mknod(made, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))) {
		t.open("open a device that it made", made, unix.O_RDWR)
		unix.Unlink(made)
	}
}
