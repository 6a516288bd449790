//go:build !linux

package cli

import (
	"github.com/spf13/cobra"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/shim"
	"github.com/locald/locald/libcontainer"
)

func (a *app) containerCommands() []*cobra.Command { return nil }

func (a *app) onItsOwn(*runFlags, shim.Helper, *specs.Spec, ownContainer) error {
	return libcontainer.ErrPlatform
}

func (a *app) shown(*runFlags, shim.Helper, *specs.Spec, string) (running, ended func(int), err error) {
	return nil, nil, libcontainer.ErrPlatform
}

func (a *app) attendAll() {}

func layersInUse() []string { return nil }

func scratchOf(string) (string, error) { return "", libcontainer.ErrPlatform }

func monitor([]string) (code int, is bool) { return 0, false }
