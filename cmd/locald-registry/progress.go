package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/locald/locald/internal/image"
)

// screen has a line for each blob, which is written again as more of it comes. There is no colour.
type screen struct {
	to            io.Writer
	rows, columns int

	mu    sync.Mutex
	blobs []image.Digest
	drawn map[image.Digest]time.Time
}

// often is the time between two sights of one blob.
const often = 100 * time.Millisecond

// show draws the line of a blob of which so many bytes are there.
func (s *screen) show(d image.Descriptor, have int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn == nil {
		s.drawn = map[image.Digest]time.Time{}
	}
	if have < d.Size && time.Since(s.drawn[d.Digest]) < often {
		return
	}
	s.drawn[d.Digest] = time.Now()
	line := d.Digest.Short() + "  " + megabytes(d.Size)
	if have < d.Size {
		line = d.Digest.Short() + "  " + megabytes(have) + " of " + megabytes(d.Size)
	}
	if len(line) >= s.columns { // a line that is folded would be two
		line = line[:max(s.columns-1, 0)]
	}
	at := slices.Index(s.blobs, d.Digest)
	if at < 0 {
		s.blobs = append(s.blobs, d.Digest)
		io.WriteString(s.to, line+"\n")
		return
	}
	// Up, over the rest of the line, and down again (console_codes(4)); what has left the screen stays as it is.
	if up := len(s.blobs) - at; up < s.rows {
		fmt.Fprintf(s.to, "\x1b[%dA\r%s\x1b[K\x1b[%dB\r", up, line, up)
	}
}

func megabytes(n int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e6), ".0") + " MB"
}
