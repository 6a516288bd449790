package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestVolumeRemovedLate: a container that is made while volumes are removed keeps its own.
func TestVolumeRemovedLate(t *testing.T) {
	c := newCall(t)
	for _, name := range []string{"first", "second"} {
		if err := makeVolume(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	// The removal goes on when its first word can be written, and not before.
	size, err := unix.FcntlInt(writer.Fd(), unix.F_GETPIPE_SZ, 0)
	if err == nil {
		_, err = writer.Write(make([]byte, size))
	}
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		a := &app{stdin: os.Stdin, stdout: writer, stderr: os.Stderr}
		failed <- a.removeVolumes([]string{"first", "second"}, false)
	}()
	volumes := filepath.Join(c.dir, "store", "volumes")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Lstat(filepath.Join(volumes, "first")); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the first volume is not removed")
		}
	}
	dir := filepath.Join(c.dir, "store", "containers", "0123456789ab")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := `{"mounts":[{"destination":"/d","source":"` + filepath.Join(volumes, "second", "data") + `"}]}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "the volume second is in use") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(filepath.Join(volumes, "second")); err != nil {
		t.Error(err)
	}
}

// TestHoldVolume: who is alone with a volume stays so until it shares it; who removes it is not let in meanwhile.
func TestHoldVolume(t *testing.T) {
	dir := t.TempDir()
	hold := func(wantAlone bool) *os.File {
		t.Helper()
		held, alone, err := holdVolume(dir)
		if err != nil || alone != wantAlone {
			t.Fatalf("alone %v, %v", alone, err)
		}
		return held
	}
	first := hold(true)
	waits := make(chan *os.File)
	go func() {
		held, alone, _ := holdVolume(dir)
		if alone { // flock(2) does not promise that there is always one lock or the other
			shareVolume(held, dir)
		}
		waits <- held
	}()
	if err := shareVolume(first, dir); err != nil {
		t.Fatal(err)
	}
	second := <-waits
	third := hold(false)
	if _, err := ownVolume(dir); err == nil {
		t.Error("owned by two")
	}
	for _, f := range []*os.File{first, second, third} {
		f.Close()
	}
	first = hold(true)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := shareVolume(first, dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a volume that has gone: %v", err)
	}
	first.Close()
}
