package policy

import (
	"os"
	"strings"
	"testing"
)

func TestParseConf(t *testing.T) {
	type who struct {
		name        string
		uid         uint32
		use, bypass bool
	}
	for _, c := range []struct {
		name   string
		text   string
		cgroup bool
		who    []who
	}{
		{"empty", "", true, []who{{"alice", 1000, true, false}, {"", 7, true, false}}},
		{"comments", "# users = bob\n\n  # x\n\t\r\n", true, []who{{"alice", 1000, true, false}}},
		{"defaults", "users = *\ncgroup = yes\nallow-userns-bypass = no\n", true, []who{{"alice", 1000, true, false}}},
		{"cgroup", "cgroup=no # and no more\r\n", false, []who{{"alice", 1000, true, false}}},
		{"users", "users = alice  bob\t1234", true, []who{{"alice", 1000, true, false}, {"bob", 1, true, false}, {"carol", 2, false, false}, {"", 1234, true, false}, {"", 5, false, false}}},
		{"a number is a uid", "users = 1000", true, []who{{"alice", 1000, true, false}, {"1000", 2000, false, false}}},
		{"bypass for all", "allow-userns-bypass = yes", true, []who{{"alice", 1000, true, true}}},
		{"bypass for all of them", "allow-userns-bypass = yes\nusers = bob", true, []who{{"alice", 1000, false, false}, {"bob", 1, true, true}}},
		{"bypass for some", "allow-userns-bypass = alice", true, []who{{"alice", 1000, true, true}, {"bob", 1, true, false}}},
		{"bypass for one who may not", "allow-userns-bypass = alice\nusers = bob", true, []who{{"alice", 1000, false, false}}},
		{"directory names", `users = CORP\alice alice@corp svc$`, true, []who{{`CORP\alice`, 1000, true, false}, {"svc$", 1, true, false}}},
	} {
		conf, err := ParseConf(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if conf.Cgroup != c.cgroup {
			t.Errorf("%s: cgroup is %v", c.name, conf.Cgroup)
		}
		for _, w := range c.who {
			if use, bypass := conf.MayUse(w.name, w.uid), conf.MayBypass(w.name, w.uid); use != w.use || bypass != w.bypass {
				t.Errorf("%s: %q %d may use %v, bypass %v", c.name, w.name, w.uid, use, bypass)
			}
		}
	}
}

func TestParseConfRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"user = alice", `line 1: unknown key "user"; known are users, cgroup, idmap and allow-userns-bypass`},
		{"# x\n\nUsers = alice", `line 3: unknown key "Users"`},
		{"\ufeffusers = alice", "line 1: unknown key"},
		{"cgroup = maybe", `line 1: cgroup is yes or no, not "maybe"`},
		{"cgroup =", "cgroup is yes or no"},
		{"cgroup = Yes", "cgroup is yes or no"},
		{"cgroup yes", `line 1: "cgroup yes" is not of the form KEY = VALUE`},
		{"cgroup = no\ncgroup = yes", "line 2: cgroup is set twice"},
		{"users =", "line 1: users names nobody"},
		{"users = # alice", "users names nobody"},
		{"users = alice *", "users has both * and names"},
		{"users = alice, bob", `users has "alice,", which is not a user name`},
		{"users = alice:1000", "is not a user name"},
		{"users = a\x00b", "is not a user name"},
		{"users = a\x7fb", "is not a user name"},
		{"allow-userns-bypass = ", "allow-userns-bypass names nobody"},
		{"= x", `unknown key ""`},
		{"\x00", "is not of the form"},
	} {
		if conf, err := ParseConf(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, %v; want %q", c.text, conf, err, c.want)
		} else if conf.MayUse("alice", 1000) || conf.Cgroup {
			t.Errorf("%q: an error, and a Conf that allows something", c.text)
		}
	}
}

// TestManPage: the page knows every key, and no other.
func TestManPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/man/shim.conf.5")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for line := range strings.Lines(string(page)) {
		if key, ok := strings.CutPrefix(line, ".It Ic "); ok {
			key, _, _ = strings.Cut(key, " ")
			keys = append(keys, key)
		}
	}
	if got := strings.Join(keys, " "); got != "users cgroup idmap allow-userns-bypass" {
		t.Errorf("the page has the keys %q", got)
	}
	for _, key := range keys {
		if _, err := ParseConf(key + " = no"); err != nil && strings.Contains(err.Error(), "unknown") {
			t.Error(err)
		}
	}
}

func FuzzConf(f *testing.F) {
	f.Add("users = alice\ncgroup = no\nallow-userns-bypass = bob # x\n", "alice")
	f.Fuzz(func(t *testing.T, text, name string) {
		conf, err := ParseConf(text)
		if err != nil {
			return
		}
		if conf.MayBypass(name, 1000) && !conf.MayUse(name, 1000) {
			t.Error("a user who may not use the helper may bypass")
		}
		if conf.MayBypass(name, 1000) && !strings.Contains(text, "allow-userns-bypass") {
			t.Error("a bypass that nobody asked for")
		}
		if name != "" && conf.MayUse(name, 1000) && !strings.Contains(text, name) && !strings.Contains(text, "1000") && !strings.Contains(text, "*") && strings.Contains(text, "users") && !strings.Contains(text, "#") && !strings.Contains(text, "userns") {
			t.Errorf("%q is not named", name)
		}
	})
}
