//go:build !linux

package cli

import (
	"os"

	"github.com/locald/locald/internal/shim"
	"github.com/locald/locald/libcontainer"
)

// scratch is what a container writes; where nothing runs there is none.
type scratch struct{ path string }

func (a *app) newScratch(shim.Helper, string) (*scratch, error) { return nil, libcontainer.ErrPlatform }

func (s *scratch) remove() {}

func makeScratch(string) error { return libcontainer.ErrPlatform }

func unpackLimit(string) int64 { return 0 }

func hideInput(*os.File) func() { return func() {} }
