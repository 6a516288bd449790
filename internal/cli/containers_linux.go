package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/container"
)

// containerCommands are the verbs about containers on their own.
func (a *app) containerCommands() []*cobra.Command {
	list := []*cobra.Command{
		a.createCommand(), a.psCommand(), a.logsCommand(), a.stopCommand(), a.killCommand(), a.removeCommand(), a.waitCommand(),
		a.inspectCommand(), a.execCommand(), a.attachCommand(), a.startCommand(), a.statsCommand(), a.topCommand(), a.copyCommand(), a.diffCommand(),
	}
	restart := &cobra.Command{Use: "restart CONTAINER...", Short: "Stop containers and start them again"}
	restart.RunE = a.each(restart, func(c *container.Container) error {
		if err := onItsOwnOnly(c, "it ends with that"); err != nil {
			return err
		}
		if err := a.end(c, c.Stop.Seconds); err != nil {
			return err
		}
		return a.startAgain(c)
	})
	return append(list, restart)
}

func (a *app) createCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "create [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Make a container and do not start it",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.detach, f.createOnly = true, true
			command := args[1:]
			if len(command) > 0 && command[0] == "--" {
				command = command[1:]
			}
			given, err := f.publishes(cmd.Flags().Changed("network"))
			if err != nil {
				return err
			}
			return a.run(f, args[0], command, given)
		},
	}
	f.define(cmd.Flags(), true)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return runFlagError(err) })
	return cmd
}

// find is the container that a word means, as it is now.
func (a *app) findContainer(word string) (*container.Container, error) {
	store, err := containers()
	if err != nil {
		return nil, err
	}
	c, err := store.Find(word)
	if err == nil {
		err = c.Attend()
	}
	switch {
	case errors.Is(err, container.ErrNotExist), err == nil && c.State.Status == "":
		return nil, &failure{id: idNoContainer, what: "there is no container " + word, try: []string{"locald ps -a"}}
	case errors.Is(err, container.ErrAmbiguous):
		return nil, &failure{id: idNoContainer, what: "more than one container's id starts with " + word, try: []string{"locald ps -a"}}
	case err != nil:
		return nil, &failure{id: idContainer, what: err.Error()}
	}
	return c, nil
}

// each is a verb for one or more containers; it prints the word of each that it has worked for.
func (a *app) each(cmd *cobra.Command, do func(*container.Container) error) func(*cobra.Command, []string) error {
	cmd.Args = cobra.MinimumNArgs(1)
	return func(_ *cobra.Command, args []string) error {
		var first error
		for _, word := range args {
			c, err := a.findContainer(word)
			if err == nil {
				err = do(c)
			}
			if err == nil {
				_, err = a.stdout.WriteString(word + "\n")
			} else if len(args) > 1 {
				asFailure(err).write(a.stderr)
				a.code = codeFailed
				continue
			}
			if first == nil {
				first = err
			}
		}
		return first
	}
}

func running(c *container.Container) error {
	if c.State.Status != container.Running {
		return &failure{id: idStatus, what: "the container " + c.Name + " does not run", try: []string{"locald start " + c.Name}}
	}
	return nil
}

func (a *app) startAgain(c *container.Container) error {
	if c.State.Lives() {
		return nil
	}
	followResolver(c.Dir)
	if err := c.Start(); err != nil {
		return notStarted(c, err)
	}
	return nil
}

func notStarted(c *container.Container, err error) error {
	return &failure{id: idRefused, what: "the container " + c.Name + " does not start: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
}

// end stops a container, in its own time and then at once.
func (a *app) end(c *container.Container, seconds int) error {
	if c.State.Status == container.Exited || c.State.Status == container.Created {
		return nil
	}
	err := c.EndStop(time.Duration(seconds)*time.Second, func() {
		a.note("waiting up to " + strconv.Itoa(seconds) + " s for " + c.Name + " to heed " + c.Stop.Signal)
	})
	if err != nil {
		return &failure{id: idContainer, what: "the container " + c.Name + " cannot be stopped: " + err.Error()}
	}
	return nil
}

func (a *app) stopCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "stop [-t SECONDS] CONTAINER...", Short: "Ask containers to end, and end them when they do not"}
	seconds := cmd.Flags().IntP("time", "t", 0, "`SECONDS` to wait before SIGKILL (default: --stop-timeout of run, 10)")
	cmd.RunE = a.each(cmd, func(c *container.Container) error {
		if !cmd.Flags().Changed("time") {
			*seconds = c.Stop.Seconds
		}
		return a.end(c, max(*seconds, 0))
	})
	return cmd
}

