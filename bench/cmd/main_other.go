//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "Container execution requires Linux. Use Lima for macOS container support.")
	os.Exit(1)
}
