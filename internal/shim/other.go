//go:build !linux

package shim

import "github.com/locald/locald/libcontainer"

// Run says that containers need Linux.
func (h Helper) Run(Request) (Result, error) { return Result{}, libcontainer.ErrPlatform }

// NoSUID says that the helper needs Linux.
func NoSUID(string) (bool, error) { return false, libcontainer.ErrPlatform }

// Version says that the helper needs Linux.
func (h Helper) Version() (string, error) { return "", libcontainer.ErrPlatform }

func effectiveSetuid(string) bool { return false }
