package publish

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Port is one port of a container, and where it is to be reached on this machine.
type Port struct {
	Address   string `json:"address"` // "" is 127.0.0.1 and ::1
	Host      uint16 `json:"host"`    // 0 is any that is free
	Container uint16 `json:"container"`
}

// String is the port as it is listed: "8080->80/tcp".
func (p Port) String() string {
	host := strconv.Itoa(int(p.Host))
	switch {
	case strings.Contains(p.Address, ":"):
		host = "[" + p.Address + "]:" + host
	case p.Address != "":
		host = p.Address + ":" + host
	}
	return host + "->" + strconv.Itoa(int(p.Container)) + "/tcp"
}

// Parse reads [ADDRESS:][HOST:]CONTAINER[/tcp], as Docker writes it. HOST and CONTAINER may be ranges of one length.
func Parse(word string) ([]Port, error) {
	rest, protocol, given := strings.Cut(word, "/")
	if given && protocol == "udp" {
		return nil, errors.New("publishing udp is not supported yet")
	}
	if given && protocol != "tcp" {
		return nil, errors.New("a protocol is tcp")
	}
	address, host := "", "0"
	if colon := strings.LastIndexByte(rest, ':'); colon >= 0 {
		host, rest = rest[:colon], rest[colon+1:]
		if colon := strings.LastIndexByte(host, ':'); colon >= 0 {
			address, host = strings.TrimSuffix(strings.TrimPrefix(host[:colon], "["), "]"), host[colon+1:]
			if _, err := netip.ParseAddr(address); err != nil {
				return nil, errors.New("an address is one of this machine's, as 0.0.0.0 or [::1]")
			}
		}
		if host == "" {
			host = "0"
		}
	}
	inside, last, err := span(rest)
	if err != nil {
		return nil, err
	}
	if inside == 0 {
		return nil, errors.New("a port of the container is 1 to 65535")
	}
	outside, end, err := span(host)
	switch {
	case err != nil:
		return nil, err
	case outside == 0:
		end = 0
	case end-outside != last-inside:
		return nil, errors.New("both ranges have the same length")
	}
	var ports []Port
	for n := inside; ; n++ {
		p := Port{Address: address, Container: n}
		if outside != 0 {
			p.Host = outside + (n - inside)
		}
		ports = append(ports, p)
		if n == last {
			return ports, nil
		}
	}
}

// span reads N or N-M.
func span(text string) (first, last uint16, err error) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return 0, 0, errors.New("a port is a number up to 65535")
	}
	b, err := strconv.ParseUint(to, 10, 16)
	if err != nil {
		return 0, 0, errors.New("a port is a number up to 65535")
	}
	if b < a || ranged && a == 0 {
		return 0, 0, errors.New("a range is written FIRST-LAST")
	}
	return uint16(a), uint16(b), nil
}
