// Package netlink speaks as much of rtnetlink(7) as it takes to move a network device to another network namespace
// and to give it back there the addresses that it has lost on the way.
//
// What the messages look like is pure; only the socket needs Linux.
package netlink

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Link is a network device.
type Link struct {
	Index int
	Name  string
}

// Address is what makes one address of a device, without the device.
type Address struct {
	family, prefix byte
	attrs          []attr
}

// attr is one attribute of a message.
type attr struct {
	kind  uint16
	value []byte
}

// Message types, flags and attributes (linux/rtnetlink.h, linux/netlink.h, linux/if_link.h, linux/if_addr.h).
const (
	typeError   = 2
	typeDone    = 3
	typeNewLink = 16
	typeGetLink = 18
	typeSetLink = 19
	typeNewAddr = 20
	typeGetAddr = 22

	flagRequest     = 0x1
	flagAck         = 0x4
	flagInterrupted = 0x10 // of an answer: something has changed meanwhile
	flagDump        = 0x300
	flagCreate      = 0x400
	flagExclusive   = 0x200
	flagAckAttrs    = 0x200 // of an error

	linkName     = 3
	linkNetNSFD  = 28
	linkNewIndex = 49 // Linux 5.13

	addrLocal     = 2
	addrAddress   = 1
	addrLabel     = 3
	addrBroadcast = 4
	addrFlags     = 8
	addrPriority  = 9

	permanent = 0x80
	kept      = 0x02 | 0x10 | 0x100 | 0x200 | 0x400 // no DAD, home address, manage temporary, no prefix route, join multicast
	headerLen = 16
	linkLen   = 16 // struct ifinfomsg
	addrLen   = 8  // struct ifaddrmsg
	up        = 1  // IFF_UP
)

var errShort = errors.New("a message of the kernel's is cut off")

// message is one request: header, fixed part, attributes.
func message(kind, flags uint16, seq uint32, fixed []byte, attrs ...attr) []byte {
	b := make([]byte, headerLen, 256)
	b = append(b, fixed...)
	for _, a := range attrs {
		b = binary.LittleEndian.AppendUint16(b, uint16(4+len(a.value)))
		b = binary.LittleEndian.AppendUint16(b, a.kind)
		b = append(b, a.value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], kind)
	binary.LittleEndian.PutUint16(b[6:], flags)
	binary.LittleEndian.PutUint32(b[8:], seq)
	return b
}

func u32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// ifinfomsg is the fixed part of a message about a link.
func ifinfomsg(index int, flags, change uint32) []byte {
	b := make([]byte, linkLen)
	binary.LittleEndian.PutUint32(b[4:], uint32(index))
	binary.LittleEndian.PutUint32(b[8:], flags)
	binary.LittleEndian.PutUint32(b[12:], change)
	return b
}

// move is the request that a device be moved to the namespace behind a descriptor, with another name and index.
func move(seq uint32, index, ns int, name string, newIndex int) []byte {
	return message(typeSetLink, flagRequest|flagAck, seq, ifinfomsg(index, 0, 0),
		attr{linkNetNSFD, u32(uint32(ns))}, attr{linkNewIndex, u32(uint32(newIndex))}, attr{linkName, append([]byte(name), 0)})
}

// add is the request that a device get an address.
func add(seq uint32, index int, a Address) []byte {
	fixed := append([]byte{a.family, a.prefix, 0, 0}, u32(uint32(index))...)
	return message(typeNewAddr, flagRequest|flagAck|flagCreate|flagExclusive, seq, fixed, a.attrs...)
}

// part is one message of an answer.
type part struct {
	kind, flags uint16
	seq         uint32
	body        []byte
}

// split takes the first message off.
func split(b []byte) (p part, rest []byte, err error) {
	if len(b) < headerLen {
		return p, nil, errShort
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < headerLen || n > len(b) {
		return p, nil, errShort
	}
	p = part{binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint32(b[8:]), b[headerLen:n]}
	return p, b[min((n+3)&^3, len(b)):], nil
}

// attributes are those after the fixed part.
func attributes(b []byte, fixed int) (list []attr, err error) {
	if len(b) < fixed {
		return nil, errShort
	}
	for b = b[fixed:]; len(b) >= 4; {
		n := int(binary.LittleEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil, errShort
		}
		list = append(list, attr{binary.LittleEndian.Uint16(b[2:]) & 0x3fff, b[4:n]}) // without the bits for nested and big-endian ones
		b = b[min((n+3)&^3, len(b)):]
	}
	return list, nil
}

// link is the device that a message is about.
func link(body []byte) (Link, error) {
	attrs, err := attributes(body, linkLen)
	if err != nil {
		return Link{}, err
	}
	l := Link{Index: int(binary.LittleEndian.Uint32(body[4:]))}
	for _, a := range attrs {
		if a.kind == linkName {
			l.Name = strings.TrimRight(string(a.value), "\x00")
		}
	}
	return l, nil
}

// address is the address that a message is about, as it is asked for again. ok is false for an address of another
// device, one that is not permanent, and one that is for the link or the host only.
func address(body []byte, index int) (a Address, ok bool, err error) {
	attrs, err := attributes(body, addrLen)
	if err != nil {
		return a, false, err
	}
	flags := uint32(body[2])
	a = Address{family: body[0], prefix: body[1]}
	for _, at := range attrs {
		switch at.kind {
		case addrFlags: // all of them, of which the fixed part has eight
			if len(at.value) < 4 {
				return a, false, errShort
			}
			flags = binary.LittleEndian.Uint32(at.value)
		case addrAddress, addrLocal, addrLabel, addrBroadcast, addrPriority:
			a.attrs = append(a.attrs, attr{at.kind, append([]byte(nil), at.value...)})
		}
	}
	a.attrs = append(a.attrs, attr{addrFlags, u32(flags & kept)})
	return a, flags&permanent != 0 && body[3] == 0 && int(binary.LittleEndian.Uint32(body[4:])) == index, nil
}

// Unlabelled is the address without the label, which has the device's name in it.
func (a Address) Unlabelled() Address {
	var rest []attr
	for _, at := range a.attrs {
		if at.kind != addrLabel {
			rest = append(rest, at)
		}
	}
	a.attrs = rest
	return a
}
