package netlink

import (
	"encoding/hex"
	"reflect"
	"testing"
)

// TestRequests compares requests with the layout of rtnetlink(7).
func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		what string
		got  []byte
		want string
	}{
		{"move", move(7, 5, 9, "wan", 12), "3800000013000500" + "0700000000000000" + "0000000005000000" + "0000000000000000" + "08001c0009000000" + "080031000c000000" + "0800030077616e00"},
		{"add", add(8, 5, Address{2, 24, []attr{{addrLocal, []byte{192, 0, 2, 7}}, {addrLabel, []byte("abc\x00d")}}}),
			"2c00000014000506" + "0800000000000000" + "0218000005000000" + "08000200c0000207" + "0900030061626300" + "64000000"},
		{"up", message(typeSetLink, flagRequest|flagAck, 9, ifinfomsg(3, up, up)), "2000000013000500" + "0900000000000000" + "0000000003000000" + "0100000001000000"},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s:\n%s, want\n%s", tt.what, got, tt.want)
		}
	}
}

// TestAddress: which addresses go along, and what of them.
func TestAddress(t *testing.T) {
	body := func(index, flags, scope byte, wide uint32, more ...attr) []byte {
		attrs := append([]attr{{addrAddress, []byte{1, 2, 3, 4}}, {addrLabel, []byte("ve0\x00")}, {6, make([]byte, 16)}}, more...)
		if wide != 0 {
			attrs = append(attrs, attr{addrFlags, u32(wide)})
		}
		return message(typeNewAddr, 0, 0, []byte{2, 24, flags, scope, index, 0, 0, 0}, attrs...)[headerLen:]
	}
	for _, tt := range []struct {
		name string
		body []byte
		ok   bool
		want uint32
	}{
		{"permanent", body(5, 0x80, 0, 0), true, 0},
		{"not permanent", body(5, 0, 0, 0), false, 0},
		{"of another device", body(6, 0x80, 0, 0), false, 0},
		{"of the link", body(5, 0x80, 253, 0), false, 0},
		{"wide flags", body(5, 0, 0, 0x80|0x200|0x02|0x40), true, 0x202},
		{"wide flags take back", body(5, 0x80, 0, 0x200), false, 0x200},
	} {
		a, ok, err := address(tt.body, 5)
		want := Address{2, 24, []attr{{addrAddress, []byte{1, 2, 3, 4}}, {addrFlags, u32(tt.want)}}}
		if err != nil || ok != tt.ok || !reflect.DeepEqual(a.Unlabelled(), want) || len(a.attrs) != 3 {
			t.Errorf("%s: %v, %v, %v", tt.name, a, ok, err)
		}
	}
}

// FuzzParts: whatever a message holds, it is taken apart or refused.
func FuzzParts(f *testing.F) {
	f.Add(move(7, 5, 9, "wan", 12))
	f.Add(add(8, 5, Address{2, 24, []attr{{addrLocal, []byte{192, 0, 2, 7}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			p, rest, err := split(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			link(p.body)
			address(p.body, 1)
			b = rest
		}
	})
}
