package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestDigest compares with the standard library, at every length that ends a block differently.
func TestDigest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 5000)
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	for n := range 400 {
		if got, want := digest(text[:n]), sha256.Sum256(text[:n]); got != want {
			t.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
	}
	if got, want := digest(text), sha256.Sum256(text); got != want {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestLine(t *testing.T) {
	sum := sha256.Sum256([]byte("{}"))
	for want, u := range map[string]Use{
		"<86>locald-shim[17]: uid=1000 verb=create config=sha256:" + hex.EncodeToString(sum[:]) + " verdict=allowed": {1000, "create", []byte("{}"), "allowed"},
		"<85>locald-shim[17]: uid=5 verb=exec config=- verdict=refused":                                              {5, "exec", nil, "refused"},
	} {
		if got := u.Line(17); got != want || strings.Contains(got, "\n") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	u := Use{1000, "run", make([]byte, 8000), "allowed"}
	for b.Loop() {
		u.Line(17)
	}
}
