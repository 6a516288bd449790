package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/shim"
)

// madeContainer is a container that has ended, with something that it wrote.
func madeContainer(t *testing.T, store *container.Store) *container.Container {
	t.Helper()
	id := randomID()
	made, err := store.Create(container.Record{Schema: container.Schema, ID: id, Name: id, Created: time.Now(), Helper: container.Helper{Path: os.Getenv("LOCALD_SHIM")}})
	if err == nil {
		err = makeScratch(made.Dir)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(made.Dir, "upper", "file"), nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// startedMeanwhile does what a monitor does at first, until the test ends.
func startedMeanwhile(t *testing.T, c *container.Container) {
	t.Helper()
	fd, err := unix.Open(filepath.Join(c.Dir, "lock"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.Dir, "state.json"), []byte(`{"status":"running"}`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
}

// TestDeleteStarted: a container that was started since somebody looked keeps what it wrote.
func TestDeleteStarted(t *testing.T) {
	c := newCall(t)
	store := container.Open(filepath.Join(c.dir, "store"), "")
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	started := madeContainer(t, store)
	startedMeanwhile(t, started)
	if err := a.deleteContainer(store, shim.Helper{}, started); !errors.Is(err, container.ErrRunning) {
		t.Error(err)
	}
	other := madeContainer(t, store)
	if err := a.deleteContainer(store, shim.Helper{}, other); err != nil {
		t.Error(err)
	}
	for path, stays := range map[string]bool{filepath.Join(started.Dir, "upper", "file"): true, other.Dir: false} {
		if _, err := os.Lstat(path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestPruneStarted: between the question and the answer containers are started; those in the foreground are not pruned,
// whether they run yet or not.
func TestPruneStarted(t *testing.T) {
	c := newCall(t)
	foreground, err := runDir()
	if err != nil {
		t.Fatal(err)
	}
	store := container.Open(filepath.Join(c.dir, "store"), foreground)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	ended, started := madeContainer(t, store), madeContainer(t, store)
	starts, err := newBundleDir("front")
	if err != nil {
		t.Fatal(err)
	}
	defer starts.remove()
	id := randomID()
	if _, err := store.Register(container.Record{Schema: container.Schema, ID: id, Name: "front", Created: time.Now()}, starts.path); err != nil {
		t.Fatal(err)
	}
	list, err := prunable(store)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	startedMeanwhile(t, started)
	if err := a.pruneContainers(store, shim.Helper{}, list); err != nil {
		t.Error(err)
	}
	for path, stays := range map[string]bool{ended.Dir: false, filepath.Join(started.Dir, "upper", "file"): true, filepath.Join(starts.path, "container.json"): true} {
		if _, err := os.Lstat(path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}
