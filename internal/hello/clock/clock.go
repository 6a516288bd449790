// Package clock is the time that two processes of one machine can compare: nanoseconds of CLOCK_MONOTONIC.
package clock

// Started is when this process began to run Go code of ours: the package depends on nearly nothing, so its
// initialiser is among the first.
var Started = Now()
