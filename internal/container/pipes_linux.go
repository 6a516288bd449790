package container

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// make creates the container with its named pipes or its terminal.
func (m *monitor) make() (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	if m.Terminal {
		return m.makeTerminal(null)
	}
	var ends [2]*os.File
	for i, name := range []string{"stdout", "stderr"} {
		path := filepath.Join(m.Dir, name)
		// Any id of the container may open /dev/stdout again; nobody else can reach this directory.
		if err := errors.Join(ignore(unix.Mkfifo(path, 0o600), unix.EEXIST), os.Chmod(path, 0o622)); err != nil {
			return 0, err
		}
		// Open for reading as well: as long as the container has it, no write in it is answered by SIGPIPE.
		if ends[i], err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return 0, err
		}
		defer ends[i].Close()
		if err := m.pump(name); err != nil {
			return 0, err
		}
	}
	stdin, input, err := m.stdin(null)
	if err != nil {
		return 0, err
	}
	if stdin != null {
		defer stdin.Close()
	}
	if pid, err = m.create(stdin, ends[0], ends[1]); err != nil {
		unix.Close(input)
		return 0, err
	}
	m.audience.begin(input, m.Stdin == StdinOnce)
	return pid, nil
}

// stdin is the container's standard input, and the descriptor of its other end, or -1.
func (m *monitor) stdin(null *os.File) (*os.File, int, error) {
	const name = "stdin"
	if m.Stdin == "" {
		return null, -1, nil
	}
	os.Remove(name) // what nobody has read yet was another start's
	if err := errors.Join(unix.Mkfifo(name, 0o600), os.Chmod(name, 0o644)); err != nil {
		return nil, -1, err
	}
	// Open for writing as well, it has no end: neither the monitor's death nor that of whoever writes is one.
	both, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, -1, err
	}
	input, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil || m.Stdin == StdinOpen {
		return both, input, err
	}
	defer both.Close()
	stdin, err := os.OpenFile(name, os.O_RDONLY, 0)
	return stdin, input, err
}

func ignore(err error, one error) error {
	if err == one {
		return nil
	}
	return err
}

// pump logs what comes out of a named pipe until nobody has it any more.
func (m *monitor) pump(name string) error {
	f, err := os.OpenFile(filepath.Join(m.Dir, name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	m.pumps.Add(1)
	go func() {
		defer m.pumps.Done()
		defer f.Close()
		m.log.copy(name, f)
	}()
	return nil
}

// drain waits for what the container wrote last. All of its processes are gone, and with them its ends of the pipes,
// unless it handed one to somebody else, who does not keep the monitor waiting.
func (m *monitor) drain() {
	done := make(chan struct{})
	go func() { m.pumps.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
}
