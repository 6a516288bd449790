package container

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Restart is when a container whose program has ended is started again.
type Restart struct {
	When string `json:"when"`           // no, always, unless-stopped, on-failure
	Most int    `json:"most,omitempty"` // times, of on-failure; 0 is no limit
}

// ParseRestart reads "no", "always", "unless-stopped", "on-failure" and "on-failure:N".
func ParseRestart(s string) (Restart, error) {
	when, most, given := strings.Cut(s, ":")
	switch when {
	case "", "no":
		when = "no"
	case "always", "unless-stopped", "on-failure":
	default:
		return Restart{}, errors.New("a restart policy is no, always, unless-stopped or on-failure[:N]")
	}
	r := Restart{When: when}
	if given {
		n, err := strconv.Atoi(most)
		if when != "on-failure" || err != nil || n < 1 {
			return Restart{}, errors.New("only on-failure takes a number, from 1 on")
		}
		r.Most = n
	}
	return r, nil
}

// after says whether to start again after an end; code nil is an unknown one.
func (r Restart) after(code *int, restarts int) bool {
	switch r.When {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		return (code == nil || *code != 0) && (r.Most == 0 || restarts < r.Most)
	}
	return false
}

// pause is how long to wait before restart n, from 0 on: longer each time, at most a minute.
func pause(n int) time.Duration {
	return min(100*time.Millisecond<<min(n, 20), time.Minute)
}
