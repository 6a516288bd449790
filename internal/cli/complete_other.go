//go:build !linux

package cli

func containerNames() []string { return nil }

func runningNames() []string { return nil }
