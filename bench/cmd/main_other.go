//go:build !linux

// Command bench compares locald-shim with other ways to run a container.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "Container execution requires Linux. Use Lima for macOS container support.")
	os.Exit(1)
}
