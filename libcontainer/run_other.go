//go:build !linux

package libcontainer

type running struct{}

// Load answers ErrPlatform.
func Load(stateDir, id string) (*Container, error) { return nil, ErrPlatform }

// Run answers ErrPlatform.
func (c *Container) Run() error { return ErrPlatform }

// Create answers ErrPlatform.
func (c *Container) Create() error { return ErrPlatform }

// Start answers ErrPlatform.
func (c *Container) Start() error { return ErrPlatform }

// Exec answers ErrPlatform.
func (c *Container) Exec() error { return ErrPlatform }

// Delete answers ErrPlatform.
func Delete(stateDir, id string, force bool, warn func(error)) error { return ErrPlatform }

// Signal answers ErrPlatform.
func (c *Container) Signal(sig int) error { return ErrPlatform }

// Wait answers ErrPlatform.
func (c *Container) Wait() (Exit, error) { return Exit{}, ErrPlatform }

// Pid is 0.
func (c *Container) Pid() int { return 0 }
