package privilege

import "golang.org/x/sys/unix"

// capset(2) as a value: a header and three sets, halved.
type capset struct {
	hdr  unix.CapUserHeader
	data [2]unix.CapUserData
}

func newCapset(effective, permitted uint64) *capset {
	return &capset{
		hdr: unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3},
		data: [2]unix.CapUserData{
			{Effective: uint32(effective), Permitted: uint32(permitted)},
			{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32)},
		},
	}
}

// setCaps sets the capabilities of this thread, inheritable none, and reads them back.
func setCaps(effective, permitted uint64) error {
	c := newCapset(effective, permitted)
	if err := unix.Capset(&c.hdr, &c.data[0]); err != nil {
		return fail("capset", err)
	}
	got := newCapset(0, 0)
	if err := unix.Capget(&got.hdr, &got.data[0]); err != nil {
		die("capget: " + err.Error()) // what is in force is not known
	}
	if got.data != c.data {
		die("capset had no effect")
	}
	return nil
}
