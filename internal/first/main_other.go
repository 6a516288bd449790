//go:build !linux

package first

// Main is for Linux.
func Main([]string) int { return exitCannotRun }

const exitCannotRun = 125
