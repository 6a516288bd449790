package image

import "io"

// Decompressor reads what is compressed with "gzip" or "zstd", or "" for what is not. What it holds is let go by done.
// It is handed in by the program that links such libraries (internal/compress).
type Decompressor func(r io.Reader, compression string) (plain io.Reader, done func(), err error)
