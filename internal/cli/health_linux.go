package cli

import (
	"cmp"
	"time"

	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/image"
)

// health is what the flags say, over what the image says; nil without either.
func (f *healthFlags) health(check *image.Healthcheck) (*container.Health, error) {
	if f.interval < 0 || f.timeout < 0 || f.startPeriod < 0 || f.startGap < 0 || f.retries < 0 {
		return nil, &failure{id: idUsage, what: "--health-interval and the like: a time or a number is not negative"}
	}
	changed := f.interval > 0 || f.timeout > 0 || f.startPeriod > 0 || f.startGap > 0 || f.retries > 0
	switch {
	case f.none && (changed || f.command != ""):
		return nil, &failure{id: idUsage, what: "--no-healthcheck and --health-cmd and the like contradict each other"}
	case f.none:
		return nil, nil
	}
	if check == nil {
		check = &image.Healthcheck{}
	}
	h := &container.Health{
		Command:     healthCommand(check.Test),
		Interval:    cmp.Or(f.interval, check.Interval, 30*time.Second),
		Timeout:     cmp.Or(f.timeout, check.Timeout, 30*time.Second),
		StartPeriod: cmp.Or(f.startPeriod, check.StartPeriod),
		StartEvery:  cmp.Or(f.startGap, check.StartInterval, 5*time.Second),
		Retries:     cmp.Or(f.retries, check.Retries, 3),
	}
	if f.command != "" {
		h.Command = []string{"/bin/sh", "-c", f.command}
	}
	if len(h.Command) > 0 {
		return h, nil
	}
	if changed {
		return nil, &failure{id: idUsage, what: "--health-interval and the like need a --health-cmd, since the image has no HEALTHCHECK"}
	}
	return nil, nil
}

// healthCommand reads the form that images have (image spec of Docker 1.2, Healthcheck).
func healthCommand(test []string) []string {
	switch {
	case len(test) > 1 && test[0] == "CMD":
		return test[1:]
	case len(test) == 2 && test[0] == "CMD-SHELL":
		return []string{"/bin/sh", "-c", test[1]}
	}
	return nil
}
