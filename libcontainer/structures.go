package libcontainer

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/locald/locald/libcontainer/internal/sys"
)

// The structures that ops hand to the kernel, as bytes: little-endian, as on amd64 and arm64.

//go:noinline
func le(words ...uint64) string {
	b := make([]byte, 0, 32)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return string(b)
}

func le32(words ...uint32) string {
	b := make([]byte, 0, 24)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return string(b)
}

// openHow is struct open_how (openat2(2)): 24 bytes.
func openHow(flags, mode, resolve uint64) Arg { return raw(flagsOpenHow, le(flags, mode, resolve)) }

// mountAttr is struct mount_attr (mount_setattr(2)): 32 bytes.
func mountAttr(set, clear, propagation uint64) Arg {
	return raw(flagsSetattr, le(set, clear, propagation, 0))
}

// capHeader is struct __user_cap_header_struct, version 3, for the calling thread (capset(2)).
func capHeader() Arg { return raw(flagsHex, le32(0x20080522, 0)) }

// capData is struct __user_cap_data_struct[2]: three 64-bit sets, halved.
func capData(effective, permitted, inheritable uint64) Arg {
	return raw(flagsCapset, le32(uint32(effective), uint32(permitted), uint32(inheritable),
		uint32(effective>>32), uint32(permitted>>32), uint32(inheritable>>32)))
}

// rlimit64 is struct rlimit64 (prlimit(2)).
func rlimit64(soft, hard uint64) Arg { return raw(flagsLimit, le(soft, hard)) }

// ids is a gid_t array (setgroups(2)).
func ids(list []uint32) Arg { return raw(flagsIDs, le32(list...)) }

// ifreq is struct ifreq with ifr_flags (netdevice(7)): 40 bytes.
func ifreq(name string, flags uint16) Arg {
	b := make([]byte, 40)
	copy(b[:15], name)
	binary.LittleEndian.PutUint16(b[16:], flags)
	return raw(flagsIfreq, string(b))
}

// recordReady is the first word of what a child that is at its gate writes to the report pipe; a record that
// begins with 1 is a childFailure.
const recordReady = 2

// recordHook is the first word of what a child writes when a hook of its has ended. The index of the hook follows, and
// how it ended, as wait4(2) says it.
const recordHook = 3

func word(b string, i int) uint64 { return binary.LittleEndian.Uint64([]byte(b[8*i : 8*i+8])) }

func half(b string, i int) uint32 { return binary.LittleEndian.Uint32([]byte(b[4*i : 4*i+4])) }

// structure prints the bytes of one of the structures above.
func (f flagSet) structure(b string) string {
	switch f {
	case flagsOpenHow:
		s := "{" + join(openFlags[:], word(b, 0))
		if m := word(b, 1); m != 0 {
			s += " 0" + strconv.FormatUint(m, 8)
		}
		return s + " " + join(resolveFlags[:], word(b, 2)) + "}"
	case flagsSetattr:
		var parts []string
		if n := word(b, 0); n != 0 {
			parts = append(parts, "set "+join(mountAttrFlags[:], n))
		}
		if n := word(b, 1); n != 0 {
			parts = append(parts, "clear "+join(clearAttrFlags[:], n))
		}
		if n := word(b, 2); n != 0 {
			parts = append(parts, join(propagationFlags[:], n))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case flagsCapset:
		set := func(i int) string {
			return "0x" + strconv.FormatUint(uint64(half(b, i))|uint64(half(b, i+3))<<32, 16)
		}
		return "{effective " + set(0) + " permitted " + set(1) + " inheritable " + set(2) + "}"
	case flagsLimit:
		return "{soft " + limitText(word(b, 0)) + " hard " + limitText(word(b, 1)) + "}"
	case flagsIDs:
		s := make([]string, len(b)/4)
		for i := range s {
			s[i] = strconv.FormatUint(uint64(half(b, i)), 10)
		}
		return "[" + strings.Join(s, " ") + "]"
	case flagsWinsize:
		return "{" + strconv.FormatUint(uint64(half(b, 0)&0xffff), 10) + " rows " + strconv.FormatUint(uint64(half(b, 0)>>16), 10) + " columns}"
	case flagsIfreq:
		return "{" + strings.TrimRight(b[:16], "\x00") + " up|running}"
	case flagsSched:
		return schedText(b)
	case flagsMask:
		return "{" + maskText(b) + "}"
	case flagsHex:
		if half(b, 0) == recordReady {
			return "ready"
		}
		return "{version 3}"
	}
	return strconv.Quote(b)
}

var clearAttrFlags = [...]flagName{{sys.MOUNT_ATTR_RDONLY, "ro"}, {sys.MOUNT_ATTR_NOSUID, "nosuid"}, {sys.MOUNT_ATTR_NODEV, "nodev"}, {sys.MOUNT_ATTR_NOEXEC, "noexec"},
	{sys.MOUNT_ATTR_ATIME, "atime"}, {sys.MOUNT_ATTR_NODIRATIME, "nodiratime"}, {sys.MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"}}

func limitText(n uint64) string {
	if n == ^uint64(0) {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// layerNames is the text for argLayers.
func layerNames(a Arg, number func(int) string) string {
	first, n := int(a.n>>16), int(a.n&0xffff)
	s := ""
	for i := first; i < first+n; i++ {
		if i > first {
			s += ":"
		}
		s += a.s + number(i)
	}
	return s
}
