package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// completions give the verbs what a shell offers behind them: what there is on this machine now. The scripts themselves
// are cobra's, for bash, zsh, fish and PowerShell.
func completions(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "exec", "top":
			c.ValidArgsFunction = firstOnly(runningNames)
		case "attach", "logs", "stats":
			c.ValidArgsFunction = names(runningNames)
		case "stop", "kill", "restart":
			c.ValidArgsFunction = names(runningNames)
		case "start", "rm", "wait", "inspect", "diff":
			c.ValidArgsFunction = names(containerNames)
		case "cp":
			c.ValidArgsFunction = containerPaths
		case "run", "create":
			c.ValidArgsFunction = firstOnly(imageNames)
		case "pull":
			c.ValidArgsFunction = names(imageNames)
		case "ps", "doctor", "setup", "version":
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		words(c)
	}
}

// flagWords are the flags with a few words as values.
var flagWords = map[string][]string{
	"network":  {"host", "none"},
	"pull":     {"always", "missing", "never"},
	"restart":  {"always", "no", "on-failure", "unless-stopped"},
	"platform": {"linux/amd64", "linux/arm64"},
}

func words(c *cobra.Command) {
	for flag, list := range flagWords {
		if c.Flags().Lookup(flag) != nil {
			c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	switch c.Name() {
	case "version", "doctor":
		c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"json", "text"}, cobra.ShellCompDirectiveNoFileComp))
	case "images", "ps":
		c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"json", "jsonl", "table"}, cobra.ShellCompDirectiveNoFileComp))
	}
}

// names offers every name that was not typed yet.
func names(list func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		var offer []string
		for _, name := range list() {
			if strings.HasPrefix(name, word) && !slices.Contains(args, name) {
				offer = append(offer, name)
			}
		}
		return offer, cobra.ShellCompDirectiveNoFileComp
	}
}

// firstOnly offers a name for the first argument. What comes behind it is a command.
func firstOnly(list func() []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return names(list)(cmd, args, word)
	}
}

// containerPaths offers the containers that a path could be in, and files of this machine.
func containerPaths(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	var offer []string
	for _, name := range containerNames() {
		if strings.HasPrefix(name, word) && len(args) < 2 {
			offer = append(offer, name+":")
		}
	}
	if len(offer) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return offer, cobra.ShellCompDirectiveNoSpace
}

func imageNames() []string {
	list, _ := completeNames(nil, nil, "")
	return append(list, helloImage, hostImage)
}
