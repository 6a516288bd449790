package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/locald/locald/internal/container"
)

// attachFlags are those of attach, and of start.
type attachFlags struct {
	keys  string
	proxy bool
}

func (f *attachFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&f.keys, "detach-keys", "ctrl-p,ctrl-q", "`KEYS` that leave a container on a terminal; empty for none")
	flags.BoolVar(&f.proxy, "sig-proxy", true, "pass signals on")
}

func (a *app) attachCommand() *cobra.Command {
	f := &attachFlags{}
	var noStdin bool
	cmd := &cobra.Command{
		Use: "attach [flags] CONTAINER", Short: "See what a container writes as it comes, and write to it", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, err := f.attachment(a, !noStdin)
			if err != nil {
				return err
			}
			c, err := a.findContainer(args[0])
			if err == nil {
				err = running(c)
			}
			if err == nil {
				err = onItsOwnOnly(c, "what it writes is where that was started")
			}
			if err == nil {
				err = a.mayType(c, at)
			}
			if err != nil {
				return err
			}
			return a.attachmentEnd(c.Attach(at))
		},
	}
	f.define(cmd.Flags())
	cmd.Flags().BoolVar(&noStdin, "no-stdin", false, "write nothing to it")
	return cmd
}

func (a *app) startCommand() *cobra.Command {
	f := &attachFlags{}
	var attach, interactive bool
	cmd := &cobra.Command{Use: "start [-a] [-i] CONTAINER...", Short: "Start containers that do not run"}
	each := a.each(cmd, func(c *container.Container) error { return a.startAgain(c) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !attach && !interactive {
			return each(cmd, args)
		}
		if len(args) > 1 {
			return &failure{id: idUsage, what: "start -a and -i are for one container at a time"}
		}
		at, err := f.attachment(a, interactive)
		if err != nil {
			return err
		}
		c, err := a.findContainer(args[0])
		if err == nil {
			err = onItsOwnOnly(c, "what it writes is where that was started")
		}
		if err == nil {
			err = a.mayType(c, at)
		}
		switch {
		case err != nil:
			return err
		case c.State.Lives():
			return a.attachmentEnd(c.Attach(at))
		}
		code, err := c.StartAttached(at)
		if err != nil && !isEnd(err) {
			return notStarted(c, err)
		}
		return a.attachmentEnd(code, err)
	}
	f.define(cmd.Flags())
	cmd.Flags().BoolVarP(&attach, "attach", "a", false, "see what it writes, and exit with its exit code")
	cmd.Flags().BoolVarP(&interactive, "interactive", "i", false, "as -a, and write to it")
	return cmd
}

func isEnd(err error) bool {
	var s container.ErrSignal
	return errors.Is(err, container.ErrDetached) || errors.As(err, &s)
}

func (f *attachFlags) attachment(a *app, stdin bool) (container.Attachment, error) {
	keys, err := parseKeys(f.keys)
	at := container.Attachment{Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr, Keys: keys, Proxy: f.proxy}
	if !stdin {
		at.Stdin = nil
	}
	return at, err
}

// parseKeys reads "ctrl-p,ctrl-q" and "ctrl-],x".
func parseKeys(text string) (keys []byte, err error) {
	if text == "" {
		return nil, nil
	}
	for _, word := range strings.Split(text, ",") {
		key := strings.ToLower(strings.TrimPrefix(word, "ctrl-"))
		switch {
		case len(word) == 1:
			keys = append(keys, word[0])
		case strings.HasPrefix(word, "ctrl-") && len(key) == 1 && (key[0] >= 'a' && key[0] <= 'z' || strings.Contains(`@[\]^_`, key)):
			keys = append(keys, strings.ToUpper(key)[0]&0x1f)
		default:
			return nil, &failure{id: idUsage, what: "--detach-keys " + text + ": a key is one character, or ctrl- and one of a-z @ [ \\ ] ^ _"}
		}
	}
	return keys, nil
}

// mayType: what comes from a file cannot be typed on a container's terminal, which has no end.
func (a *app) mayType(c *container.Container, at container.Attachment) error {
	if at.Stdin != nil && c.Terminal && c.Stdin != "" && !isTerminal(a.stdin) {
		return &failure{id: idUsage, what: "the container " + c.Name + " has a terminal, and standard input is none", try: []string{"locald attach --no-stdin " + c.Name}}
	}
	return nil
}

// attachmentEnd is the exit code of a verb that was attached to a container.
func (a *app) attachmentEnd(code *int, err error) error {
	var signal container.ErrSignal
	switch {
	case errors.Is(err, container.ErrDetached):
		a.note("the container goes on")
		return nil
	case errors.As(err, &signal):
		a.code = 128 + int(signal)
		return nil
	case err != nil:
		return &failure{id: idContainer, what: "the container cannot be attached to: " + reason(err)}
	case code == nil:
		return &failure{id: idStatus, what: "the container has ended, and its exit code is unknown", why: []string{"its monitor was not there when it ended"}, code: 125}
	}
	a.code = *code
	return nil
}
