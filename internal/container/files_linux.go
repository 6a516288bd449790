package container

import (
	"os"

	"golang.org/x/sys/unix"
)

// Hold keeps a container that does not run from being started or removed, until release. ErrRunning says that it runs
// after all, ErrNotExist that it has gone.
func (c *Container) Hold() (release func(), err error) {
	fd, err := c.lockSoon()
	switch err {
	case nil:
	case unix.ENOENT:
		return nil, ErrNotExist
	case unix.EWOULDBLOCK:
		return nil, ErrRunning
	default:
		return nil, err
	}
	if err = c.Load(); err == nil && c.State.Lives() {
		err = ErrRunning
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return func() { unix.Close(fd) }, nil
}

// ExecFrom is Exec of a program that reads nothing from a terminal, with more descriptors from 3 on.
func (c *Container) ExecFrom(log string, flags []string, more []*os.File, stdin, stdout, stderr *os.File) (code int, message string, err error) {
	cmd := c.Command("exec", flags)
	cmd.Args = append([]string{cmd.Args[0], "--log", log, "--log-format", "json"}, cmd.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdin, stdout, stderr, more
	if err = cmd.Run(); cmd.ProcessState == nil {
		return 0, "", err
	}
	text, _ := os.ReadFile(log)
	return cmd.ProcessState.ExitCode(), lastError(string(text)), nil
}
