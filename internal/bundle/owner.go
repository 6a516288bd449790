package bundle

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const ownerOption = "owner="

// CutOwner takes the option owner=USER off a volume, which is no mount option: whose files those of the caller's are in
// the container.
func CutOwner(m *specs.Mount) (user string, ok bool) {
	i := slices.IndexFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, ownerOption) })
	if i < 0 {
		return "", false
	}
	user = strings.TrimPrefix(m.Options[i], ownerOption)
	m.Options = slices.Delete(m.Options, i, i+1)
	return user, true
}

// exchangeOwner gives a mount the maps with which the caller and a user of the container have exchanged their files. All
// other ids of the container keep theirs, so that each file in it has one owner, and chown(2) works.
func (c Caller) exchangeOwner(m *specs.Mount, u User) error {
	uids, gids := c.maps()
	if c.Root() {
		uids = []specs.LinuxIDMapping{{Size: idMax + 1}}
		gids = uids
	}
	uid, gid := hostID(uids, u.UID), hostID(gids, u.GID)
	if uid < 0 || gid < 0 {
		return &Error{Flag: "--volume", Value: m.Destination, Reason: "the owner " + strconv.FormatUint(uint64(u.UID), 10) + ":" + strconv.FormatUint(uint64(u.GID), 10) +
			" is no user that the container has; more than 0:0 need ranges in /etc/subuid and /etc/subgid, and the set-user-ID helper", Fix: "sudo locald setup"}
	}
	if uint32(uid) != c.UID || uint32(gid) != c.GID {
		m.UIDMappings, m.GIDMappings = exchange(uids, c.UID, uint32(uid)), exchange(gids, c.GID, uint32(gid))
	}
	return nil
}

// hostID is the host's id of one of the container's; -1 when it has none.
func hostID(maps []specs.LinuxIDMapping, id uint32) int64 {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return int64(m.HostID + (id - m.ContainerID))
		}
	}
	return -1
}

// exchange is a map of the host's ids of a container to themselves, but for two that are exchanged.
func exchange(maps []specs.LinuxIDMapping, a, b uint32) []specs.LinuxIDMapping {
	list := []specs.LinuxIDMapping{{ContainerID: a, HostID: b, Size: 1}}
	if a != b {
		list = append(list, specs.LinuxIDMapping{ContainerID: b, HostID: a, Size: 1})
	}
	for _, m := range maps {
		first, end := uint64(m.HostID), uint64(m.HostID)+uint64(m.Size)
		for _, cut := range []uint64{uint64(min(a, b)), uint64(max(a, b)), end} {
			if cut < first || cut > end {
				continue
			}
			if cut > first {
				list = append(list, specs.LinuxIDMapping{ContainerID: uint32(first), HostID: uint32(first), Size: uint32(cut - first)})
			}
			first = cut + 1
		}
	}
	return list
}
