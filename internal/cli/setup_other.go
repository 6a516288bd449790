//go:build !linux

package cli

import "github.com/locald/locald/libcontainer"

func (a *app) setup(*setupFlags) error { return libcontainer.ErrPlatform }
