package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/locald/locald/internal/bundle"
)

// detachFlags are the flags of run and create about a container on its own.
type detachFlags struct {
	detach, remove bool
	createOnly     bool // by the verb create
	labels         []string
	restart        string
	stopSignal     string
	stopTimeout    int
	cidFile        string
	health         healthFlags
	own            *ownContainer // that others can see; nil for none
}

func (f *detachFlags) define(flags *pflag.FlagSet, create bool) {
	if !create {
		flags.BoolVarP(&f.detach, "detach", "d", false, "run the container on its own and print its id")
	}
	flags.BoolVar(&f.remove, "rm", false, "remove the container when it has ended; one in the foreground always goes")
	flags.StringArrayVarP(&f.labels, "label", "l", nil, "note `KEY=VALUE` about the container")
	flags.StringVar(&f.restart, "restart", "no", "start it again: no, on-failure[:N], always or unless-stopped (with -d)")
	flags.StringVar(&f.stopSignal, "stop-signal", "", "`SIGNAL` that stop sends (default TERM)")
	flags.IntVar(&f.stopTimeout, "stop-timeout", 10, "`SECONDS` that stop waits before SIGKILL")
	f.health.define(flags)
	flags.StringVar(&f.cidFile, "cidfile", "", "write the container's id to `FILE`, which must not exist")
}

// ownContainer is a container that is to be on its own.
type ownContainer struct {
	id     string
	image  string // as it was typed
	source source
	names  *bundle.Names // to be written into its directory; nil for none
}

// only refuses what means something for a container on its own alone.
func (f *detachFlags) only(flags *pflag.FlagSet) error {
	for _, name := range append([]string{"restart"}, healthNames...) {
		if flags.Changed(name) && !f.detach {
			return &failure{id: idUsage, what: "--" + name + " is for a container on its own", try: []string{"locald run -d --" + name + " …"}}
		}
	}
	if flags.Changed("timeout") && f.detach {
		return &failure{id: idUsage, what: "--timeout is for a container in the foreground", try: []string{"locald run -d … timeout TIME COMMAND"}}
	}
	if f.remove && f.detach && f.restart != "no" {
		return &failure{id: idUsage, what: "--rm and --restart " + f.restart + " contradict each other"}
	}
	return nil
}

// labelMap reads --label; a word without '=' is a key alone.
func (f *detachFlags) labelMap() map[string]string {
	m := map[string]string{}
	for _, word := range f.labels {
		key, value, _ := strings.Cut(word, "=")
		m[key] = value
	}
	return m
}
