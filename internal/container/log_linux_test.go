package container

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogRotation: three files are kept, what is read is the newest of what was written, in order and whole.
func TestLogRotation(t *testing.T) {
	c := &Container{Dir: t.TempDir(), State: State{Status: Exited}}
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	w, err := openLog(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	w.max = 1000
	r, in := io.Pipe()
	go func() {
		for i := range 100 {
			fmt.Fprintf(in, "line %d\n", i)
		}
		io.WriteString(in, "no newline")
		in.Close()
	}()
	w.copy("stdout", r)
	var got []string
	if err := c.Read(true, func(e Entry) bool { got = append(got, e.Text); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) < 20 || len(got) > 60 || got[len(got)-1] != "no newline" {
		t.Fatalf("%q", got)
	}
	for i, text := range got[:len(got)-1] {
		if want := fmt.Sprintf("line %d\n", 101-len(got)+i); text != want {
			t.Errorf("entry %d is %q, want %q", i, text, want)
		}
	}
	for _, name := range []string{"log", "log.1", "log.2"} {
		if info, err := os.Stat(filepath.Join(c.Dir, name)); err != nil || info.Size() > 1000 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "log.3")); err == nil {
		t.Error("a fourth file is there")
	}
}

// TestLogLongLine: a line without an end cannot fill the memory.
func TestLogLongLine(t *testing.T) {
	c := &Container{Dir: t.TempDir(), State: State{Status: Exited}}
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	w, err := openLog(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 5*lineMax/2)
	w.copy("stderr", strings.NewReader(long+"\nend\n"))
	text, parts := "", 0
	if err := c.Read(false, func(e Entry) bool { text += e.Text; parts++; return e.Stream == "stderr" }); err != nil {
		t.Fatal(err)
	}
	if text != long+"\nend\n" || parts != 4 {
		t.Errorf("%d entries of %d bytes", parts, len(text))
	}
}

func TestParseRestart(t *testing.T) {
	for word, want := range map[string]Restart{"": {When: "no"}, "no": {When: "no"}, "always": {When: "always"}, "on-failure": {When: "on-failure"}, "on-failure:3": {"on-failure", 3}} {
		if r, err := ParseRestart(word); err != nil || r != want {
			t.Errorf("%q: %+v, %v", word, r, err)
		}
	}
	for _, word := range []string{"sometimes", "always:2", "on-failure:0", "on-failure:x"} {
		if _, err := ParseRestart(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}
