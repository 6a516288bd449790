package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/publish"
)

// runFlags are the flags of run as they were typed.
type runFlags struct {
	processFlags
	imageFlags
	limitFlags
	detachFlags
	volumeFlags
	kernelFlags
	habitFlags
	names          bundle.NameFlags
	volumes, tmpfs []string
	readOnly       bool
	name, hostname string
	network        string
	publish        []string
	ports          []publish.Port // of publish
	printBundle    string
	dryRun         bool
	terminal       bool
	timeout        timeLimit
	forwards       bool // standard input of a container on its own is open; in the foreground it always is
}

type processFlags struct {
	env, envFiles   []string
	capAdd, capDrop []string
	workdir, user   string
	init, noInit    bool
}

type limitFlags struct {
	memory, swap string
	cpus, cpuset string
	pids         int64
}

const runLong = `Run a program in a new container, in the foreground, and exit with its exit code.

IMAGE is one of
  NAME[:TAG]      an image of "locald images"; a short name means docker.io
  oci:DIR[:NAME], oci-archive:FILE, docker-archive:FILE
                  an image in such a form, which is loaded first
  builtin:hello   a root file system that holds only locald itself and says what it sees
  host:           this machine as you see it; see "locald try"
  dir:ROOTFS      a directory that holds a root file system, used as it is

Flags go before IMAGE; everything after it is the command. The exit code is the program's own, or 128 and
the number of the signal that ended it; 125 says that locald could not run it, 126 that it is not
executable, 127 that it was not found. Two quick Ctrl-C end the container at once.`

const runExample = `  locald run builtin:hello
  locald run --memory 64m --network none dir:./rootfs sh -c 'echo hello'
  locald run -v .:/src -w /src dir:./rootfs make
  locald run --print-bundle ./bundle dir:./rootfs sh`

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:     "run [flags] IMAGE [COMMAND [ARG...]]",
		Short:   "Run a program in a new container",
		Long:    runLong,
		Example: runExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &failure{id: idUsage, what: "run needs an image", try: []string{"locald run builtin:hello"}}
			}
			command := args[1:]
			if len(command) > 0 && command[0] == "--" {
				command = command[1:]
			}
			if err := errors.Join(f.only(cmd.Flags()), f.check()); err != nil {
				return err
			}
			given, err := f.publishes(cmd.Flags().Changed("network"))
			if err != nil {
				return err
			}
			if args[0] == hostImage {
				return a.runOnHost(f, command, cmd.Flags())
			}
			return a.run(f, args[0], command, given)
		},
	}
	f.define(cmd.Flags(), false)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return runFlagError(err) })
	return cmd
}

func (f *runFlags) define(flags *pflag.FlagSet, create bool) {
	flags.SetInterspersed(false)
	flags.SortFlags = false
	flags.StringArrayVarP(&f.env, "env", "e", nil, "set a variable: `NAME=VALUE`, or NAME to pass the caller's own")
	flags.StringArrayVar(&f.envFiles, "env-file", nil, "read variables from `FILE`")
	flags.StringVarP(&f.workdir, "workdir", "w", "", "working `DIR` in the container (default: the image's, else /)")
	flags.StringVarP(&f.user, "user", "u", "", "run as `USER[:GROUP]`, names or numbers")
	flags.StringArrayVarP(&f.volumes, "volume", "v", nil, "mount `SRC:DST[:ro]`: a directory of this machine, a volume by its name, or a new one with DST alone")
	flags.StringArrayVar(&f.mountWords, "mount", nil, "mount `type=TYPE,source=SRC,target=DST`: bind, volume or tmpfs")
	flags.StringArrayVar(&f.tmpfs, "tmpfs", nil, "mount an empty tmpfs on `DST[:OPTIONS]`")
	flags.BoolVar(&f.readOnly, "read-only", false, "make the root file system read-only")
	flags.StringVarP(&f.memory, "memory", "m", "", "memory limit: `SIZE` with k, m or g")
	flags.StringVar(&f.swap, "memory-swap", "", "limit of memory and swap together: `SIZE`, as much as --memory for no swap, -1 for no limit")
	flags.StringVar(&f.cpus, "cpus", "", "CPU limit: `N` CPUs, as 0.5")
	flags.StringVar(&f.cpuset, "cpuset-cpus", "", "run on these `CPUS` only, as 0-2,7")
	flags.Int64Var(&f.pids, "pids-limit", 0, "at most `N` processes and threads")
	flags.StringVar(&f.network, "network", "host", "host, or none for a network of its own with loopback only")
	flags.StringArrayVarP(&f.publish, "publish", "p", nil, "listen on this machine for a port of the container: `[[ADDRESS:]PORT:]PORT`, or ranges (with --network none)")
	flags.StringArrayVar(&f.names.AddHost, "add-host", nil, "add `NAME:ADDRESS` to /etc/hosts; host-gateway is this machine")
	flags.StringArrayVar(&f.names.DNS, "dns", nil, "ask the resolver at `ADDRESS` (default: this machine's, on its network)")
	flags.StringArrayVar(&f.names.DNSSearch, "dns-search", nil, "look for names in `DOMAIN`")
	flags.StringVar(&f.name, "name", "", "`NAME` of the container (default: a random one)")
	flags.BoolVar(&f.init, "init", false, "run a small first process that hands on signals and waits for what is left behind")
	flags.BoolVar(&f.noInit, "no-init", false, "the program itself is the first process (the default)")
	flags.StringVar(&f.hostname, "hostname", "", "host name (default: the container's name)")
	flags.StringArrayVar(&f.capAdd, "cap-add", nil, "add a `CAPABILITY`, or ALL")
	flags.StringArrayVar(&f.capDrop, "cap-drop", nil, "drop a `CAPABILITY`, or ALL")
	f.kernelFlags.define(flags)
	f.habitFlags.define(flags)
	f.imageFlags.define(flags)
	f.detachFlags.define(flags, create)
	flags.BoolVarP(&f.forwards, "interactive", "i", false, "open standard input (with -d; in the foreground it always is)")
	flags.BoolVarP(&f.terminal, "tty", "t", false, "give the program a terminal of its own, of the size of the caller's")
	flags.Var(&f.timeout, "timeout", "end the container after `TIME`: 90, 90s or 1h30m")
	flags.StringVar(&f.printBundle, "print-bundle", "", "write the bundle to `DIR` and stop")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the system calls that would be made and stop")
}

// runFlagError says of a flag that Docker has and locald does not have yet that this is so.
func runFlagError(err error) error {
	name := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name = unknown.GetSpecifiedName()
	}
	if laterFlag(name) {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		return &failure{id: idUsage, what: dashes + name + " is not supported yet", try: []string{"locald run --help"}}
	}
	return &failure{id: idUsage, what: strings.TrimSuffix(err.Error(), "."), try: []string{"locald run --help"}}
}

func laterFlag(name string) bool {
	switch name {
	case "P", "publish-all":
		return true
	}
	return false
}
