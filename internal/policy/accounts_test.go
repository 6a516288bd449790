package policy

import (
	"reflect"
	"strings"
	"testing"
)

const testPasswd = "root:x:0:0:root:/root:/bin/bash\n" +
	"daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n" +
	"alice:x:1000:1001:,,,:/home/alice:/bin/bash\n" +
	"alias:x:1000:1001::/home/alice:/bin/sh\n" +
	"bob:x:1001:1001::/home/bob:/bin/sh\n" +
	"service:x:100500:100500::/:/bin/false\n"

func TestParsePasswd(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		uid  uint32
		want string
		uids []uint32
		err  string
	}{
		{"first of two", testPasswd, 1000, "alice", []uint32{0, 1, 1000, 1000, 1001, 100500}, ""},
		{"none", testPasswd, 1234, "", []uint32{0, 1, 1000, 1000, 1001, 100500}, ""},
		{"malformed", "alice:x:1000\nbob\n\n:x:1000:1000:::\nalice:x:1000:1000::/home/alice\nal:x:1000:1000::/home/al:/bin/sh\n", 1000, "al", []uint32{1000, 1000, 1000}, ""},
		{"numbers", "a:x:-1:0:::\nb:x:+1:0:::\nc:x:0x5:0:::\nd:x::0:::\ne:x:4294967295:0:::\nf:x:4294968296:0:::\ng:x:007:0:::\n", 1000, "", []uint32{7}, ""},
		{"other sources", "+:x:1000:0:::\n-bob:x:1000:0:::\n+@net:x:1000:0:::\n#old:x:1000:0:::\n", 1000, "", nil, ""},
		{"a number for a name", "alice:x:1000:1000:::\n1000:x:2000:2000:::\n", 1000, "", []uint32{1000, 2000}, `another account has the name "1000"`},
		{"its own number for a name", "1000:x:1000:1000:::\n", 1000, "1000", []uint32{1000}, ""},
		{"a name twice", "alice:x:1000:1000:::\nalice:x:2000:2000:::\n", 2000, "", []uint32{1000, 2000}, `two accounts have the name "alice"`},
		{"nothing", "", 1000, "", nil, ""},
	} {
		name, uids, err := ParsePasswd(c.text, c.uid)
		if name != c.want || !reflect.DeepEqual(uids, c.uids) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q %v %v; want %q %v %q", c.name, name, uids, err, c.want, c.uids, c.err)
		}
	}
}

func TestParseGroup(t *testing.T) {
	got := ParseGroup("root:x:0:\nadm:x:4:alice,bob\nbad:x::\n\nusers:x:100\n+:::\nnogroup:x:65534:")
	if want := []uint32{0, 4, 100, 65534}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAddAccounts(t *testing.T) {
	for _, c := range []struct {
		name       string
		a          Accounts
		user       string
		uids, gids []Range
		takenUIDs  []uint32
		takenGIDs  []uint32
		uidNote    string
		gidNote    string
	}{
		{
			name: "usual",
			a:    Accounts{testPasswd, "alice:x:1001:\n", "alice:200000:65536\nbob:100000:65536\n", "alice:300000:65536\n"},
			user: "alice", uids: []Range{{200000, 65536}}, gids: []Range{{300000, 65536}},
		},
		{
			name: "accounts inside",
			a:    Accounts{testPasswd, "alice:x:1001:\ng:x:100502:\nf:x:100501:\ng2:x:100502:\nz:x:0:\n", "alice:100000:65536\n", "1000:1000:100000\n"},
			user: "alice", uids: []Range{{100000, 65536}}, gids: []Range{{1000, 100000}}, takenUIDs: []uint32{100500}, takenGIDs: []uint32{100501, 100502},
		},
		{
			name: "group names own nothing",
			a:    Accounts{testPasswd, "staff:x:1001:\n", "", "staff:100000:65536\n1001:200000:65536\n"},
			user: "alice",
		},
		{
			name: "in doubt",
			a:    Accounts{testPasswd + "1000:x:5:5:::\n", "", "alice:100000:65536\n", "1000:100000:65536\n"},
			user: "", uidNote: `/etc/passwd: another account has the name "1000"`, gidNote: `/etc/passwd: another account has the name "1000"`,
		},
		{
			name: "overlap",
			a:    Accounts{testPasswd, "", "alice:200000:10\nbob:200009:1\n", "alice:200000:10\nalice:0:10\n"},
			user: "alice", gids: []Range{{200000, 10}},
			uidNote: `/etc/subuid: line 2 gives 200009 to "bob", and 200000-200009 is given to this user`,
			gidNote: "/etc/subgid: line 2 is not NAME:FIRST:COUNT with ids from 1 to 4294967294 and is left out",
		},
		{name: "unknown to the file", a: Accounts{"", "", "alice:100000:65536\n1000:200000:1\n", ""}, user: "", uids: []Range{{200000, 1}}},
	} {
		g := &Grant{UID: 1000, GID: 1001}
		user := g.AddAccounts(c.a)
		want := &Grant{UID: 1000, GID: 1001, SubUIDs: c.uids, SubGIDs: c.gids, TakenUIDs: c.takenUIDs, TakenGIDs: c.takenGIDs, UIDNote: c.uidNote, GIDNote: c.gidNote}
		if user != c.user || !reflect.DeepEqual(g, want) {
			t.Errorf("%s: %q\n%+v, want\n%+v", c.name, user, g, want)
		}
	}
}
