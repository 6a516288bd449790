//go:build !linux

package libcontainer

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Bundle is a bundle directory that is held open, and the one reading of its config.json.
type Bundle struct {
	Spec    *specs.Spec
	Path    string
	Unknown []string
}

// Open answers ErrPlatform.
func Open(dir string) (*Bundle, error) { return nil, ErrPlatform }

// OpenWith answers ErrPlatform.
func OpenWith(dir, config string) (*Bundle, error) { return nil, ErrPlatform }

// Config is nothing.
func (b *Bundle) Config() []byte { return nil }

// Close does nothing.
func (b *Bundle) Close() error { return nil }
