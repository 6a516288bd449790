package cli

import (
	"errors"
	"strconv"
	"time"
)

// timeLimit is a flag: a number of seconds, or a duration of Go's.
type timeLimit time.Duration

func (l *timeLimit) String() string {
	if *l == 0 {
		return ""
	}
	return time.Duration(*l).String()
}

func (*timeLimit) Type() string { return "TIME" }

func (l *timeLimit) Set(s string) error {
	d, err := time.ParseDuration(s)
	if n, isNumber := strconv.ParseUint(s, 10, 31); isNumber == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return errors.New("a time is a number of seconds, or written 90s or 1h30m")
	}
	*l = timeLimit(d)
	return nil
}
