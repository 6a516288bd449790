//go:build !linux

package cli

import "github.com/locald/locald/libcontainer"

// bundleDir is the bundle of one run; where nothing runs there is none.
type bundleDir struct{ path string }

func newBundleDir(string) (*bundleDir, error) { return nil, libcontainer.ErrPlatform }

func (d *bundleDir) remove() {}

func forbidden() string { return "" }

func runHome() (string, error) { return "", nil }
