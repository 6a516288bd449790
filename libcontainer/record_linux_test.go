package libcontainer

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoadForged: the state directory is its owner's, who can put anything there.
func TestLoadForged(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want syscall.Errno
	}{
		"huge": {func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40)
		}, unix.EFBIG},
		"link": {func(path string) error { return os.Symlink("/etc/passwd", path) }, unix.ELOOP},
		"FIFO": {func(path string) error { return unix.Mkfifo(path, 0o600) }, unix.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "web"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := c.make(filepath.Join(dir, "web/state.json")); err != nil {
				t.Fatal(err)
			}
			_, err := Load(dir, "web")
			var op *OpError
			if !errors.As(err, &op) || op.Err != c.want {
				t.Errorf("Load says %v, want %v", err, c.want)
			}
		})
	}
}
