//go:build !linux

package cli

// openPorts is nothing where nothing runs.
type openPorts struct{}

func (f *runFlags) listen(*app) (openPorts, error) { return openPorts{}, nil }

func (openPorts) serve(int) error { return nil }

func (openPorts) close() {}
