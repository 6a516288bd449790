package image

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestFetchTogether: whoever asks for a blob while others do, the source is read once. The rounds are for the moments
// in which one call has looked for the blob and not yet for the file of its parts, and another has just made it.
func TestFetchTogether(t *testing.T) {
	s := newStore(t)
	for round := range 300 {
		body := "blob " + strconv.Itoa(round)
		sum := sha256.Sum256([]byte(body))
		d := Descriptor{Digest: Digest("sha256:" + hex.EncodeToString(sum[:])), Size: int64(len(body))}
		var reads atomic.Int32
		source := func(int64) (io.ReadCloser, int64, error) {
			reads.Add(1)
			return io.NopCloser(strings.NewReader(body)), 0, nil
		}
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				if err := s.Fetch(d, source, func(error, bool) bool { return false }); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if n := reads.Load(); n != 1 || !s.Has(d.Digest, d.Size) {
			t.Fatalf("round %d: the source was read %d times", round, n)
		}
	}
}

// TestStoreIsPrivate: others see nothing of a store, also where they can look into the directory that it is in.
func TestStoreIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Error(e.Name(), info.Mode(), err)
		}
	}
}
