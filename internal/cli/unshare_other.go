//go:build !linux

package cli

import "github.com/locald/locald/libcontainer"

func (a *app) unshare([]string) error { return libcontainer.ErrPlatform }
