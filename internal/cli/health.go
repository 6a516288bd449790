package cli

import (
	"time"

	"github.com/spf13/pflag"
)

// healthFlags are those of run and create about health checks.
type healthFlags struct {
	command                                  string
	interval, timeout, startPeriod, startGap time.Duration
	retries                                  int
	none                                     bool
}

var healthNames = []string{"health-cmd", "health-interval", "health-timeout", "health-retries", "health-start-period", "health-start-interval", "no-healthcheck"}

func (f *healthFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&f.command, "health-cmd", "", "`COMMAND` of a shell in the container that finds out whether it works (with -d)")
	flags.DurationVar(&f.interval, "health-interval", 0, "`TIME` between checks (default 30s)")
	flags.DurationVar(&f.timeout, "health-timeout", 0, "`TIME` that a check may take (default 30s)")
	flags.IntVar(&f.retries, "health-retries", 0, "failures in a row that make it unhealthy (default 3)")
	flags.DurationVar(&f.startPeriod, "health-start-period", 0, "`TIME` after the start in which failures do not count")
	flags.DurationVar(&f.startGap, "health-start-interval", 0, "`TIME` between checks in the start period (default 5s)")
	flags.BoolVar(&f.none, "no-healthcheck", false, "make no checks, whatever the image says")
}
