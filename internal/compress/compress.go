// Package compress reads what layers and archives are compressed with.
//
// No other package of locald may link it but the program that needs it, locald-registry: the initialisation of these
// libraries would be a fifth of what every start of locald costs.
package compress

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// zstdWindow bounds the memory that a frame may ask for (RFC 8878, 3.1.1.1.2): what zstd --ultra -22 writes needs 128 MiB.
const zstdWindow = 128 << 20

// Reader reads "", "gzip" or "zstd"; it is an image.Decompressor.
func Reader(r io.Reader, compression string) (plain io.Reader, done func(), err error) {
	switch compression {
	case "":
		return r, func() {}, nil
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return nil, nil, fmt.Errorf("%q is no compression that locald knows", compression)
}
