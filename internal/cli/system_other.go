//go:build !linux

package cli

import "github.com/spf13/cobra"

func (a *app) systemCommands() []*cobra.Command { return nil }
