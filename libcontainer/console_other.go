//go:build !linux

package libcontainer

import "os"

// ConnectConsole answers ErrPlatform.
func ConnectConsole(path string) (*os.File, error) { return nil, ErrPlatform }

// ConnectSocket answers ErrPlatform.
func ConnectSocket(path, op string) (*os.File, error) { return nil, ErrPlatform }
