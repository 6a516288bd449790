//go:build !linux

package files

// Main is for Linux, where containers run.
func Main([]string) int { return 1 }
