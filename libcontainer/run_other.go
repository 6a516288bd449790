//go:build !linux

package libcontainer

type running struct{}

// Start answers ErrPlatform.
func (c *Container) Start() error { return ErrPlatform }

// Signal answers ErrPlatform.
func (c *Container) Signal(sig int) error { return ErrPlatform }

// Wait answers ErrPlatform.
func (c *Container) Wait() (Exit, error) { return Exit{}, ErrPlatform }

// Pid is 0.
func (c *Container) Pid() int { return 0 }
