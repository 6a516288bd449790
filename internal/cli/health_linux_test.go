package cli

import (
	"reflect"
	"testing"
	"time"

	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/image"
)

func TestHealthFlags(t *testing.T) {
	const s = time.Second
	check := &image.Healthcheck{Test: []string{"CMD-SHELL", "curl localhost"}, Interval: 7 * s, Retries: 9}
	defaults := container.Health{Interval: 30 * s, Timeout: 30 * s, StartEvery: 5 * s, Retries: 3}
	with := func(command []string, change func(*container.Health)) *container.Health {
		h := defaults
		h.Command = command
		change(&h)
		return &h
	}
	same := func(*container.Health) {}
	for name, c := range map[string]struct {
		flags healthFlags
		check *image.Healthcheck
		want  *container.Health
	}{
		"nothing":    {},
		"none":       {check: &image.Healthcheck{Test: []string{"NONE"}}},
		"turned off": {flags: healthFlags{none: true}, check: check},
		"program":    {check: &image.Healthcheck{Test: []string{"CMD", "/a", "b"}}, want: with([]string{"/a", "b"}, same)},
		"shell":      {check: check, want: with([]string{"/bin/sh", "-c", "curl localhost"}, func(h *container.Health) { h.Interval, h.Retries = 7*s, 9 })},
		"flags go over": {
			flags: healthFlags{command: "true", retries: 1, timeout: 2 * s, startPeriod: 3 * s, startGap: 4 * s}, check: check,
			want: with([]string{"/bin/sh", "-c", "true"}, func(h *container.Health) {
				h.Interval, h.Retries, h.Timeout, h.StartPeriod, h.StartEvery = 7*s, 1, 2*s, 3*s, 4*s
			}),
		},
	} {
		if got, err := c.flags.health(c.check); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v: %v", name, got, c.want, err)
		}
	}
	for _, f := range []healthFlags{{retries: -1}, {interval: -1}, {interval: s}, {none: true, command: "true"}, {none: true, retries: 1}} {
		if _, err := f.health(nil); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}
