package cli

import (
	"github.com/spf13/cobra"
)

const unshareLong = `Run a program on this machine as root over the ids that containers of yours have.

Files that a container wrote for other users than its root belong to your subordinate ids, which you cannot
remove or read outside. In here they have the ids that they had in the container, you are root, and everything
is where it is; what belongs to other users of the machine belongs to nobody, and stays out of reach.`

func (a *app) unshareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unshare [COMMAND [ARG...]]",
		Short: "Run a program as root over your subordinate ids, without a container",
		Long:  unshareLong,
		Example: `  locald unshare rm -r ./data
  locald unshare chown -R 0:0 ./data`,
		RunE: func(_ *cobra.Command, args []string) error { return a.unshare(args) },
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}
