package container

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/locald/locald/internal/publish"
)

// Schema is the version of the files of a container, and of what is printed of them.
const Schema = 1

// Record is what a container was made with.
type Record struct {
	Schema   int               `json:"schema"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Image    string            `json:"image"` // as it was typed
	Command  []string          `json:"command"`
	Created  time.Time         `json:"created"`
	Labels   map[string]string `json:"labels,omitempty"`
	Terminal bool              `json:"terminal"`
	Stdin    string            `json:"stdin,omitempty"` // StdinOpen, StdinOnce, or "" for /dev/null
	Remove   bool              `json:"remove"`          // at its end
	Stop     Stop              `json:"stop"`
	Policy
	Helper Helper   `json:"helper"`
	Layers []string `json:"layers,omitempty"` // directories of the image that the monitor holds

	Foreground bool `json:"foreground,omitempty"` // it has no monitor, but a locald that runs it
}

// Policy is what the monitor of a container does beside looking on.
type Policy struct {
	Restart Restart        `json:"restart"`
	Ports   []publish.Port `json:"ports,omitempty"`   // that it listens on
	Volumes []string       `json:"volumes,omitempty"` // that were made for this container alone, and go with one that is removed at its end
	Health  *Health        `json:"health,omitempty"`
}

// What the standard input of a container without a terminal is, when it has one.
const (
	StdinOpen = "open" // has no end
	StdinOnce = "once" // for the first who is attached, and ends with that one's
)

// Stop is how a container is asked to end, and for how long it may take.
type Stop struct {
	Signal  string `json:"signal"`
	Seconds int    `json:"seconds"`
}

// Helper is the locald-shim that the container was made by: no other knows its state.
type Helper struct {
	Path      string `json:"path"`
	StateHome string `json:"stateHome,omitempty"` // XDG_RUNTIME_DIR for it
}

// The statuses of a container.
const (
	Created = "created"
	Running = "running"
	Waiting = "restarting"
	Exited  = "exited"
)

// State is what has become of a container.
type State struct {
	Status   string    `json:"status"`
	PID      int       `json:"pid,omitempty"`      // of the first process, on this side
	Since    uint64    `json:"since,omitempty"`    // when it started, in clock ticks of this boot (proc_pid_stat(5))
	Boot     string    `json:"boot,omitempty"`     // which boot that is
	Monitor  int       `json:"monitor,omitempty"`  // pid
	Started  time.Time `json:"started,omitzero"`   // the last time
	Finished time.Time `json:"finished,omitzero"`  // the last time
	ExitCode *int      `json:"exitCode,omitempty"` // null: unknown, because no monitor was there and the kernel did not tell
	Restarts int       `json:"restarts"`           // by the policy
	Error    string    `json:"error,omitempty"`    // why the program did not run

	Health *Healthiness `json:"health,omitempty"` // of the last start
}

// Lives reports whether a container runs, or will again by itself.
func (s *State) Lives() bool { return s.Status == Running || s.Status == Waiting }

// Container is one that exists. Its state may be old by now; see Load.
type Container struct {
	Record
	State State
	Dir   string
}

// Errors of the store.
var (
	ErrNotExist  = errors.New("there is no such container")
	ErrAmbiguous = errors.New("more than one container's id starts like this")
	ErrRunning   = errors.New("it runs, or another locald starts or removes it")
	ErrInUse     = errors.New("the name is in use")
)

// Store is the directory of all containers of one user.
type Store struct{ dir, foreground string }

// Open opens the store below a home directory, which need not exist yet. The directories of containers in the
// foreground are in another one; "" is none.
func Open(home, foreground string) *Store {
	return &Store{filepath.Join(home, "containers"), foreground}
}

// locked does something while nobody else gives a name or takes a container away.
func (s *Store) locked(do func() error) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	fd, err := unix.Open(filepath.Join(s.dir, ".lock"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	if err != nil {
		return err
	}
	return do()
}

// Create makes the directory of a container. ErrInUse says that another one has the name.
func (s *Store) Create(r Record) (*Container, error) {
	c := &Container{Record: r, State: State{Status: Created}, Dir: filepath.Join(s.dir, r.ID)}
	return c, s.locked(func() error {
		if err := s.free(r.Name); err != nil {
			return err
		}
		if err := os.Mkdir(c.Dir, 0o700); err != nil {
			return err
		}
		err := writeJSON(c.Dir, "container.json", &c.Record)
		if err == nil {
			err = c.save()
		}
		if err != nil {
			os.RemoveAll(c.Dir)
		}
		return err
	})
}

// free is ErrInUse when a container has the name.
func (s *Store) free(name string) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Name != name && o.ID != name {
			continue
		}
		if o.Foreground && !o.foregroundLives() {
			continue // its locald was killed
		}
		return ErrInUse
	}
	return nil
}

// Dir is where a container with an id is, or will be.
func (s *Store) Dir(id string) string { return filepath.Join(s.dir, id) }

// List is all containers, the oldest first.
func (s *Store) List() ([]*Container, error) {
	var all []*Container
	for _, dir := range []string{s.dir, s.foreground} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			// One that is being made, or is going, has no record.
			if c, err := load(filepath.Join(dir, e.Name())); err == nil && c.Foreground == (dir == s.foreground) {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Container) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// Find is the container with a name, an id, or an id that starts like word.
func (s *Store) Find(word string) (*Container, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	var found *Container
	for _, c := range all {
		if c.Name == word || c.ID == word {
			return c, nil
		}
		if word != "" && strings.HasPrefix(c.ID, word) {
			if found != nil {
				err = ErrAmbiguous
			}
			found = c
		}
	}
	if found == nil {
		err = ErrNotExist
	}
	return found, err
}

func load(dir string) (*Container, error) {
	c := &Container{Dir: dir}
	if err := readJSON(dir, "container.json", &c.Record); err != nil {
		return nil, err
	}
	if c.ID != filepath.Base(dir) && !c.Foreground {
		return nil, errors.New(dir + ": container.json is another container's")
	}
	return c, c.Load()
}

// Load reads the state again; ErrNotExist says that the container has gone.
func (c *Container) Load() error {
	c.State = State{}
	err := readJSON(c.Dir, "state.json", &c.State)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotExist
	}
	return err
}

func (c *Container) save() error { return writeJSON(c.Dir, "state.json", &c.State) }

// remove takes the directory away. What makes it a container goes first.
func (c *Container) remove() error {
	err := os.Remove(filepath.Join(c.Dir, "container.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(c.Dir)
}

func readJSON(dir, name string, v any) error {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return errors.New(filepath.Join(dir, name) + ": " + err.Error())
	}
	return nil
}

// writeJSON writes a file beside its place and renames it: a reader sees the old or the new one.
func writeJSON(dir, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	beside := filepath.Join(dir, "."+name)
	if err := os.WriteFile(beside, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, filepath.Join(dir, name))
}
