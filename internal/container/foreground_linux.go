package container

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A container in the foreground is in no store: its directory is the one where its locald has the bundle, and goes with
// it. That directory is locked (flock(2)) as long as that locald lives.

// ForegroundFiles are what a container in the foreground may have in its directory, beside the bundle's config.json.
var ForegroundFiles = [...]string{"container.json", "state.json", ".container.json", ".state.json", "stop", exitName}

// Register gives a container in the foreground its name. Without one of its own nobody has to be asked, and it is not
// seen before it runs. ErrInUse says that another one has the name.
func (s *Store) Register(r Record, dir string) (*Container, error) {
	r.Foreground = true
	c := &Container{Record: r, State: State{Status: Created}, Dir: dir}
	if r.Name == r.ID {
		return c, nil
	}
	return c, s.locked(func() error {
		if err := s.free(r.Name); err != nil {
			return err
		}
		if err := c.save(); err != nil {
			return err
		}
		return writeJSON(c.Dir, "container.json", &c.Record)
	})
}

// Runs says that the program of a container in the foreground runs.
func (c *Container) Runs(pid int) (err error) {
	c.State = State{Status: Running, PID: pid, Boot: bootID(), Monitor: os.Getpid(), Started: time.Now().UTC()}
	if c.State.Since, err = startTime(pid); err != nil {
		return nil // it has ended already
	}
	if err = c.save(); err == nil && c.Name == c.ID {
		err = writeJSON(c.Dir, "container.json", &c.Record)
	}
	return err
}

// startPatience bounds the wait for a start whose locald is at it.
const startPatience = 10 * time.Second

// attendForeground finds out whether the locald of a container in the foreground lives. Without it the container has
// gone. One that is about to start is waited for: its program may have been heard of before its locald has written that
// it runs.
func (c *Container) attendForeground() error {
	w, err := c.watch()
	if err == ErrNotExist {
		c.State = State{}
		return nil
	}
	if err != nil {
		return err
	}
	defer w.close()
	for end := time.Now().Add(startPatience); c.State.Status == Created && c.foregroundLives(); {
		if err := c.Load(); err != nil || c.State.Status != Created {
			break
		}
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		// A locald that is killed says nothing more.
		if err := w.until(min(left, time.Second)); err != nil {
			return err
		}
	}
	if !c.foregroundLives() {
		c.State = State{}
	}
	return nil
}

func (c *Container) foregroundLives() bool {
	fd, err := unix.Open(c.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB)
		unix.Close(fd)
	}
	return err == unix.EWOULDBLOCK
}

// exitName is a file that who waits for a container's end makes, and who sees the end writes the exit code to. It can
// be read also when the container, and the name of the file, have gone.
const exitName = "exit"

// TellExit is for who waits.
func (c *Container) TellExit(code *int) {
	fd, err := unix.Open(filepath.Join(c.Dir, exitName), unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if unix.Ftruncate(fd, 0) == nil && code != nil {
		unix.Write(fd, []byte(strconv.Itoa(*code)+"\n"))
	}
}

// WaitExit is Wait, with the exit code of a container that was removed at its end.
func (c *Container) WaitExit() (code *int, err error) {
	fd, err := unix.Open(filepath.Join(c.Dir, exitName), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		defer unix.Close(fd)
	}
	if _, err := c.Wait(-1); err != nil {
		return nil, err
	}
	if c.State.Status == Exited {
		return c.State.ExitCode, nil
	}
	var buf [16]byte
	n, err := unix.Pread(fd, buf[:], 0)
	if err != nil {
		return nil, nil
	}
	if line, _, whole := strings.Cut(string(buf[:n]), "\n"); whole {
		if n, err := strconv.Atoi(line); err == nil {
			return &n, nil
		}
	}
	return nil, nil
}
