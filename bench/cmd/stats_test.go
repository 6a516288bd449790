package main

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		values []int64
		q      float64
		want   int64
	}{
		{[]int64{7}, 0.5, 7},
		{[]int64{7}, 0.9, 7},
		{[]int64{1, 3}, 0.5, 2},
		{[]int64{1, 2, 100}, 0.5, 2},
		{[]int64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, 0.9, 90},
		{[]int64{0, 100}, 0.9, 90},
		{[]int64{0, 100}, 1, 100},
	} {
		if got := quantile(test.values, test.q); got != test.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", test.values, test.q, got, test.want)
		}
	}
}

func TestRatio(t *testing.T) {
	of := func(ms ...int) (s series) {
		for _, v := range ms {
			s = append(s, sample{wall: time.Duration(v) * time.Millisecond})
		}
		return s
	}
	for _, test := range []struct {
		a, b series
		want float64
	}{
		{of(3, 1, 2), of(400, 4, 4), 0.5},
		{of(1), nil, 0},
		{nil, of(1), 0},
	} {
		if got := ratio(test.a, test.b); got != test.want {
			t.Errorf("ratio(%v, %v) = %v, want %v", test.a, test.b, got, test.want)
		}
	}
}
