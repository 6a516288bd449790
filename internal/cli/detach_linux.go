package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/container"
	"github.com/locald/locald/internal/image"
	"github.com/locald/locald/internal/shim"
)

// monitor is the program of a container's monitor, when this process was started as one.
func monitor(argv []string) (code int, is bool) {
	if len(argv) == 0 || argv[0] != container.MonitorName {
		return 0, false
	}
	return container.Monitor(argv[1:]), true
}

func containers() (*container.Store, error) {
	home, err := dataDir()
	if err != nil {
		return nil, &failure{id: idContainer, what: err.Error()}
	}
	// Where that cannot be had nothing runs in the foreground.
	foreground, _ := runDir()
	return container.Open(home, foreground), nil
}

// attendAll sees that every container that runs has a monitor.
func (a *app) attendAll() {
	store, err := containers()
	if err != nil {
		return
	}
	list, _ := store.List()
	for _, c := range list {
		if err := c.Attend(); err != nil {
			a.note("the container " + c.Name + ": " + err.Error())
		}
	}
}

// layersInUse are the layers of all containers on their own, without what marks those of a single id.
func layersInUse() (dirs []string) {
	store, err := containers()
	if err != nil {
		return nil
	}
	list, _ := store.List()
	for _, c := range list {
		for _, dir := range c.Layers {
			dirs = append(dirs, strings.TrimSuffix(dir, image.SingleSuffix))
		}
	}
	return dirs
}

// scratchOf is where a container on its own writes: its own directory.
func scratchOf(id string) (string, error) {
	home, err := dataDir()
	if err == nil {
		err = os.MkdirAll(home, 0o755)
	}
	if err != nil {
		return "", &failure{id: idContainer, what: err.Error()}
	}
	if !overlayUpper(home) {
		return "", &failure{
			id: idContainer, what: "the file system of " + home + " cannot take what a container writes",
			why: []string{"it is an overlay itself, or on a network; LOCALD_HOME names another directory"},
		}
	}
	return container.Open(home, "").Dir(id), nil
}

// onItsOwn makes a container, starts it, unless it is only to be created, and prints its id.
func (a *app) onItsOwn(f *runFlags, helper shim.Helper, spec *specs.Spec, own ownContainer) error {
	r, err := f.record(spec, own)
	if err != nil {
		return err
	}
	// The monitor listens. That it can is seen here, where an answer can be given, and free ports are chosen here.
	ports, err := f.listen(a)
	if err != nil {
		return err
	}
	ports.close()
	r.Ports = f.ports
	r.Helper = container.Helper{Path: helper.Path, StateHome: helper.StateHome}
	store, err := containers()
	if err != nil {
		return err
	}
	if f.cidFile != "" {
		if err := writeNew(f.cidFile, r.ID); err != nil {
			return err
		}
	}
	c, err := store.Create(r)
	if err == nil && own.source.image != nil {
		err = makeScratch(c.Dir)
	}
	if err == nil {
		err = writeNames(own.names)
	}
	if err == nil {
		err = bundle.Write(c.Dir, spec)
	}
	err = notMade(err, r.Name)
	f.letGo() // its config.json keeps its volumes now; one that is removed at its end may have ended before this process
	if err == nil && !f.createOnly {
		err = f.started(c.Start(), spec)
	}
	if err != nil {
		if f.cidFile != "" {
			os.Remove(f.cidFile)
		}
		if c != nil && c.ID != "" && !errors.Is(err, container.ErrInUse) {
			a.deleteContainer(store, helper, c)
		}
		return err
	}
	f.nameless = nil
	_, err = a.stdout.WriteString(c.ID + "\n")
	return err
}

// notMade says why there is no container; nil stays nil, and what has been said already stays as it is.
func notMade(err error, name string) error {
	var said *failure
	switch {
	case err == nil || errors.As(err, &said):
		return err
	case errors.Is(err, container.ErrInUse):
		return nameInUse(name)
	}
	return &failure{id: idContainer, what: "the container cannot be made: " + err.Error()}
}

// started explains why a container did not start.
func (f *runFlags) started(err error, spec *specs.Spec) error {
	if err == nil {
		return nil
	}
	out := &failure{id: idRefused, what: strings.ReplaceAll(err.Error(), "\n", "; "), code: execCode(err.Error())}
	switch out.code {
	case shim.CodeNotFound:
		f.notFound(out, spec)
	case shim.CodeNotExecutable:
		out.id = idNotExecutable
	}
	return out
}

func (f *runFlags) record(spec *specs.Spec, own ownContainer) (container.Record, error) {
	r := container.Record{
		Schema: container.Schema, ID: own.id, Name: f.name, Image: own.image, Command: bundle.Command(spec), Created: time.Now().UTC(),
		Labels: f.labelMap(), Terminal: spec.Process.Terminal, Remove: f.remove,
		Stop: container.Stop{Signal: f.stopSignal, Seconds: f.stopTimeout},
	}
	r.Volumes = f.nameless
	if r.Stop.Signal == "" && own.source.image != nil {
		r.Stop.Signal = own.source.image.image.Config.Config.StopSignal
	}
	if r.Stop.Signal == "" {
		r.Stop.Signal = "TERM"
	}
	switch {
	case f.forwards && f.createOnly:
		r.Stdin = container.StdinOnce
	case f.forwards:
		r.Stdin = container.StdinOpen
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if signalByName(r.Stop.Signal) == 0 {
		return r, &failure{id: idUsage, what: "--stop-signal " + r.Stop.Signal + ": there is no such signal"}
	}
	if r.Stop.Seconds < 0 {
		return r, &failure{id: idUsage, what: "--stop-timeout " + strconv.Itoa(r.Stop.Seconds) + ": a time is not negative"}
	}
	if own.source.image != nil {
		for _, l := range own.source.image.layers {
			r.Layers = append(r.Layers, l.Dir)
		}
	}
	var check *image.Healthcheck
	if own.source.image != nil {
		check = own.source.image.image.Config.Config.Healthcheck
	}
	var err error
	if r.Health, err = f.health.health(check); err != nil {
		return r, err
	}
	if r.Restart, err = container.ParseRestart(f.restart); err != nil {
		return r, &failure{id: idUsage, what: "--restart " + f.restart + ": " + err.Error()}
	}
	return r, nil
}

// writeNew writes a file that must not exist.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return &failure{id: idUsage, what: "--cidfile " + path + ": " + reason(err)}
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// deleteContainer takes away a container that does not run, with what it wrote.
func (a *app) deleteContainer(store *container.Store, helper shim.Helper, c *container.Container) error {
	return store.Delete(c, func() error {
		if _, err := os.Lstat(filepath.Join(c.Dir, "upper")); err != nil {
			return nil
		}
		return a.removeTrees(helper, c.Dir, "upper", "work")
	})
}
