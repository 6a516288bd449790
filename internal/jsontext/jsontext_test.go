package jsontext

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestStrings(t *testing.T) {
	m := map[string]string{"a\"": "1\n", "b": "é"}
	text := Strings([]string{"a\"", "b"}, func(n string) string { return m[n] })
	var back map[string]string
	if err := json.Unmarshal([]byte(text), &back); err != nil || len(back) != 2 || back["a\""] != "1\n" || back["b"] != "é" {
		t.Errorf("%s is read as %v, %v", text, back, err)
	}
	if got := Strings(nil, nil); got != "{}" {
		t.Errorf("no members are %s", got)
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\", "\x00\x1f\x7f", "\xff\xfe", "\u2028é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal([]byte(String(s)), &back); err != nil {
			t.Fatalf("%q becomes %s: %v", s, String(s), err)
		}
		if utf8.ValidString(s) && back != s {
			t.Errorf("%q becomes %q", s, back)
		}
	})
}
