package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/shim"
)

// setupFlags are the flags of setup.
type setupFlags struct {
	dryRun, undo bool
	lowPorts     bool
	noSetuid     bool
	shimDir      string
	user         string
	group        string
}

func (a *app) setupCommand() *cobra.Command {
	f := &setupFlags{}
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Install locald-shim on this machine (as root, once)",
		Long: "Install the locald-shim that lies beside this locald, owned by root and with the set-user-ID bit, in a\n" +
			"directory that only root can write, and give the user who ran sudo a range of subordinate ids. Every\n" +
			"change is printed. --dry-run prints the same and changes nothing; --undo takes it all back.",
		Example: "  locald setup --dry-run\n  sudo locald setup\n  sudo locald setup --undo",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if os.Getuid() != 0 && !f.dryRun {
				command := "locald setup"
				if f.undo {
					command += " --undo"
				}
				return &failure{id: idSetup, what: "setup changes files of root's", try: []string{"sudo " + command, command + " --dry-run"}}
			}
			return a.setup(f)
		},
	}
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be done and do nothing")
	cmd.Flags().BoolVar(&f.undo, "undo", false, "take back what setup did")
	cmd.Flags().StringVar(&f.shimDir, "shim-dir", shim.InstallDir, "install locald-shim in `DIR`")
	cmd.Flags().StringVar(&f.group, "group", "", "let only members of `GROUP` execute locald-shim")
	cmd.Flags().BoolVar(&f.lowPorts, "low-ports", false, "let every user listen on ports from 80 on (-p 80:80)")
	cmd.Flags().BoolVar(&f.noSetuid, "no-setuid", false, "leave the set-user-ID bit out; prints the AppArmor profile that some machines need then")
	cmd.Flags().StringVar(&f.user, "user", "", "give subordinate ids to `USER` (default: the one who ran sudo)")
	return cmd
}
