package cli

import (
	"slices"
	"testing"
)

func TestParseMounts(t *testing.T) {
	text := "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n30 25 8:1 /home /mnt/with\\040space rw - ext4 /dev/sda1 rw\n31 25 0:5 / /proc rw - proc proc rw\nshort\n"
	want := []hostMount{{"8:1", "/", "/"}, {"8:1", "/home", "/mnt/with space"}, {"0:5", "/", "/proc"}}
	if got := parseMounts(text); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := unescape(`a\134040\9x\`); got != `a\040\9x\` {
		t.Errorf("%q", got)
	}
}

func TestQuoted(t *testing.T) {
	for name, want := range map[string]string{"/a b/ü": "/a b/ü", "/a\nA /b": `"/a\nA /b"`, "/\x1b[2J": `"/\x1b[2J"`, `/"x`: `"/\"x"`, "/\xff": `"/\xff"`} {
		if got := quoted(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}
