package main

import (
	"bytes"
	"testing"

	"github.com/locald/locald/internal/image"
)

// TestScreen: each blob has its line, and no other is touched.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{to: &out, rows: 3, columns: 80}
	blob := func(c byte, size int64) image.Descriptor {
		return image.Descriptor{Digest: image.Digest("sha256:" + string(bytes.Repeat([]byte{c}, 64))), Size: size}
	}
	a, b, c := blob('a', 12_340_000), blob('b', 2_000_000), blob('c', 7)
	draws := func(want string, d image.Descriptor, have int64) {
		t.Helper()
		out.Reset()
		if s.show(d, have); out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
	draws(a.Digest.Short()+"  0 MB of 12.3 MB\n", a, 0)
	draws(b.Digest.Short()+"  1.5 MB of 2 MB\n", b, 1_500_000)
	draws("\x1b[2A\r"+a.Digest.Short()+"  12.3 MB\x1b[K\x1b[2B\r", a, a.Size)
	draws(c.Digest.Short()+"  0 MB\n", c, c.Size)
	draws("\x1b[2A\r"+b.Digest.Short()+"  2 MB\x1b[K\x1b[2B\r", b, b.Size)
	draws("", a, a.Size) // is above the screen
	s.columns = 10
	draws("\x1b[1A\r"+c.Digest.Short()[:9]+"\x1b[K\x1b[1B\r", c, c.Size)
}
