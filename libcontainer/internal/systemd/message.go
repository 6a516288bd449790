package systemd

import "encoding/binary"

// Where systemd is on the bus.
const (
	systemd          = "org.freedesktop.systemd1"
	managerPath      = "/org/freedesktop/systemd1"
	managerInterface = "org.freedesktop.systemd1.Manager"
)

// The types of a message.
const (
	methodCall = iota + 1
	methodReturn
	methodError
	methodSignal
)

// The header fields.
const (
	fieldPath = iota + 1
	fieldInterface
	fieldMember
	fieldErrorName
	fieldReplySerial
	fieldDestination
	fieldSender
	fieldSignature
)

// maxMessage bounds what is read, and maxProtocol is the bound that the D-Bus specification sets. What is asked here has
// short answers.
const (
	maxMessage  = 64 << 10
	maxProtocol = 128 << 20
)

// message is a D-Bus message.
type message struct {
	kind        byte
	serial      uint32
	replySerial uint32 // of a return or an error
	path        string
	iface       string
	member      string
	errorName   string
	destination string
	sender      string
	signature   string // of body
	body        []byte
}

// marshal is the message as it is sent.
func (m *message) marshal() []byte {
	e := &encoder{}
	e.b = append(e.b, 'l', m.kind, 0, 1) // little-endian, the type, no flags, version 1 of the protocol
	e.uint32(uint32(len(m.body)))
	e.uint32(m.serial)
	e.array(8, func() {
		field := func(code byte, sig, value string) {
			if value == "" {
				return
			}
			e.align(8)
			e.byte(code)
			e.signature(sig)
			if sig == "g" {
				e.signature(value)
			} else {
				e.string(value)
			}
		}
		field(fieldPath, "o", m.path)
		field(fieldInterface, "s", m.iface)
		field(fieldMember, "s", m.member)
		field(fieldErrorName, "s", m.errorName)
		if m.replySerial != 0 {
			e.align(8)
			e.byte(fieldReplySerial)
			e.signature("u")
			e.uint32(m.replySerial)
		}
		field(fieldDestination, "s", m.destination)
		field(fieldSender, "s", m.sender)
		field(fieldSignature, "g", m.signature)
	})
	e.align(8)
	return append(e.b, m.body...)
}

// headerSize is how much of a message says how long it is.
const headerSize = 16

// messageSize is the length of the message that starts with these headerSize bytes, or 0 when they start none.
func messageSize(head []byte) int {
	if len(head) < headerSize || head[0] != 'l' || head[3] != 1 { // systemd runs on this machine: the same byte order
		return 0
	}
	body := int64(binary.LittleEndian.Uint32(head[4:]))
	fields := int64(binary.LittleEndian.Uint32(head[12:]))
	size := headerSize + (fields+7)&^7 + body
	if size > maxProtocol {
		return 0
	}
	return int(size)
}

// parse reads a whole message.
func parse(b []byte) (*message, bool) {
	if n := messageSize(b); n == 0 || n != len(b) {
		return nil, false
	}
	m := &message{kind: b[1], serial: binary.LittleEndian.Uint32(b[8:])}
	body := len(b) - int(binary.LittleEndian.Uint32(b[4:]))
	m.body = b[body:]
	end := headerSize + int(binary.LittleEndian.Uint32(b[12:]))
	d := &decoder{b: b[:end], pos: headerSize}
	for d.pos < end && !d.bad {
		d.align(8)
		if d.pos == end {
			break
		}
		code := d.byte()
		if code == fieldReplySerial {
			if d.signature() != "u" {
				return nil, false
			}
			m.replySerial = d.uint32()
			continue
		}
		_, text := d.variant()
		switch code {
		case fieldPath:
			m.path = text
		case fieldInterface:
			m.iface = text
		case fieldMember:
			m.member = text
		case fieldErrorName:
			m.errorName = text
		case fieldDestination:
			m.destination = text
		case fieldSender:
			m.sender = text
		case fieldSignature:
			m.signature = text
		}
	}
	return m, !d.bad
}

// strings reads the strings and object paths that a body starts with.
func (m *message) strings() []string {
	d := &decoder{b: m.body}
	var all []string
	for i := range len(m.signature) {
		switch m.signature[i] {
		case 's', 'o':
			all = append(all, d.string())
		case 'u':
			d.uint32()
		default:
			return all
		}
		if d.bad {
			return nil
		}
	}
	return all
}
