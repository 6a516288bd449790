package cli

import (
	"testing"
)

func TestQuoted(t *testing.T) {
	for name, want := range map[string]string{"/a b/ü": "/a b/ü", "/a\nA /b": `"/a\nA /b"`, "/\x1b[2J": `"/\x1b[2J"`, `/"x`: `"/\"x"`, "/\xff": `"/\xff"`} {
		if got := quoted(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}
