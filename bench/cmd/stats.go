package main

import (
	"slices"
	"time"
)

// sample is what one run of a candidate cost, its own processes and all their
// children that were waited for together. Peak memory is that of the largest of
// them, as wait4 reports it.
type sample struct {
	wall        time.Duration
	cpu         time.Duration // user and system together: the split is a guess of the timer tick, the sum is exact
	status      int           // as wait4 returns it
	peakKB      int64
	minorFaults int64
}

// series is the runs of one candidate, in the order in which they ran.
type series []sample

// sorted returns one figure of every run, ascending.
func sorted[T int64 | time.Duration](s series, figure func(sample) T) []T {
	out := make([]T, len(s))
	for i, v := range s {
		out[i] = figure(v)
	}
	slices.Sort(out)
	return out
}

// quantile returns the q-quantile of a non-empty ascending slice: the mean of the
// two nearest values where it falls between them, so that the median of an even
// number of runs is the usual one.
func quantile[T int64 | time.Duration](v []T, q float64) T {
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + T((at-float64(i))*float64(v[i+1]-v[i]))
}

func wall(s sample) time.Duration { return s.wall }
func cpu(s sample) time.Duration  { return s.cpu }
func peak(s sample) int64         { return s.peakKB }
func minor(s sample) int64        { return s.minorFaults }

func (s series) median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	return quantile(sorted(s, wall), 0.5)
}

// ratio of two medians; 0 where one of them was not measured.
func ratio(a, b series) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	return float64(a.median()) / float64(b.median())
}
