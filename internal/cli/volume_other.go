//go:build !linux

package cli

import (
	"os"

	"github.com/locald/locald/libcontainer"
)

func holdVolume(string) (*os.File, bool, error) { return nil, false, nil }

func shareVolume(*os.File, string) error { return nil }

func ownVolume(string) (func(), error) { return nil, libcontainer.ErrPlatform }

func replaceEmpty(string, string) error { return libcontainer.ErrPlatform }
