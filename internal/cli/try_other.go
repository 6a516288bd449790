//go:build !linux

package cli

import "github.com/locald/locald/libcontainer"

func (a *app) runHost(*runFlags, *hostFlags, []string) error { return libcontainer.ErrPlatform }
