package cli

import (
	"strconv"

	"github.com/locald/locald/internal/image"
)

// pullImage fetches an image into the store.
func (a *app) pullImage(store *image.Store, ref image.Reference, word, platform string) error {
	return missing(store, "image "+strconv.Quote(word)+" is not on this machine, and this version has no registry client", word)
}