func (a *app) killCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kill [-s SIGNAL] CONTAINER...", Short: "Send a signal to the first process of containers"}
	signal := cmd.Flags().StringP("signal", "s", "KILL", "`SIGNAL`, a name or a number")
	cmd.RunE = a.each(cmd, func(c *container.Container) error {
		number := signalByName(*signal)
		if number == 0 {
			return &failure{id: idUsage, what: "--signal " + *signal + ": there is no such signal"}
		}
		if err := running(c); err != nil {
			return err
		}
		if number == unix.SIGKILL {
			c.Ask() // who kills it does not want it again
		}
		if err := c.Kill(strconv.Itoa(int(number))); err != nil {
			return &failure{id: idContainer, what: "the container " + c.Name + " cannot be signalled: " + err.Error()}
		}
		return nil
	})
	return cmd
}

// signalByName reads "9", "KILL", "SIGKILL" and "sigkill"; 0 is no signal.
func signalByName(s string) unix.Signal {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 64 {
		return unix.Signal(n)
	}
	return unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG"))
}

func (a *app) removeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rm [-f] [-v] CONTAINER...", Short: "Remove containers that do not run"}
	force := cmd.Flags().BoolP("force", "f", false, "kill those that run")
	volumes := cmd.Flags().BoolP("volumes", "v", false, "remove the volumes that were made for them alone, too")
	cmd.RunE = a.each(cmd, func(c *container.Container) error {
		if c.State.Lives() {
			if !*force {
				return &failure{id: idStatus, what: "the container " + c.Name + " runs", try: []string{"locald stop " + c.Name, "locald rm -f " + c.Name}}
			}
			if err := a.end(c, 0); err != nil {
				return err
			}
		}
		store, err := containers()
		if err != nil {
			return err
		}
		helper, err := a.helper()
		if err != nil {
			return helperFailure(err)
		}
		if err := a.deleteContainer(store, helper, c); err != nil {
			return &failure{id: idContainer, what: "the container " + c.Name + " cannot be removed: " + err.Error()}
		}
		if (*volumes || c.Remove) && !c.Foreground {
			a.removeNameless(c.Volumes)
		}
		return nil
	})
	return cmd
}

func (a *app) waitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "wait CONTAINER...", Short: "Wait for containers to end and print their exit codes", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, word := range args {
				var code *int
				c, err := a.findContainer(word)
				if err == nil {
					code, err = c.WaitExit()
				}
				if err != nil {
					return err
				}
				if code == nil {
					return &failure{id: idStatus, what: "the exit code of " + word + " is unknown", why: []string{"its monitor was not there when it ended"}}
				}
				if _, err := a.stdout.WriteString(strconv.Itoa(*code) + "\n"); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) logsCommand() *cobra.Command {
	var follow, times bool
	var tail int
	var since string
	cmd := &cobra.Command{
		Use: "logs [-f] CONTAINER", Short: "Print what a container wrote", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.findContainer(args[0])
			if err == nil {
				err = onItsOwnOnly(c, "what it writes is where that was started")
			}
			if err != nil {
				return err
			}
			from, err := sinceTime(since, time.Now())
			if err != nil {
				return err
			}
			print := func(e container.Entry) bool {
				out, text := a.stdout, e.Text
				if e.Stream == "stderr" {
					out = a.stderr
				}
				if times {
					text = e.Time.Format(time.RFC3339Nano) + " " + text
				}
				_, err := out.WriteString(text)
				return err == nil
			}
			if tail >= 0 {
				return tailLog(c, tail, follow, from, print)
			}
			return c.Read(follow, func(e container.Entry) bool { return e.Time.Before(from) || print(e) })
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until the container has ended")
	cmd.Flags().BoolVarP(&times, "timestamps", "t", false, "print when each line came")
	cmd.Flags().IntVarP(&tail, "tail", "n", -1, "only the last `N` lines of what is there")
	cmd.Flags().StringVar(&since, "since", "", "only what came since `TIME`: RFC 3339, or a duration before now as 10m")
	return cmd
}

func sinceTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, &failure{id: idUsage, what: "--since " + s + ": a time is written as 2026-01-31T12:00:00Z, or 10m for ten minutes ago"}
	}
	return t, nil
}

// tailLog prints the last lines of what is there, and then what comes.
func tailLog(c *container.Container, tail int, follow bool, from time.Time, print func(container.Entry) bool) error {
	var last []container.Entry
	count := 0
	if err := c.Read(false, func(e container.Entry) bool {
		count++
		if last = append(last, e); len(last) > tail {
			last = last[1:]
		}
		return true
	}); err != nil {
		return err
	}
	for _, e := range last {
		if !e.Time.Before(from) && !print(e) {
			return nil
		}
	}
	if !follow {
		return nil
	}
	return c.Read(true, func(e container.Entry) bool {
		if count > 0 {
			count--
			return true
		}
		return print(e)
	})
}

func (a *app) inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "inspect CONTAINER...", Short: "Print all that is known of containers, as JSON", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			list := []any{}
			for _, word := range args {
				c, err := a.findContainer(word)
				if err != nil {
					return err
				}
				list = append(list, struct {
					container.Record
					State container.State `json:"state"`
					Dir   string          `json:"dir"`
				}{c.Record, c.State, c.Dir})
			}
			return a.printJSON(list)
		},
	}
}
