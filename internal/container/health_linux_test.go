package container

import (
	"testing"
	"time"
)

func TestHealthiness(t *testing.T) {
	h := &Health{Interval: 30 * time.Second, StartPeriod: time.Minute, StartEvery: 5 * time.Second, Retries: 2}
	s := &Healthiness{Status: Starting}
	for _, c := range []struct {
		code    int
		age     time.Duration
		status  string
		failing int
	}{
		{1, 5 * time.Second, Starting, 0}, // in the start period nothing counts
		{-1, 59 * time.Second, Starting, 0},
		{1, 61 * time.Second, Starting, 1},
		{0, 91 * time.Second, Healthy, 0},
		{1, 2 * time.Minute, Healthy, 1},
		{255, 3 * time.Minute, Unhealthy, 2},
		{3, 4 * time.Minute, Unhealthy, 3},
		{0, 5 * time.Minute, Healthy, 0},
	} {
		if s.add(h, Check{ExitCode: c.code}, c.age); s.Status != c.status || s.Failing != c.failing {
			t.Errorf("%+v: %s, %d", c, s.Status, s.Failing)
		}
	}
	if len(s.Checks) != checksKept || s.Checks[0].ExitCode != 0 {
		t.Errorf("%+v", s.Checks)
	}
	// Who has been healthy once is not starting any more: a failure counts in the start period as well.
	s = &Healthiness{Status: Healthy}
	if s.add(h, Check{ExitCode: 1}, time.Second); s.Failing != 1 {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct {
		age    time.Duration
		status string
		pause  time.Duration
	}{{0, Starting, 5 * time.Second}, {time.Minute, Starting, 30 * time.Second}, {0, Healthy, 30 * time.Second}} {
		if got := h.pause(c.age, c.status); got != c.pause {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
