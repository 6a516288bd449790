package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// hostImage is the machine itself, in the place of an image.
const hostImage = "host:"

// hostFlags are the flags of try that run has not.
type hostFlags struct {
	diff, closed, offline bool
	keep, writable        string
	hide                  []string
}

const tryLong = `Run a program on this machine as you see it, and throw away what it changes.

The current directory is the real one and can be written to. In your home directory, and in a directory
around the current one that you may write to, changes are made to a copy in memory that goes at the end;
/tmp, /var/tmp and /run are new and empty; all else can be read as usual and not be written to.
Where credentials are kept nothing is seen: keys, tokens, browsers, keyrings, histories of shells (locald(1)
has the list). No socket of the machine answers, there is no network and no other process, the program has no
capabilities and cannot gain any, and of the environment it gets PATH, HOME, USER, LANG, TERM and TZ.
What belongs to root belongs to nobody here; when root calls, the program is an ordinary user of the machine.

Started in / or in your home directory it can write to nothing that stays; --rw chooses a directory. The
exit code is the program's own, 125 when the isolation could not be had. Nothing runs without it.`

const tryExample = `  locald try ./install.sh
  locald try --diff -- sh -c 'echo oops > ~/oops.txt'
  locald try --keep ./changes make install
  locald try --ro --offline ./tool`

func (a *app) tryCommand() *cobra.Command {
	f, h := &runFlags{}, &hostFlags{}
	cmd := &cobra.Command{
		Use:     "try [flags] COMMAND [ARG...]",
		Short:   "Run a program on this machine and throw away what it changes",
		Long:    tryLong,
		Example: tryExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &failure{id: idUsage, what: "try needs a command", try: []string{"locald try sh"}}
			}
			if h.offline && f.network != "none" {
				return &failure{id: idUsage, what: "--offline and --network " + f.network + " contradict each other"}
			}
			f.terminal = f.terminal || isTerminal(a.stdin) && isTerminal(a.stdout)
			return a.runHost(f, h, args)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.SortFlags = false
	flags.BoolVar(&h.diff, "diff", false, "list what would have changed: A added, C changed, D deleted")
	flags.StringVar(&h.keep, "keep", "", "save what would have changed below `DIR`, which must be new or empty")
	flags.BoolVar(&h.closed, "ro", false, "the current directory cannot be written to, either")
	flags.StringVar(&h.writable, "rw", "", "`DIR` can be written to, in place of the current directory")
	flags.StringArrayVar(&h.hide, "hide", nil, "let nothing be seen of `PATH`")
	flags.BoolVar(&h.offline, "offline", false, "no network; which is so without --network, too")
	flags.StringVar(&f.network, "network", "none", "none, or host for the machine's own, and what listens on it")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "set a variable: `NAME=VALUE`, or NAME to pass your own")
	flags.StringArrayVar(&f.envFiles, "env-file", nil, "read variables from `FILE`")
	flags.StringArrayVarP(&f.volumes, "volume", "v", nil, "mount `SRC:DST[:ro]` from this machine")
	flags.StringArrayVar(&f.tmpfs, "tmpfs", nil, "mount an empty tmpfs on `DST[:OPTIONS]`")
	flags.StringVarP(&f.workdir, "workdir", "w", "", "begin in `DIR` (default: the current directory)")
	flags.StringVarP(&f.memory, "memory", "m", "", "memory limit: `SIZE` with k, m or g")
	flags.StringVar(&f.cpus, "cpus", "", "CPU limit: `N` CPUs, as 0.5")
	flags.StringVar(&f.swap, "memory-swap", "", "limit of memory and swap together: `SIZE`, as much as --memory for no swap, -1 for no limit")
	flags.StringVar(&f.cpuset, "cpuset-cpus", "", "run on these `CPUS` only, as 0-2,7")
	flags.StringArrayVar(&f.ulimits, "ulimit", nil, "limit of a process: `NAME=SOFT[:HARD]`, as nofile=1024:4096")
	flags.StringArrayVar(&f.security, "security-opt", nil, securityUsage)
	flags.Int64Var(&f.pids, "pids-limit", 0, "at most `N` processes and threads")
	flags.BoolVarP(&f.forwards, "interactive", "i", false, "accepted: standard input is always passed on")
	flags.BoolVarP(&f.terminal, "tty", "t", false, "give the program a terminal of its own; it has one when you have")
	flags.Var(&f.timeout, "timeout", "end the program after `TIME`: 90, 90s or 1h30m")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the system calls that would be made and stop")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &failure{id: idUsage, what: strings.TrimSuffix(err.Error(), "."), try: []string{"locald try --help"}}
	})
	return cmd
}

// forHost are the flags of run that mean something on the machine itself.
var forHost = []string{
	"ulimit", "sysctl", "security-opt", "memory-swap", "cpuset-cpus", "env", "env-file", "volume", "mount", "tmpfs", "workdir", "memory", "cpus", "pids-limit", "network", "name", "hostname", "interactive", "tty", "rm", "dry-run", "timeout",
	"shim", "quiet",
}

// runOnHost is run with host: as its image: try, with the flags of run.
func (a *app) runOnHost(f *runFlags, command []string, flags *pflag.FlagSet) error {
	other := ""
	flags.Visit(func(flag *pflag.Flag) {
		if !slices.Contains(forHost, flag.Name) {
			other = flag.Name
		}
	})
	if other != "" {
		return &failure{id: idUsage, what: "--" + other + " cannot be used with " + hostImage, try: []string{"locald run --help"}}
	}
	if len(command) == 0 {
		return &failure{id: idUsage, what: hostImage + " needs a command", try: []string{"locald run host: sh"}}
	}
	if !flags.Changed("network") {
		f.network = "none"
	}
	return a.runHost(f, &hostFlags{}, command)
}
