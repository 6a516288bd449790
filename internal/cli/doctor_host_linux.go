package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/mountinfo"
)

// lookAtData looks where the data is to be, and makes nothing of it to stay.
func lookAtData() dataState {
	s := dataState{upper: true, notes: true, overlay: hasOverlay(readText("/proc/filesystems"))}
	if s.dir, s.err = dataDir(); s.err != nil {
		return s
	}
	there := s.dir
	for {
		info, err := os.Stat(there)
		if err == nil && !info.IsDir() {
			s.err = &os.PathError{Op: "use", Path: there, Err: unix.ENOTDIR}
			return s
		}
		if err == nil || there == filepath.Dir(there) {
			break
		}
		there = filepath.Dir(there)
	}
	var fs unix.Statfs_t
	if s.err = unix.Statfs(there, &fs); s.err != nil {
		return s
	}
	s.available = fs.Bavail * uint64(fs.Bsize)
	s.noexec = fs.Flags&unix.ST_NOEXEC != 0
	s.upper = overlayUpper(there)
	s.fsType = typeOf(there)
	s.readonly = unix.Faccessat(unix.AT_FDCWD, there, unix.W_OK, unix.AT_EACCESS) != nil
	if !s.readonly {
		s.notes = takesNotes(there)
	}
	return s
}

// hasOverlay reads /proc/filesystems; a module that is not loaded is not in it, and is when something is mounted.
func hasOverlay(filesystems string) bool {
	for line := range strings.Lines(filesystems) {
		if field := strings.Fields(line); len(field) > 0 && field[len(field)-1] == "overlay" {
			return true
		}
	}
	found, _ := filepath.Glob("/lib/modules/" + release() + "/kernel/fs/overlayfs/overlay.ko*")
	return len(found) > 0
}

// takesNotes tries an extended attribute of users on a file that is gone at once.
func takesNotes(dir string) bool {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return true // not every file system has files without a name
	}
	defer unix.Close(fd)
	return unix.Fsetxattr(fd, "user.locald", nil, 0) == nil
}

// typeOf is the type of the file system that a directory is on.
func typeOf(dir string) string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return "unknown"
	}
	device := strconv.FormatUint(uint64(unix.Major(st.Dev)), 10) + ":" + strconv.FormatUint(uint64(unix.Minor(st.Dev)), 10)
	for _, m := range mountinfo.Parse(readText("/proc/self/mountinfo")) {
		if m.Device == device {
			return m.Type
		}
	}
	return "unknown" // btrfs has devices of its own for subvolumes
}

// hasSystemd is sd_booted(3).
func hasSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// lingers says whether a user's manager stays when the user logs out: logind keeps a file for it.
func lingers(name string) bool {
	_, err := os.Stat("/var/lib/systemd/linger/" + name)
	return err == nil
}
