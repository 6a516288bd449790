package cli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/shim"
)

// Exit codes of the verbs that run no container.
const (
	codeOK     = 0
	codeFailed = 1
	codeUsage  = 2
)

// app is one call of locald.
type app struct {
	stdin, stdout, stderr *os.File
	shim                  string // --shim, else $LOCALD_SHIM
	quiet                 bool   // no notes
	code                  int    // exit code of a verb that did not fail

	signals chan os.Signal // those that execute keeps from ending locald, until signal.Stop
	reap    func()         // waits for what is left of the helper that execute has called; nil when nothing is
}

// Main runs the command line in argv and returns the exit code.
func Main(argv []string, stdin, stdout, stderr *os.File) (code int) {
	defer caught(stderr, &code)
	if code, is := monitor(argv); is {
		return code
	}
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	var args []string
	if len(argv) > 1 {
		args = argv[1:]
	}
	root := a.commandFor(args)
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if a.reap != nil {
		a.reap()
	}
	if err == nil {
		return a.code
	}
	f := asFailure(err)
	code = f.exitCode(cmd)
	switch {
	case inJSON(cmd):
		f.writeJSON(stderr, code)
	case f.id == idPlatform:
		stderr.WriteString(f.what + "\n") // this one line is promised word for word
	default:
		f.write(stderr)
	}
	return code
}

// commandFor is command with the one verb that args begin with, for those verbs that are called most: making all of
// them, with their flags, would be a fifth of the start of locald.
func (a *app) commandFor(args []string) *cobra.Command {
	if len(args) == 0 {
		return a.command()
	}
	var verb *cobra.Command
	switch args[0] {
	case "run":
		verb = a.runCommand()
	case "try":
		verb = a.tryCommand()
	case "version":
		verb = a.versionCommand()
	default:
		root := a.command()
		if strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
			completions(root)
		}
		return root
	}
	root := a.root()
	root.AddCommand(verb)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true}) // cobra makes one otherwise
	return root
}

func (a *app) command() *cobra.Command {
	root := a.root()
	root.AddCommand(a.runCommand(), a.tryCommand(), a.unshareCommand(), a.doctorCommand(), a.setupCommand(), a.versionCommand())
	root.AddCommand(a.imageCommands()...)
	root.AddCommand(a.containerCommands()...)
	root.AddCommand(a.volumeCommand())
	root.AddCommand(a.systemCommands()...)
	return root
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "locald",
		Short: "Containers for local development",
		Long: "locald runs containers without a daemon: it makes an OCI bundle and hands it to locald-shim,\n" +
			"a small set-user-ID helper with a container runtime inside.",
		Example: "  locald run builtin:hello\n" +
			"  locald run -v .:/src -w /src dir:./rootfs sh -c 'make test'\n" +
			"  sudo locald setup",
		Version:       shim.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          a.noVerb,
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if words := cmd.Flags().Args(); cmd == root && len(words) > 0 {
			return a.noVerb(cmd, words)
		}
		return err
	})
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().StringVar(&a.shim, "shim", "", "use this `FILE` as locald-shim (default $LOCALD_SHIM, else the installed one)")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "print no notes")
	return root
}

// noVerb answers a command line without a verb that exists.
func (a *app) noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	f := &failure{id: idUsage, what: "there is no command " + args[0]}
	for _, name := range cmd.SuggestionsFor(args[0]) {
		f.try = append(f.try, "locald "+name)
	}
	if len(f.try) == 0 {
		f.try = []string{"locald help"}
	}
	return f
}

// helper is the locald-shim to use.
func (a *app) helper() (shim.Helper, error) {
	override := a.shim
	if override == "" {
		override = os.Getenv("LOCALD_SHIM")
	}
	helper, err := shim.Find(override)
	if err == nil && os.Getuid() != 0 {
		helper.StateHome, err = runHome()
	}
	return helper, err
}

// note tells the caller something that is no error.
func (a *app) note(text string) {
	if !a.quiet {
		a.stderr.WriteString("locald: note: " + text + "\n")
	}
}
