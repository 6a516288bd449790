package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/locald/locald/libcontainer"
)

// words are the command line of a fuzz test, one word a line.
func words(line string) []string { return strings.Split(line, "\n") }

// FuzzRequest: what is understood of "bundle run" says, written out in full, the same once more.
func FuzzRequest(f *testing.F) {
	f.Add("bundle\nrun\n--bundle\n/b\n--id=x\n--status-fd\n3\n--dry-run")
	f.Add("bundle\nrun\n-b\n--id\n--id\n--bundle=")
	f.Add("bundle\nrun\n--id=../x\n--bundle=/\n--pid-file=p\n--console-socket=c")
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parse(words(line))
		if r == nil || err != nil && err.Error() == "" {
			t.Fatalf("%v, %v", r, err)
		}
		if err != nil || r.version {
			return
		}
		if r.bundle == "" || r.id != "" && !libcontainer.ValidID(r.id) || r.statusFD < -1 || r.statusFD >= 0 && r.statusFD < 3 {
			t.Errorf("%+v was accepted", r)
		}
		full := []string{"bundle", "run", "--bundle=" + r.bundle}
		for name, value := range map[string]string{"id": r.id, "pid-file": r.pidFile, "console-socket": r.console} {
			if value != "" {
				full = append(full, "--"+name, value)
			}
		}
		if r.dryRun {
			full = append(full, "--dry-run")
		}
		again, err := parse(full)
		if err == nil {
			again.statusFD = r.statusFD
		}
		if err != nil || *again != *r {
			t.Errorf("%q is %+v, and then %+v, %v", full, r, again, err)
		}
	})
}

// FuzzCommand: of an OCI command line only flags of the verb are taken, each with a word of the line for its value, and an
// id that can be one.
func FuzzCommand(f *testing.F) {
	f.Add("--root\n/r\ncreate\n--bundle=/b\nweb")
	f.Add("exec\n-t\n-e\nA=1\n--env=B=2\nweb\nsh\n-c\nx")
	f.Add("--debug\nkill\n-a\nweb\nKILL")
	f.Add("update\nweb\n--memory\n64m\n-r\n-")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseCommand(words(line))
		if c == nil || err != nil && err.Error() == "" {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil || c.has("version") || c.has("help") {
			return
		}
		flags, least, most, ok := flagsOf(c.verb)
		known := map[string]bool{}
		for flag := range strings.FieldsSeq(globalFlags + " " + flags + " help") {
			known[strings.TrimSuffix(flag, "=")] = true
		}
		for _, name := range slices.Sorted(maps.Keys(c.flags)) {
			if !known[name] {
				t.Errorf("%s takes --%s", c.verb, name)
			}
			for _, value := range c.flags[name] {
				if !strings.Contains(line, value) {
					t.Errorf("--%s has the value %q", name, value)
				}
			}
		}
		if !ok || len(c.args) < least || len(c.args) > most || least > 0 && !libcontainer.ValidID(c.args[0]) {
			t.Errorf("%s takes %q", c.verb, c.args)
		}
		for _, arg := range c.args {
			if !slices.Contains(words(line), arg) {
				t.Errorf("the argument %q is no word of the line", arg)
			}
		}
	})
}
