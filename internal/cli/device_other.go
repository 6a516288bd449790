//go:build !linux

package cli

import (
	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/libcontainer"
)

func lookDevice(*bundle.Device) error { return libcontainer.ErrPlatform }

func release() string { return "" }
