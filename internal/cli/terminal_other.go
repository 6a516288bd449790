//go:build !linux

package cli

import "os"

func isTerminal(*os.File) bool { return false }

// terminalSettings are a terminal's; nothing makes one raw here.
type terminalSettings struct{}

func saveTerminal(*os.File) *terminalSettings { return nil }

func (s *terminalSettings) restore() {}

func terminalSize(...*os.File) (height, width uint) { return 0, 0 }
