package policy

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestParseSubIDs(t *testing.T) {
	type ranges = []Range
	for _, c := range []struct {
		name string
		text string
		user string
		want ranges
		err  string
	}{
		{"by name", "alice:100000:65536\nbob:165536:65536\n", "alice", ranges{{100000, 65536}}, ""},
		{"by uid", "1000:100000:65536\n", "alice", ranges{{100000, 65536}}, ""},
		{"by both", "1000:300000:10\nalice:100000:65536", "alice", ranges{{100000, 65536}, {300000, 10}}, ""},
		{"no name", "1000:5:1\n:6:1\n", "", ranges{{5, 1}}, ""},
		{"nobody", "bob:165536:65536\n", "alice", nil, ""},
		{"prefix of a name", "alic:1:1\nalicee:2:1\nAlice:3:1\n alice:4:1\nalice :5:1\n", "alice", nil, ""},
		{"prefix of a uid", "100:1:1\n10000:2:1\n01000:3:1\n+1000:4:1\n1000.:5:1\n", "alice", nil, ""},
		{"touching", "alice:20:10\nalice:10:10\n", "alice", ranges{{10, 20}}, ""},
		{"overlapping one's own", "alice:10:10\nalice:15:10\nalice:12:2\n", "alice", ranges{{10, 15}}, ""},
		{"root", "alice:0:65536\nalice:100000:1\n", "alice", ranges{{100000, 1}}, ""},
		{"empty", "alice:100000:0\n", "alice", nil, ""},
		{"the last id", "alice:4294967294:1\n", "alice", ranges{{4294967294, 1}}, ""},
		{"no id", "alice:4294967295:1\nalice:4294967294:2\n", "alice", nil, ""},
		{"overflow", "alice:1:4294967295\nalice:1:4294967296\nalice:4294967297:1\nalice:99999999999999999999:1\n", "alice", nil, ""},
		{"all there are", "alice:1:4294967294\n", "alice", ranges{{1, 4294967294}}, ""},
		{"numbers", "alice:-5:1\nalice:+5:1\nalice:0x5:1\nalice:05:1\nalice: 5:1\nalice:5 :1\nalice:5:1 \nalice:5:1\r\nalice::1\nalice:5:\nalice:5e3:1\nalice:٥:1\n", "alice", nil, ""},
		{"fields", "alice\nalice:5\nalice:5:1:\nalice:5:1:x\n", "alice", nil, ""},
		{"comment", "# alice:5:1\n#alice:5:1\nalice:7:1 # mine\n", "alice", nil, ""},
		{"NUL", "alice:5:1\x00\nalice\x00:6:1\n", "alice", nil, ""},
		{"numeric name, own", "1000:100000:5\n", "1000", ranges{{100000, 5}}, ""},
		{"numeric name, another's", "1001:100000:5\n", "1001", nil, `the user name "1001" is a number and not this user's uid`},
		{"numeric name with a zero", "01000:100000:5\n", "01000", nil, "is a number"},
		{"another's too", "alice:100000:65536\nbob:165535:1\n", "alice", nil, `line 2 gives 165535 to "bob", and 100000-165535 is given to this user`},
		{"another's around", "bob:1:4294967294\nalice:100000:65536\n", "alice", nil, `line 1 gives 1-4294967294 to "bob"`},
		{"another's without end", "bob:1:99999999999999999999\nalice:100000:65536\n", "alice", nil, "line 1 gives"},
		{"root's", "root:100000:65536\nalice:100000:65536\n", "alice", nil, `to "root"`},
		{"another's comment", "#bob:100000:65536\nalice:100000:65536\n", "alice", ranges{{100000, 65536}}, ""},
		{"others' own business", "bob:1:10\ncarol:5:10\nalice:20:5\nbob:25:1\nbob:19:1\nbob:x:30\nbob:5:x\nbob:5\nbob:22:0\nbob:4294967296:30\nbob:4294967295:30\n", "alice", ranges{{20, 5}}, ""},
		{"as large as it may be", strings.Repeat("#", maxFile), "alice", nil, ""},
		{"large", strings.Repeat("#", maxFile+1), "alice", nil, "larger than 1 MiB"},
		{"nothing", "", "alice", nil, ""},
	} {
		got, err := ParseSubIDs(c.text, c.user, 1000)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want %v, %q", c.name, got, err, c.want, c.err)
		}
	}
}

// given are the ids that lines beginning with one of the owners give, clipped to a small world and to its end,
// and read as simply as can be.
func given(text string, mine func(owner string) bool, strict bool) map[uint64]bool {
	ids := map[uint64]bool{}
	for _, line := range strings.Split(text, "\n") {
		field := strings.Split(line, ":")
		if len(field) < 3 || strict && len(field) > 3 || strings.HasPrefix(line, "#") || field[0] == "" || !mine(field[0]) {
			continue
		}
		first, err1 := strconv.ParseUint(field[1], 10, 64)
		count, err2 := strconv.ParseUint(field[2], 10, 64)
		if strings.ContainsAny(field[1]+field[2], "+-") || err1 != nil || err2 != nil || strict && (first == 0 || first+count > 4294967295) {
			continue
		}
		for id := first; id < first+count && id < first+2000 && id < 4294967295; id++ {
			ids[id] = true
		}
	}
	return ids
}

func FuzzSubIDs(f *testing.F) {
	f.Add("alice:100000:65536\nbob:165536:65536\n", "alice", uint32(1000))
	f.Add("1000:5:10\nalice:15:10\n0:0:1\n", "alice", uint32(1000))
	f.Add("alice:4294967290:5\nalice:4294967290:6\nbob:1:1\n", "alice", uint32(7))
	f.Add("7:1:1\n07:1:1\n", "7", uint32(7))
	f.Fuzz(func(t *testing.T, text, name string, uid uint32) {
		got, err := ParseSubIDs(text, name, uid)
		if err != nil {
			if got != nil {
				t.Fatalf("ranges %v and an error: %v", got, err)
			}
			return
		}
		number := strconv.FormatUint(uint64(uid), 10)
		if name != number && name != "" && strings.Trim(name, "0123456789") == "" {
			t.Fatalf("a user with the name %q and the uid %s is taken for granted", name, number)
		}
		mine := func(owner string) bool { return owner == name || owner == number }
		yours, others := given(text, mine, true), given(text, func(owner string) bool { return !mine(owner) }, false)
		var end uint64
		for i, r := range got {
			if r.First == 0 || r.Count == 0 || r.end() > 4294967295 {
				t.Errorf("%v is out of range", r)
			}
			if i > 0 && uint64(r.First) <= end {
				t.Errorf("%v overlaps or touches the range before it", r)
			}
			end = r.end()
			for id := uint64(r.First); id < end && id < uint64(r.First)+1000; id++ {
				if !yours[id] {
					t.Fatalf("%d is not given to %q by\n%s", id, name, text)
				}
			}
		}
		for id := range others {
			if inside(got, Range{uint32(id), 1}) {
				t.Fatalf("%d is another's too in\n%s", id, text)
			}
		}
	})
}
