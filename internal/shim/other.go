//go:build !linux

package shim

import (
	"os"

	"github.com/locald/locald/libcontainer"
)

// Run says that containers need Linux.
func (h Helper) Run(Request) (Result, error) { return Result{}, libcontainer.ErrPlatform }

// Notify does nothing.
func Notify(chan<- os.Signal) {}

// NoSUID says that the helper needs Linux.
func NoSUID(string) (bool, error) { return false, libcontainer.ErrPlatform }

// Version says that the helper needs Linux.
func (h Helper) Version() (string, error) { return "", libcontainer.ErrPlatform }

func effectiveSetuid(string) bool { return false }
