//go:build !linux

package cli

import "github.com/locald/locald/libcontainer"

func holdVolume(string) (func(), error) { return func() {}, nil }

func ownVolume(string) (func(), error) { return nil, libcontainer.ErrPlatform }

func replaceEmpty(string, string) error { return libcontainer.ErrPlatform }
