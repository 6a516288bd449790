package main

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"github.com/locald/locald/internal/privilege"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// exe is the file that this program is executed from. A program in the container's root can be a link to it, or a
// script that has it for interpreter: then the child executes this program once more, and whoever is root inside can
// open its file through /proc/PID/exe and write it once nothing executes it any more (CVE-2019-5736).
const exe = "/proc/self/exe"

// seal sees that nobody in the container can write the file of this program: because its owner is nobody in there, or
// because it can be written nowhere. Else it executes the program again, from a file that can only be read, with the
// descriptors from 3 on that are to be handed on, and does not return.
//
// A caller's container that the set-user-ID bit has a part in is never within reach: the file is root's, and no map
// that is granted has root's id.
func seal(caller *privilege.Caller, spec *specs.Spec, process *specs.Process, keep []int) error {
	if !caller.Root && caller.Grant.Setuid {
		return nil
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, exe, 0, unix.STATX_UID, &st); err != nil {
		return errors.New("look at " + exe + ": " + err.Error())
	}
	if !reaches(spec.Linux, st.Uid) || st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 && !canChangeFlags(process) {
		return nil
	}
	if readOnly() {
		if fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			writeClose(fd, "locald-shim") // ps would show the number of again's descriptor
		}
		return nil
	}
	fd, err := readOnlyMount()
	if err != nil {
		fd, err = sealedCopy()
	}
	if err == nil {
		err = again(fd, keep)
	}
	return errors.New("the container's root could write the file of this program, and it cannot be executed from a read-only one: " + err.Error() + "; locald setup makes the file immutable")
}

// reaches says whether an owner of a file is somebody in the container. Of a user namespace that is joined nothing is
// known.
func reaches(l *specs.Linux, owner uint32) bool {
	if l == nil {
		return true
	}
	i := slices.IndexFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	if i < 0 || l.Namespaces[i].Path != "" {
		return true
	}
	return slices.ContainsFunc(l.UIDMappings, func(m specs.LinuxIDMapping) bool {
		return owner >= m.HostID && owner-m.HostID < m.Size
	})
}

// canChangeFlags says whether a process could make an immutable file one that can be written. What is not in its
// bounding set it cannot have after execve(2): capset(2) takes no inheritable capability beyond that, hence no ambient
// one.
func canChangeFlags(p *specs.Process) bool {
	return p != nil && p.Capabilities != nil && slices.Contains(p.Capabilities.Bounding, "CAP_LINUX_IMMUTABLE")
}

// readOnly says whether the file of this program is on a mount that can only be read, or a sealed one in memory.
func readOnly() bool {
	var fs unix.Statfs_t
	if unix.Statfs(exe, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0 {
		return true
	}
	fd, err := unix.Open(exe, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil && seals&unix.F_SEAL_WRITE != 0
}

// readOnlyMount is the file of this program on a mount of its own, which is nowhere in the tree.
func readOnlyMount() (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, exe, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// sealedCopy is a copy of this program in memory that nobody can change: for who may not mount.
func sealedCopy() (int, error) {
	from, err := unix.Open(exe, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(from)
	fd, err := unix.MemfdCreate("locald-shim", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("locald-shim", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, err
	}
	for n := 1; n > 0 && err == nil; {
		n, err = unix.Sendfile(fd, from, nil, 1<<30)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// again executes this program from fd, as it was called.
func again(fd int, keep []int) error {
	for _, k := range keep {
		if _, err := unix.FcntlInt(uintptr(k), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	return unix.Exec("/proc/self/fd/"+strconv.Itoa(fd), os.Args, os.Environ())
}
