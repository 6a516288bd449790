package systemd

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"testing"
)

// glib is a call of StartTransientUnit as another implementation of the protocol, GLib 2.74's, writes it, with a
// value of each type. Header fields may come in any order, so header and body are compared apart.
const glib = "6c010001c801000003000000b300000001016f00190000002f6f72672f667265656465736b746f702f73797374656d64310000000000000002017300" +
	"200000006f72672e667265656465736b746f702e73797374656d64312e4d616e61676572000000000000000006017300180000006f72672e66726565" +
	"6465736b746f702e73797374656d64310000000000000000080167001073736128737629612873612873762929000000030173001200000053746172" +
	"745472616e7369656e74556e6974000000000000"
const glibBody = "07000000612e73636f706500040000006661696c00000000a4010000000000000800000044656c656761746500016200010000000000000005000000" +
	"536c6963650001730000000007000000612e736c6963650000000000040000005049447300026175000000000400000007000000090000004d656d6f" +
	"72794d6178000174000000000000000000100000000000000b000000416c6c6f77656443505573000261790001000000050000000000000012000000" +
	"494f5265616442616e6477696474684d61780005612873742900000020000000000000000e0000002f6465762f626c6f636b2f383a30000000000000" +
	"09000000000000000b000000446576696365416c6c6f770005612873732900001700000000000000090000002f6465762f6e756c6c00000002000000" +
	"727700000500000057616e7473000261730000001200000007000000622e736c69636500010000006300000001000000440001640000000000000000" +
	"000000000000f83f010000004900016900000000feffffff01000000580001780000000000000000fdffffffffffffff010000005900017900040000" +
	"0000000001000000510001710000050000000000010000004e00016e0000faff00000000"

func bodyOfGLib() []byte {
	e := &encoder{}
	e.string("a.scope")
	e.string("fail")
	e.properties([]Property{
		{"Delegate", true}, {"Slice", "a.slice"}, {"PIDs", []uint32{7}}, {"MemoryMax", uint64(4096)}, {"AllowedCPUs", []byte{5}},
		{"IOReadBandwidthMax", []PathAmount{{"/dev/block/8:0", 9}}}, {"DeviceAllow", []PathText{{"/dev/null", "rw"}}},
		{"Wants", []string{"b.slice", "c"}}, {"D", 1.5}, {"I", int32(-2)}, {"X", int64(-3)}, {"Y", byte(4)}, {"Q", uint16(5)}, {"N", int16(-6)},
	})
	e.array(8, func() {})
	return e.b
}

func TestMarshal(t *testing.T) {
	if got := hex.EncodeToString(bodyOfGLib()); got != glibBody {
		t.Errorf("the body is\n%s, want\n%s", got, glibBody)
	}
	whole, err := hex.DecodeString(glib + glibBody)
	if err != nil {
		t.Fatal(err)
	}
	want := &message{
		kind: methodCall, serial: 3, path: managerPath, iface: managerInterface, member: "StartTransientUnit",
		destination: systemd, signature: "ssa(sv)a(sa(sv))", body: bodyOfGLib(),
	}
	if got, ok := parse(whole); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("GLib's message is read as\n%+v, %v", got, ok)
	}
	ours := want.marshal()
	if len(ours) != len(whole) || messageSize(ours) != len(ours) {
		t.Errorf("%d bytes, and GLib has %d", len(ours), len(whole))
	}
	if got, ok := parse(ours); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("our message is read as\n%+v, %v", got, ok)
	}
}

func TestAnswer(t *testing.T) {
	e := &encoder{}
	e.uint32(7)
	for _, s := range []string{"/job/7", "a.scope", "done"} {
		e.string(s)
	}
	m := &message{kind: methodSignal, serial: 9, replySerial: 4, path: "/", iface: "i.i", member: "JobRemoved", errorName: "e.e", sender: ":1.2", signature: "uoss", body: e.b}
	got, ok := parse(m.marshal())
	if !ok || !reflect.DeepEqual(got, m) {
		t.Fatalf("%+v, %v", got, ok)
	}
	if words := got.strings(); !slices.Equal(words, []string{"/job/7", "a.scope", "done"}) {
		t.Errorf("%q", words)
	}
}

// A field that is not known is passed over, whatever its type.
func TestSkip(t *testing.T) {
	for _, p := range bodyProperties() {
		e := &encoder{}
		e.variant(p.Value)
		end := len(e.b)
		e.byte(0xaa)
		d := &decoder{b: e.b}
		d.variant()
		if d.bad || d.pos != end {
			t.Errorf("%s: stopped at %d of %d, %v", p.Name, d.pos, end, d.bad)
		}
	}
}

func bodyProperties() []Property {
	return []Property{
		{"s", "text"}, {"b", true}, {"y", byte(1)}, {"n", int16(1)}, {"q", uint16(1)}, {"i", int32(1)}, {"u", uint32(1)}, {"x", int64(1)}, {"t", uint64(1)}, {"d", 0.5},
		{"as", []string{"a", "bc"}}, {"au", []uint32{1, 2}}, {"ay", []byte{1}}, {"a(st)", []PathAmount{{"p", 1}}}, {"a(ss)", []PathText{{"p", "q"}, {"r", ""}}},
	}
}

func TestTypeEnd(t *testing.T) {
	for sig, want := range map[string]int{"": 0, "s": 1, "as": 2, "aas": 3, "a": 0, "(": 0, "(s)u": 3, "a(s(u)a{sv})b": 12, "a{sv}": 5, "(s": 0} {
		if got := typeEnd(sig); got != want {
			t.Errorf("%q: %d, want %d", sig, got, want)
		}
	}
}

// What is not a message is told apart from one, and never read beyond its end.
func FuzzParse(f *testing.F) {
	whole, _ := hex.DecodeString(glib + glibBody)
	f.Add(whole)
	f.Add((&message{kind: methodReturn, serial: 1, replySerial: 2, signature: "o", body: []byte{1, 0, 0, 0, '/', 0}}).marshal())
	f.Add((&message{kind: methodError, serial: 1, errorName: "e", signature: "s", body: []byte{255, 255, 255, 255}}).marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := messageSize(b); n != 0 && (n < headerSize || n > maxProtocol) {
			t.Errorf("a size of %d", n)
		}
		m, ok := parse(b)
		if !ok {
			return
		}
		m.strings()
		d := &decoder{b: m.body}
		for rest := m.signature; rest != "" && !d.bad; {
			rest = d.skip(rest, 0)
		}
		if again, ok := parse(m.marshal()); ok && !bytes.Equal(again.body, m.body) {
			t.Errorf("the body was %q and is %q", m.body, again.body)
		}
	})
}
