package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/shim"
)

type execFlags struct {
	processFlags
	terminal, forwards, detach bool
}

func (a *app) execCommand() *cobra.Command {
	f := &execFlags{}
	cmd := &cobra.Command{
		Use: "exec [flags] CONTAINER COMMAND [ARG...]", Short: "Run one more program in a container", Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.findContainer(args[0])
			if err == nil {
				err = running(c)
			}
			if err == nil {
				err = a.exec(f, c, args[1:])
			}
			if err == nil {
				return nil
			}
			out := *asFailure(err)
			if out.code == 0 {
				out.code = 125
			}
			return &out
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringArrayVarP(&f.env, "env", "e", nil, "set a variable: `NAME=VALUE`, or NAME to pass the caller's own")
	flags.StringVarP(&f.workdir, "workdir", "w", "", "working `DIR` in the container")
	flags.StringVarP(&f.user, "user", "u", "", "run as `USER[:GROUP]`, names or numbers (default: as the container does)")
	flags.StringArrayVar(&f.envFiles, "env-file", nil, "read variables from `FILE`")
	flags.BoolVarP(&f.terminal, "tty", "t", false, "give the program a terminal of its own")
	flags.BoolVarP(&f.forwards, "interactive", "i", false, "accepted: standard input is always passed on")
	flags.BoolVarP(&f.detach, "detach", "d", false, "do not wait for its end")
	return cmd
}

// process is what exec adds to the container, in the form of its config.json.
func (f *execFlags) process(c *container.Container, command []string) (*specs.Process, error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, "config.json"))
	if err != nil {
		return nil, &failure{id: idContainer, what: "the configuration of the container " + c.Name + " cannot be read: " + reason(err)}
	}
	spec := &specs.Spec{}
	if err := json.Unmarshal(text, spec); err != nil || spec.Process == nil || spec.Linux == nil {
		return nil, &failure{id: idContainer, what: "the configuration of the container " + c.Name + " is none"}
	}
	j := bundle.Join{Args: command, Cwd: f.workdir, Terminal: f.terminal}
	run := runFlags{processFlags: f.processFlags}
	if j.Env, err = run.environment(); err != nil {
		return nil, err
	}
	if f.terminal {
		j.Term = os.Getenv("TERM")
	}
	if f.user != "" {
		// The container's own files, as they are by now; no link in it leads out of it.
		root := "/proc/" + strconv.Itoa(c.State.PID) + "/root"
		user, err := run.lookUser(func(name string) (string, error) { return bundle.ReadRootfs(root, name) })
		if err != nil {
			return nil, err
		}
		j.User = &user
	}
	return j.Process(spec)
}

// exec lets the helper do it all: it lends the terminal, passes signals on and knows the exit status.
func (a *app) exec(f *execFlags, c *container.Container, command []string) error {
	process, err := f.process(c, command)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "locald-exec-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text, err := json.Marshal(process)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "process.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	flags := []string{"--process", file}
	if f.detach {
		flags = append(flags, "--detach")
	}
	code, message, err := c.Exec(filepath.Join(dir, "log"), flags, nil, a.stdin, a.stdout, a.stderr)
	if a.code = code; message != "" {
		a.code = execCode(message)
	}
	return err
}

// execCode is the exit code for a program that did not run, which the helper has told of.
func execCode(message string) int {
	executed := strings.HasPrefix(message, "execute ")
	switch {
	case strings.Contains(message, "executable file not found in $PATH"), executed && strings.Contains(message, "no such file or directory"):
		return shim.CodeNotFound
	case strings.Contains(message, "exec format error"), executed && strings.Contains(message, "permission denied"):
		return shim.CodeNotExecutable
	}
	return shim.CodeCannotRun
}
