package libcontainer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/locald/locald/libcontainer/internal/cgroup"
	"golang.org/x/sys/unix"
)

// TestStateErrorOfCgroup: what keeps a cgroup is told. It was "input/output error" once.
func TestStateErrorOfCgroup(t *testing.T) {
	err := stateError("remove what is left of web", &cgroup.Error{Op: "remove cgroup /locald/web", Err: unix.EBUSY, Hint: "processes run in it"})
	var op *OpError
	if !errors.As(err, &op) || op.Err != unix.EBUSY || op.Hint != "processes run in it" || op.Op != "remove what is left of web: remove cgroup /locald/web" {
		t.Errorf("%#v", err)
	}
}

// TestUnreadableRecord: a record that cannot be read, for whatever reason, may be that of a container that runs: it is
// not taken for what a dead process has left, and killed.
func TestUnreadableRecord(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"fifo": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link": func(path string) error { return os.Symlink("/etc/passwd", path) },
		"text": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
	} {
		for _, err := range []error{
			os.Mkdir(filepath.Join(dir, name), 0o700), os.WriteFile(filepath.Join(dir, name, "lock"), []byte("/locald/"+name+"\n"), 0o600),
			make(filepath.Join(dir, name, "state.json")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		remove := func(path string) error { t.Errorf("%s: %s is removed", name, path); return nil }
		sweep(dir, remove)
		if _, err := claim(dir, name, "/locald/new", remove); err == nil || err == ErrInUse {
			t.Errorf("%s: claim says %v", name, err)
		}
	}
}

// TestAcquireOfChangedLock: a lock file that is just being exchanged is met again, by a delete that does not wait, too. It
// went on without the lock, and without the path of the cgroup, which was left behind.
func TestAcquireOfChangedLock(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "web"), 0o700); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				os.WriteFile(filepath.Join(dir, "new"), []byte("/locald/web\n"), 0o600)
				os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "web/lock"))
			}
		}
	}()
	for range 3000 {
		s, err := lookup(dir, "web")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.acquire(false); err == nil && s.lock < 0 {
			t.Error("acquired without the lock")
			break
		}
		s.drop()
	}
	close(stop)
	<-stopped
}

// TestClaim: an id belongs to who holds the lock; what a dead owner left is removed by the next.
func TestClaim(t *testing.T) {
	dir := t.TempDir()
	var removed []string
	remove := func(path string) error { removed = append(removed, path); return nil }
	first, err := claim(dir, "web", "/locald/web", remove)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claim(dir, "web", "/locald/web", remove); !errors.Is(err, ErrInUse) {
		t.Errorf("a second claim: %v, want %v", err, ErrInUse)
	}
	if _, err := claim(dir, "other", "", remove); err != nil {
		t.Errorf("another id: %v", err)
	}
	first.drop() // as when its owner is killed
	second, err := claim(dir, "web", "/locald/again", remove)
	if err != nil || len(removed) != 1 || removed[0] != "/locald/web" {
		t.Fatalf("after the owner's death: %v, removed %v", err, removed)
	}
	if err := second.release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "web")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the release: %v", err)
	}
}

// TestClaimOfNoDirectory: what is in the way of an id's directory is an error, not an endless wait.
func TestClaimOfNoDirectory(t *testing.T) {
	dir := t.TempDir()
	remove := func(string) error { return nil }
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"link", "file"} {
		if _, err := claim(dir, id, "", remove); err == nil {
			t.Errorf("%s: claimed", id)
		}
	}
}

// TestSweep removes what dead owners left, and nothing of live ones.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	var removed []string
	remove := func(path string) error { removed = append(removed, path); return nil }
	live, err := claim(dir, "live", "/locald/live", remove)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := claim(dir, "dead", "/locald/dead", remove)
	if err != nil {
		t.Fatal(err)
	}
	dead.drop()
	if err := os.Mkdir(filepath.Join(dir, "halfmade"), 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(dir, remove)
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || entries[0].Name() != "live" || len(removed) != 1 || removed[0] != "/locald/dead" {
		t.Errorf("left %v, removed %v", entries, removed)
	}
	live.release()
}

// TestForgetNoCgroup: only a cgroup that is known to be gone is removed already. What cannot be looked at is an error,
// with which the state stays, and with it the cgroup's path.
func TestForgetNoCgroup(t *testing.T) {
	l := cgroup.Layout{V2: t.TempDir()} // no cgroup2 tree
	if err := removeCgroup(l, "/locald/x"); err == nil {
		t.Error("a cgroup in a tree that cannot be opened counts as removed")
	}
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	s := &stateDir{root: -1, lock: p[0], left: 1}
	defer s.drop()
	if path, err := s.text(); err == nil { // pread(2) of a pipe is ESPIPE
		t.Errorf("a lock file that cannot be read tells the path %q", path)
	}
}

// TestReleaseStops: where the record cannot be removed the rest stays beside it, for state and the next delete.
func TestReleaseStops(t *testing.T) {
	dir := t.TempDir()
	s, err := claim(dir, "a", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "a/config.json")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "a/state.json"), 0o700); err != nil { // unlink(2): EISDIR
		t.Fatal(err)
	}
	if err := s.release(); err == nil {
		t.Error("release says that all is removed")
	}
	if _, err := os.Stat(config); err != nil {
		t.Error("the record is there, and what belongs to it is gone:", err)
	}
}
