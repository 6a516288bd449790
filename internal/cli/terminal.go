package cli

import (
	"os"

	"github.com/locald/locald/internal/bundle"
)

// terminal is what -t and the caller's own terminal mean for a process. The size is in config.json, so that the
// program finds it from its first instruction on.
func (a *app) terminal(f *runFlags, p *bundle.Process) {
	own := isTerminal(a.stdin)
	if own || f.terminal {
		p.Term = os.Getenv("TERM")
	}
	if !f.terminal {
		return
	}
	p.Terminal = true
	p.Height, p.Width = terminalSize(a.stdin, a.stdout)
	if !own {
		a.note("-t: standard input is no terminal, so nothing can be typed; the program has a terminal all the same")
	}
}
