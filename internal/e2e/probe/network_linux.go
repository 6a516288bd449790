package probe

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// networkVerbs are about network devices, by rtnetlink(7).
func networkVerbs() []verb {
	return []verb{
		{"connect", 1, func(w []string) (string, error) { // to a socket with that name; @ begins an abstract one
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return "", err
			}
			defer unix.Close(fd)
			return "", unix.Connect(fd, &unix.SockaddrUnix{Name: w[0]})
		}},
		// becomes another program, in a new network namespace with a device ve0 that has addresses
		{"network", 1, func(w []string) (string, error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return "", err
			}
			if err := makeNetwork(); err != nil {
				return "", err
			}
			return "", unix.Exec(w[0], w, os.Environ())
		}},
		{"links", 0, func([]string) (string, error) { return links() }}, // "NAME up|down MTU MAC ADDRESS/PREFIX…" of each, sorted
	}
}

// request sends one message to the kernel and reads what it says to it.
func request(fd int, kind, flags uint16, fixed []byte, attrs ...[]byte) error {
	b := make([]byte, 16)
	b = append(b, fixed...)
	for _, a := range attrs {
		b = append(b, a...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], kind)
	binary.LittleEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 8192)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if e := int32(binary.LittleEndian.Uint32(answer[16:n])); e != 0 {
		return syscall.Errno(-e)
	}
	return nil
}

func attribute(kind uint16, value string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// makeNetwork makes ve0: down, with two addresses of either family, one that is for the link only and one that ends.
func makeNetwork() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = request(fd, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, make([]byte, 16), attribute(unix.IFLA_IFNAME, "ve0\x00"), attribute(unix.IFLA_MTU, "\x78\x05\x00\x00"),
		attribute(unix.IFLA_ADDRESS, "\x02\x00\x00\x00\x00\x07"), attribute(unix.IFLA_LINKINFO, string(attribute(unix.IFLA_INFO_KIND, "veth"))))
	if err != nil {
		return err
	}
	var index [4]byte
	ifr, err := unix.NewIfreq("ve0")
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr)
	}
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(index[:], ifr.Uint32())
	const forever, ends = "\xff\xff\xff\xff", "\x00\x10\x00\x00"
	for _, a := range []struct {
		prefix string
		scope  byte
		life   string
	}{{"192.0.2.7/24", 0, forever}, {"192.0.2.8/24", 0, forever}, {"198.51.100.1/25", 0, ends}, {"2001:db8::7/64", 0, forever}, {"2001:db8::8/96", 0, forever}, {"169.254.1.1/16", 253, forever}} {
		p := netip.MustParsePrefix(a.prefix)
		family, address := byte(unix.AF_INET6), string(p.Addr().AsSlice())
		if p.Addr().Is4() {
			family = unix.AF_INET
		}
		fixed := append([]byte{family, byte(p.Bits()), 0, a.scope}, index[:]...)
		err := request(fd, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixed, attribute(unix.IFA_LOCAL, address), attribute(unix.IFA_ADDRESS, address),
			attribute(unix.IFA_CACHEINFO, a.life+a.life+strings.Repeat("\x00", 8)))
		if err != nil {
			return fmt.Errorf("%s: %w", a.prefix, err)
		}
	}
	return nil
}

func links() (string, error) {
	tables := [2][]syscall.NetlinkMessage{}
	for i, kind := range []int{syscall.RTM_GETLINK, syscall.RTM_GETADDR} {
		b, err := syscall.NetlinkRIB(kind, syscall.AF_UNSPEC)
		if err != nil {
			return "", err
		}
		if tables[i], err = syscall.ParseNetlinkMessage(b); err != nil {
			return "", err
		}
	}
	addresses := map[uint32][]string{}
	for _, m := range tables[1] {
		if m.Header.Type != syscall.RTM_NEWADDR {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return "", err
		}
		for _, a := range attrs {
			if addr, ok := netip.AddrFromSlice(a.Value); ok && a.Attr.Type == syscall.IFA_ADDRESS && m.Data[3] != 253 { // not those of the link, which the kernel makes
				index := binary.LittleEndian.Uint32(m.Data[4:])
				addresses[index] = append(addresses[index], fmt.Sprintf(" %s/%d", addr, m.Data[1]))
			}
		}
	}
	var all []string
	for _, m := range tables[0] {
		if m.Header.Type != syscall.RTM_NEWLINK {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return "", err
		}
		name, mtu, mac, state := "", uint32(0), "", "down"
		for _, a := range attrs {
			switch a.Attr.Type {
			case syscall.IFLA_IFNAME:
				name = strings.TrimRight(string(a.Value), "\x00")
			case syscall.IFLA_MTU:
				mtu = binary.LittleEndian.Uint32(a.Value)
			case syscall.IFLA_ADDRESS:
				mac = hex.EncodeToString(a.Value)
			}
		}
		if binary.LittleEndian.Uint32(m.Data[8:])&syscall.IFF_UP != 0 {
			state = "up"
		}
		own := addresses[binary.LittleEndian.Uint32(m.Data[4:])]
		sort.Strings(own)
		all = append(all, fmt.Sprintf("%s %s %d %s%s", name, state, mtu, mac, strings.Join(own, "")))
	}
	sort.Strings(all)
	return strings.Join(all, "; "), nil
}
