//go:build !linux

package clock

// Now is 0: nothing is measured where no container runs.
func Now() int64 { return 0 }
