//go:build !linux

package cli

import "github.com/locald/locald/libcontainer"

func (a *app) examine() []finding {
	return []finding{{Check: "kernel", Status: statusFail, Detail: libcontainer.ErrPlatform.Error()}}
}
