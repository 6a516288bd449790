package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/bundle"
)

var errNoDevice = errors.New("it is no device")

// lookDevice finds out what kind of device a path is.
func lookDevice(d *bundle.Device) error {
	var st unix.Stat_t
	if err := unix.Stat(d.Source, &st); err != nil {
		return &os.PathError{Op: "stat", Path: d.Source, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Type = "c"
	case unix.S_IFBLK:
		d.Type = "b"
	default:
		return errNoDevice
	}
	d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	return nil
}
